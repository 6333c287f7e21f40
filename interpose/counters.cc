// Health counters live outside the session: they may be counted before it starts.
#include "interpose/counters.h"

#include <atomic>

#include "interpose/counter_values.h"

namespace mfutrace::interpose {
namespace {

constinit std::atomic<uint64_t> g_counters[kCounterCount] = {};

constexpr const char* kNames[kCounterCount] = {
#define MFU_COUNTER_NAME(name, text) text,
    MFU_COUNTERS(MFU_COUNTER_NAME)
#undef MFU_COUNTER_NAME
};

}  // namespace

void Count(Counter counter, uint64_t by) {
  g_counters[static_cast<uint32_t>(counter)].fetch_add(by, std::memory_order_relaxed);
}

uint64_t ValueOf(Counter counter) {
  return g_counters[static_cast<uint32_t>(counter)].load(std::memory_order_relaxed);
}

void SetCounter(Counter counter, uint64_t value) {
  g_counters[static_cast<uint32_t>(counter)].store(value, std::memory_order_relaxed);
}

const char* NameOf(Counter counter) { return kNames[static_cast<uint32_t>(counter)]; }

void ResetCounters() {
  for (std::atomic<uint64_t>& value : g_counters) value.store(0, std::memory_order_relaxed);
}

}  // namespace mfutrace::interpose
