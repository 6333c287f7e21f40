// See routine.h.
#include "cublas/routine.h"

#include "cublas/gemm.h"

namespace simgpu {
namespace {

struct Counts {
  int64_t multiplications = 0;
  int64_t additions = 0;
};

Counts operator+(Counts a, Counts b) {
  return {a.multiplications + b.multiplications, a.additions + b.additions};
}

constexpr Counts Both(int64_t each) { return {each, each}; }

// One triangular solve or product of order s with o right-hand sides: s(s+1)/2 products, the
// diagonal's with nothing to add to.
constexpr Counts Triangular(int64_t s, int64_t o) {
  return {o * s * (s + 1) / 2, o * s * (s - 1) / 2};
}

// Elements of a band: column by column, so that bands wider than the matrix come out right.
int64_t BandElements(int64_t m, int64_t n, int64_t lower, int64_t upper) {
  int64_t elements = 0;
  for (int64_t column = 0; column < n; ++column) {
    const int64_t first = std::max<int64_t>(0, column - upper);
    const int64_t last = std::min(m - 1, column + lower);
    elements += std::max<int64_t>(0, last - first + 1);
  }
  return elements;
}

// Elimination step by step: the pivot's reciprocal, the column below it scaled, the square behind
// it updated.
Counts Factorization(int64_t n) {
  Counts counts;
  for (int64_t rest = n - 1; rest >= 0; --rest) {
    counts = counts + Counts{1 + rest + rest * rest, rest * rest};
  }
  return counts;
}

// From the factors, LAPACK Working Note 41's GETRI: the triangle inverted, then the other solved.
Counts Inversion(int64_t n) {
  return {n * (4 * n * n + 3 * n + 5) / 6, n * (4 * n * n - 9 * n + 5) / 6};
}

// Householder reflections, LAPACK Working Note 41's GEQRF.
Counts Reflections(int64_t m, int64_t n) {
  if (m >= n) {
    const int64_t common = 6 * m * n * n - 2 * n * n * n + 3 * n * n;
    return {(common + 6 * m * n + 23 * n) / 6, (common + 5 * n) / 6};
  }
  const int64_t common = 6 * n * m * m - 2 * m * m * m - 3 * m * m;
  return {(common + 12 * n * m + 23 * m) / 6, (common + 6 * n * m + 5 * m) / 6};
}

// Q^H B with the n reflections of an m-row matrix, LAPACK Working Note 41's ORMQR.
Counts ApplyReflections(int64_t m, int64_t n, int64_t columns) {
  const int64_t common = 2 * columns * m * n - columns * n * n;
  return {common + 2 * columns * n, common + columns * n};
}

const char* NameOf(Routine routine) {
  static constexpr const char* kNames[] = {
      "gemm", "symm", "syrk",  "syr2k", "syrkx", "trmm",   "trsm",  "gemv", "gbmv",
      "symv", "sbmv", "trmv",  "trsv",  "tbmv",  "tbsv",   "ger",   "syr",  "syr2",
      "geam", "dgmm", "getrf", "getrs", "getri", "matinv", "geqrf", "gels"};
  static_assert(sizeof kNames / sizeof kNames[0] == static_cast<size_t>(Routine::kGels) + 1);
  return kNames[static_cast<int>(routine)];
}

}  // namespace

RoutineCall::RoutineCall(const char* function, Routine routine, cudaDataType type, bool hermitian)
    : function_(function), routine_(routine), type_(type), result_(type), hermitian_(hermitian) {}

RoutineCall& RoutineCall::Size(int64_t m, int64_t n, int64_t k) {
  m_ = m;
  n_ = n;
  k_ = k;
  valid_ = valid_ && m >= 0 && n >= 0 && k >= 0;
  return *this;
}

RoutineCall& RoutineCall::Band(int64_t lower, int64_t upper) {
  lower_ = lower;
  upper_ = upper;
  valid_ = valid_ && lower >= 0 && upper >= 0;
  return *this;
}

RoutineCall& RoutineCall::Batch(int64_t count) {
  batch_ = count;
  valid_ = valid_ && count >= 0;
  return *this;
}

RoutineCall& RoutineCall::Side(cublasSideMode_t side) {
  side_ = side;
  has_side_ = true;
  valid_ = valid_ && (side == CUBLAS_SIDE_LEFT || side == CUBLAS_SIDE_RIGHT);
  return *this;
}

RoutineCall& RoutineCall::Fill(cublasFillMode_t fill) {
  valid_ = valid_ && (fill == CUBLAS_FILL_MODE_LOWER || fill == CUBLAS_FILL_MODE_UPPER);
  return *this;
}

RoutineCall& RoutineCall::Diagonal(cublasDiagType_t diagonal) {
  valid_ = valid_ && (diagonal == CUBLAS_DIAG_NON_UNIT || diagonal == CUBLAS_DIAG_UNIT);
  return *this;
}

RoutineCall& RoutineCall::Operation(cublasOperation_t operation) {
  const bool is_rank_update =
      routine_ == Routine::kSyrk || routine_ == Routine::kSyr2k || routine_ == Routine::kSyrkx;
  bool fits = operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
  if (is_rank_update && IsComplex(type_)) {
    fits = operation == CUBLAS_OP_N || operation == (hermitian_ ? CUBLAS_OP_C : CUBLAS_OP_T);
  }
  valid_ = valid_ && fits;
  return *this;
}

RoutineCall& RoutineCall::Result(cudaDataType type) {
  result_ = type;
  return *this;
}

RoutineCall& RoutineCall::SetBeta(const void* beta, cudaDataType type) {
  beta_ = beta;
  beta_type_ = type;
  has_beta_ = true;
  return *this;
}

RoutineCall& RoutineCall::HostBeta(const void* beta, cudaDataType type) {
  host_beta_ = simgpu::NameOf(ScalarAt(beta, type));
  return *this;
}

RoutineCall& RoutineCall::Gauss(bool three_multiplications) {
  gauss_ = three_multiplications;
  return *this;
}

RoutineCall& RoutineCall::Operand(int64_t ld, int64_t rows, int64_t elements) {
  valid_ = valid_ && ld >= std::max<int64_t>(1, rows);
  elements_ += std::max<int64_t>(0, elements);
  return *this;
}

RoutineCall& RoutineCall::Vector(int64_t increment, int64_t length) {
  valid_ = valid_ && increment != 0;
  elements_ += std::max<int64_t>(0, length);
  return *this;
}

uint64_t RoutineCall::Flop() const {
  const int64_t m = m_, n = n_, k = k_;
  Counts counts;
  switch (routine_) {
    case Routine::kGemm:
      counts = Both(m * n * k);
      break;
    case Routine::kSymm:
      counts = Both(m * n * (is_left() ? m : n));
      break;
    case Routine::kSyrk:
    case Routine::kSyrkx:  // one triangle of the result, the caller vouches for its symmetry
      counts = Both(k * triangle(n));
      break;
    case Routine::kSyr2k:  // the second product of a pair is the first one's mirror image
      counts = Both(k * n * n);
      break;
    case Routine::kTrmm:
    case Routine::kTrsm:
      counts = is_left() ? Triangular(m, n) : Triangular(n, m);
      break;
    case Routine::kGemv:
    case Routine::kGer:
      counts = Both(m * n);
      break;
    case Routine::kGbmv:
      counts = Both(BandElements(m, n, lower_, upper_));
      break;
    case Routine::kSymv:
      counts = Both(n * n);
      break;
    case Routine::kSbmv:
      counts = Both(BandElements(n, n, k, k));
      break;
    case Routine::kTrmv:
    case Routine::kTrsv:
      counts = Triangular(n, 1);
      break;
    case Routine::kTbmv:
    case Routine::kTbsv: {
      const int64_t elements = BandElements(n, n, k, 0);
      counts = {elements, elements - n};
      break;
    }
    case Routine::kSyr:
      counts = Both(triangle(n));
      break;
    case Routine::kSyr2:  // both products added to each element, the diagonal's too
      counts = Both(2 * triangle(n));
      break;
    case Routine::kGeam:  // scaling by alpha and beta is nowhere counted
      counts = {0, m * n};
      break;
    case Routine::kDgmm:
      counts = {m * n, 0};
      break;
    case Routine::kGetrf:
      counts = Factorization(n);
      break;
    case Routine::kGetrs:
      counts = {k * n * n, k * n * (n - 1)};
      break;
    case Routine::kGetri:
      counts = Inversion(n);
      break;
    case Routine::kMatinv:
      counts = Factorization(n) + Inversion(n);
      break;
    case Routine::kGeqrf:
      counts = Reflections(m, n);
      break;
    case Routine::kGels:
      counts = Reflections(m, n) + ApplyReflections(m, n, k) + Triangular(n, k);
      break;
  }
  // Gauss' complex product: three real ones, each a multiplication and an addition.
  const int64_t per_multiplication = !IsComplex(type_) ? 1 : gauss_ ? 4 : 6;
  const int64_t per_addition = IsComplex(type_) ? 2 : 1;
  return static_cast<uint64_t>(
      batch_ * (per_multiplication * counts.multiplications + per_addition * counts.additions));
}

std::string RoutineCall::Dimensions(const char* math) const {
  std::string text;
  const auto add = [&text](const char* key, int64_t value) {
    text += std::string(text.empty() ? "" : ",") + key + "=" + std::to_string(value);
  };
  add("m", m_);
  add("n", n_);
  add("k", k_);
  add("batch", batch_);
  text += std::string(",dtype=") + TextOf(type_) + ",out=" + TextOf(result_) + ",math=" + math;
  text += std::string(",routine=") + NameOf(routine_);
  if (has_side_) text += is_left() ? ",side=left" : ",side=right";
  if (routine_ == Routine::kGbmv) {
    add("kl", lower_);
    add("ku", upper_);
  }
  return text;
}

cublasStatus_t RoutineCall::Run(cublasHandle_t raw_handle) const {
  BlasHandle* handle = Find(raw_handle);
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  Api* api = FindApi();
  if (api->ShouldFail(function_)) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (!valid_) return CUBLAS_STATUS_INVALID_VALUE;
  if (n_ == 0 || batch_ == 0) return CUBLAS_STATUS_SUCCESS;
  const bool is_double = type_ == CUDA_R_64F || type_ == CUDA_C_64F;
  const bool is_single = type_ == CUDA_R_32F || type_ == CUDA_C_32F;
  const bool is_products = routine_ <= Routine::kTrsm;
  const bool tf32 = Tf32Allowed(handle->math_mode);
  Format format = Format::kF32;  // vectors of half precision are added up in single
  if (is_double) format = is_products ? Format::kF64Tensor : Format::kF64;
  if (is_single && is_products && tf32) format = Format::kTf32;
  if (type_ == CUDA_R_8U || type_ == CUDA_C_8I) format = Format::kI8;
  if (api->settings().device.peak_flop_per_s[static_cast<int>(format)] <= 0) {
    return CUBLAS_STATUS_ARCH_MISMATCH;
  }
  Work work;
  work.kind = OpKind::kGemm;
  work.function = CallerScope::Outermost(function_);
  work.flop = Flop();
  work.bytes = static_cast<uint64_t>(batch_ * elements_ * BytesOf(type_));
  work.hardware_queue = true;
  work.dims = Dimensions(simgpu::NameOf(format));
  if (host_beta_ != nullptr) work.dims += std::string(",beta=") + host_beta_;
  if (has_beta_) {
    const bool is_on_host = handle->pointer_mode == CUBLAS_POINTER_MODE_HOST;
    const Scalar beta = is_on_host ? ScalarAt(beta_, beta_type_) : Scalar::kOnDevice;
    work.dims += std::string(",beta=") + simgpu::NameOf(beta);
  }
  const auto extent = [](int64_t value) {
    return static_cast<uint64_t>(std::max<int64_t>(1, value));
  };
  work.duration_ns = api->GemmDuration(format, extent(m_), extent(n_), extent(k_), extent(batch_),
                                       work.flop, work.bytes);
  const CUstream stream = handle->stream;
  return api->Enqueue(&stream, 1, std::move(work)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace simgpu
