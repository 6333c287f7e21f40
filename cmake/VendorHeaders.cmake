# Finds the vendors' public headers (types only; nothing of theirs is linked into libmfutrace.so).
find_path(MFU_CUDA_INCLUDE cublasLt.h
  HINTS ENV CUDA_HOME ENV CUDA_PATH
  PATHS /usr/local/cuda /usr/local/cuda-13.0 /opt/cuda
  PATH_SUFFIXES include targets/x86_64-linux/include)
find_path(MFU_NCCL_INCLUDE nccl.h
  HINTS ENV NCCL_HOME ENV CUDA_HOME
  PATHS /usr/local/cuda /usr/local /usr
  PATH_SUFFIXES include)
find_path(MFU_CUDNN_INCLUDE cudnn_graph.h
  HINTS ENV CUDNN_HOME ENV CUDA_HOME
  PATHS /usr/local/cuda /usr/local /usr
  PATH_SUFFIXES include include/x86_64-linux-gnu include/aarch64-linux-gnu)
if(NOT MFU_CUDA_INCLUDE OR NOT MFU_NCCL_INCLUDE OR NOT MFU_CUDNN_INCLUDE)
  message(FATAL_ERROR
    "CUDA, NCCL or cuDNN 9 headers not found (cublasLt.h: ${MFU_CUDA_INCLUDE}, nccl.h: ${MFU_NCCL_INCLUDE}, "
    "cudnn_graph.h: ${MFU_CUDNN_INCLUDE}). "
    "Set CUDA_HOME, NCCL_HOME and CUDNN_HOME, or build only the tools with -DMFUTRACE_BUILD_INTERPOSE=OFF")
endif()
add_library(mfu_vendor_headers INTERFACE)
target_include_directories(mfu_vendor_headers SYSTEM INTERFACE ${MFU_CUDA_INCLUDE} ${MFU_NCCL_INCLUDE}
  ${MFU_CUDNN_INCLUDE})
