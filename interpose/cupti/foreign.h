// Device work of no intercepted call, added up: by kernel name, and as runs in time.
//
// The report needs both: names say what the time went into, runs say when the device was not idle.
// Fed in the order of begins, by one thread at a time. Memory is fixed but for the runs, which grow
// by mmap until they are taken.
#pragma once

#include <cstdint>

#include "interpose/cupti/tickets.h"
#include "interpose/cupti_door.h"

namespace mfutrace::interpose::cupti {

// Kernels that move data between GPUs, by their names: NCCL's own, NVSHMEM's, DeepEP's, and the
// all-reduce kernels of vLLM, TensorRT-LLM and PyTorch's symmetric memory.
Family FamilyOf(const char* kernel_name);

class Foreign {
 public:
  static constexpr uint32_t kMaxNames = 8192;
  static constexpr uint32_t kMaxStreams = 512;

  // `is_each`: keeps pieces in place of runs.
  bool Attach(bool is_each);
  void Add(const DeviceWork& work);
  // Gives and forgets all sums and runs. Runs that may still grow stay, unless `is_last`.
  void Take(const ForeignSink& sink, bool is_last);
  uint64_t lost() const { return lost_; }

 private:
  struct OpenRun {
    bool is_used;
    ForeignRun run;
  };

  ForeignSum* SumOf(const DeviceWork& work);
  void CloseRun(const ForeignRun& run);
  void KeepPiece(const DeviceWork& work);

  bool is_each_ = false;
  ForeignSum* sums_ = nullptr;  // open addressing by name and device; kernels == 0: free
  uint32_t sum_count_ = 0;
  OpenRun* open_ = nullptr;  // by device, stream and family
  ForeignRun* runs_ = nullptr;
  uint64_t run_count_ = 0;
  uint64_t run_capacity_ = 0;
  ForeignPiece* pieces_ = nullptr;
  uint64_t piece_count_ = 0;
  uint64_t piece_capacity_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace mfutrace::interpose::cupti
