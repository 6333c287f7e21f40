// The bytes of a .mfut file, format 1. docs/FORMAT.md is the grammar in prose; this is the truth.
//
// A file is one FileHeader and then blocks. A block is a BlockHeader, an optional prefix, and
// records of one fixed size (or, for kStrings and kFacts, of their own lengths). Little endian,
// natural alignment inside a record, no padding that is not a named field. The file ends with a
// kEnd block if the process ended in order; otherwise at whatever the last write(2) completed.
//
// Growth without breaking. Fields are only ever appended to a record: a reader takes
// min(record_bytes, sizeof its own struct) and leaves the rest at the value-initialised default. A
// block of unknown kind is skipped and counted, unless its header carries kMustUnderstand: then the
// reader stops with "written by a newer mfutrace". It also stops at a known kind whose `version` is
// newer than it knows. kFormatVersion changes only if FileHeader or BlockHeader change; readers
// accept all older ones for ever.
//
// The trace holds facts (dimensions, formats, times, statuses), never FLOPs, peaks or verdicts:
// they are computed when it is read, so that a corrected formula corrects old traces.
//
// Order. Whatever a record refers to (a signature, a lane, a string, a communicator) stands in an
// earlier block of the same file. Call records are ordered within a lane, not across lanes. A file
// is written by one process alone, by one thread at a time.
//
// Clocks. Host times are CLOCK_MONOTONIC nanoseconds of the writing machine. GPU times are
// nanoseconds since the device's epoch, an arbitrary instant fixed when the device is first timed;
// kClockSamples bound where on the host's clock instants of a device lie. kHostClock pairs tie
// CLOCK_MONOTONIC to CLOCK_REALTIME.
//
// Counting. A call is either one call record, or part of one kCounts record (dropped for a full
// ring, or counted without being recorded). Exact call totals of a file = call records +
// kCounts.calls. kWindows say when calls were recorded; between two windows all are counted only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shapes/op.h"

namespace mfutrace::trace {

inline constexpr char kMagic[8] = {'m', 'f', 'u', 't', 'r', 'a', 'c', 'e'};
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint32_t kByteOrderMark = 0x01020304;
inline constexpr uint32_t kBlockSync = 0x4b4c424d;  // "MBLK"
inline constexpr uint32_t kMaxPayloadBytes = 1u << 20;

struct FileHeader {
  char magic[8];
  uint32_t format_version;
  uint32_t byte_order_mark;
  uint32_t header_bytes;  // where the first block starts
  uint32_t pid;
  int64_t start_monotonic_ns;
  int64_t start_realtime_ns;
  uint32_t reserved[5];
  uint32_t crc32c;  // of all bytes before this field
};
static_assert(sizeof(FileHeader) == 64);

enum BlockFlags : uint8_t { kMustUnderstand = 1 };

struct BlockHeader {
  uint32_t sync;
  uint16_t kind;
  uint8_t version;  // of this kind's record layout, 1 so far
  uint8_t flags;
  uint32_t payload_bytes;  // prefix and records, without this header
  uint16_t record_bytes;   // 0: records of their own lengths
  uint16_t prefix_bytes;
  uint32_t reserved;
  uint32_t crc32c;  // of this header with this field 0, and the payload
};
static_assert(sizeof(BlockHeader) == 24);

enum class BlockKind : uint16_t {
  kStrings = 1,
  kFacts = 2,
  kDevices = 3,
  kLanes = 4,
  kThreads = 5,
  kCommunicators = 6,
  kGemmSignatures = 7,
  kCollectiveSignatures = 8,
  kOpaqueSignatures = 9,
  kCalls = 10,
  kTimedCalls = 11,
  kCollectives = 12,
  kTimedCollectives = 13,
  kWideCalls = 14,
  kCounts = 15,
  kCounters = 16,
  kHostClock = 17,
  kClockSamples = 18,
  kEnd = 19,
  kMatrixSignatures = 20,
  kAttentionSignatures = 21,
  kConvolutionSignatures = 22,
  kRnnSignatures = 23,
  kCompoundSignatures = 24,
  kCompoundMembers = 25,
  kSequenceLengths = 26,
  kLaunchSequences = 27,
  kWindows = 30,
  kWindowSequences = 31,
  kForeignKernels = 40,
  kForeignRuns = 41,
  kForeignEach = 42,
  kKernelLaunches = 43,
  kTimingChanges = 44,
};

// String ids are per file, from 1; 0 means no string.
// kStrings: {uint32 id, uint32 bytes, bytes, zero padding to 4} ...
// kFacts:   {uint32 key_bytes, uint32 value_bytes, key, value, zero padding to 4} ...
struct StringHeader {
  uint32_t id;
  uint32_t bytes;
};
struct FactHeader {
  uint32_t key_bytes;
  uint32_t value_bytes;
};

struct DeviceRecord {
  int32_t ordinal;  // of the process: cuDeviceGet's index
  uint32_t name;    // string: cuDeviceGetName
  uint32_t bus_id;  // string: PCI bus id, "0000:1b:00.0"
  uint32_t uuid;    // string: 32 hex digits
  int32_t compute_major;
  int32_t compute_minor;
  int32_t sm_count;
  int32_t clock_khz;  // cuDeviceGetAttribute CLOCK_RATE; 0 = not told
  uint64_t memory_bytes;
};
static_assert(sizeof(DeviceRecord) == 40);

// A lane is one (host thread, device, stream): where calls are issued and where they run.
struct LaneRecord {
  uint32_t id;
  int32_t device;   // ordinal; -1 = unknown
  uint64_t stream;  // handle, an opaque number; 0 = the default stream
  uint32_t thread;  // kernel thread id
  uint32_t reserved;
};
static_assert(sizeof(LaneRecord) == 24);

struct ThreadRecord {
  uint32_t thread;  // kernel thread id
  uint32_t name;    // string: /proc/self/task/TID/comm
};

// One rank's view of a communicator. `id` is equal on all its members and tells it from all others
// of the job: hash of the unique id; for splits hash of (parent id, n-th split of the parent,
// colour).
struct CommunicatorRecord {
  uint32_t index;  // per file, from 1; what collectives refer to
  int32_t rank;    // of this process in the communicator
  uint64_t id;
  uint64_t parent_id;  // 0 = none
  int32_t size;
  int32_t device;        // ordinal; -1 = unknown
  int32_t split_color;   // -1 = not from a split
  uint32_t split_index;  // n-th split of the parent, from 1; 0 = not from a split
  uint32_t name;         // string: ncclConfig_t.commName; 0 = none
  uint32_t creation;     // order of creation in this process, from 1
  uint8_t event;         // CommunicatorEvent
  uint8_t reserved[7];
};
static_assert(sizeof(CommunicatorRecord) == 56);

// A communicator is written when created and again, with the same index, when it ends.
enum class CommunicatorEvent : uint8_t {
  kCreated = 0,
  kDestroyed = 1,
  kAborted = 2,
  kFinalized = 3,
  kRevoked = 4  // cannot be used for calls any more; may still be split, shrunk, destroyed
};

// Signature ids are per file, from 1, shared by all signature kinds. `entry` is the string of the
// intercepted function's name.
struct GemmSignature {
  uint32_t id;
  uint32_t entry;
  uint64_t m;
  uint64_t n;
  uint64_t k;
  uint64_t batch;
  uint8_t a;  // shapes::Dtype, and so on down to d
  uint8_t b;
  uint8_t c;
  uint8_t d;
  uint8_t accumulate;  // shapes::Dtype
  uint8_t math;        // shapes::MathMode
  uint8_t op_a;        // shapes::Transpose
  uint8_t op_b;
  uint8_t beta;        // shapes::BetaUse
  uint8_t flags;       // GemmFlags
  uint8_t provenance;  // shapes::Provenance
  uint8_t reserved;
  uint32_t compute_code;  // the vendor's compute type as passed, for what `math` cannot say
  uint8_t scale_a;        // shapes::ScaleMode
  uint8_t scale_b;
  uint8_t scale_d;
  uint8_t bias;  // shapes::Dtype; 0 = none
  uint8_t aux;   // shapes::Dtype; 0 = none
  uint8_t reserved2;
  uint16_t epilogue;  // the vendor's code; 0 = not told
};
static_assert(sizeof(GemmSignature) == 64);
enum GemmFlags : uint8_t { kGauss3m = 1, kABroadcast = 2, kBBroadcast = 4, kBiasAlongN = 8 };

struct CollectiveSignature {
  uint32_t id;
  uint32_t entry;
  uint64_t count;         // as in shapes::Collective
  uint32_t communicator;  // index
  int32_t peer;           // peer or root; -1 = none
  uint8_t kind;           // shapes::CollectiveKind
  uint8_t dtype;          // shapes::Dtype
  uint8_t reduction;
  uint8_t provenance;  // shapes::Provenance
  uint32_t reserved;
};
static_assert(sizeof(CollectiveSignature) == 32);

// A call that went through without being understood; counted by name.
struct OpaqueSignature {
  uint32_t id;
  uint32_t entry;
  uint32_t reason;  // string; 0 = none
  uint32_t reserved;
};
static_assert(sizeof(OpaqueSignature) == 16);

// shapes::Matrix.
struct MatrixSignature {
  uint32_t id;
  uint32_t entry;
  uint64_t m;
  uint64_t n;
  uint64_t k;
  uint64_t batch;
  uint8_t dtype;
  uint8_t result;
  uint8_t accumulate;
  uint8_t math;
  uint8_t routine;     // shapes::MatrixRoutine
  uint8_t side;        // shapes::Side
  uint8_t beta;        // shapes::BetaUse
  uint8_t flags;       // GemmFlags
  uint8_t provenance;  // shapes::Provenance
  uint8_t reserved[3];
  uint32_t compute_code;
};
static_assert(sizeof(MatrixSignature) == 56);

// shapes::Attention.
struct AttentionSignature {
  uint32_t id;
  uint32_t entry;
  uint32_t batch;
  uint32_t heads_q;
  uint32_t heads_kv;
  uint32_t seq_q;
  uint32_t seq_k;
  uint32_t head_dim_qk;
  uint32_t head_dim_v;
  int32_t window_left;  // -1 = no limit
  int32_t window_right;
  uint8_t dtype;
  uint8_t mask;        // shapes::Mask
  uint8_t pass;        // shapes::Pass
  uint8_t flags;       // AttentionFlags
  uint8_t provenance;  // shapes::Provenance
  uint8_t reserved[3];
  uint32_t lengths;  // list of kSequenceLengths, which then holds instead of batch, seq_q and seq_k
                     // (these are what the call was sized for); 0 = none
};
static_assert(sizeof(AttentionSignature) == 56);
enum AttentionFlags : uint8_t { kWritesLogSumExp = 1, kVIsViewOfK = 2, kLengthsOnDevice = 4 };

// Lengths of the sequences of attention calls, as runs of equal ones in the call's order. A list is
// all records with its number, which stand together and before the first signature that names it.
struct SequenceLengths {
  uint32_t list;  // per file, from 1
  uint32_t seq_q;
  uint32_t seq_k;
  uint32_t count;
};
static_assert(sizeof(SequenceLengths) == 16);

// shapes::Convolution.
struct ConvolutionSignature {
  uint32_t id;
  uint32_t entry;
  uint32_t batch;
  uint32_t c_in;
  uint32_t c_out;
  uint32_t groups;
  uint32_t in[3];
  uint32_t filter[3];
  uint32_t out[3];
  uint8_t dtype;
  uint8_t direction;   // shapes::ConvDirection
  uint8_t flags;       // 1 = transposed
  uint8_t provenance;  // shapes::Provenance
};
static_assert(sizeof(ConvolutionSignature) == 64);

// shapes::Rnn.
struct RnnSignature {
  uint32_t id;
  uint32_t entry;
  uint64_t steps;
  uint32_t input_size;
  uint32_t hidden_size;
  uint32_t projection_size;
  uint32_t layers;
  uint32_t directions;
  uint8_t dtype;
  uint8_t cell;        // shapes::RnnCell
  uint8_t pass;        // shapes::RnnPass
  uint8_t flags;       // 1 = skips the input product
  uint8_t provenance;  // shapes::Provenance
  uint8_t reserved[7];
};
static_assert(sizeof(RnnSignature) == 48);

// One call that does several operations (a grouped GEMM, a cuDNN graph, attention over sequences of
// different lengths, the launch of a CUDA graph: what was captured into it): its signature, and
// behind it the members, each another signature and how often.
struct CompoundSignature {
  uint32_t id;
  uint32_t entry;
  uint32_t member_count;
  uint32_t label;     // string; 0 = named after its members
  uint64_t hash_low;  // of the member list, what makes equal lists one signature
  uint64_t hash_high;
};
static_assert(sizeof(CompoundSignature) == 32);

struct CompoundMember {
  uint32_t compound;   // id; its members stand together, in order
  uint32_t signature;  // id of the member
  uint64_t count;
  uint32_t condition;  // Condition
  uint32_t reserved;
};
static_assert(sizeof(CompoundMember) == 24);

// How often a member runs each time its compound does: other than kAlways in bodies of conditional
// nodes of a CUDA graph, where `count` is that of one run of the body.
enum class Condition : uint32_t {
  kAlways = 0,
  kAtMostOnce = 1,  // if, else, a case of a switch
  kAnyNumber = 2,   // while
};

enum CallFlags : uint8_t {
  kCaptured = 1,  // issued into a stream capture: it ran zero times now
  kGrouped = 2,   // inside an NCCL group: GPU times are those of the whole group on its stream
};

// Calls. `lane_flags` is the lane's id in the low 24 bits and CallFlags above. Host times are those
// around the vendor's function; a duration that does not fit goes into kWideCalls.
struct CallPrefix {
  int64_t host_base_ns;  // CLOCK_MONOTONIC
  int64_t gpu_base_ns;   // device time; meaningful in the timed kinds
  int32_t device;        // whose clock gpu_base_ns is on; a block of a timed kind has one device
  int32_t reserved;
};
static_assert(sizeof(CallPrefix) == 24);

struct CallRecord {  // kCalls
  uint32_t signature;
  uint32_t lane_flags;
  uint32_t host_begin_delta_ns;  // since host_base_ns
  uint32_t host_duration_ns;
};
static_assert(sizeof(CallRecord) == 16);

struct TimedCallRecord {  // kTimedCalls
  CallRecord call;
  uint32_t gpu_begin_delta_ns;  // since gpu_base_ns
  uint32_t gpu_duration_ns;
};
static_assert(sizeof(TimedCallRecord) == 24);

// Collectives also carry their sequence number in the communicator (from 1, counted at the call, so
// that it survives dropped records). Send and Recv are counted like collectives. 0: a collective on
// a communicator nobody knows, or a plain call that stands between collectives and shares their
// block; the signature tells which.
struct CollectiveRecord {  // kCollectives
  CallRecord call;
  uint32_t sequence;
};
static_assert(sizeof(CollectiveRecord) == 20);

struct TimedCollectiveRecord {  // kTimedCollectives
  CallRecord call;
  uint32_t gpu_begin_delta_ns;
  uint32_t gpu_duration_ns;
  uint32_t sequence;
};
static_assert(sizeof(TimedCollectiveRecord) == 28);

struct WideCallRecord {  // kWideCalls: no prefix, any value fits
  uint32_t signature;
  uint32_t lane_flags;
  int64_t host_begin_ns;
  int64_t host_end_ns;
  int64_t gpu_begin_ns;
  int64_t gpu_end_ns;
  uint32_t sequence;  // 0 = on no known communicator
  uint8_t is_timed;
  uint8_t reserved[3];
};
static_assert(sizeof(WideCallRecord) == 48);

// A launch of a CUDA graph runs collectives that have no call of their own then. Those of one
// communicator have `count` sequence numbers from `sequence` on. The launch is the call of the
// lane that began at this time.
struct LaunchSequence {
  uint32_t lane;
  uint32_t communicator;  // index
  int64_t host_begin_ns;
  uint32_t sequence;
  uint32_t count;
};
static_assert(sizeof(LaunchSequence) == 24);

enum class CountReason : uint8_t {
  kDropped = 0,    // the thread's ring was full
  kUntimed = 1,    // counted on purpose, outside the timed windows
  kSizeLimit = 2,  // the file had reached its limit
};

// Calls without a record of their own, in [host_begin_ns, host_end_ns). Signature 0: calls whose
// facts could not be kept.
struct CountRecord {
  uint32_t signature;
  int32_t device;
  uint64_t calls;
  int64_t host_begin_ns;
  int64_t host_end_ns;
  uint8_t reason;  // CountReason
  uint8_t flags;   // CallFlags that all of them share
  uint8_t reserved[6];
};
static_assert(sizeof(CountRecord) == 40);

// Named health counters of the library, cumulative; the last value of a name holds.
struct CounterRecord {
  uint32_t name;  // string
  uint32_t reserved;
  uint64_t value;
};
static_assert(sizeof(CounterRecord) == 16);

// Device work of no intercepted call, where the back end sees all of it (CUPTI): by kernel name,
// for a stretch of the host's time ...
struct ForeignKernels {
  uint32_t name;  // string; 0 = copies and fills, or too many names
  int32_t device;
  uint64_t kernels;
  int64_t busy_ns;  // sum of their durations
  int64_t host_begin_ns;
  int64_t host_end_ns;
  uint8_t family;  // 0 kernel, 1 communication by its name, 2 copy or fill
  uint8_t reserved[7];
};
static_assert(sizeof(ForeignKernels) == 48);

// ... and in time, as runs: work of one family on one stream whose gaps are at most 1 us.
struct ForeignRun {
  int32_t device;
  uint32_t stream;  // CUPTI's number of the stream
  int64_t gpu_begin_ns;
  int64_t gpu_end_ns;
  int64_t busy_ns;  // end - begin less the gaps
  uint32_t kernels;
  uint8_t family;
  uint8_t reserved[3];
};
static_assert(sizeof(ForeignRun) == 40);

// ... or one by one, in place of the runs, where that was asked for.
struct ForeignEach {
  uint32_t name;  // string; 0 = copies and fills, or too many names
  int32_t device;
  int64_t gpu_begin_ns;
  int64_t gpu_end_ns;
  uint32_t stream;  // CUPTI's number of the stream
  uint8_t family;
  uint8_t reserved[3];
};
static_assert(sizeof(ForeignEach) == 32);

// Kernels that code outside the intercepted libraries has launched through the driver, by function:
// cumulative, the last record with a string's number holds; functions of one name have a string
// each. Launches into a capture count once, as issued.
struct KernelLaunches {
  uint32_t name;  // string; 0 = unknown, or too many functions
  uint32_t reserved;
  uint64_t launches;
};
static_assert(sizeof(KernelLaunches) == 16);

// What times calls from this moment on. The facts `timing` and `timing_reason` have the last one.
struct TimingChange {
  int64_t monotonic_ns;
  uint32_t backend;  // string: count, events, cupti
  uint32_t reason;   // string
};
static_assert(sizeof(TimingChange) == 16);

struct HostClockRecord {
  int64_t monotonic_ns;
  int64_t realtime_ns;
  int64_t residual_ns;  // the pair is right to within this; 0 = not told
};
static_assert(sizeof(HostClockRecord) == 24);

// Device time gpu_ns lies in [host_min_ns, host_max_ns] of the host's clock. Also the re-anchoring
// points of the device's epoch.
struct ClockSampleRecord {
  int32_t device;
  uint32_t reserved;
  int64_t gpu_ns;
  int64_t host_min_ns;
  int64_t host_max_ns;
};
static_assert(sizeof(ClockSampleRecord) == 32);

// Recording of calls begins or ends: outside the windows calls are counted only. A file without
// such records has recorded all the time.
struct WindowRecord {
  uint32_t number;  // of the window, from 1; its end has the same
  uint8_t event;    // WindowEvent
  uint8_t reason;   // WindowReason
  uint16_t reserved;
  int64_t monotonic_ns;
  uint64_t calls;     // successful intercepted calls of the process until then
  int64_t length_ns;  // of the window, as planned at its begin; 0 = no end planned
};
static_assert(sizeof(WindowRecord) == 32);
enum class WindowEvent : uint8_t { kOpened = 0, kClosed = 1 };
enum class WindowReason : uint8_t {
  kStart = 0,      // of the process
  kSchedule = 1,   // begins at multiples of the period on the wall clock, on all ranks at once
  kSizeLimit = 2,  // the file has reached its limit: there will be no other window
  kExit = 3,
};

// How many collectives had been called on a communicator just before a window opened, of at most
// 128 communicators. Behind the window.
struct WindowSequence {
  uint32_t window;        // number
  uint32_t communicator;  // index
  uint32_t sequence;
  uint32_t reserved;
};
static_assert(sizeof(WindowSequence) == 16);

enum class EndReason : uint8_t {
  kExit = 0,       // exit() or return from main
  kSizeLimit = 1,  // the file reached its limit; counting went on
  kWriteError = 2,
};

struct EndRecord {
  int64_t monotonic_ns;
  uint64_t calls;  // successful intercepted calls of the process, by its own count
  uint8_t reason;  // EndReason
  uint8_t reserved[7];
};
static_assert(sizeof(EndRecord) == 24);

// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as in RFC 3720; `seed` chains calls.
uint32_t Crc32c(uint32_t seed, const void* data, size_t bytes);

}  // namespace mfutrace::trace
