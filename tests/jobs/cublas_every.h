// Calls a BLAS function with arguments made from its type: handles, operands, and numbers that are
// all different and grow from left to right, so that no two dimensions of a call are equal and
// every leading dimension is large enough. Used by the parts of the job cublas_every.
#pragma once

#include <cuComplex.h>
#include <cublas_api.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <type_traits>
#include <utility>

struct cublasXtContext;

namespace jobs {

struct Operands {
  cublasHandle_t handle = nullptr;
  cublasXtContext* xt_handle = nullptr;
  void* memory = nullptr;    // of host and device; all zero
  void* ones = nullptr;      // the same, other than zero as a number of any format
  void* pointers = nullptr;  // of the device; all to `memory`
};

// What a name says and a type does not.
struct Manner {
  bool is_batched = false;    // the last number counts problems
  bool is_hermitian = false;  // C and not T is the other operation
  bool is_plain = false;      // operation N alone
  bool is_band = false;       // numbers double, so that rows of a band fit the leading dimension
  bool is_falling = false;    // the second number is below the first
  bool has_host_info = false;
  int first = 0;             // the first number; 0: not the same for all calls
  const char* letters = "";  // of the legacy interface: s side, u triangle, t operation, d diagonal
  cudaDataType operand_type = CUDA_R_32F;
  cudaDataType result_type = CUDA_R_32F;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};

template <typename T>
inline constexpr bool kIsIndex =
    std::is_same_v<T, int> || std::is_same_v<T, int64_t> || std::is_same_v<T, size_t>;

class Arguments {
 public:
  Arguments(const Operands& operands, const Manner& manner, int numbers, int types, int call,
            int choices)
      : operands_(operands),
        manner_(manner),
        numbers_(numbers),
        types_(types),
        bits_(choices),
        is_odd_(call % 2 != 0) {
    next_ = manner.first != 0 ? manner.first : 17 + 3 * (call % 20);
  }

  template <typename T>
  T Make() {
    if constexpr (std::is_same_v<T, cublasHandle_t>) {
      return operands_.handle;
    } else if constexpr (std::is_same_v<T, cublasXtContext*>) {
      return operands_.xt_handle;
    } else if constexpr (kIsIndex<T>) {
      return static_cast<T>(Number());
    } else if constexpr (std::is_same_v<T, long long>) {
      return stride_ += 1 << 16;
    } else if constexpr (std::is_same_v<T, cublasOperation_t>) {
      if (!Bit() || manner_.is_plain) return CUBLAS_OP_N;
      return manner_.is_hermitian ? CUBLAS_OP_C : CUBLAS_OP_T;
    } else if constexpr (std::is_same_v<T, cublasSideMode_t>) {
      return Bit() ? CUBLAS_SIDE_RIGHT : CUBLAS_SIDE_LEFT;
    } else if constexpr (std::is_same_v<T, cublasFillMode_t>) {
      return Bit() ? CUBLAS_FILL_MODE_UPPER : CUBLAS_FILL_MODE_LOWER;
    } else if constexpr (std::is_same_v<T, cublasDiagType_t>) {
      return Bit() ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT;
    } else if constexpr (std::is_same_v<T, cudaDataType>) {
      return ++types_made_ < types_ ? manner_.operand_type : manner_.result_type;
    } else if constexpr (std::is_same_v<T, cublasComputeType_t>) {
      return manner_.compute;
    } else if constexpr (std::is_same_v<T, cublasGemmAlgo_t>) {
      return CUBLAS_GEMM_DEFAULT;
    } else if constexpr (std::is_same_v<T, char>) {
      return Letter(*manner_.letters != 0 ? *manner_.letters++ : '?');
    } else if constexpr (std::is_same_v<T, int*>) {
      static int info = 0;
      return std::exchange(manner_.has_host_info, false) ? &info : static_cast<T>(operands_.memory);
    } else if constexpr (std::is_pointer_v<T>) {
      using Target = std::remove_pointer_t<T>;
      void* memory = is_odd_ ? operands_.ones : operands_.memory;
      return static_cast<T>(std::is_pointer_v<Target> ? operands_.pointers : memory);
    } else {
      static_assert(std::is_floating_point_v<T> || std::is_same_v<T, cuComplex> ||
                    std::is_same_v<T, cuDoubleComplex>);
      if (!is_odd_) return T{};  // a scalar of the legacy interface
      if constexpr (std::is_floating_point_v<T>) {
        return T{1};
      } else {
        return T{1, 0};
      }
    }
  }

 private:
  bool Bit() {
    const bool bit = (bits_ & 1) != 0;
    bits_ >>= 1;
    return bit;
  }

  int Number() {
    ++made_;
    if (manner_.is_batched && made_ == numbers_) return 2 + next_ % 3;
    if (manner_.is_falling && made_ == 2) return next_ - 14;
    const int number = next_;
    next_ += manner_.is_band ? next_ : 5 + made_;
    return number;
  }

  char Letter(char kind) {
    const bool bit = Bit();
    switch (kind) {
      case 's':
        return bit ? 'R' : 'L';
      case 'u':
        return bit ? 'u' : 'l';
      case 't':
        return bit ? manner_.is_hermitian ? 'C' : 'T' : 'n';
      case 'd':
        return bit ? 'U' : 'N';
    }
    std::fprintf(stderr, "no letter for an argument\n");
    std::exit(1);
  }

  Operands operands_;
  Manner manner_;
  int numbers_;
  int types_;
  int bits_;
  bool is_odd_;  // every other call has alpha and beta other than zero
  int next_ = 0;
  int made_ = 0;
  int types_made_ = 0;
  long long stride_ = 0;
};

inline int g_calls = 0;

// Four calls, which between them take every pair of values of neighbouring choices.
template <typename R, typename... P, typename Check>
void Call(R (*function)(P...), const Operands& operands, const Manner& manner, Check check) {
  constexpr int kNumbers = (0 + ... + (kIsIndex<P> ? 1 : 0));
  constexpr int kTypes = (0 + ... + (std::is_same_v<P, cudaDataType> ? 1 : 0));
  for (const int choices : {0b0000, 0b0101, 0b1010, 0b1111}) {
    Arguments arguments(operands, manner, kNumbers, kTypes, g_calls++, choices);
    // Braces: the arguments are made from left to right.
    const std::tuple<P...> made{arguments.Make<P>()...};
    if constexpr (std::is_void_v<R>) {
      std::apply(function, made);
      check();
    } else {
      check(std::apply(function, made));
    }
  }
}

}  // namespace jobs
