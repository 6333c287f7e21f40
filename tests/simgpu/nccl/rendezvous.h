// Where the ranks of a communicator meet: a small shared mapping, named by the communicator's key.
//
// All zero is its valid first state, so whoever comes first need not initialise anything. Once all
// ranks have it mapped the name goes away: a rank that dies later leaves no file behind. Ranks run
// on one machine.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace simgpu {

inline constexpr int kMostRanks = 64;
inline constexpr int kSlots = 8;          // a rank is never more than one launch ahead of another
inline constexpr int kPairEntries = 256;  // messages of one group from one rank to another
inline constexpr int kSplits = 2;

struct CollectiveSlot {
  std::atomic<uint64_t> launch;  // number of the launch that the rest is about; 0: never used
  int64_t start_ns;
  int64_t duration_ns;
  uint64_t signature;
};

struct MessageSide {
  std::atomic<uint64_t> number;  // of the message, from 1
  int64_t start_ns;
  int64_t duration_ns;
  uint64_t bytes;
};

struct Message {
  MessageSide send;
  MessageSide receive;
};

struct SplitWish {
  std::atomic<uint64_t> number;  // n-th split of the communicator, from 1
  int32_t color;
  int32_t key;
};

struct Member {
  std::atomic<int32_t> pid;
  std::atomic<uint32_t> joined;
  std::atomic<uint32_t> aborted;
  SplitWish splits[kSplits];
};

class Rendezvous {
 public:
  // Null, with a reason, where the mapping cannot be had or `size` differs from the others'.
  static std::unique_ptr<Rendezvous> Open(uint64_t key, int size, std::string* why);
  ~Rendezvous();
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;

  bool Join(int rank);                      // false: that rank is there already
  bool WaitForAll(double timeout_s) const;  // removes the name in any case
  Member& member(int rank) const;
  CollectiveSlot& slot(uint64_t launch, int rank) const;
  Message& message(int from, int to, uint64_t number) const;
  bool IsDead(int rank) const;  // it can never post again

 private:
  struct Header;
  Rendezvous() = default;

  std::string path_;
  int size_ = 0;
  size_t bytes_ = 0;
  Header* header_ = nullptr;
};

// Removes what crashed runs left in the folder: names nobody completed within two timeouts.
void RemoveStale();

}  // namespace simgpu
