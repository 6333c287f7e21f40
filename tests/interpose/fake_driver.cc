#include "fake_driver.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

namespace mfutrace::interpose {
namespace {

struct Event {
  int64_t at_ns = 0;
  bool is_recorded = false;
};

// The driver's functions are plain pointers, so the state behind them is global to the test
// program.
struct State {
  std::mutex mutex;
  std::function<int64_t()> now;
  std::map<uintptr_t, std::vector<int64_t>> recorded;
  std::deque<Event> made;  // addresses stay
  std::atomic<bool> is_held{false};
  std::atomic<bool> is_destroyed{false};
  std::atomic<uintptr_t> capturing{0};
  std::atomic<uint64_t> strict_queries{0};
  std::atomic<uint64_t> captured_records{0};
  std::atomic<uint64_t> events{0};
  std::vector<std::function<void()>> copies_under_way;
  std::vector<std::vector<uint8_t>> pinned;
  std::atomic<bool> fails_copies{false};
  std::atomic<uint64_t> copies{0};
  std::atomic<uint64_t> captured_copies{0};
};
State* g_state = nullptr;
thread_local int t_capture_mode = 0;  // global, as for every new thread

constexpr int kErrorContextIsDestroyed = 709;

Event* EventOf(void* handle) { return static_cast<Event*>(handle); }

int CtxGetCurrent(void** context) {
  *context = reinterpret_cast<void*>(FakeDriver::kContext);
  return 0;
}
int CtxSetCurrent(void*) { return g_state->is_destroyed ? kErrorContextIsDestroyed : 0; }
int CtxGetDevice(int* device) {
  *device = 0;
  return 0;
}
int EventCreate(void** event, unsigned) {
  if (g_state->is_destroyed) return kErrorContextIsDestroyed;
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  *event = &g_state->made.emplace_back();
  ++g_state->events;
  return 0;
}
int EventRecord(void* event, void* stream) {
  if (g_state->is_destroyed) return kErrorContextIsDestroyed;
  const auto key = reinterpret_cast<uintptr_t>(stream);
  if (g_state->capturing != 0 && g_state->capturing == key) ++g_state->captured_records;
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  EventOf(event)->at_ns = g_state->now();
  EventOf(event)->is_recorded = true;
  g_state->recorded[key].push_back(EventOf(event)->at_ns);
  return 0;
}
int EventQuery(void*) {
  if (g_state->is_destroyed) return kErrorContextIsDestroyed;
  if (t_capture_mode != cuda::kCaptureModeRelaxed) ++g_state->strict_queries;
  if (!g_state->is_held) {
    const std::lock_guard<std::mutex> guard(g_state->mutex);
    for (const auto& copy : g_state->copies_under_way) copy();
    g_state->copies_under_way.clear();
  }
  return g_state->is_held ? cuda::kErrorNotReady : cuda::kSuccess;
}
int EventElapsedTime(float* milliseconds, void* begin, void* end) {
  if (g_state->is_destroyed) return kErrorContextIsDestroyed;
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  if (!EventOf(begin)->is_recorded || !EventOf(end)->is_recorded) return cuda::kErrorInvalidHandle;
  *milliseconds =
      static_cast<float>(static_cast<double>(EventOf(end)->at_ns - EventOf(begin)->at_ns) / 1e6);
  return 0;
}
int StreamIsCapturing(void* stream, int* status) {
  *status = g_state->capturing != 0 && g_state->capturing == reinterpret_cast<uintptr_t>(stream);
  return 0;
}
int StreamCreate(void** stream, unsigned) {
  *stream = reinterpret_cast<void*>(FakeDriver::kOwnStream);
  return 0;
}
int ThreadExchangeCaptureMode(int* mode) {
  std::swap(*mode, t_capture_mode);
  return 0;
}
int DriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}
int DeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}
int DeviceGetName(char* name, int bytes, int) {
  std::strncpy(name, "Fake GPU", static_cast<size_t>(bytes));
  return 0;
}

int MemHostAlloc(void** memory, size_t bytes, unsigned) {
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  *memory = g_state->pinned.emplace_back(bytes).data();
  return 0;
}
int MemcpyDtoHAsync(void* host, uint64_t device, size_t bytes, void* stream) {
  ++g_state->copies;
  if (g_state->capturing != 0 && g_state->capturing == reinterpret_cast<uintptr_t>(stream)) {
    ++g_state->captured_copies;
  }
  if (g_state->fails_copies) return 1;
  // Whatever lay there is not what will come.
  std::memset(host, 0xee, bytes);
  const auto* from = reinterpret_cast<const uint8_t*>(device);
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  // The stream runs the copy before the job may change what is copied.
  g_state->copies_under_way.push_back([host, bytes = std::vector<uint8_t>(from, from + bytes)] {
    std::memcpy(host, bytes.data(), bytes.size());
  });
  return 0;
}

constexpr Driver MakeTable() {
  Driver driver{};
  driver.ctx_get_current = CtxGetCurrent;
  driver.ctx_set_current = CtxSetCurrent;
  driver.ctx_get_device = CtxGetDevice;
  driver.event_create = EventCreate;
  driver.event_record = EventRecord;
  driver.event_query = EventQuery;
  driver.event_elapsed_time = EventElapsedTime;
  driver.stream_is_capturing = StreamIsCapturing;
  driver.stream_create = StreamCreate;
  driver.thread_exchange_capture_mode = ThreadExchangeCaptureMode;
  driver.driver_get_version = DriverGetVersion;
  driver.device_get = DeviceGet;
  driver.device_get_name = DeviceGetName;
  driver.mem_host_alloc = MemHostAlloc;
  driver.memcpy_dtoh_async = MemcpyDtoHAsync;
  return driver;
}
constexpr Driver kTable = MakeTable();

}  // namespace

FakeDriver::FakeDriver(std::function<int64_t()> now) {
  g_state = new State;
  g_state->now = std::move(now);
  UseDriverForTesting(&kTable);
}

// After the end of the session, whose flusher then no longer calls.
FakeDriver::~FakeDriver() {
  UseDriverForTesting(nullptr);
  delete g_state;
  g_state = nullptr;
}

int64_t FakeDriver::RecordedAt(uintptr_t stream, size_t n) const {
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  return g_state->recorded.at(stream).at(n);
}
size_t FakeDriver::RecordedOn(uintptr_t stream) const {
  const std::lock_guard<std::mutex> guard(g_state->mutex);
  return g_state->recorded[stream].size();
}
void FakeDriver::HoldCompletion(bool is_held) { g_state->is_held = is_held; }
void FakeDriver::Capture(uintptr_t stream) { g_state->capturing = stream; }
void FakeDriver::DestroyContext() { g_state->is_destroyed = true; }
uint64_t FakeDriver::queries_outside_relaxed_mode() const { return g_state->strict_queries; }
uint64_t FakeDriver::records_into_capture() const { return g_state->captured_records; }
void FakeDriver::FailCopies(bool fails) { g_state->fails_copies = fails; }
uint64_t FakeDriver::copies() const { return g_state->copies; }
uint64_t FakeDriver::copies_into_capture() const { return g_state->captured_copies; }
uint64_t FakeDriver::live_events() const { return g_state->events; }

}  // namespace mfutrace::interpose
