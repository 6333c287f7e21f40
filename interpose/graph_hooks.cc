// See graph_hooks.h.
#include "interpose/graph_hooks.h"

#include <cstring>

#include "interpose/graph_contents.h"
#include "interpose/memory.h"
#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

// cuda.h: CUgraphNodeType, CUgraphConditionalNodeType, CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH.
constexpr int32_t kChildGraphNode = 4;
constexpr int32_t kConditionalNode = 13;
constexpr int32_t kWhileNode = 1;
constexpr uint64_t kDeviceLaunch = 4;

void* StreamOf(const GraphCall& call, const void* stream) {
  constexpr uintptr_t kPerThreadStream = 2;  // cuda.h, CU_STREAM_PER_THREAD
  if (call.is_per_thread && stream == nullptr) return reinterpret_cast<void*>(kPerThreadStream);
  return const_cast<void*>(stream);
}

// What a successful call wrote where its argument points to.
const void* Written(const void* pointer) {
  return pointer == nullptr ? nullptr : *static_cast<const void* const*>(pointer);
}

void NodeAdded(Session& session, const GraphCall& call, const void* parameters) {
  const auto* params = static_cast<const GraphNodeParams*>(parameters);
  const void* graph = call.arguments[1];
  const void* node = Written(call.arguments[0]);
  if (params == nullptr) return;
  if (params->type == kChildGraphNode) ChildAdded(session, graph, node, params->child);
  if (params->type != kConditionalNode || params->conditional.bodies == nullptr) return;
  for (uint32_t i = 0; i < params->conditional.size; ++i) {
    BodyAdded(
        session, graph, node, params->conditional.bodies[i],
        params->conditional.kind == kWhileNode ? Condition::kAnyNumber : Condition::kAtMostOnce);
  }
}

void Instantiated(Session& session, const GraphCall& call, uint64_t flags) {
  const void* executable = Written(call.arguments[0]);
  GraphInstantiated(session, executable, call.arguments[1]);
  const GraphContents* contents =
      session.graphs.executables.Find(reinterpret_cast<uintptr_t>(executable));
  if ((flags & kDeviceLaunch) == 0 || contents == nullptr || contents->count == 0) return;
  // Launches by kernels are nothing that a host sees.
  RecordHeld(
      HoldCall(InternOpaque(call.entry, "may be launched from the device, uncounted"), nullptr, 0),
      Bracket{});
}

}  // namespace

void GraphFilledByLibrary(const void* graph, uint32_t signature, bool is_in_place) {
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  const ErrnoGuard keep_errno;
  if (is_in_place) {
    GraphRefilled(*session, graph, signature);
  } else {
    GraphFilled(*session, graph, signature);
  }
}

void BeforeGraphCall(const GraphCall& call, OpenCall& open) {
  Session* session = ObservedSession();
  if (session == nullptr || !session->graphs.is_used.load(std::memory_order_relaxed)) return;
  const ErrnoGuard keep_errno;
  const void* subject = call.arguments[0];
  switch (call.role) {
    case GraphRole::kLaunch: {
      const GraphContents* contents =
          session->graphs.executables.Find(reinterpret_cast<uintptr_t>(subject));
      const uint32_t signature =
          contents == nullptr ? 0 : contents->signature.load(std::memory_order_acquire);
      if (signature != 0) open = BeginCall(signature, StreamOf(call, call.arguments[1]));
      break;
    }
    case GraphRole::kEndCapture:
      open.capture = CaptureIdOf(DriverOf(*session), StreamOf(call, subject));
      break;
    // Handles that the call frees, and that may be somebody else's a moment later.
    case GraphRole::kDestroy:
      GraphDestroyed(*session, subject);
      break;
    case GraphRole::kDestroyNode:
      NodeDestroyed(*session, subject);
      break;
    case GraphRole::kExecDestroy:
      ExecutableDestroyed(*session, subject);
      break;
    default:
      break;
  }
}

void AfterGraphCall(const GraphCall& call, OpenCall& open, int status) {
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  const ErrnoGuard keep_errno;
  const bool has_succeeded = status == cuda::kSuccess;
  const void* const* arguments = call.arguments;
  if (call.role == GraphRole::kLaunch) {
    void* stream = StreamOf(call, arguments[1]);
    const uint64_t capture = open.capture;
    open.capture = 0;  // it is the parts that go into the capture, here
    EndCall(open, stream, has_succeeded);
    if (capture == 0 || !has_succeeded) return;
    const void* node = nullptr;
    CaptureIdOf(DriverOf(*session), stream, &node);
    LaunchCaptured(*session, capture, arguments[0], node);
    return;
  }
  if (call.role == GraphRole::kEndCapture) {
    if (open.capture == 0) return;
    if (has_succeeded) {
      CaptureEnded(*session, open.capture, Written(arguments[1]));
    } else if (CaptureIdOf(DriverOf(*session), StreamOf(call, arguments[0])) == 0) {
      CaptureEnded(*session, open.capture, nullptr);  // not merely the wrong thread
    }
    return;
  }
  if (!has_succeeded) return;
  switch (call.role) {
    case GraphRole::kAddChild:
      ChildAdded(*session, arguments[1], Written(arguments[0]), arguments[4]);
      break;
    case GraphRole::kAddNode:
      NodeAdded(*session, call, arguments[4]);
      break;
    case GraphRole::kAddNodeV2:
      NodeAdded(*session, call, arguments[5]);
      break;
    case GraphRole::kClone:
      GraphCloned(*session, Written(arguments[0]), arguments[1]);
      break;
    case GraphRole::kExecSetChild:
      ExecutableChildReplaced(*session, arguments[0], arguments[1], arguments[2]);
      break;
    case GraphRole::kExecSetEnabled:
      ExecutableNodeEnabled(*session, arguments[0], arguments[1],
                            static_cast<uint32_t>(reinterpret_cast<uintptr_t>(arguments[2])) != 0);
      break;
    case GraphRole::kExecSetNode: {
      const auto* params = static_cast<const GraphNodeParams*>(arguments[2]);
      if (params != nullptr && params->type == kChildGraphNode) {
        ExecutableChildReplaced(*session, arguments[0], arguments[1], params->child);
      }
      break;
    }
    case GraphRole::kExecUpdate:
      GraphInstantiated(*session, arguments[0], arguments[1]);
      break;
    case GraphRole::kInstantiate:
      Instantiated(*session, call,
                   call.entry == Entry::k_cuGraphInstantiateWithFlags
                       ? reinterpret_cast<uintptr_t>(arguments[2])
                       : 0);
      break;
    case GraphRole::kInstantiateWithParams: {
      uint64_t flags = 0;  // the first member of CUDA_GRAPH_INSTANTIATE_PARAMS
      if (arguments[2] != nullptr) std::memcpy(&flags, arguments[2], sizeof flags);
      Instantiated(*session, call, flags);
      break;
    }
    default:
      break;
  }
}

}  // namespace mfutrace::interpose
