// The engine's side of api.h.
#include "engine/api.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>

#include "engine/objects.h"

namespace simgpu {
namespace {

// Share of the peak that a GEMM reaches: rises smoothly with each extent. The half-way extents are
// chosen so that a 4096 cube comes within 5 % of the device's efficiency and a 128 cube gets a
// third.
double EfficiencyOf(double m, double n, double k) {
  const auto rise = [](double extent, double half) { return extent / (extent + half); };
  return GetSettings().device.gemm_efficiency * rise(m, 48) * rise(n, 48) * rise(k, 96);
}

class TheApi final : public Api {
 public:
  const Settings& settings() override { return GetSettings(); }

  int64_t KernelDuration(double unscaled_ns) override { return ScaledKernelNs(unscaled_ns); }

  int64_t GemmDuration(Format format, uint64_t m, uint64_t n, uint64_t k, uint64_t batch,
                       uint64_t flop, uint64_t bytes) override {
    const DeviceDescription& d = GetSettings().device;
    const double peak = d.peak_flop_per_s[static_cast<int>(format)];
    const double rate =
        peak * EfficiencyOf(static_cast<double>(m) * std::sqrt(static_cast<double>(batch)),
                            static_cast<double>(n), std::max<double>(1, static_cast<double>(k)));
    const double compute_s = rate > 0 ? static_cast<double>(flop) / rate : 0;
    const double memory_s = static_cast<double>(bytes) / d.memory_bytes_per_s;
    return ScaledKernelNs(d.kernel_overhead_ns + std::max(compute_s, memory_s) * 1e9);
  }

  CUresult Enqueue(const CUstream* handles, int count, Work work, int device) override {
    const Entered entered;
    if (entered.status()) return entered.status();
    auto& contexts = ThisThread().contexts;
    const bool borrow = device >= 0 && (contexts.empty() || contexts.back()->device != device);
    if (borrow) contexts.push_back(All().primaries[static_cast<size_t>(device)]);
    std::vector<Stream*> streams;
    CUresult status = CUDA_SUCCESS;
    for (int i = 0; i < count && status == CUDA_SUCCESS; ++i) {
      Stream* stream = nullptr;
      status = FindStream(handles[i], &stream);
      if (status != CUDA_SUCCESS) break;
      if (std::find(streams.begin(), streams.end(), stream) == streams.end())
        streams.push_back(stream);
      if (device >= 0 && stream->context->device != device) status = CUDA_ERROR_INVALID_HANDLE;
    }
    if (status == CUDA_SUCCESS) status = EnqueueOn(streams, std::move(work));
    if (borrow) contexts.pop_back();
    return status;
  }

  CUresult Wait(const OpRef* op) override {
    OpRef now;
    {
      const std::lock_guard<std::mutex> held(Engine::Get().lock());
      now = *op;
    }
    return Engine::Get().WaitFor(now);
  }

  CUresult MakeContextCurrent(int* device) override {
    if (GetSettings().device_count == 0) return CUDA_ERROR_NO_DEVICE;
    if (!Initialize()) return CUDA_ERROR_NOT_INITIALIZED;
    const Entered entered;
    if (entered.status()) return entered.status();
    if (CurrentContext() == nullptr) {
      Context* primary = All().primaries.front();
      ++primary->references;
      ThisThread().contexts.push_back(primary);
    }
    *device = CurrentContext()->device;
    return CUDA_SUCCESS;
  }

  CUresult CheckStream(CUstream handle, int* device) override {
    const Entered entered;
    if (entered.status()) return entered.status();
    Stream* stream = nullptr;
    if (const CUresult status = FindStream(handle, &stream)) return status;
    if (device != nullptr) *device = stream->context->device;
    return CUDA_SUCCESS;
  }

  bool ShouldFail(const char* function) override {
    const std::string& fail = GetSettings().fail;
    if (fail.empty()) return false;
    const size_t colon = fail.rfind(':');
    if (colon == std::string::npos || fail.compare(0, colon, function) != 0) return false;
    static std::atomic<long> calls{0};
    return calls.fetch_add(1) + 1 == std::atol(fail.c_str() + colon + 1);
  }

  CUresult AddGraphNode(CUgraph handle, Work work) override {
    const Entered entered;
    if (entered.status()) return entered.status();
    auto* graph = reinterpret_cast<Graph*>(handle);
    if (All().graphs.count(graph) == 0) return CUDA_ERROR_INVALID_VALUE;
    auto node = std::make_unique<Node>();
    node->work = std::move(work);
    node->device = CurrentContext() == nullptr ? 0 : CurrentContext()->device;
    graph->nodes.push_back(std::move(node));
    return CUDA_SUCCESS;
  }

  CUresult ReplaceGraphNode(CUgraph handle, Work work) override {
    const Entered entered;
    if (entered.status()) return entered.status();
    auto* graph = reinterpret_cast<Graph*>(handle);
    if (All().graphs.count(graph) == 0 || graph->nodes.size() != 1) return CUDA_ERROR_INVALID_VALUE;
    graph->nodes.front()->work = std::move(work);
    return CUDA_SUCCESS;
  }

  const char* ExchangeCaller(const char* function) override {
    std::swap(ThisThread().caller, function);
    return function;
  }

  void SetActivitySink(ActivitySink* sink) override {
    const std::lock_guard<std::mutex> held(Engine::Get().lock());
    All().activity_sink = sink;
  }
};

}  // namespace
}  // namespace simgpu

simgpu::Api* simgpu_api(int version) {
  static simgpu::TheApi api;
  return version == simgpu::kApiVersion ? &api : nullptr;
}
