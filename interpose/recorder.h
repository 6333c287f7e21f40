// The seam that observers write to: interning, timing and recording of successful calls.
//
// Called on the job's own threads inside intercepted calls. Nothing here blocks, throws, prints, or
// changes errno. A full ring drops the record and counts the call (per signature, so that totals
// stay exact). Observers know nothing of rings, files or the flusher; the recorder knows nothing of
// vendors.
#pragma once

#include <cstdint>

#include "interpose/counters.h"
#include "interpose/entry_points.h"
#include "interpose/gpu_clock.h"
#include "shapes/op.h"

namespace mfutrace::interpose {

// Starts the session at the first call of the process (reads options, opens nothing yet). False if
// this process is not to be observed: disabled, after the drain at exit, or out of memory.
bool Observing();
// The same of a session that has been started; starts none.
bool HasSession();

// False for functions that MFUTRACE_ONLY leaves out.
bool IsWanted(Entry entry);

// Ids of interned facts; 0 = could not be interned (counted), such calls are not recorded but
// counted.
uint32_t InternGemm(const shapes::Gemm& gemm, uint32_t compute_code, Entry entry,
                    shapes::Provenance provenance);
uint32_t InternCollective(const shapes::Collective& collective, uint32_t communicator, Entry entry);
uint32_t InternMatrix(const shapes::Matrix& matrix, uint32_t compute_code, Entry entry,
                      shapes::Provenance provenance);
// `lengths` is a list's number (trace::SequenceLengths), 0 if all sequences are as long as the
// shape says, or kLengthsOnDevice: the shape is an upper bound, what holds lies in device memory.
inline constexpr uint32_t kLengthsOnDevice = UINT32_MAX;
uint32_t InternAttention(const shapes::Attention& attention, uint32_t lengths, Entry entry,
                         shapes::Provenance provenance);
// Where the lengths of an attention call's sequences lie, if that is memory of the device.
struct DeviceLengths {
  struct Side {
    const void* data = nullptr;  // nullptr: every sequence has the shape's length
    bool is_wide = false;        // int64_t elements instead of int32_t
    bool is_offsets = false;     // sequences + 1 offsets of their beginnings instead of lengths
    uint64_t divisor = 1;        // of offsets: how many units one token takes (ragged offsets count
                                 // elements: heads * head_dim)
  };
  Side q;
  Side k;
  uint32_t sequences = 0;
};
uint32_t InternConvolution(const shapes::Convolution& convolution, Entry entry,
                           shapes::Provenance provenance);
uint32_t InternRnn(const shapes::Rnn& rnn, Entry entry, shapes::Provenance provenance);
// One call that does several operations. The list is copied, once for each list; `label` is null or
// has static storage. 0 also when there is no more room for lists: then one signature must do.
struct CompoundPart {
  uint32_t signature = 0;
  uint64_t count = 1;
  uint32_t condition = 0;  // trace::Condition
};
uint32_t InternCompound(Entry entry, const CompoundPart* parts, uint32_t count, const char* label);
uint32_t InternOpaque(Entry entry, const char* reason);  // `reason` has static storage

// A call between its begin and its end, on the caller's stack.
struct OpenCall {
  uint32_t signature = 0;
  uint32_t lane = 0;
  uint32_t sequence = 0;    // collectives: n-th on the communicator, from 1
  uint8_t flags = 0;        // trace::CallFlags
  bool is_counted = false;  // outside the windows: no record, no times
  int32_t device = -1;      // ordinal of the stream's device; -1 = unknown
  uint32_t lengths = 0;     // copy of sequence lengths under way (device_lengths.h); 0 = none
  Bracket bracket;
  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;
  uint64_t capture = 0;  // the driver's id of the capture it goes into; 0 = none
};

// Before the vendor's function: finds the lane, opens the bracket, reads the host clock.
OpenCall BeginCall(uint32_t signature, void* stream, uint32_t sequence = 0);
// The same for attention whose lengths lie on the device: `attention` has the largest ones. Counted
// as that bound, or exactly where MFUTRACE_DEVICE_LENGTHS asks for it: the lengths are then copied
// on the same stream before the call runs, and the flusher puts what they say in the bound's place.
OpenCall BeginAttention(const shapes::Attention& attention, const DeviceLengths& lengths,
                        Entry entry, void* stream);
// After it: closes the bracket and records; a call that failed is counted (kFailedCalls) and
// forgotten.
void EndCall(OpenCall& call, void* stream, bool succeeded);

// mfutrace's own cost: one call of 1024 on each thread is probed. BeginProbe comes first of all and
// tells when, 0 for the others; EndProbe comes last and counts what was not the vendor's function.
int64_t BeginProbe();
void EndProbe(int64_t begun_ns, const OpenCall& call);

// For NCCL groups, whose calls run at the outermost group end: a call without bracket ...
OpenCall HoldCall(uint32_t signature, void* stream, uint32_t sequence);
// ... recorded later with the bracket of its stream's group. Takes over one share of the bracket.
// The call ends on the host at `call.host_end_ns`, now if that is 0.
void RecordHeld(const OpenCall& call, Bracket bracket);

struct CommunicatorFacts {
  uint64_t id = 0;  // equal on all members
  uint64_t parent_id = 0;
  int32_t rank = -1;
  int32_t size = 0;
  int32_t device = -1;
  int32_t split_color = -1;
  uint32_t split_index = 0;
  const char* name = nullptr;  // copied
};
// Returns the communicator's index in the trace, from 1; 0 if it could not be kept.
uint32_t RecordCommunicator(const CommunicatorFacts& facts);
// `event` is trace::CommunicatorEvent. Also asks the flusher to write what it has.
void RecordCommunicatorEnd(uint32_t index, uint8_t event);

}  // namespace mfutrace::interpose
