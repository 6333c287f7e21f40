// Data types by their widths and short names, for all simulated cuDNN libraries.
#include "cudnn/graph.h"
#include "engine/settings.h"

namespace simgpu::cudnn {

const char* TextOf(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_FLOAT:
      return "f32";
    case CUDNN_DATA_DOUBLE:
      return "f64";
    case CUDNN_DATA_HALF:
      return "f16";
    case CUDNN_DATA_BFLOAT16:
      return "bf16";
    case CUDNN_DATA_INT8:
      return "i8";
    case CUDNN_DATA_UINT8:
      return "u8";
    case CUDNN_DATA_INT32:
      return "i32";
    case CUDNN_DATA_FP8_E4M3:
      return "f8e4m3";
    case CUDNN_DATA_FP8_E5M2:
      return "f8e5m2";
    default:
      return "other";
  }
}

int64_t BitsOf(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_DOUBLE:
    case CUDNN_DATA_INT64:
    case CUDNN_DATA_COMPLEX_FP32:
      return 64;
    case CUDNN_DATA_COMPLEX_FP64:
      return 128;
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_INT32:
    case CUDNN_DATA_UINT32:
      return 32;
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16:
      return 16;
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_UINT8:
    case CUDNN_DATA_BOOLEAN:
    case CUDNN_DATA_FP8_E4M3:
    case CUDNN_DATA_FP8_E5M2:
    case CUDNN_DATA_FP8_E8M0:
      return 8;
    case CUDNN_DATA_FP4_E2M1:
    case CUDNN_DATA_INT4:
    case CUDNN_DATA_UINT4:
      return 4;
    default:
      return 0;
  }
}

}  // namespace simgpu::cudnn

// NameOf(Format) lives in the driver library; this one is for the cuDNN libraries.
const char* simgpu::NameOf(Format format) {
  static constexpr const char* kNames[] = {"f64",  "f64_tensor", "f32", "tf32", "f16",
                                           "bf16", "f8",         "i8",  "f4"};
  return kNames[static_cast<int>(format)];
}
