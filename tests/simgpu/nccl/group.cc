// See group.h.
#include "nccl/group.h"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "nccl/profiler.h"

namespace simgpu {
namespace {

struct Pending {
  CommunicatorRef communicator;
  std::vector<Element> elements;
};

struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<Pending> calls;  // one entry a communicator, in the order of first use
  std::vector<Construction> constructions;
  std::string last_error;
  ProfiledGroup profiled;
};

Group& Mine() {
  thread_local Group group;
  return group;
}

// Messages of one group between two ranks, one way. Half of what the rendezvous remembers of a
// pair: the other side has then always read an entry before it is used again.
constexpr uint64_t kMostMessages = kPairEntries / 2;

bool TooManyMessages(const Pending& pending) {
  std::map<std::pair<Transfer, int>, uint64_t> counts;
  for (const Element& e : pending.elements) {
    if (e.transfer == Transfer::kCollective) continue;
    if (++counts[{e.transfer, e.peer}] > kMostMessages) return true;
  }
  return false;
}

ncclResult_t LaunchCalls(Pending pending) {
  const std::vector<Element> elements = pending.elements;
  ProfiledGroup& profiled = Mine().profiled;
  if (TooManyMessages(pending)) {
    return Fail(ncclInternalError,
                "the simulator knows up to 128 messages a group, pair and direction");
  }
  std::vector<CUstream> streams;
  for (const Element& e : pending.elements) {
    if (std::find(streams.begin(), streams.end(), e.stream) == streams.end())
      streams.push_back(e.stream);
  }
  const CommunicatorRef communicator = pending.communicator;
  const int device = communicator->device;
  Work work;
  work.kind = OpKind::kCollective;
  work.hardware_queue = true;
  work.function = pending.elements.front().function;
  work.peers = std::make_shared<GroupLaunch>(pending.communicator, std::move(pending.elements));
  profiled.LaunchBegins(*communicator, elements);
  const CUresult status =
      FindApi()->Enqueue(streams.data(), static_cast<int>(streams.size()), std::move(work), device);
  profiled.LaunchEnded(*communicator, elements);
  if (status == CUDA_SUCCESS) return ncclSuccess;
  Mine().last_error = "the stream refused the work: CUDA error " + std::to_string(status);
  return ncclUnhandledCudaError;
}

// What a group does at its end.
struct GroupWork {
  std::vector<Construction> constructions;
  std::vector<Pending> calls;
};

ncclResult_t Run(GroupWork work) {
  ncclResult_t result = ncclSuccess;
  for (const Construction& c : work.constructions) {
    const ncclResult_t status = c.prepare();
    if (status != ncclSuccess) result = status;
  }
  for (const Construction& c : work.constructions) {
    const ncclResult_t status = result == ncclSuccess ? c.finish() : result;
    if (status != ncclSuccess) result = status;
  }
  for (Pending& pending : work.calls) {
    const ncclResult_t status = LaunchCalls(std::move(pending));
    if (status != ncclSuccess) result = status;
  }
  return result;
}

ncclResult_t Start(GroupWork work) {
  std::vector<CommunicatorRef> members;
  for (const Construction& c : work.constructions) members.push_back(c.owner);
  for (const Pending& pending : work.calls) members.push_back(pending.communicator);
  const bool is_blocking = std::all_of(members.begin(), members.end(),
                                       [](const CommunicatorRef& c) { return c->is_blocking; });
  if (is_blocking) return Run(std::move(work));
  for (const CommunicatorRef& member : members) member->async_error = ncclInProgress;
  std::thread([members, its_work = std::move(work)] {
    const ncclResult_t result = Run(its_work);
    for (const CommunicatorRef& member : members) member->async_error = result;
  }).detach();
  return ncclInProgress;
}

}  // namespace

ncclResult_t Fail(ncclResult_t result, const std::string& why) {
  Group& group = Mine();
  group.last_error = why;
  if (group.depth > 0 && group.error == ncclSuccess) group.error = result;
  return result;
}

const char* LastError() { return Mine().last_error.c_str(); }

ncclResult_t BeginGroup() {
  ++Mine().depth;
  return ncclSuccess;
}

ncclResult_t EndGroup() {
  Group& group = Mine();
  if (group.depth == 0) return Fail(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--group.depth > 0) return ncclSuccess;
  const ncclResult_t error = std::exchange(group.error, ncclSuccess);
  std::vector<Construction> constructions = std::exchange(group.constructions, {});
  std::vector<Pending> calls = std::exchange(group.calls, {});
  group.profiled.EndBegins();
  const ncclResult_t result =
      error != ncclSuccess ? error : Start({std::move(constructions), std::move(calls)});
  group.profiled.Ended();
  return result;
}

ncclResult_t DropGroup() {
  Group& group = Mine();
  if (group.depth == 0) return Fail(ncclInvalidUsage, "ncclGroupSimulateEnd without a group");
  if (--group.depth > 0) return ncclSuccess;
  group.calls.clear();
  group.constructions.clear();
  group.profiled.EndBegins();
  group.profiled.Ended();
  return std::exchange(group.error, ncclSuccess);
}

ncclResult_t AddCall(const CommunicatorRef& communicator, const Element& element) {
  Group& group = Mine();
  group.profiled.OnCall(*communicator, element, group.depth + 1);
  if (group.depth == 0) {
    group.profiled.EndBegins();
    const ncclResult_t status = Start({{}, {{communicator, {element}}}});
    group.profiled.Ended();
    return status;
  }
  auto found = std::find_if(group.calls.begin(), group.calls.end(),
                            [&](const Pending& p) { return p.communicator == communicator; });
  if (found == group.calls.end()) {
    group.calls.push_back({communicator, {}});
    found = std::prev(group.calls.end());
  }
  found->elements.push_back(element);
  return ncclSuccess;
}

ncclResult_t AddConstruction(Construction construction) {
  Group& group = Mine();
  if (group.depth > 0) {
    group.constructions.push_back(std::move(construction));
    return ncclSuccess;
  }
  return Start({{std::move(construction)}, {}});
}

}  // namespace simgpu
