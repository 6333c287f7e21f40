// Joins what CUPTI tells (a launch belongs to a ticket; a kernel belongs to a launch) into the
// times of tickets, in whatever order it comes.
//
// Open, Close, Share and Release run on the job's threads; the rest on whichever thread CUPTI or
// the flusher brings, one at a time (the caller holds the consumer's lock). No vendor header here.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/cupti_door.h"

namespace mfutrace::interpose::cupti {

// One piece of device work.
struct DeviceWork {
  int32_t device;
  uint32_t stream;
  int64_t begin_ns;  // 0 and 0: CUPTI has no times for it
  int64_t end_ns;
  const char* name;
  Family family;
  bool is_graph;  // one of the kernels of a graph
};

class Tickets {
 public:
  static constexpr uint32_t kMaxTickets = 1u << 17;
  static constexpr uint32_t kMaxLaunches = 1u << 18;
  static constexpr uint32_t kMaxThreads = 1u << 13;
  // Rounds of the flusher (a quarter of a second each by default) after which ...
  static constexpr uint32_t kRoundsUntilForeign = 2;  // work without a ticket has none
  static constexpr uint32_t kRoundsUntilSettled = 3;  // a closed ticket's launches are all known
  // At the end rounds are short, and a buffer may still be on its way on a thread of CUPTI's.
  static constexpr int64_t kSettledNs = 40'000'000;
  static constexpr uint32_t kRoundsUntilEmpty = 12;  // a closed ticket without a launch has none
  static constexpr uint32_t kRoundsUntilForgotten =
      240;  // a launch's kernel will not come any more

  // False without memory. Memory is kept for ever: tickets may be given back after the end.
  bool Attach();

  // 0 if there is none. `external_id` is what CUPTI is to be told.
  uint32_t Open(uint32_t thread, uint64_t* external_id);
  // False if it is closed already. On the thread that opened it.
  bool Close(uint32_t ticket);
  void Share(uint32_t ticket);
  void Release(uint32_t ticket);

  // A launch under a ticket; told once or several times for one correlation id.
  void OnLaunch(uint32_t correlation, uint64_t external_id);
  // What a launch started: one piece of work, many where it launched a graph.
  void OnWork(uint32_t correlation, const DeviceWork& work);
  // One more round. Gives work that turns out to belong to no ticket, ordered by its begin.
  template <typename Take>
  void NextRound(bool is_last, Take&& take) {
    const uint32_t count = Expire(is_last);
    for (uint32_t i = 0; i < count; ++i) take(expired_[i]);
  }

  TicketState Read(uint32_t ticket, bool give_up, TicketReading* reading);

  uint64_t lost() const { return lost_; }

 private:
  struct Ticket {
    std::atomic<uint32_t> sharers;
    std::atomic<uint32_t> next_free;     // number; 0 = none
    std::atomic<uint32_t> generation;    // part of the external id: late records find a stranger
    std::atomic<uint32_t> closed_round;  // 0 = open
    uint32_t thread;
    uint64_t order;  // of the ticket on its thread, from 1
    // The consumer's.
    uint32_t launches;
    uint32_t works;
    uint32_t told_round;  // when the last of them came
    int64_t told_ns;      // the same, of a graph's
    bool has_lost_work;
    bool is_graph;
    int64_t begin_ns;
    int64_t end_ns;
    int64_t busy_ns;
  };
  enum class LaunchState : uint8_t { kNone, kTicketKnown, kWorkKnown, kJoined };
  struct Launch {
    uint32_t next;  // number; 0 = end of the chain
    uint32_t correlation;
    uint32_t round;
    LaunchState state;
    uint64_t external_id;
    DeviceWork work;
  };
  static constexpr uint32_t kBuckets = 1u << 15;

  Ticket* TicketOf(uint64_t external_id);
  Launch* FindLaunch(uint32_t correlation);
  Launch* AddLaunch(uint32_t correlation);
  void Apply(Ticket& ticket, const DeviceWork& work);
  uint32_t Expire(bool is_last);

  Ticket* tickets_ = nullptr;
  std::atomic<uint64_t> free_tickets_{0};  // tag << 32 | number
  std::atomic<uint32_t> used_tickets_{0};
  std::atomic<uint64_t>* opened_ = nullptr;  // by thread: tickets opened
  std::atomic<uint32_t> round_{1};

  // The consumer's.
  uint64_t* seen_ = nullptr;  // by thread: order of the newest ticket with a launch
  Launch* launches_ = nullptr;
  uint32_t* buckets_ = nullptr;
  uint32_t free_launches_ = 0;
  uint32_t used_launches_ = 0;
  uint32_t live_launches_ = 0;
  DeviceWork* expired_ = nullptr;
  uint64_t lost_ = 0;
};

}  // namespace mfutrace::interpose::cupti
