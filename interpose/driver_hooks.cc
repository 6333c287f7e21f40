// See driver_hooks.h.
#include "interpose/driver_hooks.h"

#include <cstring>

#include "interpose/cupti_others.h"
#include "interpose/entry_table.h"
#include "interpose/hook.h"
#include "interpose/resolve.h"
#include "interpose/text.h"

namespace mfutrace::interpose::observe {
namespace {

// The entry behind what cuGetProcAddress calls `symbol`: a name without the suffixes that tell the
// versions of a function and its per-thread form apart.
Entry EntryOf(const char* symbol, int version, uint64_t flags) {
  constexpr uint64_t kPerThreadStream = 2;     // CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
  constexpr int kSecondVersionsSince = 12030;  // of cuGraphAddNode; for others it does not matter
  constexpr int kInstantiateWithFlagsSince = 12000;  // what cuda.h renames cuGraphInstantiate to
  char name[64];
  const auto with = [&](const char* suffix) {
    const Text text = Text(name, sizeof name).Add(symbol).Add(suffix);
    const Entry entry = EntryNamed(text.c_str());
    return entry != Entry::kCount && InfoOf(entry).library == Library::kCuda ? entry
                                                                             : Entry::kCount;
  };
  if (version >= kInstantiateWithFlagsSince && std::strcmp(symbol, "cuGraphInstantiate") == 0) {
    return Entry::k_cuGraphInstantiateWithFlags;
  }
  Entry entry = (flags & kPerThreadStream) != 0 ? with("_ptsz") : Entry::kCount;
  const bool is_second = version >= kSecondVersionsSince;
  if (entry == Entry::kCount) entry = with(is_second ? "_v2" : "");
  if (entry == Entry::kCount) entry = with(is_second ? "" : "_v2");
  return entry;
}

void AnswerProcAddress(const void* const* arguments) {
  const auto* symbol = static_cast<const char*>(arguments[0]);
  auto** pointer = static_cast<void**>(const_cast<void*>(arguments[1]));
  if (symbol == nullptr || pointer == nullptr || *pointer == nullptr || IsOwnStub(*pointer)) return;
  const Entry entry = EntryOf(symbol, static_cast<int>(reinterpret_cast<uintptr_t>(arguments[2])),
                              reinterpret_cast<uintptr_t>(arguments[3]));
  if (entry == Entry::kCount) return;
  const Target target = TargetOfPointer(entry, *pointer);
  void* thunk = target.slot != 0 ? ThunkOf(entry, target.slot) : nullptr;
  if (thunk != nullptr) *pointer = thunk;
}

GraphCall CallOf(Entry entry, Pointer a, Pointer b, Pointer c, Pointer d, Pointer e, Pointer f) {
  const uint32_t detail = InfoOf(entry).detail;
  return {
      static_cast<GraphRole>(detail & 0xff), (detail & kPerThread) != 0, entry, {a, b, c, d, e, f}};
}

}  // namespace

void DriverCall::Before(HookedCall& call, Pointer a, Pointer b, Pointer c, Pointer d, Pointer e,
                        Pointer f) {
  const GraphCall graph_call = CallOf(call.entry, a, b, c, d, e, f);
  if (graph_call.role >= GraphRole::kCuptiSubscribe) {
    BeforeCuptiCall(graph_call);
  } else if (graph_call.role != GraphRole::kProcAddress) {
    BeforeGraphCall(graph_call, call.open);
  }
}

void DriverCall::After(HookedCall& call, int status, Pointer a, Pointer b, Pointer c, Pointer d,
                       Pointer e, Pointer f) {
  const GraphCall graph_call = CallOf(call.entry, a, b, c, d, e, f);
  if (graph_call.role >= GraphRole::kCuptiSubscribe) {
    AfterCuptiCall(graph_call, status);
  } else if (graph_call.role != GraphRole::kProcAddress) {
    AfterGraphCall(graph_call, call.open, status);
  } else if (status == 0) {
    AnswerProcAddress(graph_call.arguments);
  }
}

}  // namespace mfutrace::interpose::observe
