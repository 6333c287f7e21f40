// See gemm_rates.h.
#include "probe/gemm_rates.h"

#include <cublasLt.h>
#include <cublas_v2.h>

#include <algorithm>
#include <chrono>

#include "shapes/peaks.h"

namespace mfutrace::probe {
namespace {

using shapes::PeakRate;

struct Format {
  PeakRate rate;
  cudaDataType_t in;
  cudaDataType_t out;
  cublasComputeType_t compute;
  int in_bytes;
  int out_bytes;
  bool needs_lt;  // FP8 has no function in cuBLAS itself
};

constexpr Format kFormats[] = {
    {PeakRate::kBf16, CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, 2, 2, false},
    {PeakRate::kF16, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, 2, 2, false},
    {PeakRate::kF8, CUDA_R_8F_E4M3, CUDA_R_16BF, CUBLAS_COMPUTE_32F, 1, 2, true},
    {PeakRate::kTf32, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, 4, 4, false},
    {PeakRate::kF32, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 4, 4, false},
    {PeakRate::kF64Tensor, CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F, 8, 8, false},
    {PeakRate::kI8, CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I, 1, 4, false},
};

constexpr int kSmallest = 1024;
constexpr uint64_t kWorkspaceBytes = 32u << 20;  // NVIDIA's recommendation for Hopper
// Three stretches of a tenth of a second in a row that differ by less than half a per cent.
constexpr double kStretchSeconds = 0.1;
constexpr int kStretches = 3;
constexpr double kTolerance = 0.005;

// cublasGemmEx has an overload for C++, so its type is spelt out.
using GemmEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                  int, const void*, const void*, cudaDataType, int, const void*,
                                  cudaDataType, int, const void*, void*, cudaDataType, int,
                                  cublasComputeType_t, cublasGemmAlgo_t);

struct Functions {
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  GemmEx gemm = nullptr;
  decltype(&cublasLtMatmul) lt_matmul = nullptr;
  decltype(&cublasLtMatmulDescCreate) lt_desc_create = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) lt_desc_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) lt_layout_create = nullptr;
  decltype(&cublasLtCreate) lt_create = nullptr;
};

// One product of a format, set up once.
class Product {
 public:
  Product(const Functions& functions, cublasHandle_t blas, cublasLtHandle_t lt, Device& device,
          const Format& format, int size)
      : functions_(functions), blas_(blas), lt_(lt), device_(device), format_(format), size_(size) {
    const auto elements = static_cast<uint64_t>(size) * static_cast<uint64_t>(size);
    a_ = device.Allocate(elements * static_cast<uint64_t>(format.in_bytes));
    b_ = device.Allocate(elements * static_cast<uint64_t>(format.in_bytes));
    c_ = device.Allocate(elements * static_cast<uint64_t>(format.out_bytes));
    if (format.needs_lt) workspace_ = device.Allocate(kWorkspaceBytes);
    is_ready_ = a_ != nullptr && b_ != nullptr && c_ != nullptr &&
                (!format.needs_lt || (workspace_ != nullptr && DescribeLt()));
  }
  ~Product() {
    for (void* memory : {a_, b_, c_, workspace_}) device_.Free(memory);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  bool is_ready() const { return is_ready_; }
  double flop() const {
    const double size = size_;
    return 2 * size * size * size;
  }

  // 0 for success.
  int Run() {
    const float one = 1, zero = 0;
    const double one64 = 1, zero64 = 0;
    const int32_t one_i = 1, zero_i = 0;
    const void* alpha = &one;
    const void* beta = &zero;
    if (format_.compute == CUBLAS_COMPUTE_64F) {
      alpha = &one64;
      beta = &zero64;
    } else if (format_.compute == CUBLAS_COMPUTE_32I) {
      alpha = &one_i;
      beta = &zero_i;
    }
    if (format_.needs_lt) {
      return functions_.lt_matmul(lt_, desc_, alpha, a_, a_layout_, b_, b_layout_, beta, c_,
                                  c_layout_, c_, c_layout_, nullptr, workspace_, kWorkspaceBytes,
                                  device_.stream());
    }
    // Transposed as integer and FP8 products must be; no other format minds.
    return functions_.gemm(blas_, CUBLAS_OP_T, CUBLAS_OP_N, size_, size_, size_, alpha, a_,
                           format_.in, size_, b_, format_.in, size_, beta, c_, format_.out, size_,
                           format_.compute, CUBLAS_GEMM_DEFAULT);
  }

 private:
  bool DescribeLt() {
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const auto size = static_cast<uint64_t>(size_);
    return functions_.lt_desc_create(&desc_, format_.compute, CUDA_R_32F) == 0 &&
           functions_.lt_desc_set(desc_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                  sizeof transposed) == 0 &&
           functions_.lt_layout_create(&a_layout_, format_.in, size, size, size_) == 0 &&
           functions_.lt_layout_create(&b_layout_, format_.in, size, size, size_) == 0 &&
           functions_.lt_layout_create(&c_layout_, format_.out, size, size, size_) == 0;
  }

  const Functions& functions_;
  cublasHandle_t blas_;
  cublasLtHandle_t lt_;
  Device& device_;
  const Format& format_;
  int size_;
  void *a_ = nullptr, *b_ = nullptr, *c_ = nullptr, *workspace_ = nullptr;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_layout_ = nullptr, b_layout_ = nullptr, c_layout_ = nullptr;
  bool is_ready_ = false;
};

GemmRate Measure(Product& product, Device& device, Sensors& sensors, const GemmOptions& options,
                 GemmRate result) {
  const auto timed = [&](int calls) -> std::optional<double> {
    if (!device.Start()) return std::nullopt;
    for (int i = 0; i < calls; ++i) {
      if (const int status = product.Run(); status != 0) {
        result.error = "cuBLAS status " + std::to_string(status);
        return std::nullopt;
      }
    }
    const std::optional<double> seconds = device.Stop();
    if (!seconds.has_value()) result.error = "the GPU failed";
    return seconds;
  };
  // The first call loads kernels, the next ones say how many fill a stretch.
  if (!timed(1).has_value()) return result;
  const std::optional<double> few = timed(4);
  if (!few.has_value()) return result;
  const int calls =
      static_cast<int>(std::clamp(kStretchSeconds * 4 / std::max(*few, 1e-9), 4.0, 100'000.0));
  const auto begin = std::chrono::steady_clock::now();
  std::vector<double> last;
  sensors.Start();
  while (!result.has_settled) {
    const std::optional<double> seconds = timed(calls);
    if (!seconds.has_value()) break;
    last.push_back(product.flop() * calls / *seconds);
    if (last.size() > kStretches) last.erase(last.begin());
    const auto [least, most] = std::minmax_element(last.begin(), last.end());
    result.has_settled = last.size() == kStretches && (*most - *least) <= kTolerance * *most;
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - begin;
    if (since.count() > options.most_seconds) break;
  }
  result.readings = sensors.Stop();
  if (!result.error.empty() || last.empty()) return result;
  for (const double rate : last) result.flop_per_s += rate / static_cast<double>(last.size());
  return result;
}

}  // namespace

bool MeasureGemms(Device& device, const GemmOptions& options,
                  const std::function<void(const GemmRate&)>& report, std::string& library,
                  std::string& error) {
  // Never unloaded: cuBLAS leaves threads and contexts behind.
  static const Library blas({"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"});
  static const Library lt({"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"});
  Functions functions;
  const auto find = [](const Library& from, const char* symbol, auto& function) {
    void (*found)() = nullptr;
    from.Find(symbol, found);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    return found != nullptr;
  };
  cublasHandle_t handle = nullptr;
  if (!find(blas, "cublasCreate_v2", functions.create) ||
      !find(blas, "cublasSetStream_v2", functions.set_stream) ||
      !find(blas, "cublasGemmEx", functions.gemm)) {
    error = "no cuBLAS: " + blas.error();
    return false;
  }
  library = blas.name();
  if (functions.create(&handle) != 0 || functions.set_stream(handle, device.stream()) != 0) {
    error = "cuBLAS does not start";
    return false;
  }
  cublasLtHandle_t lt_handle = nullptr;
  const bool has_lt = find(lt, "cublasLtMatmul", functions.lt_matmul) &&
                      find(lt, "cublasLtMatmulDescCreate", functions.lt_desc_create) &&
                      find(lt, "cublasLtMatmulDescSetAttribute", functions.lt_desc_set) &&
                      find(lt, "cublasLtMatrixLayoutCreate", functions.lt_layout_create) &&
                      find(lt, "cublasLtCreate", functions.lt_create) &&
                      functions.lt_create(&lt_handle) == 0;
  Sensors sensors(device.bus_id());
  for (const Format& format : kFormats) {
    GemmRate result;
    result.rate = std::string(shapes::NameOf(format.rate));
    const auto& wanted = options.rates;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), result.rate) == wanted.end()) {
      continue;
    }
    if (format.needs_lt && !has_lt) {
      result.error = "no cuBLASLt";
      report(result);
      continue;
    }
    for (int size = options.size; size >= kSmallest || size == options.size; size /= 2) {
      Product product(functions, handle, lt_handle, device, format, size);
      if (!product.is_ready()) {
        result.error = "no memory for its operands";
        continue;
      }
      result.error.clear();
      result.size = size;
      result = Measure(product, device, sensors, options, std::move(result));
      break;
    }
    report(result);
  }
  return true;
}

}  // namespace mfutrace::probe
