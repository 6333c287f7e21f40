// Sequence lengths of attention calls, brought from the device by small copies on the calls' own
// streams (MFUTRACE_DEVICE_LENGTHS), and what becomes of them.
//
// Life of a copy. The job's thread takes the next one of a ring, enqueues cuMemcpyDtoHAsync of the
// lengths into pinned memory of ours on the call's stream, records an event behind them, and goes
// on; the call's record names the copy. The flusher asks the event, as it asks the events of times:
// a copy that is not there yet holds back the records of its thread, and nothing waits. Then it
// turns the lengths into a list of runs (trace::SequenceLengths) and an exact signature, which
// takes the place of the bound that the call was begun with. Whatever is missing (memory, room, a
// driver that says no, lengths that make no sense) leaves the bound, and is counted.
//
// Nothing is copied on a stream that captures: the copy would become a part of the graph. The first
// copy of a process allocates the pinned memory, which CUDA may take as a reason to wait for the
// device, once.
//
// Order. Copies are taken in order under a lock that nobody waits for (who finds it held counts the
// bound). Who frees a copy only says so in its state; the room behind the oldest ones is reclaimed
// by whoever takes the next.
#pragma once

#include <atomic>
#include <cstdint>

#include "interpose/entry_points.h"
#include "interpose/intern_table.h"
#include "interpose/lock.h"
#include "interpose/recorder.h"
#include "shapes/op.h"
#include "trace/format.h"

namespace mfutrace::interpose {

struct Driver;
struct Flusher;
struct Session;

struct LengthsCopy {
  enum State : uint32_t {
    kFree = 0,
    kTaken,    // a call's record names it, or will
    kDropped,  // nobody wants it any more, but it may still be under way
  };
  std::atomic<uint32_t> state;
  Entry entry;
  void* event;
  void* event_context;
  uint64_t end;  // of its room, counted in bytes since the first copy
  const uint8_t* q;
  const uint8_t* k;
  DeviceLengths from;
  shapes::Attention attention;
};

struct LengthsCopies {
  static constexpr uint32_t kCopies = 4096;
  static constexpr uint64_t kBytes = 4u << 20;
  static constexpr uint32_t kMaxLists = 1u << 16;

  Lock lock;
  bool has_failed;  // there is no memory and there will be none
  uint8_t* memory;  // pinned, kBytes
  LengthsCopy* copies;
  uint64_t memory_end;        // bytes given out so far; the ring's place is this modulo kBytes
  std::atomic<uint64_t> end;  // copies taken so far
  uint64_t begin;             // and given back, of which the lock's holder knows

  // The flusher's: lists by what is in them, and those that are not in the file yet.
  struct List {
    uint64_t low;
    uint64_t high;
    uint32_t number;  // 0 = empty
  };
  List* lists;
  uint32_t list_count;
  trace::SequenceLengths* pending;
  uint32_t pending_count;
  uint32_t pending_capacity;
};

// recorder.cc: what InternAttention interns.
Facts FactsOfAttention(const shapes::Attention& attention, uint32_t lengths, Entry entry,
                       shapes::Provenance provenance);

// On the job's thread, before the call: the number of the copy, 0 if there is none. Not on a stream
// that captures.
uint32_t CopyLengths(Session& session, const Driver& driver, const shapes::Attention& attention,
                     const DeviceLengths& lengths, Entry entry, void* stream);
// The call failed or has no record.
void DropLengths(Session& session, uint32_t copy);

// On the flusher's: false if the copy is under way, unless `give_up`. Otherwise it is given back,
// and where the lengths are known `signature` becomes the exact one.
bool ReadLengths(Flusher& flusher, uint32_t copy, bool give_up, uint32_t& signature);
// Frees what was dropped and has arrived.
void SweepLengths(Session& session);
// Lists that signatures may name from now on.
void WriteSequenceLengths(Flusher& flusher);

// What the bytes of one side say: lengths, or differences of offsets. False if that cannot be.
bool LengthAt(const DeviceLengths::Side& side, const uint8_t* bytes, uint32_t sequence,
              uint64_t longest, uint32_t& length);

}  // namespace mfutrace::interpose
