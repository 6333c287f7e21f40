// What happens around a call of a vendor's function.
//
// How a call gets here. The job calls cublasSgemm_v2; the dynamic linker bound that name to our
// export, because we are preloaded and export it without a version (which satisfies versioned
// references of every major version). The export is a stub of two instructions: it notes which
// entry it is and jumps to mfu_hook (stubs_*.S). Because it jumps, the return address is the job's,
// and tells whose scope the real function must be looked up in. A job that asks dlsym instead gets
// a thunk that also names the slot, that is, the very function dlsym found. mfu_hook is one for all
// functions: it lays the argument registers down next to the arguments on the stack, asks
// mfu_enter, calls the real function with a copy of everything, and tells mfu_leave. A call that is
// not to be observed ends as a jump to the real function, with everything as the caller left it.
//
// Who reads the arguments. Hook<Observer, kinds of arguments>::Observe takes them from where the
// calling convention of the function's type puts them. Functions whose arguments travel alike share
// one; an int and an int64_t travel alike, as an Integer, and the table says which of them are
// narrow.
//
// Slots. One process may hold two versions of one library. Each distinct real function of an entry
// has a slot, and a slot has its library's own helper functions (the stream of a handle must be
// asked of the library that made the handle). Four slots an entry; a fifth real function is called
// without being observed, and counted.
//
// Order. mfu_enter: find the real function; decide whether to observe. Observer::Before: read the
// arguments, intern the shape, open the time bracket. Then the real function, with errno as the job
// left it. Then Observer::After: record if it succeeded, forget otherwise (frameworks retry a
// failed cublasLtMatmul with another routine; counting both would count the work twice). mfu_leave:
// put errno back to what the vendor left, return its status untouched. Everything we do lies
// outside the vendor's function, so the host times in a record are the vendor's alone.
//
// Re-entry. Vendor libraries call each other's public functions and their own (cuBLAS calls
// cuBLASLt, cuSOLVER calls cuBLAS, ncclBcast calls ncclBroadcast). Only the outermost call is work
// the job asked for, so an inner one goes straight to the real function and is counted as nested.
// "Inner" is told by the stack: mfu_enter keeps the frame address of the outermost hook of the
// thread, and a call is inner if its own frame lies below. The usual depth counter would be wrong
// for ever after a longjmp or an exception passed through the vendor's call, since nothing here can
// run cleanup (that needs the C++ runtime, which this library must not load); a frame address heals
// itself: the next call from the same depth is not below it. The library is compiled with unwind
// tables, so that exceptions and thread cancellation find their way through our frames.
//
// What it must not do: change an argument, a status or errno; allocate, lock or wait on the steady
// path; print. When this process is not to be observed, a call costs a few loads and a branch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "interpose/recorder.h"
#include "interpose/resolve.h"

namespace mfutrace::interpose {

// A struct passed by value, of which only the size matters to the calling convention.
template <size_t kSize>
struct Bytes {
  unsigned char bytes[kSize];
};

// One call from mfu_enter to mfu_leave, on the stack of mfu_hook.
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
  uint32_t narrow = 0;        // bit i: the i-th argument is an integer of 32 bits
  uint32_t communicator = 0;  // index, of calls that end one
  void* stream = nullptr;
  int64_t probe_ns = 0;  // BeginProbe
  OpenCall open;
};

// What stubs_*.S reserves for it.
inline constexpr size_t kHookedCallBytes = 192;
static_assert(sizeof(HookedCall) <= kHookedCallBytes);

// The calling thread, whose frame this is, is inside an observed call.
bool IsInsideCall(const void* frame);

// For observers: the usual begin and end of a call that runs on one stream by itself.
void Begin(HookedCall& call, uint32_t signature, void* stream, uint32_t sequence = 0);
// Attention whose sequence lengths lie on the device (recorder.h); ends as after Begin.
void BeginAttention(HookedCall& call, const shapes::Attention& attention,
                    const DeviceLengths& lengths, void* stream);
// A call whose stream is not known: recorded, not timed.
void BeginUntimed(HookedCall& call, uint32_t signature);
void Finish(HookedCall& call, bool has_succeeded);

// --- reading arguments --------------------------------------------------------------------------
// `words` is where mfu_hook has laid them down: integers' registers, then the stack; vector
// registers below.

namespace arguments {

#if defined(__x86_64__)
inline constexpr int kIntegerRegisters = 6;
inline constexpr int kFirstStackWord = 8;  // saved rbp and return address stand between
#else
inline constexpr int kIntegerRegisters = 8;
inline constexpr int kFirstStackWord = 8;
#endif
inline constexpr int kFloatRegisters = 8;
inline constexpr int kFirstFloatWord = -8;

struct Integer {};  // int, int64_t, size_t ...; observers get int64_t
struct DoublePair {
  double parts[2];
};

// How many registers for floating point a kind takes, and how many words on the stack.
template <typename Kind>
inline constexpr int kFloatsOf = 0;
template <>
inline constexpr int kFloatsOf<double> = 1;
template <>
inline constexpr int kFloatsOf<DoublePair> = 2;
template <typename Kind>
inline constexpr int kBytesInMemory = 0;
template <size_t kSize>
inline constexpr int kBytesInMemory<Bytes<kSize>> = kSize;

template <size_t kCount>
struct Places {
  int words[kCount + 1] = {};
  uint8_t stack_words = 0;
};

template <typename... Kinds>
constexpr Places<sizeof...(Kinds)> Place() {
  constexpr size_t kCount = sizeof...(Kinds);
  const int floats[kCount + 1] = {kFloatsOf<Kinds>...};
  const int bytes_in_memory[kCount + 1] = {kBytesInMemory<Kinds>...};
  Places<kCount> places;
  int integer = 0;
  int floating = 0;
  for (size_t i = 0; i < kCount; ++i) {
#if defined(__x86_64__)
    const bool is_in_memory = bytes_in_memory[i] != 0;
#else
    const bool is_in_memory = false;  // a pointer to it travels instead
#endif
    if (is_in_memory) {
      places.words[i] = kFirstStackWord + places.stack_words;
      places.stack_words = static_cast<uint8_t>(places.stack_words + (bytes_in_memory[i] + 7) / 8);
    } else if (floats[i] != 0 && floating + floats[i] <= kFloatRegisters) {
      places.words[i] = kFirstFloatWord + floating;
      floating += floats[i];
    } else if (floats[i] == 0 && integer < kIntegerRegisters) {
      places.words[i] = integer++;
    } else {
      places.words[i] = kFirstStackWord + places.stack_words;
      places.stack_words =
          static_cast<uint8_t>(places.stack_words + (floats[i] > 1 ? floats[i] : 1));
    }
  }
  // An even number: mfu_hook keeps the stack aligned.
  places.stack_words = static_cast<uint8_t>((places.stack_words + 1) / 2 * 2);
  return places;
}

template <typename Kind>
struct Reader {
  static Kind Read(const uint64_t* word, bool) {
    Kind value;
    __builtin_memcpy(&value, word, sizeof value);
    return value;
  }
};
template <>
struct Reader<Integer> {
  static int64_t Read(const uint64_t* word, bool is_narrow) {
    // The upper half of a narrow one is not defined.
    return is_narrow ? static_cast<int32_t>(*word) : static_cast<int64_t>(*word);
  }
};
template <size_t kSize>
struct Reader<Bytes<kSize>> {
  static const Bytes<kSize>& Read(const uint64_t* word, bool) {
#if defined(__x86_64__)
    return *reinterpret_cast<const Bytes<kSize>*>(word);
#else
    return *reinterpret_cast<const Bytes<kSize>*>(*word);
#endif
  }
};

}  // namespace arguments

using ObserveFunction = void (*)(HookedCall& call, const uint64_t* words, int64_t status);
inline constexpr int64_t kBefore = INT64_MIN;  // in the place of a status

enum class Ending : uint8_t { kPlainly, kWithoutStatus, kInAfter };

template <typename Observer, typename... Kinds>
struct Hook {
  static constexpr auto kPlaces = arguments::Place<Kinds...>();
  static constexpr Ending kEnding = Observer::kEndsPlainly   ? Ending::kPlainly
                                    : Observer::kHasNoStatus ? Ending::kWithoutStatus
                                                             : Ending::kInAfter;

  static void Observe(HookedCall& call, const uint64_t* words, int64_t status) {
    Call(call, words, status, std::index_sequence_for<Kinds...>{});
  }

 private:
#pragma GCC diagnostic push
  // An observer of functions that have no wide variant may take an Integer as int.
#pragma GCC diagnostic ignored "-Wconversion"
  template <size_t... kIndex>
  static void Call(HookedCall& call, [[maybe_unused]] const uint64_t* words,
                   [[maybe_unused]] int64_t status, std::index_sequence<kIndex...>) {
    if constexpr (kEnding == Ending::kInAfter) {
      if (status != kBefore) {
        Observer::After(call, static_cast<int>(status),
                        arguments::Reader<Kinds>::Read(words + kPlaces.words[kIndex],
                                                       (call.narrow >> kIndex & 1) != 0)...);
        return;
      }
    }
    Observer::Before(call, arguments::Reader<Kinds>::Read(words + kPlaces.words[kIndex],
                                                          (call.narrow >> kIndex & 1) != 0)...);
  }
#pragma GCC diagnostic pop
};

// Hooks as data, made in entry_points.cc.
struct HookRow {
  ObserveFunction observe;
  uint8_t stack_words;
  Ending ending;
};
struct EntryHook {
  uint8_t row;     // in kHookRows
  uint8_t narrow;  // in kNarrowMasks
};
inline constexpr uint32_t kMaxNarrowMasks = 128;
extern const HookRow kHookRows[];
extern const std::array<uint32_t, kMaxNarrowMasks> kNarrowMasks;
extern const std::array<EntryHook, kEntryCount> kEntryHooks;

}  // namespace mfutrace::interpose
