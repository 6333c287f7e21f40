// The hook of the CUDA driver's functions, and the answer to those who ask the driver for them.
//
// The runtime (shared or inside a program), and programs of the driver API, get at the driver in
// three ways: through the linker, through dlsym, and through cuGetProcAddress, which they get by
// one of the former. The first two are those of every entry (README.md). The third is met here: the
// hook of cuGetProcAddress asks the real one and hands back a thunk in place of the few functions
// that are in the table. Every other name is answered as it was, and so are the vendors' libraries,
// which never see our cuGetProcAddress, but for the shared runtime, which asks on the job's behalf.
// The runtime's own functions (cudaGraphLaunch and so on) end in the driver's, so they need no
// hook, and nothing is seen twice.
//
// One observer serves all of them, and CUPTI's functions that others begin and end to use it with
// (cupti_others.h), which are found in the first two ways: none has more than six arguments, all
// are integers or pointers, so that an argument more than the function has is a register that
// nobody looks at.
#pragma once

#include "interpose/graph_hooks.h"
#include "interpose/observe.h"

namespace mfutrace::interpose::observe {

// EntryInfo::detail is a GraphRole, and this where a stream handle of 0 is the thread's own stream.
inline constexpr uint32_t kPerThread = 0x100;

struct DriverCall : EndsInAfter {
  static void Before(HookedCall& call, Pointer a, Pointer b, Pointer c, Pointer d, Pointer e,
                     Pointer f);
  static void After(HookedCall& call, int status, Pointer a, Pointer b, Pointer c, Pointer d,
                    Pointer e, Pointer f);
};

}  // namespace mfutrace::interpose::observe
