// The names of kineto_ops.h: number formats and collectives as torch and NCCL write them.
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "report/import/kineto_ops.h"

namespace mfutrace::report {
namespace {

// "allreduce", "alltoall" ...: lower case without separators.
shapes::CollectiveKind CollectiveOfPlainName(absl::string_view name) {
  using Kind = shapes::CollectiveKind;
  // Longer names first: "reducescatter" and "allreduce" hold "reduce".
  constexpr std::pair<absl::string_view, Kind> kRows[] = {
      {"reducescatter", Kind::kReduceScatter},
      {"allreduce", Kind::kAllReduce},
      {"allgather", Kind::kAllGather},
      {"alltoall", Kind::kAllToAll},
      {"broadcast", Kind::kBroadcast},
      {"sendrecv", Kind::kUnknown},
      {"send", Kind::kSend},
      {"recv", Kind::kRecv},
      {"reduce", Kind::kReduce},
      {"gather", Kind::kGather},
      {"scatter", Kind::kScatter},
  };
  for (const auto& [part, kind] : kRows) {
    if (absl::StrContains(name, part)) return kind;
  }
  return Kind::kUnknown;
}

}  // namespace

shapes::Dtype DtypeOfTorch(absl::string_view name) {
  using shapes::Dtype;
  // C++ names ("Input type") and ScalarType names (metadata of collectives).
  static const auto* const kByName = new absl::flat_hash_map<absl::string_view, Dtype>{
      {"float", Dtype::kF32},
      {"Float", Dtype::kF32},
      {"double", Dtype::kF64},
      {"Double", Dtype::kF64},
      {"c10::Half", Dtype::kF16},
      {"Half", Dtype::kF16},
      {"c10::BFloat16", Dtype::kBf16},
      {"BFloat16", Dtype::kBf16},
      {"c10::Float8_e4m3fn", Dtype::kF8E4M3},
      {"Float8_e4m3fn", Dtype::kF8E4M3},
      {"c10::Float8_e5m2", Dtype::kF8E5M2},
      {"Float8_e5m2", Dtype::kF8E5M2},
      {"c10::Float8_e8m0fnu", Dtype::kF8Ue8m0},
      {"Float8_e8m0fnu", Dtype::kF8Ue8m0},
      {"long int", Dtype::kI64},
      {"long", Dtype::kI64},
      {"Long", Dtype::kI64},
      {"int", Dtype::kI32},
      {"Int", Dtype::kI32},
      {"short int", Dtype::kI16},
      {"short", Dtype::kI16},
      {"Short", Dtype::kI16},
      {"signed char", Dtype::kI8},
      {"Char", Dtype::kI8},
      {"unsigned char", Dtype::kU8},
      {"Byte", Dtype::kU8},
      {"bool", Dtype::kBool},
      {"Bool", Dtype::kBool},
      {"c10::complex<float>", Dtype::kC32F32},
      {"ComplexFloat", Dtype::kC32F32},
      {"c10::complex<double>", Dtype::kC64F64},
      {"ComplexDouble", Dtype::kC64F64},
  };
  const auto found = kByName->find(name);
  return found == kByName->end() ? Dtype::kUnknown : found->second;
}

shapes::CollectiveKind CollectiveOfTorch(absl::string_view name) {
  return CollectiveOfPlainName(
      absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"nccl:", ""}, {"_", ""}}));
}

shapes::CollectiveKind CollectiveOfKernel(absl::string_view kernel_name) {
  // The first word after "ncclKernel_" or "ncclDevKernel_": the rest names algorithm and types.
  const std::vector<absl::string_view> words = absl::StrSplit(kernel_name, absl::ByAnyChar("_("));
  if (words.size() < 2 || !absl::EndsWith(words[0], "Kernel")) return {};
  return CollectiveOfPlainName(absl::AsciiStrToLower(words[1]));
}

}  // namespace mfutrace::report
