// Stands for cuSOLVER, by its soname: a factorisation that does its products with cuBLAS, one of
// them in half precision, which cuBLAS itself hands on to cuBLASLt. Compiled twice: calling cuBLAS
// as the linker bound it, and (NESTED_BY_LOOKUP) as dlsym finds it.
#include <cublas_v2.h>
#include <dlfcn.h>

#if NESTED_BY_LOOKUP
#define BLAS(function, ...)                \
  reinterpret_cast<decltype(&::function)>( \
      dlsym(dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL), #function))(__VA_ARGS__)
#else
#define BLAS(function, ...) function(__VA_ARGS__)
#endif

extern "C" __attribute__((visibility("default"))) int cusolver_stand_in(cublasHandle_t handle,
                                                                        void* memory) {
  const float one = 1, zero = 0;
  auto* f = static_cast<float*>(memory);
  int status = BLAS(cublasSgemm_v2, handle, CUBLAS_OP_N, CUBLAS_OP_N, 56, 64, 72, &one, f, 56, f,
                    72, &zero, f, 56);
  status |= BLAS(cublasStrsm_v2, handle, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                 CUBLAS_DIAG_UNIT, 80, 88, &one, f, 80, f, 80);
  using GemmEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                    int, const void*, const void*, cudaDataType, int, const void*,
                                    cudaDataType, int, const void*, void*, cudaDataType, int,
                                    cublasComputeType_t, cublasGemmAlgo_t);
#if NESTED_BY_LOOKUP
  const auto gemm_ex = reinterpret_cast<GemmEx>(
      dlsym(dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL), "cublasGemmEx"));
#else
  const GemmEx gemm_ex = &cublasGemmEx;
#endif
  status |=
      gemm_ex(handle, CUBLAS_OP_N, CUBLAS_OP_N, 96, 104, 112, &one, f, CUDA_R_16BF, 96, f,
              CUDA_R_16BF, 112, &zero, f, CUDA_R_16BF, 96, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  return status;
}
