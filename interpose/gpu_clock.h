// Brackets one piece of GPU work with two timing events on the caller's stream.
//
// What a pair measures. The start event completes when everything before it on its stream has, the
// stop event when the bracketed work has too. Their distance is the span of the work on its stream:
// it contains the gaps between the kernels of one call, and where streams compete for the GPU also
// the waiting for it. It is an upper bound of busy time, and exact where one stream runs at a time.
// On the legacy default stream an event synchronises as the call itself does, so it adds no new
// order.
//
// What it costs. Two cuEventRecord per call on the job's thread and two small commands on the
// stream. No wait, no allocation on the steady path, no lock held across a call into the driver:
// pairs come from a lock-free free list, one pool a context, and the pool is made in batches by
// whoever finds it empty. When it cannot grow any more (MFUTRACE_EVENTS), the call goes untimed and
// is counted; an untimed call is worth more than a late one.
//
// Times. cuEventElapsedTime gives a float of milliseconds: 24 bits. An hour from one fixed event
// the last bit is worth 0.25 ms. So every context has an anchor, an event whose device time is
// known to the nanosecond, and the anchor moves on: as soon as a completed start event lies 8 ms
// past it, that event takes its place and the old one goes back into the pool. Up to 2^24 ns (16.7
// ms) the last bit is worth less than a nanosecond, so rounding gives the exact distance and a
// chain of such hops has no error at all. A gap without calls must be crossed in one hop, off by up
// to half a last bit: 30 ns for a second. That would add up (an hour of steps with pauses: 2 us),
// so the events after the gap, whose distances from one another are exact, each measure it once
// more against the anchor before it, and the middle of what 64 of them say is kept: the error left
// is about a last bit / 64, 1 ns for a gap of a second and 2 us for a gap of an hour. Device time 0
// is the first start event that is read of a device. Another context of the same device is placed
// by its distance from the first one's anchor, where the driver tells it, else by the host's clock.
//
// The host's clock. Nothing completes before it was asked for, nor after it was seen complete: each
// pair bounds the offset between the two clocks from both sides. Tighter bounds come from an event
// on a stream of our own, recorded and polled for at most 200 us, at the start, once a minute and
// at the end; not where CUDA_DEVICE_MAX_CONNECTIONS=1, for it could stand in front of the job's
// work.
//
// Captures. An event recorded on a capturing stream becomes a part of the graph, and a query of
// such an event breaks the capture. So the stream is asked first (cuStreamIsCapturing, in count
// mode too: a captured call runs zero times, and the record says so); if it captures, or will not
// say, nothing is recorded. Queries come from the flusher alone, whose capture mode is relaxed
// before its first, so that a capture in "global" mode in another thread does not forbid them. (A
// thread that begins a capture on a stream while another thread issues work to it has a race of its
// own, in which ours is lost too.)
//
// Contexts end (cudaDeviceReset) while pairs are in flight. The driver then answers with an error,
// the pool is never used again, and its calls are untimed; a context that comes back gets a new
// pool.
//
// CUDA_DEVICE_MAX_CONNECTIONS=1, which Megatron-LM sets so that kernels start in the order of their
// launch, makes all streams share one queue. Events between the kernels of two streams would then
// serialise what they are to measure, so `auto` chooses count mode there (MFUTRACE_FORCE_EVENTS=1
// or MFUTRACE_TIMING=events overrule it).
//
// CUDA is reached only through the driver library already in the process, never linked and never
// loaded by us (driver.h). The functions below run on the job's own threads, between its API calls.
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

// An event pair in flight; shared by the calls of one NCCL group on one stream. 0 = untimed.
struct Bracket {
  uint32_t pair = 0;
};

// Records the first event on `stream` of the calling thread's current context. An empty bracket
// where timing is off, the stream is capturing, the pool is empty or CUDA says no; the reason is
// counted.
Bracket OpenBracket(void* stream);
// Records the second event. A bracket whose second event fails becomes untimed.
void CloseBracket(Bracket bracket, void* stream);
// One more call refers to this bracket. It starts with one share, every RecordHeld takes one over,
// and the flusher may read and recycle the pair as soon as all are recorded: whoever records
// several calls takes a share before each, and gives back the first at last (DiscardBracket).
void ShareBracket(Bracket bracket);
// Gives one share back: the bracketed call failed, or the holder has no more calls to record.
void DiscardBracket(Bracket bracket);

// True while `stream` is being captured: the call runs zero times now. False where that cannot be
// told.
bool IsCapturing(void* stream);

}  // namespace mfutrace::interpose
