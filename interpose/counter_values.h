// The reading side of counters.h, for the flusher.
#pragma once

#include <cstdint>

#include "interpose/counters.h"

namespace mfutrace::interpose {

inline constexpr uint32_t kCounterCount = static_cast<uint32_t>(Counter::kCount);

uint64_t ValueOf(Counter counter);
// For those that say how large something is, not how often.
void SetCounter(Counter counter, uint64_t value);
const char* NameOf(Counter counter);  // static storage
// In a child of fork: what the parent counted is the parent's.
void ResetCounters();

}  // namespace mfutrace::interpose
