// See cupti_others.h.
#include "interpose/cupti_others.h"

#include <atomic>
#include <cstdint>

#include "interpose/cupti_clock.h"
#include "interpose/memory.h"

namespace mfutrace::interpose {
namespace {

// Sequentially consistent, as the stage that the flusher starts CUPTI in: either it sees them or
// they see it (cupti_clock.cc).
constinit std::atomic<uint32_t> g_arriving{0};  // calls that have not returned
constinit std::atomic<bool> g_is_subscribed{false};
constinit std::atomic<bool> g_has_buffers{false};
constinit std::atomic<uint64_t> g_kinds{0};  // of records, enabled by them

uint64_t KindOf(const GraphCall& call) {
  return uint64_t{1} << (reinterpret_cast<uintptr_t>(call.arguments[0]) & 63);
}

bool Arrives(GraphRole role) {
  return role == GraphRole::kCuptiSubscribe || role == GraphRole::kCuptiBuffers ||
         role == GraphRole::kCuptiEnable;
}

}  // namespace

bool OthersUseCupti() {
  return g_arriving.load() != 0 || g_is_subscribed.load() || g_has_buffers.load() ||
         g_kinds.load() != 0;
}

void BeforeCuptiCall(const GraphCall& call) {
  if (!Arrives(call.role)) return;
  const ErrnoGuard keep_errno;
  g_arriving.fetch_add(1);
  YieldCupti();
}

void AfterCuptiCall(const GraphCall& call, int status) {
  const bool has_succeeded = status == 0;
  switch (call.role) {
    case GraphRole::kCuptiSubscribe:
      if (has_succeeded) g_is_subscribed.store(true);
      break;
    case GraphRole::kCuptiBuffers:
      if (has_succeeded) g_has_buffers.store(true);
      break;
    case GraphRole::kCuptiEnable:
      if (has_succeeded) g_kinds.fetch_or(KindOf(call));
      break;
    case GraphRole::kCuptiDisable:
      g_kinds.fetch_and(~KindOf(call));
      if (g_kinds.load() == 0) g_has_buffers.store(false);
      break;
    case GraphRole::kCuptiUnsubscribe:
      if (!has_succeeded) break;
      g_is_subscribed.store(false);
      if (g_kinds.load() == 0) g_has_buffers.store(false);
      break;
    case GraphRole::kCuptiFinalize:
      g_is_subscribed.store(false);
      g_has_buffers.store(false);
      g_kinds.store(0);
      break;
    default:
      break;
  }
  if (Arrives(call.role)) g_arriving.fetch_sub(1);
}

}  // namespace mfutrace::interpose
