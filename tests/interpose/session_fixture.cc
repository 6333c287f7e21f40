#include "session_fixture.h"

#include <cstdlib>
#include <filesystem>

#include "interpose/session.h"

namespace mfutrace::interpose {
namespace {

class Collector : public trace::Visitor {
 public:
  explicit Collector(ReadBack& to) : to_(to) {}
  void OnHeader(const trace::FileHeader& header) override { to_.header = header; }
  void OnString(uint32_t id, absl::string_view text) override {
    EXPECT_TRUE(to_.strings.emplace(id, std::string(text)).second) << "string " << id << " twice";
  }
  void OnFact(absl::string_view key, absl::string_view value) override {
    to_.facts[std::string(key)] = std::string(value);
  }
  void OnDevice(const trace::DeviceRecord& device) override {
    EXPECT_TRUE(to_.devices.emplace(device.ordinal, device).second);
  }
  void OnLane(const trace::LaneRecord& lane) override {
    EXPECT_TRUE(to_.lanes.emplace(lane.id, lane).second);
    EXPECT_TRUE(lane.device < 0 || to_.devices.count(lane.device) == 1);
  }
  void OnThread(const trace::ThreadRecord& thread) override { to_.threads.push_back(thread); }
  void OnCommunicator(const trace::CommunicatorRecord& communicator) override {
    to_.communicators.push_back(communicator);
  }
  void OnGemmSignature(const trace::GemmSignature& signature) override {
    EXPECT_EQ(to_.strings.count(signature.entry), 1u);
    EXPECT_TRUE(to_.gemms.emplace(signature.id, signature).second);
  }
  void OnCollectiveSignature(const trace::CollectiveSignature& signature) override {
    EXPECT_EQ(to_.strings.count(signature.entry), 1u);
    EXPECT_TRUE(to_.collectives.emplace(signature.id, signature).second);
  }
  void OnOpaqueSignature(const trace::OpaqueSignature& signature) override {
    EXPECT_TRUE(to_.opaques.emplace(signature.id, signature).second);
  }
  void OnSequenceLengths(const trace::SequenceLengths& run) override {
    // The runs of a list stand together.
    EXPECT_TRUE(run.list == last_list_ || to_.lengths.count(run.list) == 0) << "list " << run.list;
    last_list_ = run.list;
    to_.lengths[run.list].push_back(run);
  }
  void OnAttentionSignature(const trace::AttentionSignature& signature) override {
    EXPECT_EQ(to_.strings.count(signature.entry), 1u);
    EXPECT_TRUE(signature.lengths == 0 || to_.lengths.count(signature.lengths) == 1);
    EXPECT_TRUE(to_.attentions.emplace(signature.id, signature).second);
  }
  // What a call refers to stands before it in the file (format.h, "Order").
  void OnCall(const trace::Call& call) override {
    EXPECT_EQ(to_.lanes.count(call.lane), 1u) << "lane " << call.lane;
    EXPECT_TRUE(IsKnown(call.signature)) << "signature " << call.signature;
    to_.calls.push_back(call);
  }
  void OnCount(const trace::CountRecord& count) override {
    EXPECT_TRUE(count.signature == 0 || IsKnown(count.signature));
    EXPECT_LE(count.host_begin_ns, count.host_end_ns);
    to_.counts.push_back(count);
  }
  void OnCounter(const trace::CounterRecord& counter) override {
    to_.counters[to_.strings.at(counter.name)] = counter.value;
  }
  void OnClockSample(const trace::ClockSampleRecord& sample) override {
    to_.clock_samples.push_back(sample);
  }
  void OnEnd(const trace::EndRecord& end) override { to_.ends.push_back(end); }

 private:
  bool IsKnown(uint32_t signature) const {
    return to_.gemms.count(signature) + to_.collectives.count(signature) +
               to_.opaques.count(signature) + to_.attentions.count(signature) ==
           1;
  }
  ReadBack& to_;
  uint32_t last_list_ = 0;
};

}  // namespace

uint64_t ReadBack::Counted() const {
  uint64_t calls_counted = 0;
  for (const trace::CountRecord& count : counts) calls_counted += count.calls;
  return calls_counted;
}

uint64_t ReadBack::Total() const { return calls.size() + Counted(); }

uint64_t ReadBack::CounterOf(const std::string& name) const {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : found->second;
}

SessionTest::SessionTest() {
  char pattern[] = "/tmp/mfutrace_test_XXXXXX";
  folder_ = mkdtemp(pattern);
  Set("MFUTRACE_OUT", folder_ + "/out/of/nothing");
  Set("MFUTRACE_QUIET", "1");
  Set("MFUTRACE_FLUSH_MS", "5");
}

SessionTest::~SessionTest() {
  EndSessionForTesting();
  for (const std::string& variable : variables_) unsetenv(variable.c_str());
  std::filesystem::remove_all(folder_);
}

void SessionTest::Set(const char* variable, const std::string& value) {
  setenv(variable, value.c_str(), 1);
  variables_.push_back(variable);
}

void SessionTest::End() { EndSessionForTesting(); }

std::vector<std::string> SessionTest::Files() const {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  return files;
}

ReadBack SessionTest::Read(const std::string& path) const {
  ReadBack read;
  Collector collector(read);
  const auto outcome = trace::ReadTrace(path, collector);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  if (outcome.ok()) read.outcome = *outcome;
  read.file_bytes = std::filesystem::file_size(path);
  return read;
}

ReadBack SessionTest::ReadOnly() const {
  const std::vector<std::string> files = Files();
  EXPECT_EQ(files.size(), 1u);
  return files.size() == 1 ? Read(files[0]) : ReadBack{};
}

uint32_t SessionTest::Signature(uint64_t m) {
  shapes::Gemm gemm;
  gemm.m = m;
  gemm.n = 64;
  gemm.k = 32;
  gemm.a = gemm.b = gemm.c = gemm.d = shapes::Dtype::kBf16;
  return InternGemm(gemm, 68, Entry::k_cublasGemmEx, shapes::Provenance::kExact);
}

void SessionTest::Gemm(uint64_t m, void* stream, bool succeeds) {
  if (!Observing()) return;
  OpenCall call = BeginCall(Signature(m), stream);
  EndCall(call, stream, succeeds);
}

void SessionTest::AllReduce(uint64_t count, uint32_t communicator, uint32_t sequence,
                            void* stream) {
  if (!Observing()) return;
  shapes::Collective collective;
  collective.count = count;
  collective.kind = shapes::CollectiveKind::kAllReduce;
  collective.dtype = shapes::Dtype::kBf16;
  const uint32_t signature = InternCollective(collective, communicator, Entry::k_ncclAllReduce);
  OpenCall call = BeginCall(signature, stream, sequence);
  EndCall(call, stream, true);
}

}  // namespace mfutrace::interpose
