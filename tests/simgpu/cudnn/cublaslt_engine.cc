// See cublaslt_engine.h.
#include "cudnn/cublaslt_engine.h"

#include <cublasLt.h>
#include <dlfcn.h>

namespace simgpu::cudnn {
namespace {

struct CublasLt {
  void* library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  decltype(&::cublasLtCreate) create = Find<decltype(&::cublasLtCreate)>("cublasLtCreate");
  decltype(&::cublasLtMatmul) matmul = Find<decltype(&::cublasLtMatmul)>("cublasLtMatmul");
  decltype(&::cublasLtMatmulDescCreate) desc_create =
      Find<decltype(&::cublasLtMatmulDescCreate)>("cublasLtMatmulDescCreate");
  decltype(&::cublasLtMatmulDescDestroy) desc_destroy =
      Find<decltype(&::cublasLtMatmulDescDestroy)>("cublasLtMatmulDescDestroy");
  decltype(&::cublasLtMatrixLayoutCreate) layout_create =
      Find<decltype(&::cublasLtMatrixLayoutCreate)>("cublasLtMatrixLayoutCreate");
  decltype(&::cublasLtMatrixLayoutDestroy) layout_destroy =
      Find<decltype(&::cublasLtMatrixLayoutDestroy)>("cublasLtMatrixLayoutDestroy");
  decltype(&::cublasLtMatrixLayoutSetAttribute) layout_set =
      Find<decltype(&::cublasLtMatrixLayoutSetAttribute)>("cublasLtMatrixLayoutSetAttribute");
  cublasLtHandle_t handle = nullptr;

  CublasLt() {
    if (create != nullptr) create(&handle);
  }
  bool ok() const { return handle != nullptr && matmul != nullptr && layout_set != nullptr; }

 private:
  template <typename Function>
  Function Find(const char* name) const {
    return library == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(library, name));
  }
};

cudaDataType CudaType(cudnnDataType_t type) {
  return type == CUDNN_DATA_HALF       ? CUDA_R_16F
         : type == CUDNN_DATA_BFLOAT16 ? CUDA_R_16BF
                                       : CUDA_R_32F;
}

// A tensor's last two dimensions as a matrix, the others as its batch.
cublasLtMatrixLayout_t Layout(const CublasLt& lt, const Tensor& tensor) {
  const size_t rank = tensor.dim.size();
  const int64_t row_stride = tensor.stride[rank - 2];
  const int64_t column_stride = tensor.stride[rank - 1];
  const bool by_rows = column_stride == 1;
  cublasLtMatrixLayout_t layout = nullptr;
  lt.layout_create(&layout, CudaType(tensor.type), static_cast<uint64_t>(tensor.FromLast(1)),
                   static_cast<uint64_t>(tensor.FromLast(0)), by_rows ? row_stride : column_stride);
  const int32_t order = by_rows ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL;
  const auto batch =
      static_cast<int32_t>(tensor.elements() / tensor.FromLast(0) / tensor.FromLast(1));
  const int64_t stride = tensor.FromLast(0) * tensor.FromLast(1);
  lt.layout_set(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order);
  lt.layout_set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch);
  lt.layout_set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride);
  return layout;
}

}  // namespace

cudnnStatus_t RunOnCublasLt(const Tensor& a, const Tensor& b, const Tensor& c, const void* a_data,
                            const void* b_data, void* c_data, cudaStream_t stream) {
  static const CublasLt lt;
  if (!lt.ok()) return CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING;
  cublasLtMatmulDesc_t desc = nullptr;
  lt.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  cublasLtMatrixLayout_t layouts[] = {Layout(lt, a), Layout(lt, b), Layout(lt, c)};
  const float alpha = 1;
  const float beta = 0;
  const cublasStatus_t status =
      lt.matmul(lt.handle, desc, &alpha, a_data, layouts[0], b_data, layouts[1], &beta, c_data,
                layouts[2], c_data, layouts[2], nullptr, nullptr, 0, stream);
  for (cublasLtMatrixLayout_t layout : layouts) lt.layout_destroy(layout);
  lt.desc_destroy(desc);
  return status == CUBLAS_STATUS_SUCCESS ? CUDNN_STATUS_SUCCESS
                                         : CUDNN_STATUS_EXECUTION_FAILED_CUBLAS;
}

}  // namespace simgpu::cudnn
