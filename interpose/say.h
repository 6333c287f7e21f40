// The only words of the library to the user: a few lines on stderr, each kind once per process,
// none in the normal case, none at all with MFUTRACE_QUIET=1. Everything else goes into counters.
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

enum class Saying : uint8_t { kBadOption, kNoTrace, kWriteFailed, kCount };

// "mfutrace[PID]: WHAT WHICH DETAIL" in one write(2). Parts may be nullptr.
void Say(Saying saying, const char* what, const char* which = nullptr,
         const char* detail = nullptr);
void SayNothing(bool quiet);
// In a child of fork: its own lines, its own once.
void ResetSayings();

// "no space left on device" for the codes a trace meets; "errno 12" for others.
const char* ReasonOf(int error, char* buffer, uint32_t buffer_bytes);

}  // namespace mfutrace::interpose
