// One GPU by the driver's API, found at run time: a context, memory, a stream and timing events.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <optional>
#include <string>

#include "probe/library.h"

namespace mfutrace::probe {

class Device {
 public:
  // Check error() before anything else.
  explicit Device(int ordinal);

  const std::string& error() const { return error_; }
  const std::string& name() const { return name_; }
  const std::string& bus_id() const { return bus_id_; }
  uint64_t memory_bytes() const { return memory_bytes_; }
  CUstream stream() const { return stream_; }

  // nullptr where there is no room.
  void* Allocate(uint64_t bytes);
  void Free(void* memory);
  // Seconds between Start and the end of what was enqueued since; waits for it.
  bool Start();
  std::optional<double> Stop();

 private:
  bool Check(CUresult result, const char* what);

  Library library_;
  std::string error_;
  std::string name_;
  std::string bus_id_;
  uint64_t memory_bytes_ = 0;
  CUstream stream_ = nullptr;
  CUevent begin_ = nullptr;
  CUevent end_ = nullptr;
  decltype(&cuMemAlloc) mem_alloc_ = nullptr;
  decltype(&cuMemFree) mem_free_ = nullptr;
  decltype(&cuEventRecord) event_record_ = nullptr;
  decltype(&cuEventSynchronize) event_synchronize_ = nullptr;
  decltype(&cuEventElapsedTime) event_elapsed_ = nullptr;
};

}  // namespace mfutrace::probe
