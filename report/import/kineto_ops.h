// Which PyTorch operators are counted, and how their recorded operands become shapes.
//
// The formulas' owner is shapes/; here are only positions of arguments, layouts and type names of
// torch's schemas. Used by the Kineto import. Operators outside the table are not guessed at.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "report/import/kineto_reader.h"
#include "shapes/op.h"

namespace mfutrace::report {

enum class OpInterest : uint8_t { kNone, kCounted, kKnownUncounted };

// kKnownUncounted: does tensor products, but the profile does not say how many.
OpInterest InterestIn(absl::string_view op_name);

using OpShape = std::variant<shapes::Gemm, shapes::Attention, shapes::Convolution>;

struct CountedShape {
  OpShape shape;
  shapes::Provenance provenance = shapes::Provenance::kExact;
};

// One shape for most operators; two for a convolution's backward (data and filter gradient). Empty:
// the operands recorded do not tell the dimensions.
std::vector<CountedShape> ShapesOf(const RawSignature& signature);

// "c10::BFloat16", "float", "long int", "BFloat16", "Half" ... kUnknown for others.
shapes::Dtype DtypeOfTorch(absl::string_view name);

// "allreduce", "_all_gather_base", "nccl:all_to_all"; kUnknown for others.
shapes::CollectiveKind CollectiveOfTorch(absl::string_view name);

// "ncclDevKernel_AllGather_RING_LL(...)"; kUnknown for SendRecv, which many collectives end in.
shapes::CollectiveKind CollectiveOfKernel(absl::string_view kernel_name);

}  // namespace mfutrace::report
