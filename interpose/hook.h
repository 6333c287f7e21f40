// Hook<Observer, Args...>::Call stands where the vendor's function stood.
//
// How a call gets here. The job calls cublasSgemm_v2; the dynamic linker bound that name to our
// export, because we are preloaded and export it without a version (which satisfies versioned
// references of every major version). The export is a stub of a few instructions: it notes which
// entry it is and jumps here. Because it jumps, our return address is the job's, and tells whose
// scope the real function must be looked up in. A job that asks dlsym instead gets a thunk that
// also names the slot, that is, the very function dlsym found. In both cases the arguments are
// where the caller put them, and the hook is an ordinary function of their number and kinds:
// entries whose arguments travel alike share one instantiation and differ in what the table says
// about them.
//
// Slots. One process may hold two versions of one library. Each distinct real function of an entry
// has a slot, and a slot has its library's own helper functions (the stream of a handle must be
// asked of the library that made the handle). Four slots an entry; a fifth real function is called
// without being observed, and counted.
//
// Order. Enter: find the real function; decide whether to observe. Observer::Before: read the
// arguments, intern the shape, open the time bracket. Then the real function, with errno as the job
// left it. Then Observer::After: record if it succeeded, forget otherwise (frameworks retry a
// failed cublasLtMatmul with another routine; counting both would count the work twice). Leave: put
// errno back to what the vendor left, return its status untouched. Everything we do lies outside
// the vendor's function, so the host times in a record are the vendor's alone.
//
// Re-entry. Vendor libraries call each other's public functions and their own (cuBLAS calls
// cuBLASLt, cuSOLVER calls cuBLAS, ncclBcast calls ncclBroadcast). Only the outermost call is work
// the job asked for, so an inner one goes straight to the real function and is counted as nested.
// "Inner" is told by the stack: Enter keeps the frame address of the outermost hook of the thread,
// and a call is inner if its own frame lies below. The usual depth counter would be wrong for ever
// after a longjmp or an exception passed through the vendor's call, since nothing here can run
// cleanup (that needs the C++ runtime, which this library must not load); a frame address heals
// itself: the next call from the same depth is not below it. The library is compiled with unwind
// tables, so that exceptions and thread cancellation find their way through our frames.
//
// What it must not do: change an argument, a status or errno; allocate, lock or wait on the steady
// path; print. When this process is not to be observed, a call costs a few loads and a branch.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "interpose/recorder.h"
#include "interpose/resolve.h"

namespace mfutrace::interpose {

// A struct passed by value, of which only the size matters to the calling convention.
template <size_t kSize>
struct Bytes {
  unsigned char bytes[kSize];
};

// One call from Enter to Leave, on the stack of the hook.
struct HookedCall {
  enum class Stage : uint8_t {
    kIdle,   // nothing to end
    kBegun,  // BeginCall was called
    kHeld,   // HoldCall was called: recorded with its group, or without a bracket
  };

  void* real = nullptr;
  const VendorLibrary* library = nullptr;
  Entry entry = Entry::kCount;
  bool is_observed = false;
  Stage stage = Stage::kIdle;
  int saved_errno = 0;
  uint32_t communicator = 0;  // index, of calls that end one
  void* stream = nullptr;
  OpenCall open;
};

// Finds the real function and decides whether the call is observed. Where there is no real
// function, `real` is one that returns the library's "not initialised".
HookedCall Enter(const void* return_address, const void* frame);
// What to call now, with errno as the job left it.
void* Proceed(const HookedCall& call);
void Leave(const HookedCall& call);

// For observers: the usual begin and end of a call that runs on one stream by itself.
void Begin(HookedCall& call, uint32_t signature, void* stream, uint32_t sequence = 0);
// Attention whose sequence lengths lie on the device (recorder.h); ends as after Begin.
void BeginAttention(HookedCall& call, const shapes::Attention& attention,
                    const DeviceLengths& lengths, void* stream);
// A call whose stream is not known: recorded, not timed.
void BeginUntimed(HookedCall& call, uint32_t signature);
void Finish(HookedCall& call, bool has_succeeded);
// The end of most calls: Finish and Leave, if it was observed. The vendors' success is 0.
void LeavePlainly(HookedCall& call, int status);

// An observer without an After of its own ends its calls plainly. Everything that does not depend
// on the arguments is out of line: there are more than a hundred of these.
template <typename Observer, typename... Args>
struct Hook {
  static int Call(Args... args) {
    HookedCall call = Enter(__builtin_return_address(0), __builtin_frame_address(0));
    if (call.is_observed) Observer::Before(call, args...);
    const int status = reinterpret_cast<int (*)(Args...)>(Proceed(call))(args...);
    if constexpr (Observer::kEndsPlainly) {
      LeavePlainly(call, status);
    } else if constexpr (Observer::kHasNoStatus) {
      LeavePlainly(call, 0);
    } else if (call.is_observed) {
      call.saved_errno = errno;
      Observer::After(call, status, args...);
      Leave(call);
    }
    return status;
  }
};

}  // namespace mfutrace::interpose
