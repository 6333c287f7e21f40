// See tickets.h.
//
// When is a ticket's time known? A call may launch any number of kernels, and a launch is told of
// when its buffer comes, perhaps after kernels of later launches. Two facts settle it: every launch
// that was told has its kernel, and either a launch of a later ticket of the same thread has been
// told (CUPTI keeps the order of one thread's calls) or several rounds have passed since the ticket
// was closed.
#include "interpose/cupti/tickets.h"

#include "interpose/clock.h"
#include "interpose/memory.h"

namespace mfutrace::interpose::cupti {
namespace {

constexpr uint64_t kTagStep = uint64_t{1} << 32;
constexpr uint64_t kNumberMask = kTagStep - 1;

// Correlation ids are consecutive; an odd factor spreads them over the buckets.
uint32_t BucketOf(uint32_t correlation, uint32_t buckets) {
  return (correlation * 2654435761u >> 16) & (buckets - 1);
}

bool IsLater(const DeviceWork& a, const DeviceWork& b) { return a.begin_ns > b.begin_ns; }

// Shell sort: a few thousand pieces a round, mostly in order, and no library to do it.
void SortByBegin(DeviceWork* works, uint32_t count) {
  for (uint32_t gap = count / 2; gap != 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
    for (uint32_t i = gap; i < count; ++i) {
      const DeviceWork work = works[i];
      uint32_t j = i;
      for (; j >= gap && IsLater(works[j - gap], work); j -= gap) works[j] = works[j - gap];
      works[j] = work;
    }
  }
}

}  // namespace

bool Tickets::Attach() {
  if (tickets_ != nullptr) return true;
  launches_ = static_cast<Launch*>(MapPages(sizeof(Launch) * kMaxLaunches));
  buckets_ = static_cast<uint32_t*>(MapPages(sizeof(uint32_t) * kBuckets));
  expired_ = static_cast<DeviceWork*>(MapPages(sizeof(DeviceWork) * kMaxLaunches));
  seen_ = static_cast<uint64_t*>(MapPages(sizeof(uint64_t) * kMaxThreads));
  opened_ = static_cast<std::atomic<uint64_t>*>(MapPages(sizeof(uint64_t) * kMaxThreads));
  if (launches_ == nullptr || buckets_ == nullptr || expired_ == nullptr || seen_ == nullptr ||
      opened_ == nullptr) {
    return false;
  }
  tickets_ = static_cast<Ticket*>(MapPages(sizeof(Ticket) * (kMaxTickets + 1)));
  return tickets_ != nullptr;
}

uint32_t Tickets::Open(uint32_t thread, uint64_t* external_id) {
  uint32_t number = 0;
  uint64_t head = free_tickets_.load(std::memory_order_acquire);
  while ((head & kNumberMask) != 0) {
    const auto top = static_cast<uint32_t>(head & kNumberMask);
    const uint64_t next = tickets_[top].next_free.load(std::memory_order_relaxed);
    // The tag makes a head that was popped and pushed again in between look different.
    if (free_tickets_.compare_exchange_weak(head, (head & ~kNumberMask) + kTagStep + next,
                                            std::memory_order_acquire)) {
      number = top;
      break;
    }
  }
  if (number == 0) {
    if (used_tickets_.load(std::memory_order_relaxed) >= kMaxTickets) return 0;
    number = used_tickets_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (number > kMaxTickets) return 0;
  }
  Ticket& ticket = tickets_[number];
  const uint32_t lane = thread % kMaxThreads;
  ticket.thread = lane;
  ticket.order = opened_[lane].fetch_add(1, std::memory_order_relaxed) + 1;
  ticket.launches = 0;
  ticket.works = 0;
  ticket.has_lost_work = false;
  ticket.is_graph = false;
  ticket.begin_ns = ticket.end_ns = ticket.busy_ns = 0;
  ticket.closed_round.store(0, std::memory_order_relaxed);
  ticket.sharers.store(1, std::memory_order_relaxed);
  // Whoever is told the new generation sees the fields above.
  const uint32_t generation = ticket.generation.load(std::memory_order_relaxed) + 1;
  ticket.generation.store(generation, std::memory_order_release);
  *external_id = uint64_t{generation} << 32 | number;
  return number;
}

bool Tickets::Close(uint32_t ticket) {
  if (tickets_[ticket].closed_round.load(std::memory_order_relaxed) != 0) return false;
  tickets_[ticket].closed_round.store(round_.load(std::memory_order_relaxed),
                                      std::memory_order_release);
  return true;
}

void Tickets::Share(uint32_t ticket) {
  tickets_[ticket].sharers.fetch_add(1, std::memory_order_relaxed);
}

void Tickets::Release(uint32_t ticket) {
  if (tickets_[ticket].sharers.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // Late records of this call must find a stranger from now on.
  tickets_[ticket].generation.fetch_add(1, std::memory_order_release);
  uint64_t head = free_tickets_.load(std::memory_order_relaxed);
  do {
    tickets_[ticket].next_free.store(static_cast<uint32_t>(head & kNumberMask),
                                     std::memory_order_relaxed);
  } while (!free_tickets_.compare_exchange_weak(head, (head & ~kNumberMask) + kTagStep + ticket,
                                                std::memory_order_release));
}

Tickets::Ticket* Tickets::TicketOf(uint64_t external_id) {
  const auto number = static_cast<uint32_t>(external_id);
  if (number == 0 || number > kMaxTickets) return nullptr;
  Ticket& ticket = tickets_[number];
  const bool is_same = ticket.generation.load(std::memory_order_acquire) == external_id >> 32;
  return is_same ? &ticket : nullptr;
}

Tickets::Launch* Tickets::FindLaunch(uint32_t correlation) {
  for (uint32_t number = buckets_[BucketOf(correlation, kBuckets)]; number != 0;
       number = launches_[number].next) {
    if (launches_[number].correlation == correlation) return &launches_[number];
  }
  return nullptr;
}

Tickets::Launch* Tickets::AddLaunch(uint32_t correlation) {
  uint32_t number = free_launches_;
  if (number != 0) {
    free_launches_ = launches_[number].next;
  } else if (used_launches_ + 1 < kMaxLaunches) {
    number = ++used_launches_;
  } else {
    ++lost_;
    return nullptr;
  }
  ++live_launches_;
  Launch& launch = launches_[number];
  uint32_t& bucket = buckets_[BucketOf(correlation, kBuckets)];
  launch = Launch{};
  launch.next = bucket;
  launch.correlation = correlation;
  launch.round = round_.load(std::memory_order_relaxed);
  bucket = number;
  return &launch;
}

void Tickets::Apply(Ticket& ticket, const DeviceWork& work) {
  ++ticket.works;
  ticket.is_graph |= work.is_graph;
  ticket.told_round = round_.load(std::memory_order_relaxed);
  if (ticket.is_graph) ticket.told_ns = MonotonicNs();
  if (work.begin_ns == 0 && work.end_ns == 0) {
    ticket.has_lost_work = true;
    return;
  }
  if (ticket.begin_ns == 0 || work.begin_ns < ticket.begin_ns) ticket.begin_ns = work.begin_ns;
  if (work.end_ns > ticket.end_ns) ticket.end_ns = work.end_ns;
  ticket.busy_ns += work.end_ns - work.begin_ns;
}

void Tickets::OnLaunch(uint32_t correlation, uint64_t external_id) {
  Ticket* ticket = TicketOf(external_id);
  if (ticket == nullptr) return;
  Launch* launch = FindLaunch(correlation);
  if (launch != nullptr && launch->state != LaunchState::kWorkKnown) return;  // told before
  if (launch == nullptr) launch = AddLaunch(correlation);
  if (launch == nullptr) {
    ticket->has_lost_work = true;
    return;
  }
  if (ticket->order > seen_[ticket->thread]) seen_[ticket->thread] = ticket->order;
  ++ticket->launches;
  launch->external_id = external_id;
  if (launch->state != LaunchState::kWorkKnown) {
    launch->state = LaunchState::kTicketKnown;
    return;
  }
  // All of its work that came before.
  for (uint32_t number = buckets_[BucketOf(correlation, kBuckets)]; number != 0;
       number = launches_[number].next) {
    Launch& known = launches_[number];
    if (known.correlation != correlation) continue;
    Apply(*ticket, known.work);
    known.external_id = external_id;
    known.state = LaunchState::kJoined;
  }
}

void Tickets::OnWork(uint32_t correlation, const DeviceWork& work) {
  Launch* launch = FindLaunch(correlation);
  if (launch == nullptr || launch->state == LaunchState::kWorkKnown) {
    launch = AddLaunch(correlation);
    if (launch == nullptr) return;
    launch->state = LaunchState::kWorkKnown;
    launch->work = work;
    return;
  }
  launch->state = LaunchState::kJoined;
  launch->work = work;
  launch->round = round_.load(std::memory_order_relaxed);
  if (Ticket* ticket = TicketOf(launch->external_id)) Apply(*ticket, work);
}

uint32_t Tickets::Expire(bool is_last) {
  const uint32_t round = round_.fetch_add(1, std::memory_order_relaxed) + 1;
  uint32_t count = 0;
  if (live_launches_ == 0) return 0;
  for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
    uint32_t* link = &buckets_[bucket];
    while (*link != 0) {
      const uint32_t number = *link;
      Launch& launch = launches_[number];
      const uint32_t age = round - launch.round;
      const bool may_have_more = launch.state == LaunchState::kJoined && launch.work.is_graph;
      const uint32_t limit = launch.state == LaunchState::kTicketKnown ? kRoundsUntilForgotten
                             : may_have_more                           ? kRoundsUntilEmpty
                                                                       : kRoundsUntilForeign;
      if (age <= limit && !is_last) {
        link = &launch.next;
        continue;
      }
      if (launch.state == LaunchState::kWorkKnown) {
        if (launch.work.end_ns != 0) expired_[count++] = launch.work;
      } else if (launch.state == LaunchState::kTicketKnown) {
        if (Ticket* ticket = TicketOf(launch.external_id)) {
          --ticket->launches;
          ticket->has_lost_work = true;
        }
        ++lost_;
      }
      *link = launch.next;
      launch.next = free_launches_;
      free_launches_ = number;
      --live_launches_;
    }
  }
  SortByBegin(expired_, count);
  return count;
}

TicketState Tickets::Read(uint32_t number, bool give_up, TicketReading* reading) {
  const Ticket& ticket = tickets_[number];
  const uint32_t closed = ticket.closed_round.load(std::memory_order_acquire);
  if (closed == 0) return give_up ? TicketState::kUntimed : TicketState::kUnfinished;
  const uint32_t age = round_.load(std::memory_order_relaxed) - closed;
  // A graph's launch may have any number of kernels: they are all there when no more have come.
  const uint32_t quiet = round_.load(std::memory_order_relaxed) - ticket.told_round;
  const bool is_settled =
      ticket.is_graph ? quiet > kRoundsUntilSettled && MonotonicNs() - ticket.told_ns > kSettledNs
                      : seen_[ticket.thread] > ticket.order || age > kRoundsUntilSettled;
  if (ticket.launches != 0 && ticket.works >= ticket.launches && (is_settled || give_up)) {
    if (ticket.has_lost_work || ticket.end_ns == 0) return TicketState::kUntimed;
    *reading = {ticket.begin_ns, ticket.end_ns, ticket.busy_ns, ticket.works};
    return TicketState::kTimed;
  }
  if (give_up) return TicketState::kUntimed;
  const bool is_empty = ticket.launches == 0 && age > kRoundsUntilEmpty;
  return is_empty || (ticket.launches == 0 && ticket.has_lost_work) ? TicketState::kUntimed
                                                                    : TicketState::kUnfinished;
}

}  // namespace mfutrace::interpose::cupti
