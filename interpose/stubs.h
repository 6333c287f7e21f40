// The blocks of assembly stubs (stubs_x86_64.S, stubs_aarch64.S) as C++ sees them.
//
// One block has the exported symbols, in the order of the table; the other a pool of thunks that
// dlsym hands out, each given away for good at its first use. Either way the hook behind them gets
// a code, entry * 8 + slot; slot 0 means that the caller tells which real function is meant. A
// thunk finds its code in mfu_thunk_codes. No argument register is touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/entry_points.h"

namespace mfutrace::interpose {

inline constexpr uint32_t kRouteBits = 3;
// Enough for one copy of every function. What is looked up beyond that goes by unobserved, and is
// counted (kSlotsExhausted).
inline constexpr uint32_t kThunkCount = 640;
static_assert(kThunkCount >= kEntryCount);
static_assert(kEntryCount << kRouteBits <= UINT16_MAX);  // a code fits into a thunk's 16 bits

extern "C" {
extern const unsigned char mfu_stubs_begin[] __attribute__((visibility("hidden")));
extern const unsigned char mfu_thunks_begin[] __attribute__((visibility("hidden")));
extern const unsigned char mfu_stubs_end[] __attribute__((visibility("hidden")));
// Written once each, before the thunk is given to anybody.
extern uint16_t mfu_thunk_codes[kThunkCount] __attribute__((visibility("hidden")));
}

// Where the n-th stub of a block lies, and which one lies at an offset.
#if defined(__x86_64__)
inline constexpr size_t StubOffset(uint32_t n) { return size_t{n / 16} * 80 + n % 16 * 4; }
inline constexpr uint32_t StubAtOffset(size_t offset) {
  return static_cast<uint32_t>(offset / 80 * 16 + offset % 80 / 4);
}
#else
inline constexpr size_t StubOffset(uint32_t n) { return size_t{n} * 8; }
inline constexpr uint32_t StubAtOffset(size_t offset) { return static_cast<uint32_t>(offset / 8); }
#endif

}  // namespace mfutrace::interpose
