// A made-up cluster for tests of what needs several ranks: the test says when things happen in true
// time, and each rank's timeline tells it by that rank's own, wrong clock. Nothing of the code
// under test is used but the Timeline it reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "report/model/timeline.h"

namespace mfutrace::report::test {

class Cluster {
 public:
  explicit Cluster(int ranks) : timelines_(static_cast<size_t>(ranks)), clocks_(timelines_.size()) {
    for (size_t r = 0; r < timelines_.size(); ++r) {
      Timeline& timeline = timelines_[r];
      timeline.path = "r" + std::to_string(r) + ".mfut";
      timeline.rank = static_cast<int32_t>(r);
      timeline.world_size = static_cast<uint32_t>(ranks);
      timeline.host = "node" + std::to_string(r);  // no two share a clock
      timeline.timing = "events";
      timeline.device.ordinal = 0;
      timeline.device.name = "NVIDIA H100 80GB HBM3";
      timeline.has_shapes = true;
    }
  }

  // The rank's clock shows true time + offset + drift x true time.
  void SetClock(int rank, int64_t offset_ns, double drift_ppm) {
    clocks_[At(rank)] = {offset_ns, drift_ppm * 1e-6};
  }
  int64_t Local(int rank, int64_t true_ns) const {
    const Clock& clock = clocks_[At(rank)];
    return true_ns + clock.offset_ns +
           static_cast<int64_t>(std::llround(clock.drift * static_cast<double>(true_ns)));
  }

  // Returns the communicator's number; `ranks` in the order of their ranks in it.
  int Communicator(const std::string& id, const std::vector<int>& ranks,
                   const std::string& name = "") {
    communicators_.push_back({ranks, {}});
    for (size_t i = 0; i < ranks.size(); ++i) {
      report::Communicator communicator;
      communicator.id = id;
      communicator.name = name;
      communicator.size = static_cast<uint32_t>(ranks.size());
      communicator.rank = static_cast<int32_t>(i);
      Timeline& timeline = timelines_[At(ranks[i])];
      communicators_.back().index.push_back(static_cast<uint32_t>(timeline.communicators.size()));
      timeline.communicators.push_back(communicator);
    }
    communicators_.back().calls.resize(ranks.size(), 0);
    return static_cast<int>(communicators_.size()) - 1;
  }

  // A collective that every member joins at its own time; returns when it ends: after the last one
  // has come, plus the transfer. Each rank sees the end a little later, by up to `jitter_ns`.
  int64_t Collective(int communicator, shapes::CollectiveKind kind, uint64_t bytes,
                     const std::vector<int64_t>& begins_ns, int64_t transfer_ns,
                     int64_t jitter_ns = 0, uint32_t stream = 1) {
    const Joined& joined = communicators_[At(communicator)];
    const int64_t end_ns = *std::max_element(begins_ns.begin(), begins_ns.end()) + transfer_ns;
    for (size_t i = 0; i < joined.ranks.size(); ++i) {
      Record(communicator, i, kind, bytes, -1, begins_ns[i], end_ns + Jitter(jitter_ns), stream);
    }
    return end_ns;
  }

  // A message between two members; both sides end when the later one has come and it is through.
  int64_t Message(int communicator, size_t from, size_t to, uint64_t bytes, int64_t send_ns,
                  int64_t receive_ns, int64_t transfer_ns, uint32_t stream = 2) {
    const int64_t end_ns = std::max(send_ns, receive_ns) + transfer_ns;
    Record(communicator, from, shapes::CollectiveKind::kSend, bytes, static_cast<int32_t>(to),
           send_ns, end_ns, stream);
    Record(communicator, to, shapes::CollectiveKind::kRecv, bytes, static_cast<int32_t>(from),
           receive_ns, end_ns, stream);
    return end_ns;
  }

  // Every member sends to the next and receives from the one before, in one group.
  int64_t Ring(int communicator, uint64_t bytes, int64_t begin_ns, int64_t transfer_ns,
               uint32_t stream) {
    const size_t count = communicators_[At(communicator)].ranks.size();
    for (size_t i = 0; i < count; ++i) {
      const auto next = static_cast<int32_t>((i + 1) % count);
      const auto before = static_cast<int32_t>((i + count - 1) % count);
      Record(communicator, i, shapes::CollectiveKind::kSend, bytes, next, begin_ns,
             begin_ns + transfer_ns, stream);
      Record(communicator, i, shapes::CollectiveKind::kRecv, bytes, before, begin_ns,
             begin_ns + transfer_ns, stream);
      Timeline& timeline = timelines_[At(communicators_[At(communicator)].ranks[i])];
      timeline.works.pop_back();
      --timeline.calls.back().work;
    }
    return begin_ns + transfer_ns;
  }

  // A counted product of `flop` operations.
  void Compute(int rank, int64_t begin_ns, int64_t end_ns, uint64_t flop = 1'000'000'000,
               const std::string& label = "gemm") {
    Timeline& timeline = timelines_[At(rank)];
    Op op;
    op.label = label + " " + std::to_string(flop);
    op.dtype = "bf16";
    op.kind = shapes::OpKind::kGemm;
    op.flop_executed = op.flop_model = op.flop_full_attention = flop;
    op.rate = shapes::PeakRate::kBf16;
    Add(rank, OpIndex(timeline, op), WorkClass::kCompute, kNoIndex, begin_ns, end_ns, 0, 0);
  }

  // Takes the record of a member's n-th call (from 0) away, as a full ring would.
  void Lose(int communicator, size_t member, uint32_t call) {
    const Joined& joined = communicators_[At(communicator)];
    Timeline& timeline = timelines_[At(joined.ranks[member])];
    timeline.calls.erase(std::remove_if(timeline.calls.begin(), timeline.calls.end(),
                                        [&](const OpCall& one) {
                                          return timeline.ops[one.op].communicator ==
                                                     joined.index[member] &&
                                                 one.sequence == call + 1;
                                        }),
                         timeline.calls.end());
    ++timeline.quality.dropped;
  }

  std::vector<Timeline>& timelines() { return timelines_; }
  Timeline& timeline(int rank) { return timelines_[At(rank)]; }
  std::mt19937_64& random() { return random_; }
  int64_t Jitter(int64_t most_ns) {
    return most_ns == 0 ? 0 : std::uniform_int_distribution<int64_t>(0, most_ns)(random_);
  }

 private:
  struct Clock {
    int64_t offset_ns = 0;
    double drift = 0;
  };
  struct Joined {
    std::vector<int> ranks;
    std::vector<uint32_t> index;  // in each rank's timeline
    std::vector<uint32_t> calls = {};
  };

  static size_t At(int index) { return static_cast<size_t>(index); }

  static uint32_t OpIndex(Timeline& timeline, const Op& op) {
    for (size_t i = 0; i < timeline.ops.size(); ++i) {
      const Op& known = timeline.ops[i];
      if (known.label == op.label && known.communicator == op.communicator &&
          known.peer == op.peer) {
        return static_cast<uint32_t>(i);
      }
    }
    timeline.ops.push_back(op);
    return static_cast<uint32_t>(timeline.ops.size() - 1);
  }

  void Record(int communicator, size_t member, shapes::CollectiveKind kind, uint64_t bytes,
              int32_t peer, int64_t begin_ns, int64_t end_ns, uint32_t stream) {
    Joined& joined = communicators_[At(communicator)];
    const int rank = joined.ranks[member];
    Timeline& timeline = timelines_[At(rank)];
    static constexpr const char* kWords[] = {
        "collective", "allreduce", "allgather", "reducescatter", "broadcast", "reduce",
        "send",       "recv",      "alltoall",  "gather",        "scatter"};
    Op op;
    op.label = std::string(kWords[static_cast<size_t>(kind)]) + " bf16 " + std::to_string(bytes);
    op.dtype = "bf16";
    op.kind = shapes::OpKind::kCollective;
    op.collective = kind;
    op.peer = peer;
    op.communicator = joined.index[member];
    op.algorithm_bytes = bytes;
    op.bus_bytes = bytes;
    if (joined.calls.size() < joined.ranks.size()) joined.calls.resize(joined.ranks.size(), 0);
    Add(rank, OpIndex(timeline, op), WorkClass::kCommunication, joined.index[member], begin_ns,
        end_ns, stream, ++joined.calls[member]);
  }

  void Add(int rank, uint32_t op, WorkClass work_class, uint32_t communicator, int64_t begin_ns,
           int64_t end_ns, uint32_t stream, uint32_t sequence) {
    Timeline& timeline = timelines_[At(rank)];
    Work work;
    work.time = {Local(rank, begin_ns), Local(rank, end_ns)};
    work.launch_ns = work.time.begin_ns - 5000;
    work.op = op;
    work.communicator = communicator;
    work.stream = stream;
    work.work_class = work_class;
    OpCall call;
    call.op = op;
    call.host_begin_ns = work.launch_ns;
    call.host_end_ns = work.launch_ns + 2000;
    call.work = static_cast<uint32_t>(timeline.works.size());
    call.sequence = sequence;
    timeline.works.push_back(work);
    timeline.calls.push_back(call);
    Interval& window = timeline.host_window;
    if (window.end_ns == 0) window.begin_ns = call.host_begin_ns;
    window.begin_ns = std::min(window.begin_ns, call.host_begin_ns);
    window.end_ns = std::max(window.end_ns, call.host_end_ns);
  }

  std::vector<Timeline> timelines_;
  std::vector<Clock> clocks_;
  std::vector<Joined> communicators_;
  std::mt19937_64 random_{7};
};

}  // namespace mfutrace::report::test
