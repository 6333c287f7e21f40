// Reads a .mfut file into visitor calls, block by block, in file order. Tool side.
//
// Damage is an answer, not a crash: a torn tail, a truncated file or a flipped byte end the read at
// the last good block, and `Outcome` says where, what and how much was lost. Memory is bounded by
// one block. Only report/model and trace/dump include this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "trace/format.h"

namespace mfutrace::trace {

// A call of any of the call kinds, in one shape. Times are absolute on their clock.
struct Call {
  uint32_t signature = 0;
  uint32_t lane = 0;
  uint8_t flags = 0;  // CallFlags
  bool is_timed = false;
  bool is_collective = false;
  uint32_t sequence = 0;
  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;
  int64_t gpu_begin_ns = 0;
  int64_t gpu_end_ns = 0;
};

// Override what you need; the default does nothing.
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void OnHeader(const FileHeader&) {}
  virtual void OnBlock(const BlockHeader&, uint64_t /*file_offset*/) {}
  virtual void OnString(uint32_t /*id*/, absl::string_view) {}
  virtual void OnFact(absl::string_view /*key*/, absl::string_view /*value*/) {}
  virtual void OnDevice(const DeviceRecord&) {}
  virtual void OnLane(const LaneRecord&) {}
  virtual void OnThread(const ThreadRecord&) {}
  virtual void OnCommunicator(const CommunicatorRecord&) {}
  virtual void OnGemmSignature(const GemmSignature&) {}
  virtual void OnCollectiveSignature(const CollectiveSignature&) {}
  virtual void OnOpaqueSignature(const OpaqueSignature&) {}
  virtual void OnMatrixSignature(const MatrixSignature&) {}
  virtual void OnSequenceLengths(const SequenceLengths&) {}
  virtual void OnAttentionSignature(const AttentionSignature&) {}
  virtual void OnConvolutionSignature(const ConvolutionSignature&) {}
  virtual void OnRnnSignature(const RnnSignature&) {}
  virtual void OnCompoundSignature(const CompoundSignature&) {}
  virtual void OnCompoundMember(const CompoundMember&) {}
  virtual void OnForeignKernels(const ForeignKernels&) {}
  virtual void OnForeignRun(const ForeignRun&) {}
  virtual void OnForeignEach(const ForeignEach&) {}
  virtual void OnKernelLaunches(const KernelLaunches&) {}
  virtual void OnTimingChange(const TimingChange&) {}
  virtual void OnCall(const Call&) {}
  virtual void OnLaunchSequence(const LaunchSequence&) {}
  virtual void OnCount(const CountRecord&) {}
  virtual void OnCounter(const CounterRecord&) {}
  virtual void OnHostClock(const HostClockRecord&) {}
  virtual void OnClockSample(const ClockSampleRecord&) {}
  virtual void OnWindow(const WindowRecord&) {}
  virtual void OnWindowSequence(const WindowSequence&) {}
  virtual void OnEnd(const EndRecord&) {}
};

struct Outcome {
  bool ended_in_order = false;  // an end record was read
  uint64_t blocks_skipped = 0;  // of kinds this reader does not know
  uint64_t bytes_read = 0;      // up to the last good block
  uint64_t bytes_lost = 0;      // behind the damage, to the end of the file
  std::string damage;           // one clause, empty if none: "ends in the middle of a block ..."
};

// Errors (kNotFound: no such file; kInvalidArgument: not a trace; kUnimplemented: newer format or
// an unknown must-understand block; kDataLoss: damaged before the first block) carry one clear line
// with the path. Otherwise the outcome tells what was read.
absl::StatusOr<Outcome> ReadTrace(const std::string& path, Visitor& visitor);

}  // namespace mfutrace::trace
