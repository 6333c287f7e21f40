// See foreign.h.
#include "interpose/cupti/foreign.h"

#include <cstring>

#include "interpose/memory.h"

namespace mfutrace::interpose::cupti {
namespace {

uint64_t HashOf(const char* name, int32_t device) {
  const auto bits = reinterpret_cast<uintptr_t>(name);
  return ((bits >> 3) ^ static_cast<uint64_t>(static_cast<uint32_t>(device)) << 40) *
         0x9e3779b97f4a7c15;
}

// Room for one more; false without memory.
template <typename Item>
bool MakeRoom(Item*& items, uint64_t count, uint64_t& capacity) {
  if (count != capacity) return true;
  const uint64_t more = capacity == 0 ? 4096 : capacity * 2;
  auto* grown = static_cast<Item*>(MapPages(sizeof(Item) * more));
  if (grown == nullptr) return false;
  if (items != nullptr) {
    std::memcpy(static_cast<void*>(grown), items, sizeof(Item) * count);
    UnmapPages(items, sizeof(Item) * capacity);
  }
  items = grown;
  capacity = more;
  return true;
}

}  // namespace

Family FamilyOf(const char* name) {
  constexpr const char* kParts[] = {
      "nccl",      "nvshmem",   "deep_ep",    "multimem",       "all_reduce",         "allreduce",
      "allReduce", "AllReduce", "all_gather", "reduce_scatter", "cross_device_reduce"};
  for (const char* part : kParts) {
    if (std::strstr(name, part) != nullptr) return Family::kCommunication;
  }
  return Family::kKernel;
}

bool Foreign::Attach(bool is_each) {
  is_each_ = is_each;
  if (open_ != nullptr) return true;
  sums_ = static_cast<ForeignSum*>(MapPages(sizeof(ForeignSum) * kMaxNames));
  if (sums_ == nullptr) return false;
  open_ = static_cast<OpenRun*>(MapPages(sizeof(OpenRun) * kMaxStreams));
  return open_ != nullptr;
}

ForeignSum* Foreign::SumOf(const DeviceWork& work) {
  uint64_t at = HashOf(work.name, work.device) >> 32;
  for (uint32_t i = 0; i < kMaxNames; ++i, ++at) {
    ForeignSum& sum = sums_[at % kMaxNames];
    if (sum.kernels == 0) {
      if (sum_count_ >= kMaxNames / 2) return nullptr;
      ++sum_count_;
      sum = ForeignSum{work.name, work.device, work.family, 0, 0};
      return &sum;
    }
    if (sum.name == work.name && sum.device == work.device && sum.family == work.family) {
      return &sum;
    }
  }
  return nullptr;
}

void Foreign::CloseRun(const ForeignRun& run) {
  if (!MakeRoom(runs_, run_count_, run_capacity_)) {
    ++lost_;
    return;
  }
  runs_[run_count_++] = run;
}

void Foreign::KeepPiece(const DeviceWork& work) {
  if (!MakeRoom(pieces_, piece_count_, piece_capacity_)) {
    ++lost_;
    return;
  }
  pieces_[piece_count_++] = {work.name,     work.device, work.stream,
                             work.begin_ns, work.end_ns, work.family};
}

void Foreign::Add(const DeviceWork& work) {
  if (ForeignSum* sum = SumOf(work)) {
    ++sum->kernels;
    sum->busy_ns += work.end_ns - work.begin_ns;
  } else {
    ++lost_;
  }
  if (is_each_) return KeepPiece(work);
  const ForeignRun single{
      work.device, work.stream, work.begin_ns, work.end_ns, work.end_ns - work.begin_ns,
      1,           work.family};
  OpenRun* free = nullptr;
  for (uint32_t i = 0; i < kMaxStreams; ++i) {
    OpenRun& open = open_[i];
    if (!open.is_used) {
      if (free == nullptr) free = &open;
      break;  // runs are closed in place, never taken out of the middle
    }
    ForeignRun& run = open.run;
    if (run.device != work.device || run.stream != work.stream || run.family != work.family) {
      continue;
    }
    if (work.begin_ns - run.end_ns > kForeignGapNs || work.begin_ns < run.end_ns) {
      CloseRun(run);
      run = single;
    } else {
      run.end_ns = work.end_ns;
      run.busy_ns += single.busy_ns;
      ++run.kernels;
    }
    return;
  }
  if (free == nullptr) {
    CloseRun(single);
    return;
  }
  free->is_used = true;
  free->run = single;
}

void Foreign::Take(const ForeignSink& sink, bool is_last) {
  if (open_ == nullptr) return;
  if (is_last) {
    for (uint32_t i = 0; i < kMaxStreams && open_[i].is_used; ++i) {
      CloseRun(open_[i].run);
      open_[i].is_used = false;
    }
  }
  for (uint64_t i = 0; i < run_count_; ++i) sink.on_run(sink.context, runs_[i]);
  run_count_ = 0;
  for (uint64_t i = 0; i < piece_count_; ++i) sink.on_piece(sink.context, pieces_[i]);
  piece_count_ = 0;
  if (sum_count_ == 0) return;
  for (uint32_t i = 0; i < kMaxNames; ++i) {
    if (sums_[i].kernels == 0) continue;
    sink.on_sum(sink.context, sums_[i]);
    sums_[i] = ForeignSum{};
  }
  sum_count_ = 0;
}

}  // namespace mfutrace::interpose::cupti
