// Kernel times from CUPTI in place of event pairs: the core's side of cupti_door.h.
//
// A call gets a ticket where it would get a pair; both travel as a Bracket, and the flusher reads
// both. CUPTI gives the kernels' own times: without the gaps of a bracket, under overlap, and
// without a command of ours on any stream. It also gives every kernel that belongs to no call, so
// that idle time is known.
//
// CUPTI is loaded and started by the flusher, in its first round: on a job's thread that would cost
// some call tens of milliseconds. Calls until then are timed by events. It serves one client at a
// time, so it is used where nobody else holds it, given up when somebody comes (cupti_others.h) and
// taken again when they have gone; `auto` does not even load it where it is known to hurt
// (cupti/etiquette.h). Every change of back end is in the trace, with its reason.
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

  enum class Stage : uint8_t { kIdle, kStarting, kRunning };

  std::atomic<const cupti::Door*> door;  // set once CUPTI has started, and never taken back
  // Written by the flusher, and by whoever makes it give way.
  std::atomic<Stage> stage;
  bool is_final;           // refused for good
  const char* refusal;     // the last one, where events cannot be used instead
  char refusal_text[160];  // what the trace says of it
  bool is_running;         // as the flusher knows
  const cupti::Door* found_door;
  int64_t retry_at_ns;
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

// On any thread: somebody else wants CUPTI and has said so (OthersUseCupti). We are out of it when
// this returns; calls are timed by events.
void YieldCupti();

// The flusher's. StartCupti does nothing where it is not wanted, runs, or cannot be had; so it may
// be called at any time that calls are to be timed, also after StopCupti.
void StartCupti(Flusher& flusher);
// Starts again after StopCupti, at the begin of a window.
void ResumeCupti(Flusher& flusher);
// Asks for what has come; `is_last` for everything. Call before tickets are read.
void FlushCupti(Flusher& flusher, bool is_last);
void StopCupti(Flusher& flusher);
cupti::TicketState ReadTicket(Session& session, uint32_t pair, int32_t device, bool give_up,
                              int64_t& begin_ns, int64_t& end_ns);

}  // namespace mfutrace::interpose
