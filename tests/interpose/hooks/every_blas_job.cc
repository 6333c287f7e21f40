// Calls every cuBLAS function of the table once, through its own type in the vendor's headers, with
// arguments that tell their positions: every_blas_job FOLDER < LINES, each "symbol
// position-of-beta". What the positions mean is known to the test, which reads the headers'
// parameter names.
#include <cublas.h>
#define CUBLAS_V2_H_  // cublasXt.h asks for cublas_v2.h, which cublas.h excludes
#include <cublasXt.h>
#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace {

constexpr int kMaxArguments = 24;
constexpr int kGroups = 1100;  // at least the largest number at any position

// What pointers point to, by position: zeros for scalars, numbers for arrays of dimensions.
int g_ints[kMaxArguments][kGroups];
int64_t g_wide[kMaxArguments][kGroups];
double g_zeros[2 * kGroups];  // the first bytes of a zero of any format are zeros
uint16_t g_half_ones[kGroups];
float g_float_ones[2 * kGroups];
double g_double_ones[2 * kGroups];
cublasOperation_t g_operations[kGroups];

template <typename T>
T Value(int position, int beta, int& types_seen) {
  using Plain = std::remove_cv_t<std::remove_pointer_t<T>>;
  if constexpr (std::is_same_v<T, const int*>) {
    return g_ints[position];
  } else if constexpr (std::is_same_v<T, const int64_t*>) {
    return g_wide[position];
  } else if constexpr (std::is_same_v<T, const cublasOperation_t*>) {
    return g_operations;
  } else if constexpr (std::is_pointer_v<T>) {
    constexpr bool is_double =
        std::is_same_v<Plain, double> || std::is_same_v<Plain, cuDoubleComplex>;
    const void* pointer = g_zeros;
    if (position == beta && is_double) pointer = g_double_ones;
    if (position == beta && !is_double) pointer = g_float_ones;
    if (position == beta && std::is_same_v<Plain, __half>) pointer = g_half_ones;
    return reinterpret_cast<T>(const_cast<void*>(pointer));
  } else if constexpr (std::is_same_v<T, cublasOperation_t>) {
    return CUBLAS_OP_T;
  } else if constexpr (std::is_same_v<T, cublasSideMode_t>) {
    return CUBLAS_SIDE_RIGHT;
  } else if constexpr (std::is_same_v<T, cudaDataType>) {
    constexpr cudaDataType kTypes[] = {CUDA_R_16BF, CUDA_R_16F, CUDA_R_32F};
    return kTypes[types_seen++];
  } else if constexpr (std::is_same_v<T, cublasComputeType_t>) {
    return CUBLAS_COMPUTE_32F_FAST_16BF;
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(0);
  } else if constexpr (std::is_same_v<T, char>) {
    return 'R';
  } else if constexpr (std::is_floating_point_v<T>) {
    return position == beta ? 1 : 0;
  } else if constexpr (std::is_class_v<T>) {
    T complex = {};
    if (position == beta) complex.y = 1;
    return complex;
  } else {
    static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
    return static_cast<T>(1000 + position);
  }
}

template <typename Status, typename... Args, size_t... kPosition>
int CallWith(Status (*function)(Args...), int beta, std::index_sequence<kPosition...>) {
  int types_seen = 0;
  // Braces: in order, so that the first format is the first.
  std::tuple<Args...> values{Value<Args>(kPosition, beta, types_seen)...};
  if constexpr (std::is_void_v<Status>) {
    std::apply(function, values);
    return 0;
  } else {
    return static_cast<int>(std::apply(function, values));
  }
}

template <typename Status, typename... Args>
int CallAt(Status (*)(Args...), void* address, int beta) {
  return CallWith(reinterpret_cast<Status (*)(Args...)>(address), beta,
                  std::index_sequence_for<Args...>());
}

template <typename Int>
using Ex = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, Int, Int, Int,
                              const void*, const void*, cudaDataType, Int, const void*,
                              cudaDataType, Int, const void*, void*, cudaDataType, Int,
                              cublasComputeType_t, cublasGemmAlgo_t);
template <typename Int>
using StridedEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, Int, Int,
                                     Int, const void*, const void*, cudaDataType, Int, long long,
                                     const void*, cudaDataType, Int, long long, const void*, void*,
                                     cudaDataType, Int, long long, Int, cublasComputeType_t,
                                     cublasGemmAlgo_t);
template <typename Int>
using BatchedEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, Int, Int,
                                     Int, const void*, const void* const[], cudaDataType, Int,
                                     const void* const[], cudaDataType, Int, const void*,
                                     void* const[], cudaDataType, Int, Int, cublasComputeType_t,
                                     cublasGemmAlgo_t);
#define MFU_TYPE_Header(symbol) decltype(&::symbol)
#define MFU_TYPE_GemmEx(symbol) Ex<int>
#define MFU_TYPE_GemmEx64(symbol) Ex<int64_t>
#define MFU_TYPE_GemmStridedBatchedEx(symbol) StridedEx<int>
#define MFU_TYPE_GemmStridedBatchedEx64(symbol) StridedEx<int64_t>
#define MFU_TYPE_GemmBatchedEx(symbol) BatchedEx<int>
#define MFU_TYPE_GemmBatchedEx64(symbol) BatchedEx<int64_t>

using Caller = int (*)(void* address, int beta);

const std::map<std::string, Caller>& Callers() {
  static const std::map<std::string, Caller> callers = {
#define MFU_CALLER_kCublas(symbol, signature)                                          \
  {#symbol, [](void* address, int beta) {                                              \
     return CallAt(static_cast<MFU_TYPE_##signature(symbol)>(nullptr), address, beta); \
   }},
#define MFU_CALLER_kCuda(symbol, signature)
#define MFU_CALLER_kCupti(symbol, signature)
#define MFU_CALLER_kCublasLt(symbol, signature)
#define MFU_CALLER_kCudnn(symbol, signature)
#define MFU_CALLER_kNccl(symbol, signature)
#define MFU_ENTRY(symbol, library, observer, detail, signature) \
  MFU_CALLER_##library(symbol, signature)
#include "interpose/entry_points.def"
#undef MFU_ENTRY
  };
  return callers;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int position = 0; position < kMaxArguments; ++position) {
    for (int i = 0; i < kGroups; ++i) {
      g_ints[position][i] = position * 10000 + i;
      g_wide[position][i] = int64_t{position} * 10000000000 + i;
    }
  }
  for (uint16_t& one : g_half_ones) one = 0x3c00;
  for (float& one : g_float_ones) one = 1;
  for (double& one : g_double_ones) one = 1;
  for (int i = 0; i < kGroups; ++i) g_operations[i] = i % 2 == 0 ? CUBLAS_OP_T : CUBLAS_OP_N;
  const std::string file = std::string(argv[1]) + "/every/libcublas.so.13";
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  std::string symbol;
  int beta = -1;
  while (std::cin >> symbol >> beta) {
    const auto caller = Callers().find(symbol);
    void* address = dlsym(library, symbol.c_str());
    if (caller == Callers().end() || address == nullptr) {
      std::printf("no %s\n", symbol.c_str());
      return 1;
    }
    std::printf("call %s\n", symbol.c_str());
    const int status = caller->second(address, beta);
    if (status != 0) std::printf("status %d\n", status);
  }
  return 0;
}
