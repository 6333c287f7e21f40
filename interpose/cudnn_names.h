// Texts that name what a cuDNN graph does beside what is counted. They are made when a plan is read
// and kept for good, each distinct one once, in a buffer that has an end. One thread at a time:
// whoever reads a plan holds the table of plans (cudnn_plans.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace mfutrace::interpose {

// One text: a beginning and names, each once, joined by '+'.
class CudnnNames {
 public:
  explicit CudnnNames(const char* beginning);
  void Add(const char* name, size_t bytes);
  uint32_t count() const { return count_; }
  // Static storage. A general text where the buffer is full.
  const char* Keep() const;

 private:
  char text_[160];
  uint32_t bytes_ = 0;
  uint32_t beginning_bytes_ = 0;
  uint32_t count_ = 0;
};

}  // namespace mfutrace::interpose
