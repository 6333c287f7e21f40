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

bool Foreign::Attach() {
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
  if (run_count_ == run_capacity_) {
    const uint64_t capacity = run_capacity_ == 0 ? 4096 : run_capacity_ * 2;
    auto* grown = static_cast<ForeignRun*>(MapPages(sizeof(ForeignRun) * capacity));
    if (grown == nullptr) {
      ++lost_;
      return;
    }
    if (runs_ != nullptr) {
      std::memcpy(grown, runs_, sizeof(ForeignRun) * run_count_);
      UnmapPages(runs_, sizeof(ForeignRun) * run_capacity_);
    }
    runs_ = grown;
    run_capacity_ = capacity;
  }
  runs_[run_count_++] = run;
}

void Foreign::Add(const DeviceWork& work) {
  if (ForeignSum* sum = SumOf(work)) {
    ++sum->kernels;
    sum->busy_ns += work.end_ns - work.begin_ns;
  } else {
    ++lost_;
  }
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
  if (sum_count_ == 0) return;
  for (uint32_t i = 0; i < kMaxNames; ++i) {
    if (sums_[i].kernels == 0) continue;
    sink.on_sum(sink.context, sums_[i]);
    sums_[i] = ForeignSum{};
  }
  sum_count_ = 0;
}

}  // namespace mfutrace::interpose::cupti
