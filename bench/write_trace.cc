// Writes a trace of CALLS timed calls in steps, to measure how fast reports read.
//
// Usage: bench_write_trace FILE CALLS [RANK WORLD]. The content is regular: 400 calls a step over
// 20 shapes; of a rank, every 50th is an all-reduce of all ranks on a stream of its own.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "trace/format.h"
#include "trace/writer.h"

namespace {

using mfutrace::shapes::BetaUse;
using mfutrace::shapes::Dtype;
using mfutrace::shapes::Transpose;
using mfutrace::trace::BlockKind;
using mfutrace::trace::Writer;

constexpr uint32_t kShapes = 20;
constexpr uint32_t kCallsPerStep = 400;
constexpr int64_t kCallNs = 100'000;
constexpr uint32_t kCallsPerCollective = 50;
constexpr uint32_t kCollective = kShapes + 1;  // signature

void AppendString(Writer& writer, uint32_t id, const char* text) {
  const auto bytes = static_cast<uint32_t>(std::strlen(text));
  const mfutrace::trace::StringHeader head = {id, bytes};
  writer.AppendVariable(BlockKind::kStrings, &head, sizeof head, text, bytes);
}

void AppendFact(Writer& writer, const char* key, const char* value) {
  const auto key_bytes = static_cast<uint32_t>(std::strlen(key));
  const auto value_bytes = static_cast<uint32_t>(std::strlen(value));
  const mfutrace::trace::FactHeader head = {key_bytes, value_bytes};
  char text[256];
  std::snprintf(text, sizeof text, "%s%s", key, value);
  writer.AppendVariable(BlockKind::kFacts, &head, sizeof head, text, key_bytes + value_bytes);
}

template <typename Record>
void AppendRecord(Writer& writer, BlockKind kind, const Record& record) {
  if (void* at = writer.Append(kind, sizeof record)) std::memcpy(at, &record, sizeof record);
}

// Who the rank is, and its one communicator.
void AppendRank(Writer& writer, int rank, int world) {
  char text[32];
  std::snprintf(text, sizeof text, "%d", rank);
  AppendFact(writer, "rank", text);
  std::snprintf(text, sizeof text, "%d", world);
  AppendFact(writer, "world_size", text);
  std::snprintf(text, sizeof text, "node%d", rank / 8);
  AppendFact(writer, "host", text);
  mfutrace::trace::CommunicatorRecord communicator = {};
  communicator.index = 1;
  communicator.rank = rank;
  communicator.id = 0x1234;
  communicator.size = world;
  communicator.split_color = -1;
  communicator.creation = 1;
  AppendRecord(writer, BlockKind::kCommunicators, communicator);
  mfutrace::trace::LaneRecord lane = {};
  lane.id = 2;
  lane.stream = 7;
  AppendRecord(writer, BlockKind::kLanes, lane);
  AppendString(writer, 3, "ncclAllReduce");
  mfutrace::trace::CollectiveSignature all_reduce = {};
  all_reduce.id = kCollective;
  all_reduce.entry = 3;
  all_reduce.count = 1 << 24;
  all_reduce.communicator = 1;
  all_reduce.peer = -1;
  all_reduce.kind = static_cast<uint8_t>(mfutrace::shapes::CollectiveKind::kAllReduce);
  all_reduce.dtype = static_cast<uint8_t>(Dtype::kBf16);
  AppendRecord(writer, BlockKind::kCollectiveSignatures, all_reduce);
}

// The i-th call, relative to the base of its block. A rank joins a collective a little before or
// after the others.
void AppendCall(Writer& writer, const mfutrace::trace::CallPrefix& prefix, int64_t i, int rank,
                uint32_t& sequence) {
  const uint32_t in_step = static_cast<uint32_t>(i % kCallsPerStep);
  const auto delta_ns = static_cast<uint32_t>(i * kCallNs - prefix.host_base_ns);
  if (rank >= 0 && i % kCallsPerCollective == kCallsPerCollective - 1) {
    void* at =
        writer.Append(BlockKind::kTimedCollectives, sizeof(mfutrace::trace::TimedCollectiveRecord),
                      &prefix, sizeof prefix);
    if (at == nullptr) return;
    const auto late_ns =
        static_cast<uint32_t>((i / kCallsPerCollective * 7 + rank * 13) % 64) * 500;
    const mfutrace::trace::TimedCollectiveRecord record = {{kCollective, 2, delta_ns, 2'000},
                                                           delta_ns + 5'000 + late_ns,
                                                           90'000 - late_ns,
                                                           ++sequence};
    std::memcpy(at, &record, sizeof record);
    return;
  }
  void* at = writer.Append(BlockKind::kTimedCalls, sizeof(mfutrace::trace::TimedCallRecord),
                           &prefix, sizeof prefix);
  if (at == nullptr) return;
  // One shape occurs once a step, so that steps can be found.
  const uint32_t signature = in_step == 0 ? kShapes : 1 + in_step % (kShapes - 1);
  const mfutrace::trace::TimedCallRecord record = {
      {signature, 1, delta_ns, 2'000}, delta_ns + 5'000, 80'000};
  std::memcpy(at, &record, sizeof record);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: bench_write_trace FILE CALLS [RANK WORLD]\n");
    return 2;
  }
  const int rank = argc == 5 ? std::atoi(argv[3]) : -1;
  const int64_t calls = std::atoll(argv[2]);
  Writer writer;
  if (!writer.Open(argv[1], static_cast<uint32_t>(getpid()), 0, 1'700'000'000'000'000'000,
                   UINT64_MAX)) {
    std::perror(argv[1]);
    return 1;
  }
  AppendString(writer, 1, "cublasGemmEx");
  AppendString(writer, 2, "NVIDIA H100 80GB HBM3");
  mfutrace::trace::DeviceRecord device = {};
  device.name = 2;
  AppendRecord(writer, BlockKind::kDevices, device);
  mfutrace::trace::LaneRecord lane = {};
  lane.id = 1;
  AppendRecord(writer, BlockKind::kLanes, lane);
  for (uint32_t id = 1; id <= kShapes; ++id) {
    mfutrace::trace::GemmSignature gemm = {};
    gemm.id = id;
    gemm.entry = 1;
    gemm.m = 128 * id;
    gemm.n = 4096;
    gemm.k = 4096;
    gemm.batch = 1;
    gemm.a = gemm.b = gemm.c = gemm.d = static_cast<uint8_t>(Dtype::kBf16);
    gemm.accumulate = static_cast<uint8_t>(Dtype::kF32);
    gemm.op_a = gemm.op_b = static_cast<uint8_t>(Transpose::kNo);
    gemm.beta = static_cast<uint8_t>(BetaUse::kZero);
    AppendRecord(writer, BlockKind::kGemmSignatures, gemm);
  }
  if (rank >= 0) AppendRank(writer, rank, std::atoi(argv[4]));
  constexpr int64_t kCallsPerBlock = 1000;
  uint32_t sequence = 0;
  for (int64_t i = 0; i < calls; ++i) {
    if (i % kCallsPerBlock == 0) {
      writer.EndBlock();
      writer.Flush();
    }
    const int64_t base_ns = i / kCallsPerBlock * kCallsPerBlock * kCallNs;
    const mfutrace::trace::CallPrefix prefix = {base_ns, base_ns, 0, 0};
    AppendCall(writer, prefix, i, rank, sequence);
  }
  mfutrace::trace::EndRecord end = {};
  end.monotonic_ns = calls * kCallNs;
  end.calls = static_cast<uint64_t>(calls);
  writer.EndBlock();
  AppendRecord(writer, BlockKind::kEnd, end);
  writer.Flush();
  writer.Close();
  return 0;
}
