// The table: what entry_points.def says, and which hook each entry jumps to. The only place where
// the vendors' declarations meet our hooks: a changed signature is a compile error here.
#include "interpose/entry_points.h"

// Both interfaces of cuBLAS. cublas_v2.h renames the functions of one to those of the other and
// must stay out; cublasXt.h asks for it and needs only what cublas.h has brought.
#include <cublas.h>
#define CUBLAS_V2_H_
#include <cublasLt.h>
#include <cublasXt.h>
#include <cudnn.h>
#include <nccl.h>

#include <array>
#include <type_traits>
#include <utility>

#include "interpose/driver_hooks.h"
#include "interpose/entry_table.h"
#include "interpose/hook.h"
#include "interpose/observe.h"
#include "interpose/observe_cudnn_graph.h"
#include "interpose/observe_cudnn_legacy.h"
#include "interpose/observe_gemm.h"
#include "interpose/observe_legacy.h"
#include "interpose/observe_matrix.h"
#include "interpose/stubs.h"
#include "shapes/op.h"

namespace mfutrace::interpose {
namespace {

// --- signatures ---------------------------------------------------------------------------------
// cublas_api.h overloads these names with inline C++ functions, so decltype alone is ambiguous; the
// cast below fails to compile if no overload has the type any more.

using GemmEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                  int, const void*, const void*, cudaDataType, int, const void*,
                                  cudaDataType, int, const void*, void*, cudaDataType, int,
                                  cublasComputeType_t, cublasGemmAlgo_t);
using GemmEx64 = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int64_t,
                                    int64_t, int64_t, const void*, const void*, cudaDataType,
                                    int64_t, const void*, cudaDataType, int64_t, const void*, void*,
                                    cudaDataType, int64_t, cublasComputeType_t, cublasGemmAlgo_t);
using GemmStridedBatchedEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t,
                                                cublasOperation_t, int, int, int, const void*,
                                                const void*, cudaDataType, int, long long,
                                                const void*, cudaDataType, int, long long,
                                                const void*, void*, cudaDataType, int, long long,
                                                int, cublasComputeType_t, cublasGemmAlgo_t);
using GemmStridedBatchedEx64 = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t,
                                                  cublasOperation_t, int64_t, int64_t, int64_t,
                                                  const void*, const void*, cudaDataType, int64_t,
                                                  long long, const void*, cudaDataType, int64_t,
                                                  long long, const void*, void*, cudaDataType,
                                                  int64_t, long long, int64_t, cublasComputeType_t,
                                                  cublasGemmAlgo_t);
using GemmBatchedEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int,
                                         int, int, const void*, const void* const[], cudaDataType,
                                         int, const void* const[], cudaDataType, int, const void*,
                                         void* const[], cudaDataType, int, int, cublasComputeType_t,
                                         cublasGemmAlgo_t);
using GemmBatchedEx64 = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t,
                                           int64_t, int64_t, int64_t, const void*,
                                           const void* const[], cudaDataType, int64_t,
                                           const void* const[], cudaDataType, int64_t, const void*,
                                           void* const[], cudaDataType, int64_t, int64_t,
                                           cublasComputeType_t, cublasGemmAlgo_t);

// Any function of the driver (driver_hooks.h).
enum DriverStatus : int {};
using DriverFunction = DriverStatus (*)(void*, void*, void*, void*, void*, void*);

// Newer than some headers in use; intercepted all the same when a newer library is there.
using AlltoAll = ncclResult_t (*)(const void*, void*, size_t, ncclDataType_t, ncclComm_t,
                                  cudaStream_t);
using CommInitRankScalable = ncclResult_t (*)(ncclComm_t*, int, int, int, ncclUniqueId*,
                                              ncclConfig_t*);
using CopyWithRoot = ncclResult_t (*)(const void*, void*, size_t, ncclDataType_t, int, ncclComm_t,
                                      cudaStream_t);
using CommRegister = ncclResult_t (*)(ncclComm_t, void*, size_t, void**);
using CommRevoke = ncclResult_t (*)(ncclComm_t, int);
using CommShrink = ncclResult_t (*)(ncclComm_t, int*, int, ncclComm_t*, ncclConfig_t*, int);
using CommWindowRegister = ncclResult_t (*)(ncclComm_t, void*, size_t, void*, int);
using GroupSimulateEnd = ncclResult_t (*)(void*);
using CudnnIntoCudaGraph = cudnnStatus_t (*)(cudnnHandle_t, cudnnBackendDescriptor_t,
                                             cudnnBackendDescriptor_t, cudaGraph_t);
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
static_assert(std::is_same_v<decltype(&::ncclAlltoAll), AlltoAll>);
static_assert(std::is_same_v<decltype(&::ncclGather), CopyWithRoot>);
static_assert(std::is_same_v<decltype(&::ncclScatter), CopyWithRoot>);
#endif
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
static_assert(std::is_same_v<decltype(&::ncclCommShrink), CommShrink>);
#endif
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 23, 0)
static_assert(std::is_same_v<decltype(&::ncclCommInitRankScalable), CommInitRankScalable>);
#endif

#define MFU_SIGNATURE_Header(symbol) decltype(&::symbol)
#define MFU_SIGNATURE_GemmEx(symbol) decltype(static_cast<GemmEx>(&::symbol))
#define MFU_SIGNATURE_GemmEx64(symbol) decltype(static_cast<GemmEx64>(&::symbol))
#define MFU_SIGNATURE_GemmStridedBatchedEx(symbol) \
  decltype(static_cast<GemmStridedBatchedEx>(&::symbol))
#define MFU_SIGNATURE_GemmStridedBatchedEx64(symbol) \
  decltype(static_cast<GemmStridedBatchedEx64>(&::symbol))
#define MFU_SIGNATURE_GemmBatchedEx(symbol) decltype(static_cast<GemmBatchedEx>(&::symbol))
#define MFU_SIGNATURE_GemmBatchedEx64(symbol) decltype(static_cast<GemmBatchedEx64>(&::symbol))
#define MFU_SIGNATURE_AlltoAll(symbol) AlltoAll
#define MFU_SIGNATURE_CommInitRankScalable(symbol) CommInitRankScalable
#define MFU_SIGNATURE_CopyWithRoot(symbol) CopyWithRoot
#define MFU_SIGNATURE_CommRegister(symbol) CommRegister
#define MFU_SIGNATURE_CommRevoke(symbol) CommRevoke
#define MFU_SIGNATURE_CommShrink(symbol) CommShrink
#define MFU_SIGNATURE_CommWindowRegister(symbol) CommWindowRegister
#define MFU_SIGNATURE_GroupSimulateEnd(symbol) GroupSimulateEnd
#define MFU_SIGNATURE_Driver(symbol) DriverFunction
#define MFU_SIGNATURE_CudnnIntoCudaGraph(symbol) CudnnIntoCudaGraph

// --- types as the calling convention sees them --------------------------------------------------
// Functions whose arguments travel alike share one hook: a table of five hundred names compiles to
// some eighty small functions. Pointers are pointers, enums are 32-bit integers, integers carry
// their width in a mask beside the hook, and a struct of more than 16 bytes goes through memory on
// both architectures whatever it holds. A float lies in the low half of what a double lies in, and
// on x86-64 so does a pair of floats.

template <typename T, typename = void>
struct Abi;
template <typename T>
struct Abi<T*> {
  using Type = const void*;
};
template <typename T>
struct Abi<T, std::enable_if_t<std::is_enum_v<T>>> {
  static_assert(sizeof(T) == 4, "narrow arguments need an extension rule");
  using Type = int32_t;
};
template <typename T>
struct Abi<T, std::enable_if_t<std::is_integral_v<T>>> {
  static_assert(sizeof(T) == 8 || (sizeof(T) == 4 && std::is_signed_v<T>),
                "narrow arguments need an extension rule");
  using Type = arguments::Integer;
};
template <>
struct Abi<char> {
  using Type = char;
};
template <>
struct Abi<float> {
  using Type = double;
};
template <>
struct Abi<double> {
  using Type = double;
};
template <>
struct Abi<cuComplex> {
#if defined(__x86_64__)
  using Type = double;
#else  // in a register each, as a pair of doubles is
  using Type = arguments::DoublePair;
#endif
};
template <>
struct Abi<cuDoubleComplex> {
  using Type = arguments::DoublePair;
};
template <typename T>
struct Abi<T, std::enable_if_t<std::is_class_v<T>>> {
  static_assert(sizeof(T) > 16 && std::is_trivially_copyable_v<T>, "would travel in registers");
  using Type = Bytes<sizeof(T)>;
};

// Bit i: the i-th argument is an integer of 32 bits.
template <typename... Args>
constexpr uint32_t NarrowMask() {
  static_assert(sizeof...(Args) <= 32);
  uint32_t mask = 0;
  uint32_t bit = 1;
  ((mask |=
    std::is_same_v<typename Abi<Args>::Type, arguments::Integer> && sizeof(Args) == 4 ? bit : 0,
    bit <<= 1),
   ...);
  return mask;
}

template <typename Observer, typename Function>
struct HookFor;
template <typename Observer, typename Status, typename... Args>
struct HookFor<Observer, Status (*)(Args...)> {
  static_assert(std::is_enum_v<Status> && sizeof(Status) == 4, "a status is what we know to read");
  using Type = Hook<Observer, typename Abi<Args>::Type...>;
  static constexpr uint32_t kNarrow = NarrowMask<Args...>();
};
// Who called a function without a status does not look at the register it would be in.
template <typename Observer, typename... Args>
struct HookFor<Observer, void (*)(Args...)> {
  static_assert(Observer::kHasNoStatus);
  using Type = Hook<Observer, typename Abi<Args>::Type...>;
  static constexpr uint32_t kNarrow = NarrowMask<Args...>();
};

// --- details ------------------------------------------------------------------------------------

namespace column {
constexpr uint32_t kNone = 0;
#define MFU_DETAIL(type, name, shift) \
  constexpr uint32_t name = static_cast<uint32_t>(shapes::type::name) << shift;
MFU_DETAIL(CollectiveKind, kAllGather, 0)
MFU_DETAIL(CollectiveKind, kAllReduce, 0)
MFU_DETAIL(CollectiveKind, kAllToAll, 0)
MFU_DETAIL(CollectiveKind, kBroadcast, 0)
MFU_DETAIL(CollectiveKind, kGather, 0)
MFU_DETAIL(CollectiveKind, kRecv, 0)
MFU_DETAIL(CollectiveKind, kReduce, 0)
MFU_DETAIL(CollectiveKind, kReduceScatter, 0)
MFU_DETAIL(CollectiveKind, kScatter, 0)
MFU_DETAIL(CollectiveKind, kSend, 0)
MFU_DETAIL(Dtype, kBf16, 0)
MFU_DETAIL(Dtype, kC32F32, 0)
MFU_DETAIL(Dtype, kC64F64, 0)
MFU_DETAIL(Dtype, kF16, 0)
MFU_DETAIL(Dtype, kF32, 0)
MFU_DETAIL(Dtype, kF64, 0)
MFU_DETAIL(Dtype, kU8, 0)
MFU_DETAIL(MatrixRoutine, kDgmm, 8)
MFU_DETAIL(MatrixRoutine, kGbmv, 8)
MFU_DETAIL(MatrixRoutine, kGeam, 8)
MFU_DETAIL(MatrixRoutine, kGels, 8)
MFU_DETAIL(MatrixRoutine, kGemv, 8)
MFU_DETAIL(MatrixRoutine, kGeqrf, 8)
MFU_DETAIL(MatrixRoutine, kGer, 8)
MFU_DETAIL(MatrixRoutine, kGetrf, 8)
MFU_DETAIL(MatrixRoutine, kGetri, 8)
MFU_DETAIL(MatrixRoutine, kGetrs, 8)
MFU_DETAIL(MatrixRoutine, kHemm, 8)
MFU_DETAIL(MatrixRoutine, kHemv, 8)
MFU_DETAIL(MatrixRoutine, kHer, 8)
MFU_DETAIL(MatrixRoutine, kHer2, 8)
MFU_DETAIL(MatrixRoutine, kHer2k, 8)
MFU_DETAIL(MatrixRoutine, kHerk, 8)
MFU_DETAIL(MatrixRoutine, kHerkx, 8)
MFU_DETAIL(MatrixRoutine, kMatinv, 8)
MFU_DETAIL(MatrixRoutine, kSymm, 8)
MFU_DETAIL(MatrixRoutine, kSymv, 8)
MFU_DETAIL(MatrixRoutine, kSyr, 8)
MFU_DETAIL(MatrixRoutine, kSyr2, 8)
MFU_DETAIL(MatrixRoutine, kSyr2k, 8)
MFU_DETAIL(MatrixRoutine, kSyrk, 8)
MFU_DETAIL(MatrixRoutine, kSyrkx, 8)
MFU_DETAIL(MatrixRoutine, kTrmm, 8)
MFU_DETAIL(MatrixRoutine, kTrmv, 8)
MFU_DETAIL(MatrixRoutine, kTrsm, 8)
MFU_DETAIL(MatrixRoutine, kTrsv, 8)
#undef MFU_DETAIL
using detail::kGauss3m;
using detail::kHostCalled;
constexpr uint32_t kToF32 = static_cast<uint32_t>(shapes::Dtype::kF32) << 16;
#define MFU_DETAIL(name) constexpr uint32_t name = static_cast<uint32_t>(GraphRole::name);
MFU_DETAIL(kAddChild)
MFU_DETAIL(kAddNode)
MFU_DETAIL(kAddNodeV2)
MFU_DETAIL(kClone)
MFU_DETAIL(kDestroy)
MFU_DETAIL(kDestroyNode)
MFU_DETAIL(kEndCapture)
MFU_DETAIL(kExecDestroy)
MFU_DETAIL(kExecSetChild)
MFU_DETAIL(kExecSetEnabled)
MFU_DETAIL(kExecSetNode)
MFU_DETAIL(kExecUpdate)
MFU_DETAIL(kInstantiate)
MFU_DETAIL(kInstantiateWithParams)
MFU_DETAIL(kLaunch)
MFU_DETAIL(kLaunchKernel)
MFU_DETAIL(kLaunchKernelEx)
MFU_DETAIL(kCuptiBuffers)
MFU_DETAIL(kCuptiDisable)
MFU_DETAIL(kCuptiEnable)
MFU_DETAIL(kCuptiFinalize)
MFU_DETAIL(kCuptiSubscribe)
MFU_DETAIL(kCuptiUnsubscribe)
MFU_DETAIL(kProcAddress)
#undef MFU_DETAIL
using observe::kPerThread;
}  // namespace column

constexpr std::array<EntryInfo, kEntryCount> MakeEntries() {
  using namespace column;  // what the table's column of details is written in
  return {{
#define MFU_ENTRY(symbol, library, observer, what, signature) {what, Library::library},
#include "interpose/entry_points.def"
#undef MFU_ENTRY
  }};
}
constexpr auto kEntries = MakeEntries();

// --- hooks --------------------------------------------------------------------------------------
// Entries of one hook share one row with a pointer to it: pointers are relocated at load time,
// which costs 32 bytes each, a number of a row costs one.

template <uint32_t kEntry>
struct HookOf;
#define MFU_ENTRY(symbol, library, observer, what, signature) \
  template <>                                                 \
  struct HookOf<static_cast<uint32_t>(Entry::k_##symbol)>     \
      : HookFor<observe::observer, MFU_SIGNATURE_##signature(symbol)> {};
#include "interpose/entry_points.def"
#undef MFU_ENTRY

template <typename HookType>
constexpr char kTagOf = 0;  // its address tells types apart

template <size_t... kEntry>
constexpr std::array<const char*, kEntryCount> MakeTags(std::index_sequence<kEntry...>) {
  return {&kTagOf<typename HookOf<kEntry>::Type>...};
}
constexpr auto kTags = MakeTags(std::make_index_sequence<kEntryCount>());

constexpr uint32_t FirstWithHookOf(uint32_t entry) {
  for (uint32_t i = 0; i < entry; ++i) {
    if (kTags[i] == kTags[entry]) return i;
  }
  return entry;
}

template <size_t... kEntry>
constexpr std::array<uint32_t, kEntryCount> MakeNarrow(std::index_sequence<kEntry...>) {
  return {HookOf<kEntry>::kNarrow...};
}
constexpr auto kNarrowOfEntry = MakeNarrow(std::make_index_sequence<kEntryCount>());

// The entries that are the first of their hook, and the different masks.
struct Rows {
  std::array<uint32_t, 256> entries = {};
  std::array<uint32_t, 256> masks = {};
  uint32_t count = 0;
  uint32_t mask_count = 0;
  std::array<EntryHook, kEntryCount> hooks = {};
};
constexpr Rows MakeRows() {
  Rows rows;
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    uint32_t mask = 0;
    while (mask < rows.mask_count && rows.masks[mask] != kNarrowOfEntry[i]) ++mask;
    if (mask == rows.mask_count) rows.masks[rows.mask_count++] = kNarrowOfEntry[i];
    rows.hooks[i].narrow = static_cast<uint8_t>(mask);
    const uint32_t first = FirstWithHookOf(i);
    if (first == i) rows.entries[rows.count] = i;
    rows.hooks[i].row = first == i ? static_cast<uint8_t>(rows.count++) : rows.hooks[first].row;
  }
  return rows;
}
constexpr Rows kRows = MakeRows();

template <uint32_t kIndex>
constexpr HookRow RowAt() {
  if constexpr (kIndex < kRows.count) {
    using Type = typename HookOf<kRows.entries[kIndex]>::Type;
    return {&Type::Observe, Type::kPlaces.stack_words, Type::kEnding};
  } else {
    return {};
  }
}

template <size_t... kIndex>
constexpr std::array<uint32_t, sizeof...(kIndex)> MakeMasks(std::index_sequence<kIndex...>) {
  return {kRows.masks[kIndex]...};
}

template <int kStatus>
int Missing() {
  return kStatus;
}

}  // namespace

#define MFU_4_ROWS(i) RowAt<i>(), RowAt<i + 1>(), RowAt<i + 2>(), RowAt<i + 3>()
#define MFU_16_ROWS(i) MFU_4_ROWS(i), MFU_4_ROWS(i + 4), MFU_4_ROWS(i + 8), MFU_4_ROWS(i + 12)
constexpr HookRow kHookRows[] = {
    MFU_16_ROWS(0),  MFU_16_ROWS(16), MFU_16_ROWS(32), MFU_16_ROWS(48),
    MFU_16_ROWS(64), MFU_16_ROWS(80), MFU_16_ROWS(96),
};
#undef MFU_4_ROWS
#undef MFU_16_ROWS
static_assert(std::size(kHookRows) >= kRows.count);

constexpr std::array<EntryHook, kEntryCount> kEntryHooks = kRows.hooks;
constexpr std::array<uint32_t, kMaxNarrowMasks> kNarrowMasks =
    MakeMasks(std::make_index_sequence<kMaxNarrowMasks>());
static_assert(kRows.mask_count <= kMaxNarrowMasks);

const EntryInfo& InfoOf(Entry entry) { return kEntries[static_cast<uint32_t>(entry)]; }

const char* FilePrefixOf(Library library) {
  switch (library) {
    case Library::kCuda:
      return "libcuda.so";
    case Library::kCupti:
      return "libcupti.so";
    case Library::kCublas:
      return "libcublas.so";
    case Library::kCublasLt:
      return "libcublasLt.so";
    case Library::kCudnn:
      return "libcudnn";  // the front and the parts that it loads export the same names
    case Library::kNccl:
      return "libnccl.so";
    case Library::kCount:
      break;
  }
  return "";
}

void* MissingFunctionOf(Library library) {
  switch (library) {
    case Library::kCuda: {
      constexpr int kNotInitialized = 3;  // cuda.h, CUDA_ERROR_NOT_INITIALIZED
      return reinterpret_cast<void*>(&Missing<kNotInitialized>);
    }
    case Library::kCupti: {
      constexpr int kNotInitialized = 15;  // cupti_result.h, CUPTI_ERROR_NOT_INITIALIZED
      return reinterpret_cast<void*>(&Missing<kNotInitialized>);
    }
    case Library::kNccl:
      return reinterpret_cast<void*>(&Missing<static_cast<int>(ncclSystemError)>);
    case Library::kCudnn:
      return reinterpret_cast<void*>(&Missing<static_cast<int>(CUDNN_STATUS_NOT_INITIALIZED)>);
    default:
      return reinterpret_cast<void*>(&Missing<static_cast<int>(CUBLAS_STATUS_NOT_INITIALIZED)>);
  }
}

}  // namespace mfutrace::interpose
