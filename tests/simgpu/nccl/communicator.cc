// See communicator.h. Methods of Peers run with the engine's lock held: they touch shared memory
// only.
#include "nccl/communicator.h"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <unordered_map>

namespace simgpu {
namespace {

struct Registry {
  std::mutex lock;
  std::unordered_map<ncclComm_t, CommunicatorRef> live;
};

Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

constexpr int64_t kLifeCheckNs = 200'000'000;

struct TypeFacts {
  uint64_t bytes;
  const char* text;
};

// In the order of ncclDataType_t.
constexpr TypeFacts kTypes[] = {{1, "i8"},  {1, "u8"},   {4, "i32"},    {4, "u32"},
                                {8, "i64"}, {8, "u64"},  {2, "f16"},    {4, "f32"},
                                {8, "f64"}, {2, "bf16"}, {1, "f8e4m3"}, {1, "f8e5m2"}};
static_assert(sizeof(kTypes) / sizeof(kTypes[0]) == ncclNumTypes);
static_assert(ncclBfloat16 == 9 && ncclFloat64 == 8 && ncclFloat8e5m2 == 11);

constexpr const char* kOps[] = {"sum", "prod", "max", "min", "avg"};
static_assert(sizeof(kOps) / sizeof(kOps[0]) == ncclNumOps);

const char* OpText(int op) { return op < static_cast<int>(ncclNumOps) ? kOps[op] : "premulsum"; }

}  // namespace

// splitmix64 finaliser.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t BytesOf(ncclDataType_t type) {
  return type >= 0 && type < ncclNumTypes ? kTypes[type].bytes : 0;
}
const char* TextOf(ncclDataType_t type) { return kTypes[type].text; }

CommunicatorRef Find(ncclComm_t handle) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> held(registry.lock);
  const auto found = registry.live.find(handle);
  return found == registry.live.end() ? nullptr : found->second;
}

ncclComm_t Publish(const CommunicatorRef& communicator) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> held(registry.lock);
  const auto handle = reinterpret_cast<ncclComm_t>(communicator.get());
  registry.live[handle] = communicator;
  return handle;
}

void Forget(ncclComm_t handle) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> held(registry.lock);
  registry.live.erase(handle);
}

GroupLaunch::GroupLaunch(CommunicatorRef communicator, std::vector<Element> elements)
    : communicator_(std::move(communicator)), elements_(std::move(elements)) {
  const DeviceDescription& d = FindApi()->settings().device;
  double collective_bytes = 0;
  double sent_bytes = 0;
  double received_bytes = 0;
  bool has_messages = false;
  for (const Element& e : elements_) {
    const auto bytes = static_cast<double>(e.bus_bytes);
    if (e.transfer == Transfer::kCollective) {
      has_collectives_ = true;
      collective_bytes += bytes;
      signature_ = Mix(signature_ ^ Mix(e.count) ^ Mix(static_cast<uint64_t>(e.type) << 8) ^
                       Mix(e.bus_bytes + 7));
    } else {
      has_messages = true;
      (e.transfer == Transfer::kSend ? sent_bytes : received_bytes) += bytes;
    }
  }
  const auto lasting = [&](double bytes) {
    return FindApi()->KernelDuration(d.collective_latency_ns + bytes / d.link_bytes_per_s * 1e9);
  };
  if (has_collectives_) collective_ns_ = lasting(collective_bytes);
  if (has_messages) message_ns_ = lasting(std::max(sent_bytes, received_bytes));
}

std::shared_ptr<Peers> GroupLaunch::Launch(const OpRef& op, std::vector<Dependency>* dependencies) {
  auto launched = std::make_shared<GroupLaunch>(*this);
  Communicator& c = *communicator_;
  // Launches of one communicator run in the order in which they were issued, whatever their
  // streams.
  if (c.last_op != nullptr) dependencies->push_back({c.last_op, false});
  c.last_op = op;
  if (has_collectives_) launched->launch_ = ++c.launches;
  for (Element& e : launched->elements_) {
    const auto peer = static_cast<size_t>(e.peer);
    switch (e.transfer) {
      case Transfer::kCollective:
        e.sequence = ++c.collectives;
        break;
      case Transfer::kSend:
        e.sequence = ++c.sent[peer];
        break;
      case Transfer::kReceive:
        e.sequence = ++c.received[peer];
        break;
    }
  }
  launched->message_done_.assign(launched->elements_.size(), false);
  return launched;
}

void GroupLaunch::Post(int64_t start_ns) {
  Communicator& c = *communicator_;
  start_ns_ = start_ns;
  if (has_collectives_) {
    CollectiveSlot& mine = c.meeting->slot(launch_, c.rank);
    mine.start_ns = start_ns;
    mine.duration_ns = collective_ns_;
    mine.signature = signature_;
    mine.launch.store(launch_, std::memory_order_release);
  }
  for (const Element& e : elements_) {
    if (e.transfer == Transfer::kCollective) continue;
    const bool send = e.transfer == Transfer::kSend;
    Message& message = send ? c.meeting->message(c.rank, e.peer, e.sequence)
                            : c.meeting->message(e.peer, c.rank, e.sequence);
    MessageSide& side = send ? message.send : message.receive;
    side.start_ns = start_ns;
    side.duration_ns = message_ns_;
    side.bytes = e.bus_bytes;
    side.number.store(e.sequence, std::memory_order_release);
  }
}

bool GroupLaunch::CheckCollectives(int64_t* end_ns, bool* mismatch) const {
  const Communicator& c = *communicator_;
  int64_t start_ns = 0;
  int64_t duration_ns = 0;
  for (int rank = 0; rank < c.size; ++rank) {
    const CollectiveSlot& slot = c.meeting->slot(launch_, rank);
    if (slot.launch.load(std::memory_order_acquire) != launch_) return false;
    start_ns = std::max(start_ns, slot.start_ns);
    duration_ns = std::max(duration_ns, slot.duration_ns);
    if (slot.signature != signature_) *mismatch = true;
  }
  *end_ns = start_ns + duration_ns;
  return true;
}

bool GroupLaunch::CheckMessages(int64_t* end_ns) {
  const Communicator& c = *communicator_;
  bool all = true;
  for (size_t i = 0; i < elements_.size(); ++i) {
    const Element& e = elements_[i];
    if (e.transfer == Transfer::kCollective || message_done_[i]) continue;
    const bool send = e.transfer == Transfer::kSend;
    const Message& message = send ? c.meeting->message(c.rank, e.peer, e.sequence)
                                  : c.meeting->message(e.peer, c.rank, e.sequence);
    const MessageSide& theirs = send ? message.receive : message.send;
    if (theirs.number.load(std::memory_order_acquire) != e.sequence) {
      all = false;
      continue;
    }
    message_done_[i] = true;
    messages_end_ns_ = std::max(messages_end_ns_, std::max(start_ns_, theirs.start_ns) +
                                                      std::max(message_ns_, theirs.duration_ns));
  }
  *end_ns = messages_end_ns_;
  return all;
}

std::vector<int> GroupLaunch::Missing() const {
  const Communicator& c = *communicator_;
  std::vector<int> missing;
  for (int rank = 0; has_collectives_ && rank < c.size; ++rank) {
    if (c.meeting->slot(launch_, rank).launch.load() != launch_) missing.push_back(rank);
  }
  for (size_t i = 0; i < elements_.size(); ++i) {
    const Element& e = elements_[i];
    if (e.transfer == Transfer::kCollective || message_done_[i]) continue;
    const bool send = e.transfer == Transfer::kSend;
    const Message& message = send ? c.meeting->message(c.rank, e.peer, e.sequence)
                                  : c.meeting->message(e.peer, c.rank, e.sequence);
    const MessageSide& theirs = send ? message.receive : message.send;
    if (theirs.number.load() != e.sequence) missing.push_back(e.peer);
  }
  return missing;
}

Peers::State GroupLaunch::GiveUp(int64_t now_ns, int64_t* end_ns, const std::string& why) {
  if (!communicator_->aborted) {
    std::fprintf(stderr, "simgpu: rank %d of communicator %016" PRIx64 " gives up on %s: %s\n",
                 communicator_->rank, communicator_->key, elements_.front().function, why.c_str());
  }
  communicator_->async_error = ncclRemoteError;
  *end_ns = now_ns;
  return State::kFailed;
}

Peers::State GroupLaunch::Check(int64_t now_ns, int64_t* end_ns) {
  if (communicator_->aborted) return GiveUp(now_ns, end_ns, "aborted");
  int64_t collectives_end_ns = 0;
  int64_t messages_end_ns = 0;
  bool mismatch = false;
  const bool messages = CheckMessages(&messages_end_ns);
  const bool collectives = !has_collectives_ || CheckCollectives(&collectives_end_ns, &mismatch);
  if (mismatch) return GiveUp(now_ns, end_ns, "ranks issued different collectives");
  if (messages && collectives) {
    *end_ns = std::max(collectives_end_ns, messages_end_ns);
    return State::kDone;
  }
  if (now_ns < next_life_check_ns_) return State::kWaiting;
  next_life_check_ns_ = now_ns + kLifeCheckNs;
  const double timeout_s = FindApi()->settings().timeout_s;
  if (static_cast<double>(now_ns - start_ns_) > timeout_s * 1e9) {
    std::string who;
    for (const int rank : Missing()) who += " " + std::to_string(rank);
    return GiveUp(now_ns, end_ns, "timed out waiting for rank(s)" + who);
  }
  for (const int rank : Missing()) {
    if (!communicator_->meeting->IsDead(rank)) continue;
    // It may have posted and then ended: only who is missing still, after its end, stays away.
    const std::vector<int> still = Missing();
    if (std::find(still.begin(), still.end(), rank) == still.end()) continue;
    return GiveUp(now_ns, end_ns, "rank " + std::to_string(rank) + " is gone");
  }
  return State::kWaiting;
}

std::vector<LogEntry> GroupLaunch::Entries() const {
  std::vector<LogEntry> entries;
  const Communicator& c = *communicator_;
  for (const Element& e : elements_) {
    LogEntry entry;
    entry.stream = e.stream;
    entry.function = e.function;
    entry.bytes = e.bus_bytes;
    char text[256];
    int used =
        std::snprintf(text, sizeof text,
                      "count=%" PRIu64 ",dtype=%s,comm=%016" PRIx64
                      ",nranks=%d,rank=%d,seq=%" PRIu64 ",fused=%zu",
                      e.count, TextOf(e.type), c.key, c.size, c.rank, e.sequence, elements_.size());
    entry.dims.assign(text, static_cast<size_t>(used));
    if (e.op >= 0) entry.dims += std::string(",op=") + OpText(e.op);
    if (e.peer >= 0) {
      entry.dims +=
          (e.transfer == Transfer::kCollective ? ",root=" : ",peer=") + std::to_string(e.peer);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace simgpu
