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
// nullopt if a format, or the way an operand is scaled, is unknown. Scales, bias and auxiliary
// matrix count too: ScaleBytes, EpilogueBytes.
std::optional<uint64_t> LeastBytes(const Gemm& gemm);

// Bytes of the scales of A, B and D, without the padding of the tiles they are stored in. A scale
// of a row of blocks covers elements along k in A and B, along m in D (the innermost dimension of
// operands as block scaling wants them: cublasLt.h, cublasLtMatmulMatrixScale_t; cuBLAS
// documentation, "Block Scaling Factors Layout"). Of one rows x inner matrix:
//   scalar 4; a scalar a batch entry 4 batch; vec16 (NVFP4) rows ceil(inner/16);
//   vec32 (MXFP8) rows ceil(inner/32); vec128 4 rows ceil(inner/128); outer vector 4 rows;
//   128x128 blocks 4 ceil(rows/128) ceil(inner/128)
// All but the scalars as often as the batch has matrices.
std::optional<uint64_t> ScaleBytes(const Gemm& gemm);
// Bias: a vector of D's m rows, one for the whole batch (cublasLt.h, CUBLASLT_EPILOGUE_BIAS); n
// elements for the bias gradient of B (CUBLASLT_EPILOGUE_BGRADB). Auxiliary matrix: m n elements a
// batch entry, or a bit each, every column from a byte of its own.
uint64_t EpilogueBytes(const Gemm& gemm);
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
