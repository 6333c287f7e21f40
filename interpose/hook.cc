#include "interpose/hook.h"

#include <new>

#include "interpose/entry_table.h"
#include "interpose/graph_hooks.h"
#include "interpose/kernel_launches.h"
#include "interpose/memory.h"
#include "interpose/stubs.h"

namespace mfutrace::interpose {
namespace {

// Frame of the outermost hook this thread is in; nullptr or above us if there is none.
__thread const void* t_outer_frame;

}  // namespace

bool IsInsideCall(const void* frame) { return t_outer_frame != nullptr && frame < t_outer_frame; }

namespace {

// The driver's functions are no work to count by themselves: what a vendor's library does with
// graphs inside a call of ours is part of that call, and no session starts for them. Who asks for
// pointers gets ours in any case; nodes may be added before there is anything in a graph.
bool IsFollowed(Entry entry, const void* frame) {
  if (entry == Entry::k_cuGetProcAddress || entry == Entry::k_cuGetProcAddress_v2) return true;
  if (IsInsideCall(frame)) return false;
  return HasSession() ||
         ((entry == Entry::k_cuGraphAddNode || entry == Entry::k_cuGraphAddNode_v2) &&
          IsWanted(entry));
}

// Finds the real function and decides whether to observe the call. Where there is no real
// function, it is one that returns the library's "not initialised".
void Decide(HookedCall& call, uint32_t code, const void* return_address, const uint64_t* words) {
  const void* frame = words;
  const uint32_t slot = code & ((1u << kRouteBits) - 1);
  call.entry = static_cast<Entry>(code >> kRouteBits);
  const Target target =
      slot != 0 ? TargetOfSlot(call.entry, slot) : TargetOfCaller(call.entry, return_address);
  call.real = target.real;
  call.library = target.library;
  const EntryInfo& info = InfoOf(call.entry);
  if (info.library == Library::kCuda) {
    const auto role = static_cast<GraphRole>(info.detail & 0xff);
    if (role == GraphRole::kLaunchKernel || role == GraphRole::kLaunchKernelEx) [[likely]] {
      // Counted, not followed. Inside a call of ours it is that call's.
      if ((t_outer_frame == nullptr || frame >= t_outer_frame) && call.real != nullptr) {
        CountLaunch(words[role == GraphRole::kLaunchKernel ? 0 : 1]);
      }
    } else {
      call.is_observed = target.slot != 0 && IsFollowed(call.entry, frame);
    }
    if (call.is_observed) return;
  } else if (info.library == Library::kCupti) {
    call.is_observed = target.slot != 0;
    if (call.is_observed) return;
  } else if (IsInsideCall(frame)) {
    Count(Counter::kNestedCalls);
  } else if (target.real == nullptr) {
    Count(Counter::kUnresolvedCalls);
  } else if (target.slot != 0 && IsWanted(call.entry)) {
    call.is_observed = true;
    return;
  }
  if (call.real == nullptr) call.real = MissingFunctionOf(info.library);
}

}  // namespace

extern "C" {

// What mfu_hook is to do: call `real` with so many words of the stack, or, if negative, become it.
struct Entered {
  void* real;
  int64_t stack_words;
};

__attribute__((visibility("hidden"))) Entered mfu_enter(const uint64_t* words, uint32_t code,
                                                        void* memory, const void* return_address) {
  const ErrnoGuard keep_errno;
  HookedCall& call = *new (memory) HookedCall;
  call.probe_ns = BeginProbe();
  Decide(call, code, return_address, words);
  if (!call.is_observed) return {call.real, -1};
  if (t_outer_frame == nullptr || words >= t_outer_frame) t_outer_frame = words;
  const EntryHook hook = kEntryHooks[static_cast<uint32_t>(call.entry)];
  const HookRow& row = kHookRows[hook.row];
  call.narrow = kNarrowMasks[hook.narrow];
  row.observe(call, words, kBefore);
  return {call.real, row.stack_words};
}

__attribute__((visibility("hidden"))) void mfu_leave(HookedCall* call, const uint64_t* words,
                                                     int status) {
  const ErrnoGuard keep_errno;
  const HookRow& row = kHookRows[kEntryHooks[static_cast<uint32_t>(call->entry)].row];
  switch (row.ending) {
    case Ending::kPlainly:
      Finish(*call, status == 0);
      break;
    case Ending::kWithoutStatus:
      Finish(*call, true);
      break;
    case Ending::kInAfter:
      row.observe(*call, words, status);
      break;
  }
  if (t_outer_frame == words) t_outer_frame = nullptr;
  if (call->probe_ns != 0) [[unlikely]]
    EndProbe(call->probe_ns, call->open);
}

}  // extern "C"

void Begin(HookedCall& call, uint32_t signature, void* stream, uint32_t sequence) {
  call.stream = stream;
  call.stage = HookedCall::Stage::kBegun;
  call.open = BeginCall(signature, stream, sequence);
}

void BeginAttention(HookedCall& call, const shapes::Attention& attention,
                    const DeviceLengths& lengths, void* stream) {
  call.stream = stream;
  call.stage = HookedCall::Stage::kBegun;
  call.open = BeginAttention(attention, lengths, call.entry, stream);
}

void BeginUntimed(HookedCall& call, uint32_t signature) {
  call.stage = HookedCall::Stage::kHeld;
  call.open = HoldCall(signature, nullptr, 0);
}

void Finish(HookedCall& call, bool has_succeeded) {
  switch (call.stage) {
    case HookedCall::Stage::kIdle:
      break;
    case HookedCall::Stage::kBegun:
      EndCall(call.open, call.stream, has_succeeded);
      break;
    case HookedCall::Stage::kHeld:
      if (has_succeeded) {
        RecordHeld(call.open, Bracket{});
      } else {
        Count(Counter::kFailedCalls);
      }
      break;
  }
  call.stage = HookedCall::Stage::kIdle;
}

}  // namespace mfutrace::interpose
