// Reads matrix products of cuBLAS from their arguments. The stream and the modes are the handle's,
// and are asked of the library that made it.
#include "interpose/observe_gemm.h"

#include <cublas_v2.h>

#include "interpose/cublas_handle.h"
#include "interpose/memory.h"
#include "interpose/observe_types.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::Dtype;

// One array of a grouped call, of int or int64_t.
struct HostArray {
  const void* data;
  bool is_wide;

  int64_t operator[](uint32_t i) const {
    return is_wide ? static_cast<const int64_t*>(data)[i] : static_cast<const int*>(data)[i];
  }
};

// Room for the parts of a grouped call: on the stack for the usual number, else fresh pages.
class PartBuffer {
 public:
  explicit PartBuffer(uint32_t count) : bytes_(sizeof(CompoundPart) * count) {
    if (count > kOnStack) parts_ = static_cast<CompoundPart*>(MapPages(bytes_));
  }
  ~PartBuffer() {
    if (parts_ != few_ && parts_ != nullptr) UnmapPages(parts_, bytes_);
  }
  PartBuffer(const PartBuffer&) = delete;
  PartBuffer& operator=(const PartBuffer&) = delete;

  CompoundPart* parts() { return parts_; }  // nullptr if there is no memory

 private:
  static constexpr uint32_t kOnStack = 128;

  CompoundPart few_[kOnStack];
  CompoundPart* parts_ = few_;
  size_t bytes_;
};

// What all products of a call have in common.
struct Formats {
  shapes::Gemm gemm;
  int compute = -1;
  Dtype scalar = Dtype::kUnknown;
};

Formats FormatsOf(const HookedCall& call, const CublasHandle& handle, int type_a, int type_b,
                  int type_c, int compute) {
  const EntryInfo& info = InfoOf(call.entry);
  Formats formats;
  shapes::Gemm& gemm = formats.gemm;
  if (type_a < 0) {
    gemm.a = gemm.b = gemm.c = info.dtype();
  } else {
    gemm.a = DtypeOfCuda(type_a);
    gemm.b = DtypeOfCuda(type_b);
    gemm.c = DtypeOfCuda(type_c);
  }
  gemm.d = gemm.c;
  gemm.gauss_3m = info.Has(detail::kGauss3m);
  formats.compute = compute >= 0 ? compute : ComputeTypeOf(info.dtype());
  const bool has_mode = handle.handle != nullptr && HasHandleMode(gemm.a);
  const Arithmetic arithmetic =
      ArithmeticOf(formats.compute, gemm.a, has_mode ? handle.MathMode() : 0);
  gemm.accumulate = arithmetic.accumulate;
  gemm.math = arithmetic.math;
  formats.scalar = ScalarOf(formats.compute, gemm.accumulate, gemm.c);
  return formats;
}

void BeginOn(HookedCall& call, const CublasHandle& handle, uint32_t signature) {
  cudaStream_t stream = nullptr;
  if (handle.handle != nullptr && handle.Stream(&stream)) {
    Begin(call, signature, stream);
  } else {
    // Host-side interfaces, or an invalid handle: then the call itself is about to say so.
    BeginUntimed(call, signature);
  }
}

uint32_t ScalarBytes(Dtype scalar) {
  switch (scalar) {
    case Dtype::kF16:
      return 2;
    case Dtype::kF64:
    case Dtype::kC32F32:
      return 8;
    case Dtype::kC64F64:
      return 16;
    default:
      return 4;
  }
}

// A call with more groups, or with missing arrays, is about to fail.
constexpr int64_t kMaxGroups = 1 << 24;

bool HasAllArrays(const GroupedArguments& arguments) {
  return arguments.ops_a != nullptr && arguments.ops_b != nullptr && arguments.m != nullptr &&
         arguments.n != nullptr && arguments.k != nullptr && arguments.group_sizes != nullptr &&
         arguments.group_count >= 0 && arguments.group_count <= kMaxGroups;
}

uint32_t InternGrouped(const HookedCall& call, const GroupedArguments& arguments,
                       const CublasHandle& handle) {
  if (!HasAllArrays(arguments)) return InternOpaque(call.entry, "arrays of groups not readable");
  Formats formats = FormatsOf(call, handle, arguments.type_a, arguments.type_b, arguments.type_c,
                              arguments.compute);
  const auto compute = static_cast<uint32_t>(formats.compute);
  const auto count = static_cast<uint32_t>(arguments.group_count);
  const bool reads_beta = arguments.betas != nullptr && handle.HasHostScalars();
  const HostArray m = {arguments.m, arguments.is_wide};
  const HostArray n = {arguments.n, arguments.is_wide};
  const HostArray k = {arguments.k, arguments.is_wide};
  const HostArray sizes = {arguments.group_sizes, arguments.is_wide};
  PartBuffer buffer(count);
  CompoundPart* parts = buffer.parts();
  if (parts == nullptr) return InternOpaque(call.entry, "no memory for its groups");
  // One product with the rows of all, should the list find no room.
  shapes::Gemm whole = formats.gemm;
  bool is_one_width = true;
  for (uint32_t i = 0; i < count; ++i) {
    shapes::Gemm& gemm = formats.gemm;
    gemm.m = Size(m[i]);
    gemm.n = Size(n[i]);
    gemm.k = Size(k[i]);
    gemm.op_a = TransposeOf(static_cast<const int*>(arguments.ops_a)[i]);
    gemm.op_b = TransposeOf(static_cast<const int*>(arguments.ops_b)[i]);
    if (reads_beta) {
      gemm.beta =
          BetaAt(static_cast<const char*>(arguments.betas) + i * ScalarBytes(formats.scalar),
                 formats.scalar);
    }
    const uint64_t size = Size(sizes[i]);
    parts[i] = {InternGemm(gemm, compute, call.entry, shapes::Provenance::kExact), size};
    if (parts[i].signature == 0) return 0;
    is_one_width = is_one_width && (i == 0 || (gemm.n == whole.n && gemm.k == whole.k));
    whole.n = gemm.n;
    whole.k = gemm.k;
    whole.m += gemm.m * size;
  }
  const uint32_t signature = InternCompound(call.entry, parts, count, nullptr);
  if (signature != 0) return signature;
  if (is_one_width) return InternGemm(whole, compute, call.entry, shapes::Provenance::kExact);
  return InternOpaque(call.entry, "too many different groupings");
}

}  // namespace

void ObserveGemm(HookedCall& call, const GemmArguments& arguments) {
  const bool has_handle = !arguments.is_legacy && !InfoOf(call.entry).Has(detail::kHostCalled);
  const CublasHandle handle(*call.library, has_handle ? arguments.handle : nullptr);
  Formats formats = FormatsOf(call, handle, arguments.type_a, arguments.type_b, arguments.type_c,
                              arguments.compute);
  shapes::Gemm& gemm = formats.gemm;
  gemm.m = Size(arguments.m);
  gemm.n = Size(arguments.n);
  gemm.k = Size(arguments.k);
  gemm.batch = Size(arguments.batch);
  gemm.op_a = TransposeOf(arguments.op_a);
  gemm.op_b = TransposeOf(arguments.op_b);
  const bool has_strides = arguments.batch > 1 && !arguments.has_pointers;
  gemm.a_is_broadcast = has_strides && arguments.stride_a == 0;
  gemm.b_is_broadcast = has_strides && arguments.stride_b == 0;
  if (!has_handle || handle.HasHostScalars()) {
    gemm.beta = arguments.is_legacy ? BetaInRegisters(arguments.beta, formats.scalar)
                                    : BetaAt(arguments.beta, formats.scalar);
  }
  BeginOn(call, handle,
          InternGemm(gemm, static_cast<uint32_t>(formats.compute), call.entry,
                     shapes::Provenance::kExact));
}

void ObserveGrouped(HookedCall& call, const GroupedArguments& arguments) {
  const CublasHandle handle(*call.library, arguments.handle);
  BeginOn(call, handle, InternGrouped(call, arguments, handle));
}

}  // namespace mfutrace::interpose::observe
