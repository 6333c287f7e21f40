#include "interpose/hook.h"

#include "interpose/stubs.h"

namespace mfutrace::interpose {
namespace {

// Frame of the outermost hook this thread is in; nullptr or above us if there is none.
__thread const void* t_outer_frame;

}  // namespace

HookedCall Enter(const void* return_address, const void* frame) {
  HookedCall call;
  const uint32_t code = mfu_stub_code;
  call.entry = static_cast<Entry>(code >> kRouteBits);
  call.saved_errno = errno;
  const uint32_t slot = code & ((1u << kRouteBits) - 1);
  const Target target =
      slot != 0 ? TargetOfSlot(call.entry, slot) : TargetOfCaller(call.entry, return_address);
  call.real = target.real;
  call.library = target.library;
  if (t_outer_frame != nullptr && frame < t_outer_frame) {
    Count(Counter::kNestedCalls);
  } else if (target.real == nullptr) {
    Count(Counter::kUnresolvedCalls);
  } else if (target.slot != 0 && IsWanted(call.entry)) {
    call.is_observed = true;
    t_outer_frame = frame;
    return call;
  }
  if (call.real == nullptr) call.real = MissingFunctionOf(InfoOf(call.entry).library);
  errno = call.saved_errno;
  return call;
}

void* Proceed(const HookedCall& call) {
  errno = call.saved_errno;
  return call.real;
}

void Leave(const HookedCall& call) {
  t_outer_frame = nullptr;
  errno = call.saved_errno;
}

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

void LeavePlainly(HookedCall& call, int status) {
  if (!call.is_observed) return;
  call.saved_errno = errno;
  Finish(call, status == 0);
  Leave(call);
}

}  // namespace mfutrace::interpose
