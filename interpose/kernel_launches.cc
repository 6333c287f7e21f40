// See kernel_launches.h.
#include "interpose/kernel_launches.h"

#include <cstring>

#include "interpose/clock.h"
#include "interpose/flusher_state.h"
#include "interpose/memory.h"
#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

constexpr int64_t kEveryNs = 10'000'000'000;
constexpr uint32_t kNamesAtOnce = 1u << 16;
constexpr uint32_t kLongestName = 2048;

// Kept for ever; nullptr without memory.
const char* Keep(KernelLaunches& launches, const char* text) {
  const auto length = static_cast<uint32_t>(strnlen(text, kLongestName));
  LockGuard guard(launches.lock);
  if (launches.names_left < length + 1) {
    launches.names = static_cast<char*>(MapPages(kNamesAtOnce));
    launches.names_left = launches.names == nullptr ? 0 : kNamesAtOnce;
    if (launches.names == nullptr) return nullptr;
  }
  char* kept = launches.names;
  std::memcpy(kept, text, length);  // the page is zeroed
  launches.names += length + 1;
  launches.names_left -= length + 1;
  return kept;
}

[[gnu::cold, gnu::noinline]] void Name(Session& session, LaunchedFunction& slot,
                                       uint64_t function) {
  const ErrnoGuard keep_errno;
  const Driver* driver = DriverOf(session);
  if (driver == nullptr) return;
  auto* handle = reinterpret_cast<void*>(function);
  const char* name = nullptr;
  // What is launched may be a CUfunction or a CUkernel.
  if (driver->func_get_name == nullptr || driver->func_get_name(&name, handle) != cuda::kSuccess) {
    name = nullptr;
  }
  if (name == nullptr && (driver->kernel_get_name == nullptr ||
                          driver->kernel_get_name(&name, handle) != cuda::kSuccess)) {
    name = nullptr;
  }
  if (name != nullptr) slot.name.store(Keep(session.launches, name), std::memory_order_release);
}

[[gnu::cold, gnu::noinline]] LaunchedFunction* MakeTable(KernelLaunches& launches) {
  constexpr uint64_t kBytes = sizeof(LaunchedFunction) * KernelLaunches::kSlots;
  auto* made = static_cast<LaunchedFunction*>(MapPages(kBytes));
  LaunchedFunction* table = nullptr;
  if (made == nullptr || launches.functions.compare_exchange_strong(table, made)) return made;
  UnmapPages(made, kBytes);
  return table;
}

}  // namespace

void CountLaunch(uint64_t function) {
  if (!HasSession() || function == 0) return;
  Session* session = SessionOfOpenCalls();
  if (session == nullptr) return;
  KernelLaunches& launches = session->launches;
  LaunchedFunction* table = launches.functions.load(std::memory_order_acquire);
  if (table == nullptr) table = MakeTable(launches);
  uint64_t at = function * 0x9e3779b97f4a7c15 >> 51;
  static_assert(KernelLaunches::kSlots == 1u << 13);  // what the shift by 51 leaves
  for (uint32_t i = 0; table != nullptr && i < KernelLaunches::kProbes; ++i, ++at) {
    LaunchedFunction& slot = table[at % KernelLaunches::kSlots];
    uint64_t found = slot.function.load(std::memory_order_relaxed);
    if (found == 0 && slot.function.compare_exchange_strong(found, function)) {
      Name(*session, slot, function);
      found = function;
    }
    if (found != function) continue;
    slot.launches.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  launches.others.fetch_add(1, std::memory_order_relaxed);
}

namespace {

void Put(Flusher& flusher, uint32_t name, uint64_t count) {
  const trace::KernelLaunches record{name, 0, count};
  if (void* to = flusher.writer.Append(trace::BlockKind::kKernelLaunches, sizeof record)) {
    std::memcpy(to, &record, sizeof record);
  }
}

}  // namespace

void WriteLaunches(Flusher& flusher) {
  KernelLaunches& launches = flusher.session->launches;
  LaunchedFunction* table = launches.functions.load(std::memory_order_acquire);
  const int64_t now_ns = MonotonicNs();
  const bool is_last = flusher.session->is_stopping.load(std::memory_order_relaxed);
  if (table == nullptr || (!is_last && now_ns - launches.written_ns < kEveryNs)) return;
  launches.written_ns = now_ns;
  // Names first: records of one kind in one block.
  for (uint32_t i = 0; i < KernelLaunches::kSlots; ++i) {
    LaunchedFunction& slot = table[i];
    const char* name = slot.name.load(std::memory_order_acquire);
    if (slot.string == 0 && name != nullptr) slot.string = WriteTraceString(flusher, name);
  }
  uint64_t others = launches.others.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < KernelLaunches::kSlots; ++i) {
    LaunchedFunction& slot = table[i];
    const uint64_t count = slot.launches.load(std::memory_order_relaxed);
    if (slot.string == 0) {
      others += count;
    } else if (count != slot.written) {
      Put(flusher, slot.string, count);
      slot.written = count;
    }
  }
  if (others != launches.others_written) Put(flusher, 0, others);
  launches.others_written = others;
}

}  // namespace mfutrace::interpose
