// The door between libmfutrace.so and libmfutrace_cupti.so, which asks CUPTI for the times of
// kernels.
//
// CUPTI is a library of its own, so that a job that is not traced through it never maps it: this
// side is loaded on the flusher's thread, once CUPTI has been chosen (cupti_clock.h). Both sides
// are built together; the version says whether they were installed together too.
//
// A ticket stands for one intercepted call, as an event pair does (gpu_clock.h): opened before the
// vendor's function and closed after it, read by the flusher until its work is known, given back by
// everybody who shares it. Times are CUPTI's: nanoseconds of a clock that Timestamp() reads.
//
// All functions are thread safe. Open, Close, Share and Release run on the job's threads: they
// neither lock nor allocate. None changes errno for the caller (the core guards it).
#pragma once

#include <cstdint>

namespace mfutrace::interpose::cupti {

inline constexpr uint32_t kDoorVersion = 2;
inline constexpr char kDoorSymbol[] = "mfutrace_cupti_door";

enum class TicketState : uint8_t { kUnfinished, kTimed, kUntimed };

// What a piece of device work is, as far as its name and kind tell. Values are written into traces.
enum class Family : uint8_t { kKernel = 0, kCommunication = 1, kCopy = 2 };

struct TicketReading {
  int64_t begin_ns;  // of the first kernel
  int64_t end_ns;    // of the last one
  int64_t busy_ns;   // sum of the kernels' own durations
  uint32_t kernels;
};

// Work of no intercepted call. One kernel name on one device since the last time it was asked for.
struct ForeignSum {
  const char* name;  // CUPTI's storage: stays; empty for copies and fills
  int32_t device;
  Family family;
  uint64_t kernels;
  int64_t busy_ns;
};

// Such work in time: pieces of one family that follow each other on one stream at most
// kForeignGapNs apart.
inline constexpr int64_t kForeignGapNs = 1000;
struct ForeignRun {
  int32_t device;
  uint32_t stream;  // CUPTI's stream id
  int64_t begin_ns;
  int64_t end_ns;
  int64_t busy_ns;  // end - begin less the gaps
  uint32_t kernels;
  Family family;
};

// Or piece by piece, in place of the runs (Settings::is_each).
struct ForeignPiece {
  const char* name;
  int32_t device;
  uint32_t stream;
  int64_t begin_ns;
  int64_t end_ns;
  Family family;
};

struct ForeignSink {
  void* context;
  void (*on_sum)(void* context, const ForeignSum& sum);
  void (*on_run)(void* context, const ForeignRun& run);
  void (*on_piece)(void* context, const ForeignPiece& piece);
};

struct Settings {
  // The C library's dlsym: what the process calls by that name is the core's own.
  void* (*find)(void* library, const char* symbol);
  // Nobody has asked for CUPTI by name: it stays away from whatever it is known to disturb.
  bool is_automatic;
  bool is_each;        // foreign work piece by piece, graphs kernel by kernel
  int driver_version;  // of CUDA; 0 = unknown
};

struct Refusal {
  const char* reason;  // static storage; nullptr = none, it runs
  bool may_pass;       // worth another try later: somebody else holds CUPTI
};

struct Door {
  uint32_t version;
  // Starts tracing, also again after Stop.
  Refusal (*start)(const Settings& settings);
  // Takes what has come and stops, on any thread; tickets whose work is not known by then become
  // untimed.
  void (*stop)();

  // `thread` tells the caller's thread from others; small numbers, may be used again. 0 = no
  // ticket.
  uint32_t (*open)(uint32_t thread);
  void (*close)(uint32_t ticket);  // on the same thread; again: nothing
  void (*share)(uint32_t ticket);
  void (*release)(uint32_t ticket);

  // The flusher's. Flush asks CUPTI for all that is complete; with `is_last` for everything.
  void (*flush)(bool is_last);
  TicketState (*read)(uint32_t ticket, bool give_up, TicketReading* reading);
  void (*take_foreign)(const ForeignSink& sink);
  int64_t (*timestamp)();  // 0 = CUPTI does not tell
  uint64_t (*lost)();      // records that CUPTI or this library dropped, since the start
  uint32_t (*cupti_version)();
};

using DoorFunction = const Door* (*)(uint32_t version);

}  // namespace mfutrace::interpose::cupti
