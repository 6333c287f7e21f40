// Kernels that the job launches past the libraries we observe, counted by name: what the report can
// say of FLOPs it has not seen, also where no back end sees kernels.
//
// The hook of the driver's launch functions counts by function handle (hook.cc); a launch inside an
// observed call is that call's and is not counted, and the vendors' own libraries never come here
// (driver_hooks.h). The driver is asked for the name once a function, on the thread that launches
// it: later the handle may be gone. A handle that is used again after its module was unloaded keeps
// the old name. Launches into a capture count as issued; what graphs launch does not pass here.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/lock.h"

namespace mfutrace::interpose {

struct Flusher;

struct LaunchedFunction {
  std::atomic<uint64_t> function;  // handle; 0 = free
  std::atomic<uint64_t> launches;
  std::atomic<const char*> name;  // nullptr until known
  // The flusher's.
  uint64_t written;
  uint32_t string;
  uint32_t reserved;
};

// Valid when zeroed. Finding takes no lock.
struct KernelLaunches {
  static constexpr uint32_t kSlots = 8192;
  static constexpr uint32_t kProbes = 16;

  std::atomic<LaunchedFunction*> functions;  // kSlots of them
  std::atomic<uint64_t> others;              // launches of functions that found no slot
  uint64_t others_written;                   // the flusher's, as is the next
  int64_t written_ns;
  Lock lock;  // of the names' memory
  char* names;
  uint32_t names_left;
};

// On the job's threads; nothing where no session has started.
void CountLaunch(uint64_t function);

// Every few seconds and at the end.
void WriteLaunches(Flusher& flusher);

}  // namespace mfutrace::interpose
