// Figures on paper. One device's steady window of eight steps is 3.2 s: 1.6 s computing alone, 0.4
// s overlapped, 0.32 s exposed, and 0.88 s that nobody saw; 989.4 TFLOP/s for 3.2 s are 3166.08
// TFLOP, of which 1266.432 are 40 %.
#include "tests/report/render_results.h"

namespace mfutrace::report::test {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr uint64_t kBf16Peak = 989'400'000'000'000;
constexpr uint64_t kBytesPerSecond = 3'350'000'000'000;

Flop Tera(uint64_t milli_tera) { return Flop(milli_tera) * 1'000'000'000; }

TimeSplit Split(int64_t window_ms, int64_t alone_ms, int64_t overlapped_ms, int64_t exposed_ms) {
  TimeSplit split;
  split.window_ns = window_ms * kMs;
  split.compute_only_ns = alone_ms * kMs;
  split.overlapped_ns = overlapped_ms * kMs;
  split.exposed_ns = exposed_ms * kMs;
  split.compute_ns = (alone_ms + overlapped_ms) * kMs;
  split.comm_ns = (overlapped_ms + exposed_ms) * kMs;
  split.unattributed_ns = (window_ms - alone_ms - overlapped_ms - exposed_ms) * kMs;
  return split;
}

OpResult Gemm(const char* label, uint64_t calls, int64_t time_ms, uint64_t milli_tera) {
  OpResult op;
  op.label = label;
  op.kind = "gemm";
  op.dtype = "bf16";
  op.provenance = "exact";
  op.calls = calls;
  op.timed_calls = calls;
  op.time_ns = time_ms * kMs;
  op.flop_executed = Tera(milli_tera);
  op.flop_model = op.flop_executed;
  op.bytes_least = absl::uint128(calls) * 201'326'592;
  op.peak_flop_per_s = kBf16Peak;
  op.memory_bytes_per_s = kBytesPerSecond;
  // 201 MB take 60 us at 3.35 TB/s, all of these products longer at the peak.
  op.roofline_ns_per_call = static_cast<double>(milli_tera) * 1e9 / static_cast<double>(calls) *
                            1e9 / static_cast<double>(kBf16Peak);
  op.bound = "compute";
  return op;
}

// One that takes `roofline_us` a call where nothing but `bound` held it up.
OpResult Other(const char* kind, const char* label, uint64_t calls, int64_t time_us,
               uint64_t giga_flop, uint64_t mega_bytes, double roofline_us, const char* bound) {
  OpResult op;
  op.label = label;
  op.kind = kind;
  op.dtype = "bf16";
  op.provenance = "exact";
  op.calls = calls;
  op.timed_calls = calls;
  op.time_ns = time_us * 1000;
  op.flop_executed = Flop(giga_flop) * 1'000'000'000;
  op.flop_model = op.flop_executed;
  op.bytes_least = absl::uint128(mega_bytes) * 1'000'000;
  op.peak_flop_per_s = kBf16Peak;
  op.memory_bytes_per_s = kBytesPerSecond;
  op.roofline_ns_per_call = roofline_us * 1000;
  op.bound = bound;
  return op;
}

WindowSummary Window(int64_t devices, int64_t window_ms, uint64_t milli_tera_per_device) {
  WindowSummary window;
  window.window_ns = devices * window_ms * kMs;
  const Flop flop = Tera(milli_tera_per_device) * static_cast<uint64_t>(devices);
  window.flop.executed = flop;
  window.flop.model = flop;
  window.flop.full_attention = flop;
  window.flop.executed_by_kind = {{"gemm", flop}};
  window.flop.executed_by_rate = {{shapes::PeakRate::kBf16, flop}};
  window.flop.model_by_rate = window.flop.executed_by_rate;
  window.peak_rate = shapes::PeakRate::kBf16;
  window.peak_flop_per_s = kBf16Peak;
  window.peak_source = "NVIDIA H100 datasheet, SXM column";
  return window;
}

}  // namespace

RunResult TrainingRun() {
  RunResult result;
  result.title = "gpt_train";
  result.gpu = "NVIDIA H100 80GB HBM3";
  result.source = "mfutrace";
  result.world_size = 4;
  result.devices = 4;
  result.timing = "events";
  result.timing_reason = "auto: no CUPTI back end in this version";
  result.run = Window(4, 4100, 1583'040);
  result.run.mfu = 0.39024;
  result.run.hfu = 0.39024;
  result.run.split = Split(4 * 4100, 4 * 2000, 4 * 500, 4 * 400);
  result.steady = Window(4, 3200, 1266'432);
  result.steady->mfu = 0.4;
  result.steady->hfu = 0.4;
  result.steady->mfu_single_peak = 0.4;
  result.steady->split = Split(4 * 3200, 4 * 1600, 4 * 400, 4 * 320);
  result.steady_first_step = 2;
  result.steady_last_step = 9;
  result.steps_found_by = "period";
  for (int32_t rank = 0; rank < 4; ++rank) {
    RankResult one;
    one.rank = rank;
    one.device = rank;
    one.host = "node1";
    one.split = Split(4100, 2000, 500, 400 + rank);
    one.flop_executed = Tera(1583'040);
    one.flop_model = one.flop_executed;
    result.ranks.push_back(one);
    for (uint32_t index = 0; index < 10; ++index) {
      StepResult step;
      step.rank = rank;
      step.index = index;
      step.split = Split(index < 2 ? 450 : 400, 200, 50, 40);
      step.flop_executed = Tera(158'304);
      step.flop_model = Tera(158'304);
      result.steps.push_back(step);
    }
  }
  result.ops = {Gemm("gemm bf16 8192x14336x4096", 2560, 3556, 2'463'000),
                Gemm("gemm bf16 8192x4096x14336", 1280, 1884, 1'231'500),
                Gemm("gemm bf16 8192x4096x4096", 3840, 1840, 1'055'500),
                Gemm("gemm bf16 8192x6144x4096", 1280, 876, 527'750)};
  OpResult opaque;
  opaque.label = "cublasLtMatmul (layout not readable)";
  opaque.kind = "opaque";
  opaque.provenance = "none";
  opaque.calls = 8;
  result.ops.push_back(opaque);
  CommunicatorResult data;
  data.id = "a1b2c3d4e5f60718";
  data.name = "dp";
  data.size = 2;
  data.ranks = {0, 2};
  data.ops = {{"allreduce", 960}};
  data.bytes = absl::uint128(960) * 536'870'912;
  data.bus_bytes = data.bytes;
  data.time_ns = 2852 * kMs;
  data.exposed_ns = 1120 * kMs;
  CommunicatorResult tensor;
  tensor.id = "0011223344556677";
  tensor.size = 2;
  tensor.ranks = {0, 1};
  tensor.ops = {{"allreduce", 64}, {"broadcast", 2}};
  tensor.bytes = absl::uint128(64) * 67'108'864;
  tensor.bus_bytes = tensor.bytes;
  tensor.time_ns = 748 * kMs;
  tensor.exposed_ns = 480 * kMs;
  result.communicators = {tensor, data};
  result.quality.untimed = 12;
  result.quality.notes = {"device clocks follow the hosts' within 6.1 us"};
  result.quality.counters = {{"untimed_event_pool_empty", 12}};
  return result;
}

RunResult UnknownGpuRun() {
  RunResult result = TrainingRun();
  result.gpu = "NVIDIA H20-3e";
  for (WindowSummary* window : {&result.run, &*result.steady}) {
    window->mfu.reset();
    window->hfu.reset();
    window->mfu_single_peak.reset();
    window->peak_flop_per_s.reset();
    window->peak_source.clear();
  }
  for (OpResult& op : result.ops) {
    op.peak_flop_per_s.reset();
    op.memory_bytes_per_s.reset();
    op.roofline_ns_per_call.reset();
    op.bound.clear();
  }
  return result;
}

RunResult MixedOpsRun() {
  RunResult result = TrainingRun();
  // Work, bytes and roofline times of the shapes in the labels, on an H100: the second is bound by
  // memory (4 FLOP/B), the third would be done before any launch is, the lengths of the fourth's
  // sequences are on the device.
  result.ops = {Other("gemm", "gemm bf16 4096x4096x4096 TN", 1000, 198'000, 137'439, 100'663,
                      138.911, "compute"),
                Other("attention", "sdpa bf16 b64 h32/8 s1/4096 d128 causal-br", 1000, 400'000,
                      4'295, 1'074'790, 320.83, "memory"),
                Other("gemm", "gemm bf16 64x64x4096 NN", 1000, 6'000, 34, 1'057, 0.3155, "latency"),
                Other("attention", "sdpa bf16 b64 h32/8 s512/4096 d128 causal-br", 100, 400'000,
                      206'184, 161'061, 2083.9, "compute"),
                Other("convolution", "conv fwd bf16 b256 256x14x14 > 256x14x14 f3x3", 50, 4'000,
                      2'960, 2'628, 59.83, "compute"),
                Other("rnn", "lstm fwd bf16 3200 steps 1024>512 l4 bi proj256", 10, 9'000, 1'007,
                      413, 101.74, "compute")};
  result.ops[3].provenance = "bound";
  result.ops.push_back(result.ops[2]);
  OpResult& opaque = result.ops.back();
  opaque = OpResult();
  opaque.label = "cudnnBackendExecute (plan not readable)";
  opaque.kind = "opaque";
  opaque.provenance = "none";
  opaque.calls = 12;
  result.steady->flop.executed_bound = *result.steady->flop.executed / 16;
  return result;
}

RunResult CountOnlyRun() {
  RunResult result = TrainingRun();
  result.timing = "count";
  result.timing_reason = "CUDA_DEVICE_MAX_CONNECTIONS=1";
  result.steady.reset();
  result.steps.clear();
  result.steps_found_by.clear();
  const auto forget = [](TimeSplit& split) {
    const int64_t window_ns = split.window_ns;
    split = TimeSplit();
    split.window_ns = window_ns;
    split.unattributed_ns = window_ns;
  };
  forget(result.run.split);
  for (RankResult& rank : result.ranks) forget(rank.split);
  for (OpResult& op : result.ops) {
    op.time_ns.reset();
    op.timed_calls = 0;
  }
  for (CommunicatorResult& communicator : result.communicators) {
    communicator.time_ns.reset();
    communicator.exposed_ns.reset();
  }
  return result;
}

RunResult ImportWithoutShapes() {
  RunResult result;
  result.title = "trace.json.gz";
  result.gpu = "NVIDIA A100-SXM4-80GB";
  result.source = "kineto";
  result.devices = 1;
  result.timing = "kineto";
  result.run.window_ns = 100 * kMs;
  TimeSplit& split = result.run.split;
  split.window_ns = 100 * kMs;
  split.compute_ns = 60 * kMs;
  split.comm_ns = 30 * kMs;
  split.compute_only_ns = 50 * kMs;
  split.overlapped_ns = 10 * kMs;
  split.exposed_ns = 20 * kMs;
  split.mem_only_ns = 5 * kMs;
  split.idle_ns = 15 * kMs;
  RankResult rank;
  rank.rank = 0;
  rank.device = 0;
  rank.split = split;
  result.ranks.push_back(rank);
  OpResult op;
  op.label = "ampere_bf16_s16816gemm_bf16_128x128_ldg8_f2f_stages_64x3_nn";
  op.kind = "opaque";
  op.provenance = "none";
  op.calls = 640;
  op.timed_calls = 640;
  op.time_ns = 44 * kMs;
  result.ops.push_back(op);
  HtaCompat hta;
  hta.steps = "all";
  hta.compute_us = 60'000;
  hta.comm_us = 30'000;
  hta.overlap_us = 10'000;
  hta.overlap_pct = 33.333333333333336;
  hta.idle_us = 15'000;
  hta.non_compute_us = 25'000;
  hta.span_us = 100'000;
  result.compat_hta.push_back(hta);
  return result;
}

RunResult ImpossibleRun() {
  RunResult result = TrainingRun();
  result.steady->mfu = 5.63;
  result.steady->hfu = 5.63;
  result.steady->mfu_single_peak = 5.63;
  result.steady->peak_flop_per_s = kBf16Peak / 10;
  result.steady->peak_source = "--peak";
  return result;
}

RunResult MixedFormatsRun() {
  RunResult result = TrainingRun();
  // 40 % of the bf16 peak, half of it done in f8 at twice that peak: 20 % + 10 %.
  WindowSummary& steady = *result.steady;
  steady.mfu = 0.3;
  steady.hfu = 0.3;
  steady.flop.model_by_rate = {{shapes::PeakRate::kBf16, Tera(2'532'864)},
                               {shapes::PeakRate::kF8, Tera(2'532'864)}};
  steady.flop.executed_by_rate = steady.flop.model_by_rate;
  steady.flop.executed_without_rate = Tera(1'250);
  return result;
}

RunResult LargeRun() {
  RunResult result = TrainingRun();
  result.title = "pretrain_with_a_rather_long_name_for_a_script_of_this_kind.py";
  result.world_size = 64;
  result.devices = 64;
  result.run = Window(64, 4100, 1583'040);
  result.run.split = Split(64 * 4100, 64 * 2000, 64 * 500, 64 * 400);
  result.steady = Window(64, 3200, 1266'432);
  result.steady->mfu = 0.4;
  result.steady->hfu = 0.4;
  result.steady->mfu_single_peak = 0.4;
  result.steady->split = Split(64 * 3200, 64 * 1600, 64 * 400, 64 * 320);
  const RankResult model_rank = result.ranks.front();
  result.ranks.clear();
  for (int32_t rank = 0; rank < 64; ++rank) {
    RankResult one = model_rank;
    one.rank = rank;
    one.device = rank % 8;
    one.host = rank < 32 ? "node1" : "node2";
    one.split = Split(4100, 2000, 500, 400 + (rank * 37) % 64);
    result.ranks.push_back(one);
  }
  for (int i = 0; i < 20; ++i) {
    result.ops.push_back(
        Gemm(("gemm bf16 512x512x" + std::to_string(64 + 64 * i)).c_str(), 640, 20 - i, 4'000));
  }
  for (int i = 0; i < 12; ++i) {
    CommunicatorResult communicator = result.communicators.front();
    communicator.id = "00000000000000" + std::to_string(10 + i);
    communicator.time_ns = (100 + i) * kMs;
    communicator.ranks = {i, i + 1, i + 2, i + 3};
    result.communicators.push_back(communicator);
  }
  for (int i = 0; i < 9; ++i) {
    result.quality.notes.push_back("rank-" + std::to_string(i) +
                                   ".mfut: ends in the middle of a block (process killed?)");
  }
  result.quality.damaged_files = 9;
  return result;
}

RunResult ExtremeRun() {
  RunResult result = TrainingRun();
  const Flop huge = Flop(1'000'000'000'000'000'000) * 1000 + 7;  // 1e21 + 7
  result.run.flop.executed = huge;
  result.run.flop.executed_by_kind = {{"gemm", huge - 1}, {"attention", 1}};
  result.run.coverage = std::map<std::string, double>{{"exact", 0.75}, {"none", 0.25}};
  result.ranks[0].rank = -1;
  result.ranks[0].device = -1;
  result.ops[0].label = "quote \" backslash \\ tab \t bad \xff\xfe euro \xe2\x82\xac";
  result.ops[0].bytes_least = huge;
  result.communicators[0].ranks.clear();
  result.communicators[0].size = 0;
  return result;
}

}  // namespace mfutrace::report::test
