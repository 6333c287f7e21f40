// The second way into the vendors' libraries: dlsym and dlvsym, which the preload exports.
//
// The exported symbols are hand-written tail jumps (dlsym_route_*.S): a call that is not about one
// of our names reaches glibc with the job's own return address, because RTLD_NEXT and RTLD_DEFAULT
// mean "as seen from the caller". Runs on any thread, also before constructors: no allocation, no
// locks of ours, no errors of its own left in dlerror().
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

// The C library's dlsym, as seen from this library; our own exports are not consulted. RTLD_NEXT
// means "after libmfutrace.so". nullptr also where the C library's dlsym itself could not be found.
void* RealDlsym(void* handle, const char* name);
void* RealDlvsym(void* handle, const char* name, const char* version);

// What the assembly does with a call: hand back `answer`, or jump to the C library.
struct DlsymDecision {
  void* answer;
  uint64_t is_answered;
};

}  // namespace mfutrace::interpose
