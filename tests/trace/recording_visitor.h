// Keeps what the reader shows, for tests to look at.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "trace/reader.h"

namespace mfutrace::trace_test {

class RecordingVisitor : public trace::Visitor {
 public:
  void OnHeader(const trace::FileHeader& header) override {
    headers.push_back(header);
    Note("header", header);
  }
  void OnBlock(const trace::BlockHeader& header, uint64_t offset) override {
    blocks.emplace_back(header.kind, offset);
  }
  void OnString(uint32_t id, absl::string_view text) override {
    strings.emplace_back(id, std::string(text));
    events.push_back("string " + std::to_string(id) + " " + std::string(text));
  }
  void OnFact(absl::string_view key, absl::string_view value) override {
    facts.emplace_back(std::string(key), std::string(value));
    events.push_back("fact " + std::string(key) + " " + std::string(value));
  }
  void OnDevice(const trace::DeviceRecord& record) override { Keep("device", record, &devices); }
  void OnLane(const trace::LaneRecord& record) override { Keep("lane", record, &lanes); }
  void OnThread(const trace::ThreadRecord& record) override { Keep("thread", record, &threads); }
  void OnCommunicator(const trace::CommunicatorRecord& record) override {
    Keep("communicator", record, &communicators);
  }
  void OnGemmSignature(const trace::GemmSignature& record) override {
    Keep("gemm", record, &gemms);
  }
  void OnCollectiveSignature(const trace::CollectiveSignature& record) override {
    Keep("collective", record, &collectives);
  }
  void OnOpaqueSignature(const trace::OpaqueSignature& record) override {
    Keep("opaque", record, &opaques);
  }
  void OnMatrixSignature(const trace::MatrixSignature& record) override {
    Keep("matrix", record, &matrices);
  }
  void OnAttentionSignature(const trace::AttentionSignature& record) override {
    Keep("attention", record, &attentions);
  }
  void OnSequenceLengths(const trace::SequenceLengths& record) override {
    Keep("lengths", record, &lengths);
  }
  void OnConvolutionSignature(const trace::ConvolutionSignature& record) override {
    Keep("convolution", record, &convolutions);
  }
  void OnRnnSignature(const trace::RnnSignature& record) override { Keep("rnn", record, &rnns); }
  void OnCompoundSignature(const trace::CompoundSignature& record) override {
    Keep("compound", record, &compounds);
  }
  void OnCompoundMember(const trace::CompoundMember& record) override {
    Keep("member", record, &members);
  }
  void OnCall(const trace::Call& call) override {
    calls.push_back(call);
    events.push_back("call " + std::to_string(call.signature) + " " +
                     std::to_string(call.host_begin_ns) + " " + std::to_string(call.host_end_ns) +
                     " " + std::to_string(call.gpu_begin_ns) + " " +
                     std::to_string(call.gpu_end_ns) + " " + std::to_string(call.lane) + " " +
                     std::to_string(call.flags) + " " + std::to_string(call.sequence));
  }
  void OnLaunchSequence(const trace::LaunchSequence& record) override {
    Keep("launch_sequence", record, &launches);
  }
  void OnCount(const trace::CountRecord& record) override { Keep("count", record, &counts); }
  void OnCounter(const trace::CounterRecord& record) override {
    Keep("counter", record, &counters);
  }
  void OnHostClock(const trace::HostClockRecord& record) override {
    Keep("host_clock", record, &host_clocks);
  }
  void OnClockSample(const trace::ClockSampleRecord& record) override {
    Keep("clock_sample", record, &clock_samples);
  }
  void OnEnd(const trace::EndRecord& record) override { Keep("end", record, &ends); }

  // Everything shown, in order: records as their bytes.
  std::vector<std::string> events;
  std::vector<std::pair<uint16_t, uint64_t>> blocks;
  std::vector<trace::FileHeader> headers;
  std::vector<std::pair<uint32_t, std::string>> strings;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<trace::DeviceRecord> devices;
  std::vector<trace::LaneRecord> lanes;
  std::vector<trace::ThreadRecord> threads;
  std::vector<trace::CommunicatorRecord> communicators;
  std::vector<trace::GemmSignature> gemms;
  std::vector<trace::CollectiveSignature> collectives;
  std::vector<trace::OpaqueSignature> opaques;
  std::vector<trace::MatrixSignature> matrices;
  std::vector<trace::AttentionSignature> attentions;
  std::vector<trace::SequenceLengths> lengths;
  std::vector<trace::ConvolutionSignature> convolutions;
  std::vector<trace::RnnSignature> rnns;
  std::vector<trace::CompoundSignature> compounds;
  std::vector<trace::CompoundMember> members;
  std::vector<trace::LaunchSequence> launches;
  std::vector<trace::Call> calls;
  std::vector<trace::CountRecord> counts;
  std::vector<trace::CounterRecord> counters;
  std::vector<trace::HostClockRecord> host_clocks;
  std::vector<trace::ClockSampleRecord> clock_samples;
  std::vector<trace::EndRecord> ends;

 private:
  template <typename Record>
  void Note(const char* what, const Record& record) {
    events.push_back(std::string(what) + " " +
                     std::string(reinterpret_cast<const char*>(&record), sizeof(record)));
  }
  template <typename Record>
  void Keep(const char* what, const Record& record, std::vector<Record>* records) {
    records->push_back(record);
    Note(what, record);
  }
};

}  // namespace mfutrace::trace_test
