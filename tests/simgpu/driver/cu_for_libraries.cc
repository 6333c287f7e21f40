// libcuda.so.1: what only libraries call. Functions under names that cuda.h maps to newer ones, as
// programs find that look a plain name up; the linker of device code, which has nothing to link
// here; private tables, of which there are none.
#include <cuda.h>

#undef cuCtxPushCurrent
#undef cuCtxPopCurrent
#undef cuLinkCreate
#undef cuLinkAddData

namespace {

CUlinkState TheLinker() {
  static int linker;
  return reinterpret_cast<CUlinkState>(&linker);
}

}  // namespace

extern "C" {

CUresult CUDAAPI cuCtxPushCurrent(CUcontext context) { return cuCtxPushCurrent_v2(context); }
CUresult CUDAAPI cuCtxPopCurrent(CUcontext* context) { return cuCtxPopCurrent_v2(context); }

CUresult CUDAAPI cuLinkCreate(unsigned, CUjit_option*, void**, CUlinkState* state) {
  if (state == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *state = TheLinker();
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuLinkAddData(CUlinkState state, CUjitInputType, void* data, size_t, const char*,
                               unsigned, CUjit_option*, void**) {
  if (state != TheLinker()) return CUDA_ERROR_INVALID_HANDLE;
  return data == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult CUDAAPI cuLinkComplete(CUlinkState state, void** image, size_t* bytes) {
  if (state != TheLinker()) return CUDA_ERROR_INVALID_HANDLE;
  if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  static char linked[8];
  *image = linked;
  if (bytes != nullptr) *bytes = sizeof linked;
  return CUDA_SUCCESS;
}

// Private tables between NVIDIA's libraries: there are none.
CUresult CUDAAPI cuGetExportTable(const void** table, const CUuuid*) {
  if (table == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

CUresult CUDAAPI cuLinkDestroy(CUlinkState state) {
  return state == TheLinker() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

}  // extern "C"
