// Kernel times from CUPTI in place of event pairs: the core's side of cupti_door.h.
//
// A call gets a ticket where it would get a pair; both travel as a Bracket, and the flusher reads
// both. CUPTI gives the kernels' own times: without the gaps of a bracket, under overlap, and
// without a command of ours on any stream. It also gives every kernel that belongs to no call, so
// that idle time is known.
//
// CUPTI is loaded and started by the flusher, in its first round: on a job's thread that would cost
// some call tens of milliseconds. Calls until then are timed by events. It serves one client at a
// time, so it is used only where it was asked for (MFUTRACE_TIMING=cupti) and nobody else holds it.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/cupti_door.h"

namespace mfutrace::interpose {

struct Driver;
struct Flusher;
struct Session;

struct CuptiClock {
  // Kernel names that are in the file; more than these are added up without a name.
  static constexpr uint32_t kMaxNames = 1u << 14;
  struct Name {
    const char* text;
    uint32_t string;
  };

  std::atomic<const cupti::Door*> door;  // set once CUPTI has started, and never taken back
  bool was_tried;
  bool is_running;
  // The flusher's.
  int64_t host_minus_cupti_ns;
  int64_t sampled_at_ns;  // host; 0 = never
  int64_t taken_at_ns;    // host: when the foreign work was last asked for
  Name* names;
  uint32_t name_count;
};

// Tickets are numbered behind all event pools.
inline constexpr uint32_t kTicketPool = 0xfff;
inline bool IsTicket(uint32_t pair) { return pair >> 20 == kTicketPool; }

// The job's threads. The door is open by the time there is a ticket.
uint32_t OpenTicket(Session& session);
void CloseTicket(Session& session, uint32_t pair);  // the second time it does nothing
void ShareTicket(Session& session, uint32_t pair);
void ReleaseTicket(Session& session, uint32_t pair);

// The flusher's. StartCupti does nothing where it is not wanted or has been tried.
void StartCupti(Flusher& flusher);
// Starts again after StopCupti, at the begin of a window.
void ResumeCupti(Flusher& flusher);
// Asks for what has come; `is_last` for everything. Call before tickets are read.
void FlushCupti(Flusher& flusher, bool is_last);
void StopCupti(Flusher& flusher);
cupti::TicketState ReadTicket(Session& session, uint32_t pair, int32_t device, bool give_up,
                              int64_t& begin_ns, int64_t& end_ns);

}  // namespace mfutrace::interpose
