// Bytes of one operation: the least a kernel must move, and the sizes nccl-tests reports.
//
// Bytes of formats narrower than a byte are rounded up per operand. An operand of unknown format
// makes the answer unknown. Saturates at UINT64_MAX.
#pragma once

#include <cstdint>
#include <optional>

#include "shapes/op.h"

namespace mfutrace::shapes {

// Each operand once, in its storage width: A, B, D, and C as well when beta is not zero. A
// broadcast operand counts once for the whole batch. Unknown beta counts as zero, the least.
// nullopt if a format is unknown.
std::optional<uint64_t> LeastBytes(const Gemm& gemm);
std::optional<uint64_t> LeastBytes(const Attention& attention);
std::optional<uint64_t> LeastBytes(const Convolution& convolution);

// Size S as nccl-tests defines it: the whole buffer. AllGather, ReduceScatter, AllToAll, Gather and
// Scatter multiply the per-rank count by the number of ranks. nullopt if dtype, kind or, where it
// matters, rank_count is unknown.
std::optional<uint64_t> AlgorithmBytes(const Collective& collective);

// S times nccl-tests' bus factor: AllReduce 2(n-1)/n; AllGather, ReduceScatter, AllToAll, Gather
// and Scatter (n-1)/n; the rest 1. Exact integer arithmetic, rounded down.
std::optional<uint64_t> BusBytes(const Collective& collective);

// Additions all ranks together do to reduce; 0 for kinds that move data only.
std::optional<uint64_t> ReductionAdds(const Collective& collective);

}  // namespace mfutrace::shapes
