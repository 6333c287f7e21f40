// The block of assembly stubs (stubs_x86_64.S, stubs_aarch64.S) as C++ sees it.
//
// One entry has kRoutesPerEntry stubs of kStubBytes each, in the order of the table: route 0 is the
// exported symbol (the slot is found by the caller), route i is the thunk that dlsym hands out for
// slot i. All load the stub's code (entry * 8 + route) and jump to one common tail, which keeps it
// in mfu_stub_code and jumps to the entry's hook. No argument register is touched.
#pragma once

#include <array>
#include <cstdint>

#include "interpose/entry_points.h"

namespace mfutrace::interpose {

inline constexpr uint32_t kRoutesPerEntry = 5;
inline constexpr uint32_t kStubBytes = 12;
inline constexpr uint32_t kRouteBits = 3;

using HookTarget = void (*)();

extern "C" {
extern const unsigned char mfu_stubs_begin[] __attribute__((visibility("hidden")));
extern const unsigned char mfu_stubs_end[] __attribute__((visibility("hidden")));
// Which hook an entry jumps to; entry_points.cc has the table of their addresses, mfu_hook_targets.
extern const std::array<uint8_t, kEntryCount> mfu_hook_of_entry
    __attribute__((visibility("hidden")));
// Written by a stub, read as the first thing in the hook it jumps to.
extern __thread uint32_t mfu_stub_code
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
}

}  // namespace mfutrace::interpose
