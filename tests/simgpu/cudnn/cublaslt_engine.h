// The engine that hands a plain product to cuBLASLt, which it finds as the real one does: by dlopen
// and dlsym of the public names, when it is first used.
#pragma once

#include <cudnn.h>

#include <cstdint>

#include "cudnn/graph.h"

namespace simgpu::cudnn {

cudnnStatus_t RunOnCublasLt(const Tensor& a, const Tensor& b, const Tensor& c, const void* a_data,
                            const void* b_data, void* c_data, cudaStream_t stream);

}  // namespace simgpu::cudnn
