// Every compute entry point of cuBLAS, four times, with dimensions that differ from each other; the
// arguments are made by cublas_every.h. `--list` prints the names alone, without a device.
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "check.h"
#include "cublas_every.h"
#include "cublas_every_legacy.h"

namespace {

using jobs::Manner;

jobs::Operands g_operands;
bool g_only_lists = false;

template <typename Function>
void Try(const char* name, Function* function, const Manner& manner) {
  if (g_only_lists) {
    std::puts(name);
    return;
  }
  jobs::Call(function, g_operands, manner, [name](cublasStatus_t status) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    std::fprintf(stderr, "%s: status %d\n", name, static_cast<int>(status));
    std::exit(1);
  });
}

// The type of a function from that of its 64-bit form: C++ has more overloads of some names.
template <typename Function>
struct Narrow;
template <typename... P>
struct Narrow<cublasStatus_t(P...)> {
  using Type = cublasStatus_t(std::conditional_t<std::is_same_v<P, int64_t>, int, P>...);
};

#define ONE(name, ...) Try(#name, &name, Manner{__VA_ARGS__});
#define PAIR(name, ...) ONE(name, __VA_ARGS__) ONE(name##_64, __VA_ARGS__)
#define OVERLOADED(name, ...)                                                              \
  Try(#name, static_cast<Narrow<decltype(name##_64)>::Type*>(&name), Manner{__VA_ARGS__}); \
  ONE(name##_64, __VA_ARGS__)
#define REAL(routine, suffix, ...)            \
  PAIR(cublasS##routine##suffix, __VA_ARGS__) \
  PAIR(cublasD##routine##suffix, __VA_ARGS__)
#define COMPLEX(routine, suffix, ...)         \
  PAIR(cublasC##routine##suffix, __VA_ARGS__) \
  PAIR(cublasZ##routine##suffix, __VA_ARGS__)
#define FOUR(routine, suffix, ...) \
  REAL(routine, suffix, __VA_ARGS__) COMPLEX(routine, suffix, __VA_ARGS__)
#define FOUR_ONCE(routine, ...)      \
  ONE(cublasS##routine, __VA_ARGS__) \
  ONE(cublasD##routine, __VA_ARGS__) \
  ONE(cublasC##routine, __VA_ARGS__) \
  ONE(cublasZ##routine, __VA_ARGS__)

void Products() {
  FOUR(gemm, _v2)
  PAIR(cublasHgemm)
  COMPLEX(gemm3m, )
  FOUR(gemm, Batched, .is_batched = true)
  PAIR(cublasHgemmBatched, .is_batched = true)
  PAIR(cublasCgemm3mBatched, .is_batched = true)
  FOUR(gemm, StridedBatched, .is_batched = true)
  PAIR(cublasHgemmStridedBatched, .is_batched = true)
  PAIR(cublasCgemm3mStridedBatched, .is_batched = true)
  PAIR(cublasSgemmEx, .operand_type = CUDA_R_16F, .result_type = CUDA_R_32F)
  PAIR(cublasCgemmEx, .operand_type = CUDA_C_32F, .result_type = CUDA_C_32F)
  PAIR(cublasCgemm3mEx, .operand_type = CUDA_C_32F, .result_type = CUDA_C_32F)
  OVERLOADED(cublasGemmEx, .operand_type = CUDA_R_16BF, .result_type = CUDA_R_32F)
  OVERLOADED(cublasGemmBatchedEx, .is_batched = true, .operand_type = CUDA_R_16BF,
             .result_type = CUDA_R_16BF)
  OVERLOADED(cublasGemmStridedBatchedEx, .is_batched = true, .operand_type = CUDA_R_16F,
             .result_type = CUDA_R_16F)
  ONE(cublasUint8gemmBias)
}

void Level3() {
  FOUR(symm, _v2)
  COMPLEX(hemm, _v2)
  FOUR(syrk, _v2)
  COMPLEX(herk, _v2, .is_hermitian = true)
  FOUR(syr2k, _v2)
  COMPLEX(her2k, _v2, .is_hermitian = true)
  FOUR(syrkx, )
  COMPLEX(herkx, , .is_hermitian = true)
  FOUR(trmm, _v2)
  FOUR(trsm, _v2)
  FOUR(trsm, Batched, .is_batched = true)
  FOUR(geam, )
  FOUR(dgmm, )
  PAIR(cublasCsyrkEx, .operand_type = CUDA_C_32F, .result_type = CUDA_C_32F)
  PAIR(cublasCsyrk3mEx, .operand_type = CUDA_C_32F, .result_type = CUDA_C_32F)
  PAIR(cublasCherkEx, .is_hermitian = true, .operand_type = CUDA_C_32F, .result_type = CUDA_C_32F)
  PAIR(cublasCherk3mEx, .is_hermitian = true, .operand_type = CUDA_C_32F, .result_type = CUDA_C_32F)
}

void Level2() {
  FOUR(gemv, _v2)
  FOUR(gemv, Batched, .is_batched = true)
  FOUR(gemv, StridedBatched, .is_batched = true)
#define MIXED(prefix)                                   \
  PAIR(cublas##prefix##gemvBatched, .is_batched = true) \
  PAIR(cublas##prefix##gemvStridedBatched, .is_batched = true)
  MIXED(HSH)
  MIXED(HSS)
  MIXED(TST)
  MIXED(TSS)
  FOUR(gbmv, _v2, .is_band = true, .first = 5)
  FOUR(symv, _v2)
  COMPLEX(hemv, _v2)
  REAL(sbmv, _v2, .is_falling = true)
  COMPLEX(hbmv, _v2, .is_falling = true)
  REAL(spmv, _v2)
  COMPLEX(hpmv, _v2)
  FOUR(trmv, _v2)
  FOUR(trsv, _v2)
  FOUR(tbmv, _v2, .is_falling = true)
  FOUR(tbsv, _v2, .is_falling = true)
  FOUR(tpmv, _v2)
  FOUR(tpsv, _v2)
  REAL(ger, _v2)
  COMPLEX(geru, _v2)
  COMPLEX(gerc, _v2)
  FOUR(syr, _v2)
  COMPLEX(her, _v2)
  REAL(spr, _v2)
  COMPLEX(hpr, _v2)
  FOUR(syr2, _v2)
  COMPLEX(her2, _v2)
  REAL(spr2, _v2)
  COMPLEX(hpr2, _v2)
}

void Lapack() {
  FOUR_ONCE(getrfBatched, .is_batched = true)
  FOUR_ONCE(getrsBatched, .is_batched = true, .has_host_info = true)
  FOUR_ONCE(getriBatched, .is_batched = true)
  FOUR_ONCE(matinvBatched, .is_batched = true, .first = 21)  // 32 at most
  FOUR_ONCE(geqrfBatched, .is_batched = true, .has_host_info = true)
  FOUR_ONCE(geqrfBatched, .is_batched = true, .is_falling = true, .has_host_info = true)
  FOUR_ONCE(gelsBatched, .is_batched = true, .is_plain = true, .is_falling = true,
            .has_host_info = true)
}

// The shapes of a grouped call are arrays of the host, the operands' addresses of the device.
template <typename Index>
struct Groups {
  std::vector<cublasOperation_t> op_a = {CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_N};
  std::vector<cublasOperation_t> op_b = {CUBLAS_OP_T, CUBLAS_OP_N, CUBLAS_OP_N};
  std::vector<Index> m = {24, 31, 40}, n = {25, 33, 42}, k = {27, 36, 44};
  std::vector<Index> ld = {64, 66, 68}, sizes = {2, 1, 3};
};

template <typename T, typename Index, typename Function>
void TypedGroups(const char* name, Function* function) {
  if (g_only_lists) {
    std::puts(name);
    return;
  }
  const Groups<Index> g;
  const std::vector<T> scalars(3, T{1});
  auto* operands = static_cast<T**>(g_operands.pointers);
  jobs::Check(function(g_operands.handle, g.op_a.data(), g.op_b.data(), g.m.data(), g.n.data(),
                       g.k.data(), scalars.data(), operands, g.ld.data(), operands, g.ld.data(),
                       scalars.data(), operands, g.ld.data(), 3, g.sizes.data()));
}

template <typename Index, typename Function>
void GroupsEx(const char* name, Function* function) {
  if (g_only_lists) {
    std::puts(name);
    return;
  }
  const Groups<Index> g;
  const std::vector<float> scalars(3, 1.0F);
  auto* operands = static_cast<void**>(g_operands.pointers);
  jobs::Check(function(g_operands.handle, g.op_a.data(), g.op_b.data(), g.m.data(), g.n.data(),
                       g.k.data(), scalars.data(), operands, CUDA_R_16BF, g.ld.data(), operands,
                       CUDA_R_16BF, g.ld.data(), scalars.data(), operands, CUDA_R_16BF, g.ld.data(),
                       3, g.sizes.data(), CUBLAS_COMPUTE_32F));
}

void Grouped() {
  TypedGroups<float, int>("cublasSgemmGroupedBatched", &cublasSgemmGroupedBatched);
  TypedGroups<float, int64_t>("cublasSgemmGroupedBatched_64", &cublasSgemmGroupedBatched_64);
  TypedGroups<double, int>("cublasDgemmGroupedBatched", &cublasDgemmGroupedBatched);
  TypedGroups<double, int64_t>("cublasDgemmGroupedBatched_64", &cublasDgemmGroupedBatched_64);
  GroupsEx<int>("cublasGemmGroupedBatchedEx", &cublasGemmGroupedBatchedEx);
  GroupsEx<int64_t>("cublasGemmGroupedBatchedEx_64", &cublasGemmGroupedBatchedEx_64);
}

}  // namespace

int main(int argc, char** argv) {
  g_only_lists = argc > 1 && std::strcmp(argv[1], "--list") == 0;
  cudaStream_t stream = nullptr;
  if (!g_only_lists) {
    constexpr size_t kBytes = size_t{64} << 20;
    constexpr size_t kPointers = 64;
    jobs::Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    // Scalars are operands like any other, so that the arguments need not be told apart: the host
    // can read them too.
    jobs::Check(cudaMallocManaged(&g_operands.memory, kBytes));
    jobs::Check(cudaMallocManaged(&g_operands.ones, kBytes));
    jobs::Check(cudaMemset(g_operands.memory, 0, kBytes));
    jobs::Check(cudaMemset(g_operands.ones, 1, kBytes));
    jobs::Check(cudaDeviceSynchronize());
    const std::vector<void*> pointers(kPointers, g_operands.memory);
    jobs::Check(cudaMalloc(&g_operands.pointers, kPointers * sizeof(void*)));
    jobs::Check(cudaMemcpy(g_operands.pointers, pointers.data(), kPointers * sizeof(void*),
                           cudaMemcpyHostToDevice));
    jobs::Check(cublasCreate(&g_operands.handle));
    jobs::Check(cublasSetStream(g_operands.handle, stream));
  }
  Products();
  Level3();
  Level2();
  Lapack();
  Grouped();
  jobs::CallLegacy(g_operands, g_only_lists);
  jobs::CallXt(g_operands, g_only_lists);
  if (g_only_lists) return 0;
  jobs::Check(cudaDeviceSynchronize());
  jobs::Check(cublasDestroy(g_operands.handle));
  std::printf("%d calls\n", jobs::g_calls);
  return 0;
}
