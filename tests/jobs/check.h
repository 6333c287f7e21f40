// Error handling of the test jobs: a vendor call that fails ends the job with one line and
// status 1.
//
// The jobs are ordinary user programs: they include the vendors' headers and this, nothing else of
// the project, and know neither of the preloaded library nor of the simulated node.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace jobs {

[[noreturn]] inline void Fail(const char* library, const char* text, std::source_location where) {
  std::fprintf(stderr, "%s:%u: %s: %s\n", where.file_name(), where.line(), library, text);
  std::exit(1);
}

inline void Check(cudaError_t status, std::source_location w = std::source_location::current()) {
  if (status != cudaSuccess) Fail("cuda", cudaGetErrorString(status), w);
}

inline void Check(cublasStatus_t status, std::source_location w = std::source_location::current()) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  char text[32];
  std::snprintf(text, sizeof text, "status %d", static_cast<int>(status));
  Fail("cublas", text, w);
}

inline void Check(ncclResult_t status, std::source_location w = std::source_location::current()) {
  if (status != ncclSuccess) Fail("nccl", ncclGetErrorString(status), w);
}

}  // namespace jobs
