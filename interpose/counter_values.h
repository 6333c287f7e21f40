// The reading side of counters.h, for the flusher.
#pragma once

#include <cstdint>

#include "interpose/counters.h"

namespace mfutrace::interpose {

inline constexpr uint32_t kCounterCount = static_cast<uint32_t>(Counter::kCount);

uint64_t ValueOf(Counter counter);
const char* NameOf(Counter counter);  // static storage
// In a child of fork: what the parent counted is the parent's.
void ResetCounters();

}  // namespace mfutrace::interpose
