// Training steps of a made-up cluster under a given layout, call by call as frameworks issue them:
// what each communicator does is known, and so is what it must be told to be.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "tests/report/cluster.h"

namespace mfutrace::report::test {

enum class DataParallel { kAllReduce, kFsdp, kZero };

struct TrainingLayout {
  int tp = 1, cp = 1, dp = 1, pp = 1;
  bool sequence_parallel = false;
  bool experts = false;  // all-to-alls over the data parallel ranks
  DataParallel data = DataParallel::kAllReduce;
  bool named = false;
  bool permuted = false;  // world ranks are dealt out at random
  int layers = 4;         // of a stage
  int micro_batches = 4;
  int steps = 5;
  int64_t compute_ns = 200'000;
  // What is wrong with which rank; -1 = nothing.
  int slow_rank = -1;  // its products take `slow_factor` as long, or only those of `slow_label`
  double slow_factor = 1;
  std::string slow_label = {};
  int slow_host = -1;  // nothing runs on it for `host_gap_ns` before each product
  int64_t host_gap_ns = 0;
  int slow_link = -1;  // transfers of its communicators take `link_factor` as long
  double link_factor = 1;

  int ranks() const { return tp * cp * dp * pp; }
};

// The cluster, and what each communicator (by id) is.
class TrainingCluster {
 public:
  explicit TrainingCluster(const TrainingLayout& layout)
      : layout_(layout), cluster_(layout.ranks()), now_ns_(At(layout.ranks()), 0) {
    world_.resize(now_ns_.size());
    std::iota(world_.begin(), world_.end(), 0);
    if (layout.permuted) std::shuffle(world_.begin(), world_.end(), cluster_.random());
    Connect();
    for (int step = 0; step < layout.steps; ++step) Step();
  }

  Cluster& cluster() { return cluster_; }
  const std::map<std::string, std::string>& truth() const { return truth_; }

 private:
  struct Part {
    int communicator;
    std::vector<int> places;  // before the permutation
  };
  using Parts = std::vector<Part>;

  static size_t At(int index) { return static_cast<size_t>(index); }
  int Place(int tp, int cp, int dp, int pp) const {
    return tp + layout_.tp * (cp + layout_.cp * (dp + layout_.dp * pp));
  }

  void Add(Parts& parts, const std::vector<int>& places, const std::string& strategy,
           const std::string& name) {
    if (places.size() < 2) return;
    const std::string id = "comm" + std::to_string(truth_.size());
    truth_[id] = strategy;
    std::vector<int> ranks;
    for (const int place : places) ranks.push_back(world_[At(place)]);
    parts.push_back({cluster_.Communicator(id, ranks, layout_.named ? name : ""), places});
  }

  void Connect() {
    std::vector<int> all(now_ns_.size());
    std::iota(all.begin(), all.end(), 0);
    Add(world_parts_, all, "control", "default_pg");
    const auto loop = [&](int a, int b, int c, const auto& each) {
      for (int i = 0; i < a; ++i) {
        for (int k = 0; k < b; ++k) {
          for (int l = 0; l < c; ++l) each(i, k, l);
        }
      }
    };
    loop(layout_.cp, layout_.dp, layout_.pp, [&](int c, int d, int p) {
      std::vector<int> places;
      for (int t = 0; t < layout_.tp; ++t) places.push_back(Place(t, c, d, p));
      Add(tp_, places, layout_.sequence_parallel ? "SP" : "TP", "TENSOR_MODEL_PARALLEL_GROUP");
    });
    loop(layout_.tp, layout_.dp, layout_.pp, [&](int t, int d, int p) {
      std::vector<int> places;
      for (int c = 0; c < layout_.cp; ++c) places.push_back(Place(t, c, d, p));
      Add(cp_, places, "CP", "mesh_cp");
    });
    loop(layout_.tp, layout_.cp, layout_.pp, [&](int t, int c, int p) {
      std::vector<int> places;
      for (int d = 0; d < layout_.dp; ++d) places.push_back(Place(t, c, d, p));
      static const std::map<DataParallel, std::string> kTruth = {{DataParallel::kAllReduce, "DP"},
                                                                 {DataParallel::kFsdp, "FSDP"},
                                                                 {DataParallel::kZero, "ZeRO"}};
      if (layout_.experts) Add(ep_, places, "EP", "EXPERT_MODEL_PARALLEL_GROUP");
      Add(dp_, places, kTruth.at(layout_.data), "DATA_PARALLEL_GROUP");
    });
    loop(layout_.tp, layout_.cp, layout_.dp, [&](int t, int c, int d) {
      std::vector<int> places;
      for (int p = 0; p < layout_.pp; ++p) places.push_back(Place(t, c, d, p));
      Add(pp_, places, "PP", "PIPELINE_MODEL_PARALLEL_GROUP");
    });
  }

  bool InStage(const Part& part, int stage) const {
    return part.places.front() / (layout_.tp * layout_.cp * layout_.dp) == stage;
  }

  void Compute(int stage, const std::string& label, int times = 1) {
    const int first = stage * layout_.tp * layout_.cp * layout_.dp;
    for (int i = 0; i < layout_.tp * layout_.cp * layout_.dp; ++i) {
      const int place = first + i;
      const int rank = world_[At(place)];
      int64_t& now_ns = now_ns_[At(place)];
      if (rank == layout_.slow_host) now_ns += layout_.host_gap_ns;
      const bool is_slow =
          rank == layout_.slow_rank && (layout_.slow_label.empty() || layout_.slow_label == label);
      const double slow = is_slow ? layout_.slow_factor : 1;
      const auto length_ns =
          static_cast<int64_t>(static_cast<double>(layout_.compute_ns * times) * slow);
      cluster_.Compute(rank, now_ns, now_ns + length_ns, 100'000'000'000, label);
      now_ns += length_ns + 2000;
    }
  }

  int64_t Transfer(const Part& part, int64_t transfer_ns) const {
    for (const int place : part.places) {
      if (world_[At(place)] == layout_.slow_link) {
        return static_cast<int64_t>(static_cast<double>(transfer_ns) * layout_.link_factor);
      }
    }
    return transfer_ns;
  }

  // Everybody waits for its end.
  void Block(const Parts& parts, int stage, shapes::CollectiveKind kind, uint64_t bytes,
             int64_t transfer_ns, uint32_t stream) {
    for (const Part& part : parts) {
      if (!InStage(part, stage)) continue;
      std::vector<int64_t> begins_ns;
      for (const int place : part.places) begins_ns.push_back(now_ns_[At(place)]);
      const int64_t end_ns = cluster_.Collective(part.communicator, kind, bytes, begins_ns,
                                                 Transfer(part, transfer_ns), 0, stream);
      for (const int place : part.places) now_ns_[At(place)] = end_ns + 1000;
    }
  }

  // Runs beside what comes next; returns nothing, JoinAsync waits for all.
  void Async(const Parts& parts, int stage, shapes::CollectiveKind kind, uint64_t bytes,
             int64_t transfer_ns, uint32_t stream) {
    for (const Part& part : parts) {
      if (!InStage(part, stage)) continue;
      std::vector<int64_t> begins_ns;
      int64_t& free_ns = free_ns_[part.communicator];
      for (const int place : part.places) {
        begins_ns.push_back(std::max(free_ns, now_ns_[At(place)]));
      }
      free_ns = cluster_.Collective(part.communicator, kind, bytes, begins_ns,
                                    Transfer(part, transfer_ns), 0, stream);
    }
  }
  void JoinAsync(const Parts& parts) {
    for (const Part& part : parts) {
      for (const int place : part.places) {
        now_ns_[At(place)] = std::max(now_ns_[At(place)], free_ns_[part.communicator]);
      }
    }
  }

  void Ring(int stage) {
    for (const Part& part : cp_) {
      if (!InStage(part, stage)) continue;
      int64_t begin_ns = 0;
      for (const int place : part.places) begin_ns = std::max(begin_ns, now_ns_[At(place)]);
      const int64_t end_ns = cluster_.Ring(part.communicator, 4 << 20, begin_ns, 30'000, 3);
      for (const int place : part.places) now_ns_[At(place)] = end_ns + 1000;
    }
  }

  void Pass(int from, int to) {
    if (to < 0 || to >= layout_.pp) return;
    for (const Part& part : pp_) {
      int64_t& sender_ns = now_ns_[At(part.places[At(from)])];
      int64_t& receiver_ns = now_ns_[At(part.places[At(to)])];
      const int64_t end_ns = cluster_.Message(part.communicator, At(from), At(to), 8 << 20,
                                              sender_ns, receiver_ns, 50'000, 4);
      sender_ns = receiver_ns = end_ns + 1000;
    }
  }

  void TensorParallel(int stage) {
    using shapes::CollectiveKind;
    if (layout_.sequence_parallel) {
      Block(tp_, stage, CollectiveKind::kAllGather, 8 << 20, 20'000, 0);
      Compute(stage, "between");
      Block(tp_, stage, CollectiveKind::kReduceScatter, 8 << 20, 20'000, 0);
    } else {
      Block(tp_, stage, CollectiveKind::kAllReduce, 8 << 20, 40'000, 0);
    }
  }

  void Forward(int stage) {
    using shapes::CollectiveKind;
    for (int layer = 0; layer < layout_.layers; ++layer) {
      if (layout_.data == DataParallel::kFsdp) {
        Async(dp_, stage, CollectiveKind::kAllGather, 64 << 20, 100'000, 5);
      }
      Compute(stage, "attention");
      if (layout_.cp > 1) Ring(stage);
      TensorParallel(stage);
      if (layout_.experts) Block(ep_, stage, CollectiveKind::kAllToAll, 16 << 20, 60'000, 6);
      Compute(stage, "mlp");
      if (layout_.experts) Block(ep_, stage, CollectiveKind::kAllToAll, 16 << 20, 60'000, 6);
      TensorParallel(stage);
    }
  }

  void Backward(int stage, bool is_last) {
    using shapes::CollectiveKind;
    for (int layer = 0; layer < layout_.layers; ++layer) {
      if (layout_.data == DataParallel::kFsdp) {
        Async(dp_, stage, CollectiveKind::kAllGather, 64 << 20, 100'000, 5);
      }
      if (layout_.experts) Block(ep_, stage, CollectiveKind::kAllToAll, 16 << 20, 60'000, 6);
      Compute(stage, "mlp backward", 2);
      if (layout_.experts) Block(ep_, stage, CollectiveKind::kAllToAll, 16 << 20, 60'000, 6);
      TensorParallel(stage);
      Compute(stage, "attention backward", 2);
      if (layout_.cp > 1) Ring(stage);
      TensorParallel(stage);
      if (layout_.data == DataParallel::kFsdp) {
        Async(dp_, stage, CollectiveKind::kReduceScatter, 64 << 20, 100'000, 5);
      } else if (is_last) {
        Async(dp_, stage,
              layout_.data == DataParallel::kZero ? CollectiveKind::kReduceScatter
                                                  : CollectiveKind::kAllReduce,
              64 << 20, 150'000, 5);
      }
    }
  }

  void Step() {
    for (int micro = 0; micro < layout_.micro_batches; ++micro) {
      for (int stage = 0; stage < layout_.pp; ++stage) {
        Forward(stage);
        Pass(stage, stage + 1);
      }
      for (int stage = layout_.pp - 1; stage >= 0; --stage) {
        Backward(stage, micro + 1 == layout_.micro_batches);
        Pass(stage, stage - 1);
      }
    }
    JoinAsync(dp_);
    // A norm over all, the optimizer, and a pause in which the next batch is made.
    std::vector<int64_t> begins_ns = now_ns_;
    for (const Part& part : world_parts_) {
      const int64_t end_ns = cluster_.Collective(
          part.communicator, shapes::CollectiveKind::kAllReduce, 4, begins_ns, 10'000, 0, 7);
      std::fill(now_ns_.begin(), now_ns_.end(), end_ns);
    }
    if (layout_.data == DataParallel::kZero) {
      for (int stage = 0; stage < layout_.pp; ++stage) {
        for (int i = 0; i < 2; ++i) {
          Block(dp_, stage, shapes::CollectiveKind::kAllGather, 128 << 20, 200'000, 5);
        }
      }
    }
    for (int64_t& now_ns : now_ns_) now_ns += 500'000;
  }

  TrainingLayout layout_;
  Cluster cluster_;
  std::vector<int> world_;
  std::vector<int64_t> now_ns_;  // by place
  std::map<int, int64_t> free_ns_;
  Parts world_parts_, tp_, cp_, dp_, pp_, ep_;
  std::map<std::string, std::string> truth_;
};

}  // namespace mfutrace::report::test
