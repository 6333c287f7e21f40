// Writes a trace of CALLS timed GEMM calls in steps, to measure how fast reports read.
//
// Usage: bench_write_trace FILE CALLS. The content is regular: 400 calls a step over 20 shapes.
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

void AppendString(Writer& writer, uint32_t id, const char* text) {
  const auto bytes = static_cast<uint32_t>(std::strlen(text));
  const mfutrace::trace::StringHeader head = {id, bytes};
  writer.AppendVariable(BlockKind::kStrings, &head, sizeof head, text, bytes);
}

template <typename Record>
void AppendRecord(Writer& writer, BlockKind kind, const Record& record) {
  if (void* at = writer.Append(kind, sizeof record)) std::memcpy(at, &record, sizeof record);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_write_trace FILE CALLS\n");
    return 2;
  }
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
  constexpr int64_t kCallsPerBlock = 1000;
  for (int64_t i = 0; i < calls; ++i) {
    if (i % kCallsPerBlock == 0) {
      writer.EndBlock();
      writer.Flush();
    }
    const int64_t base_ns = i / kCallsPerBlock * kCallsPerBlock * kCallNs;
    const mfutrace::trace::CallPrefix prefix = {base_ns, base_ns, 0, 0};
    void* at = writer.Append(BlockKind::kTimedCalls, sizeof(mfutrace::trace::TimedCallRecord),
                             &prefix, sizeof prefix);
    if (at == nullptr) break;
    const uint32_t in_step = static_cast<uint32_t>(i % kCallsPerStep);
    const auto delta_ns = static_cast<uint32_t>(i * kCallNs - base_ns);
    // One shape occurs once a step, so that steps can be found.
    const uint32_t signature = in_step == 0 ? kShapes : 1 + in_step % (kShapes - 1);
    const mfutrace::trace::TimedCallRecord record = {
        {signature, 1, delta_ns, 2'000}, delta_ns + 5'000, 80'000};
    std::memcpy(at, &record, sizeof record);
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
