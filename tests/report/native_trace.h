// Writes small .mfut files for the tests of loading and analysing: the same writer as the job's,
// the content made up by the test.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "trace/format.h"
#include "trace/writer.h"

namespace mfutrace::report::test {

class NativeTrace {
 public:
  explicit NativeTrace(const std::string& path, uint32_t pid = 4412) : path_(path) {
    std::remove(path.c_str());
    EXPECT_TRUE(writer_.Open(path.c_str(), pid, 1000, 1'700'000'000'000'000'000, UINT64_MAX));
  }
  ~NativeTrace() { Close(); }

  void Close() {
    if (is_closed_) return;
    is_closed_ = true;
    EXPECT_TRUE(writer_.Flush());
    writer_.Close();
  }

  uint32_t String(const std::string& text) {
    const trace::StringHeader head = {++strings_, static_cast<uint32_t>(text.size())};
    EXPECT_TRUE(writer_.AppendVariable(trace::BlockKind::kStrings, &head, sizeof head, text.data(),
                                       text.size()));
    return head.id;
  }

  void Fact(const std::string& key, const std::string& value) {
    const trace::FactHeader head = {static_cast<uint32_t>(key.size()),
                                    static_cast<uint32_t>(value.size())};
    EXPECT_TRUE(writer_.AppendVariable(trace::BlockKind::kFacts, &head, sizeof head, key.data(),
                                       key.size(), value.data(), value.size()));
  }

  template <typename Record>
  void Add(trace::BlockKind kind, const Record& record) {
    void* at = writer_.Append(kind, sizeof record);
    ASSERT_NE(at, nullptr);
    std::memcpy(at, &record, sizeof record);
  }

  void Device(int32_t ordinal, const std::string& name) {
    trace::DeviceRecord record = {};
    record.ordinal = ordinal;
    record.name = String(name);
    Add(trace::BlockKind::kDevices, record);
  }

  void Lane(uint32_t id, int32_t device, uint64_t stream) {
    trace::LaneRecord record = {};
    record.id = id;
    record.device = device;
    record.stream = stream;
    Add(trace::BlockKind::kLanes, record);
  }

  void Communicator(uint32_t index, uint64_t id, int32_t rank, int32_t size, int32_t device = 0,
                    const std::string& name = "") {
    trace::CommunicatorRecord record = {};
    record.index = index;
    record.id = id;
    record.rank = rank;
    record.size = size;
    record.device = device;
    record.name = name.empty() ? 0 : String(name);
    Add(trace::BlockKind::kCommunicators, record);
  }

  void Gemm(uint32_t id, uint64_t m, uint64_t n, uint64_t k,
            shapes::Dtype dtype = shapes::Dtype::kBf16) {
    trace::GemmSignature record = {};
    record.id = id;
    record.entry = String("cublasGemmEx");
    record.m = m;
    record.n = n;
    record.k = k;
    record.batch = 1;
    record.a = record.b = record.c = record.d = static_cast<uint8_t>(dtype);
    record.accumulate = static_cast<uint8_t>(shapes::Dtype::kF32);
    record.beta = static_cast<uint8_t>(shapes::BetaUse::kZero);
    Add(trace::BlockKind::kGemmSignatures, record);
  }

  void Collective(uint32_t id, shapes::CollectiveKind kind, uint64_t count, uint32_t communicator) {
    trace::CollectiveSignature record = {};
    record.id = id;
    record.entry = String("ncclAllReduce");
    record.count = count;
    record.communicator = communicator;
    record.peer = -1;
    record.kind = static_cast<uint8_t>(kind);
    record.dtype = static_cast<uint8_t>(shapes::Dtype::kBf16);
    Add(trace::BlockKind::kCollectiveSignatures, record);
  }

  void Opaque(uint32_t id, const std::string& entry) {
    trace::OpaqueSignature record = {};
    record.id = id;
    record.entry = String(entry);
    Add(trace::BlockKind::kOpaqueSignatures, record);
  }

  // One call in the wide form, which needs no common base.
  void Call(uint32_t signature, uint32_t lane, int64_t host_begin_ns, int64_t host_end_ns,
            int64_t gpu_begin_ns, int64_t gpu_end_ns, uint8_t flags = 0, uint32_t sequence = 0) {
    trace::WideCallRecord record = {};
    record.signature = signature;
    record.lane_flags = lane | (uint32_t{flags} << 24);
    record.host_begin_ns = host_begin_ns;
    record.host_end_ns = host_end_ns;
    record.gpu_begin_ns = gpu_begin_ns;
    record.gpu_end_ns = gpu_end_ns;
    record.sequence = sequence;
    record.is_timed = gpu_end_ns > gpu_begin_ns ? 1 : 0;
    Add(trace::BlockKind::kWideCalls, record);
    ++calls_;
  }

  void Count(uint32_t signature, int32_t device, uint64_t calls, int64_t host_begin_ns,
             int64_t host_end_ns, trace::CountReason reason = trace::CountReason::kDropped,
             uint8_t flags = 0) {
    trace::CountRecord record = {};
    record.signature = signature;
    record.device = device;
    record.calls = calls;
    record.host_begin_ns = host_begin_ns;
    record.host_end_ns = host_end_ns;
    record.reason = static_cast<uint8_t>(reason);
    record.flags = flags;
    Add(trace::BlockKind::kCounts, record);
    calls_ += calls;
  }

  void End(uint64_t calls) {
    trace::EndRecord record = {};
    record.calls = calls;
    Add(trace::BlockKind::kEnd, record);
  }
  void End() { End(calls_); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  trace::Writer writer_;
  uint32_t strings_ = 0;
  uint64_t calls_ = 0;
  bool is_closed_ = false;
};

// An empty folder of this test's own.
std::string FreshFolder();

}  // namespace mfutrace::report::test
