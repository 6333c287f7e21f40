// Runs sessions of the runtime inside a test program and reads back the traces they leave.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "interpose/recorder.h"
#include "trace/reader.h"

namespace mfutrace::interpose {

// A trace as read by trace/reader.
struct ReadBack {
  trace::FileHeader header{};
  trace::Outcome outcome;
  uint64_t file_bytes = 0;
  std::map<uint32_t, std::string> strings;
  std::map<std::string, std::string> facts;
  std::map<uint32_t, trace::GemmSignature> gemms;
  std::map<uint32_t, trace::CollectiveSignature> collectives;
  std::map<uint32_t, trace::OpaqueSignature> opaques;
  std::map<uint32_t, trace::AttentionSignature> attentions;
  std::map<uint32_t, std::vector<trace::SequenceLengths>> lengths;  // by list
  std::map<uint32_t, trace::LaneRecord> lanes;
  std::map<int32_t, trace::DeviceRecord> devices;
  std::vector<trace::ThreadRecord> threads;
  std::vector<trace::CommunicatorRecord> communicators;
  std::vector<trace::Call> calls;
  std::vector<trace::CountRecord> counts;
  std::vector<trace::ClockSampleRecord> clock_samples;
  std::map<std::string, uint64_t> counters;
  std::vector<trace::EndRecord> ends;

  uint64_t Counted() const;  // calls of kCounts
  uint64_t Total() const;    // all calls, however kept
  uint64_t CounterOf(const std::string& name) const;
};

class SessionTest : public testing::Test {
 protected:
  SessionTest();
  ~SessionTest() override;

  void Set(const char* variable, const std::string& value);
  // Ends the running session as exit() would.
  void End();
  std::vector<std::string> Files() const;
  ReadBack Read(const std::string& path) const;
  // The only trace in the folder.
  ReadBack ReadOnly() const;

  // The id of a product with this m.
  static uint32_t Signature(uint64_t m);
  // One successful call, as an observer makes it.
  static void Gemm(uint64_t m, void* stream = nullptr, bool succeeds = true);
  static void AllReduce(uint64_t count, uint32_t communicator, uint32_t sequence,
                        void* stream = nullptr);

  std::string folder_;

 private:
  std::vector<std::string> variables_;
};

}  // namespace mfutrace::interpose
