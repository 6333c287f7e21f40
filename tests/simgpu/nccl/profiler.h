// The place for one profiler plugin, as NCCL has it: named by NCCL_PROFILER_PLUGIN, told of groups,
// calls and launches on the threads where they happen.
//
// The interface is written down after plugins/profiler/README.md and the headers beside it, NCCL
// 2.28.9 and 2.30.7 (versions 4, 5 and 6); network, proxy and channel events, which need a real
// transport, are not sent. Version 4 has no events of calls: collectives and messages when they are
// launched.
#pragma once

#include <nccl.h>

#include <map>
#include <vector>

#include "nccl/communicator.h"

namespace simgpu {

// Opens the plugin at the first communicator. `handle` is the plugin's context of this one.
void ProfilerInit(Communicator* communicator);
void ProfilerFinalize(Communicator* communicator);

// What a thread's outermost group tells; all do nothing without a plugin.
class ProfiledGroup {
 public:
  // A call of `communicator`, before it is added to the group; `depth` is that of the group.
  void OnCall(const Communicator& communicator, const Element& element, int depth);
  // The outermost end: before anything is launched, and after everything is.
  void EndBegins();
  void Ended();
  // Around the launch of one communicator's calls, which all have the first one's stream here.
  void LaunchBegins(const Communicator& communicator, const std::vector<Element>& elements);
  void LaunchEnded(const Communicator& communicator, const std::vector<Element>& elements);

 private:
  void* group_ = nullptr;
  void* launch_ = nullptr;
  void* last_call_ = nullptr;  // NCCL keeps it with the task
  bool started_ = false;
  std::map<const Communicator*, std::vector<void*>> messages_;  // events of calls, in order
};

}  // namespace simgpu
