// Products of f32, f64 and half operands under each math mode of the handle and each compute type:
// which arithmetic they run in is decided by both, and by the environment. No two have the same
// dimensions.
#include <cublas_v2.h>

#include <cstdint>

#include "blas.h"
#include "check.h"

namespace {

using jobs::Check;

constexpr cublasMath_t kModes[] = {
    CUBLAS_DEFAULT_MATH,
    CUBLAS_PEDANTIC_MATH,
    CUBLAS_TF32_TENSOR_OP_MATH,
    CUBLAS_FP32_EMULATED_BF16X9_MATH,
    CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH,
    static_cast<cublasMath_t>(CUBLAS_TF32_TENSOR_OP_MATH |
                              CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)};

constexpr cublasComputeType_t kOfFloats[] = {
    CUBLAS_COMPUTE_32F,           CUBLAS_COMPUTE_32F_PEDANTIC,  CUBLAS_COMPUTE_32F_FAST_16F,
    CUBLAS_COMPUTE_32F_FAST_16BF, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32F_EMULATED_16BFX9};
constexpr cublasComputeType_t kOfDoubles[] = {CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_64F_PEDANTIC,
                                              CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT};

class Products {
 public:
  void Typed() {
    const int m = Next();
    const float one_f = 1, zero_f = 0;
    const double one_d = 1, zero_d = 0;
    Check(cublasSgemm(blas_.handle(), CUBLAS_OP_N, CUBLAS_OP_T, m, 32, 16, &one_f, blas_.a(), m,
                      blas_.b(), 32, &zero_f, blas_.c(), m));
    Check(cublasDgemm(blas_.handle(), CUBLAS_OP_N, CUBLAS_OP_N, m, 24, 16, &one_d, Doubles(), m,
                      Doubles(), 16, &zero_d, Doubles(), m));
    const cuComplex one_c = {1, 0}, zero_c = {0, 0};
    auto* complexes = reinterpret_cast<cuComplex*>(blas_.a());
    Check(cublasCgemm(blas_.handle(), CUBLAS_OP_N, CUBLAS_OP_N, m, 40, 16, &one_c, complexes, m,
                      complexes, 16, &zero_c, complexes, m));
  }
  void Ex(cudaDataType type, cudaDataType out, cublasComputeType_t compute) {
    const int m = Next();
    const double one_d = 1, zero_d = 0;
    const float one_f = 1, zero_f = 0;
    const uint16_t one_h = 0x3c00, zero_h = 0;
    const int32_t one_i = 1, zero_i = 0;
    const void* one = &one_f;
    const void* zero = &zero_f;
    if (type == CUDA_R_64F) {
      one = &one_d;
      zero = &zero_d;
    } else if (compute == CUBLAS_COMPUTE_16F) {
      one = &one_h;
      zero = &zero_h;
    } else if (compute == CUBLAS_COMPUTE_32I) {
      one = &one_i;
      zero = &zero_i;
    }
    Check(cublasGemmEx(blas_.handle(), CUBLAS_OP_N, CUBLAS_OP_N, m, 48, 16, one, blas_.a(), type, m,
                       blas_.b(), type, 16, zero, blas_.c(), out, m, compute, CUBLAS_GEMM_DEFAULT));
  }
  void SetMode(cublasMath_t mode) { Check(cublasSetMathMode(blas_.handle(), mode)); }
  void Wait() { blas_.Wait(); }

 private:
  double* Doubles() { return reinterpret_cast<double*>(blas_.a()); }
  int Next() { return m_ += 8; }

  jobs::Blas blas_;
  int m_ = 0;
};

}  // namespace

int main() {
  Products products;
  for (const cublasMath_t mode : kModes) {
    products.SetMode(mode);
    products.Typed();
    for (const auto compute : kOfFloats) products.Ex(CUDA_R_32F, CUDA_R_32F, compute);
    for (const auto compute : kOfDoubles) products.Ex(CUDA_R_64F, CUDA_R_64F, compute);
    products.Ex(CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_16F);
    products.Ex(CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F);
    products.Ex(CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F);
    products.Ex(CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I);
  }
  products.Wait();
  return 0;
}
