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
#include <cstring>
#include <type_traits>
#include <utility>

#include "interpose/entry_table.h"
#include "interpose/hook.h"
#include "interpose/observe.h"
#include "interpose/observe_cudnn_graph.h"
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

// Newer than some headers in use; intercepted all the same when a newer library is there.
using AlltoAll = ncclResult_t (*)(const void*, void*, size_t, ncclDataType_t, ncclComm_t,
                                  cudaStream_t);
using CommInitRankScalable = ncclResult_t (*)(ncclComm_t*, int, int, int, ncclUniqueId*,
                                              ncclConfig_t*);
using CudnnIntoCudaGraph = cudnnStatus_t (*)(cudnnHandle_t, cudnnBackendDescriptor_t,
                                             cudnnBackendDescriptor_t, cudaGraph_t);
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
static_assert(std::is_same_v<decltype(&::ncclAlltoAll), AlltoAll>);
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
#define MFU_SIGNATURE_CudnnIntoCudaGraph(symbol) CudnnIntoCudaGraph

// --- types as the calling convention sees them --------------------------------------------------
// Functions whose arguments travel alike share one hook: a table of five hundred names compiles to
// some hundred and twenty functions. Pointers are pointers, enums are 32-bit integers, signedness
// does not matter, and a struct of more than 16 bytes goes through memory on both architectures
// whatever it holds. Scalars by value, in cuBLAS's first interface alone, are never so many that
// they leave the registers: a float lies in the low half of what a double lies in, and on x86-64 so
// does a pair of floats.

template <typename T, typename = void>
struct Abi;
template <typename T>
struct Abi<T*> {
  using Type = const void*;
};
template <typename T>
struct Abi<T, std::enable_if_t<std::is_enum_v<T> || std::is_integral_v<T>>> {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "narrow arguments need an extension rule");
  using Type = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
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
  using Type = cuDoubleComplex;
#endif
};
template <>
struct Abi<cuDoubleComplex> {
  using Type = cuDoubleComplex;
};
template <typename T>
struct Abi<T, std::enable_if_t<std::is_class_v<T>>> {
  static_assert(sizeof(T) > 16 && std::is_trivially_copyable_v<T>, "would travel in registers");
  using Type = Bytes<sizeof(T)>;
};

template <typename Observer, typename Function>
struct HookFor;
template <typename Observer, typename Status, typename... Args>
struct HookFor<Observer, Status (*)(Args...)> {
  static_assert(std::is_enum_v<Status> && sizeof(Status) == 4, "a status is what we know to read");
  using Type = Hook<Observer, typename Abi<Args>::Type...>;
};
// Who called a function without a status does not look at the register it would be in.
template <typename Observer, typename... Args>
struct HookFor<Observer, void (*)(Args...)> {
  static_assert(Observer::kHasNoStatus);
  using Type = Hook<Observer, typename Abi<Args>::Type...>;
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
MFU_DETAIL(CollectiveKind, kRecv, 0)
MFU_DETAIL(CollectiveKind, kReduce, 0)
MFU_DETAIL(CollectiveKind, kReduceScatter, 0)
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
}  // namespace column

constexpr char kNames[] =
#define MFU_ENTRY(symbol, ...) #symbol "\0"
#include "interpose/entry_points.def"
#undef MFU_ENTRY
    ;
static_assert(sizeof kNames < 1u << 16);

constexpr uint16_t EndOfName(uint16_t begin) {
  while (kNames[begin] != '\0') ++begin;
  return begin;
}

constexpr std::array<EntryInfo, kEntryCount> MakeEntries() {
  using namespace column;  // what the table's column of details is written in
  std::array<EntryInfo, kEntryCount> entries = {{
#define MFU_ENTRY(symbol, library, observer, what, signature) {what, 0, Library::library},
#include "interpose/entry_points.def"
#undef MFU_ENTRY
  }};
  uint16_t name = 0;
  for (EntryInfo& entry : entries) {
    entry.name = name;
    name = static_cast<uint16_t>(EndOfName(name) + 1);
  }
  return entries;
}
constexpr auto kEntries = MakeEntries();

// --- names --------------------------------------------------------------------------------------

constexpr uint32_t HashOf(const char* name) {  // FNV-1a
  uint32_t hash = 2166136261u;
  for (; *name != '\0'; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 16777619u;
  return hash;
}

constexpr uint32_t NameTableSize() {
  uint32_t size = 64;
  while (size < kEntryCount + kEntryCount / 2) size *= 2;
  return size;
}

// Open addressing, filled by the compiler: position -> entry + 1.
constexpr std::array<uint16_t, NameTableSize()> MakeNameTable() {
  std::array<uint16_t, NameTableSize()> table = {};
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    uint32_t position = HashOf(kNames + kEntries[i].name) % NameTableSize();
    while (table[position] != 0) position = (position + 1) % NameTableSize();
    table[position] = static_cast<uint16_t>(i + 1);
  }
  return table;
}
constexpr auto kNameTable = MakeNameTable();

// --- hooks --------------------------------------------------------------------------------------
// Entries of one hook share one pointer to it: pointers are relocated at load time, which costs 32
// bytes each, a number of the hook costs one.

template <uint32_t kEntry>
struct HookOf;
#define MFU_ENTRY(symbol, library, observer, what, signature)                         \
  template <>                                                                         \
  struct HookOf<static_cast<uint32_t>(Entry::k_##symbol)> {                           \
    using Type = HookFor<observe::observer, MFU_SIGNATURE_##signature(symbol)>::Type; \
  };
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

// The entries that are the first of their hook.
struct Firsts {
  std::array<uint32_t, 256> entries = {};
  uint32_t count = 0;
  std::array<uint8_t, kEntryCount> hook_of_entry = {};
};
constexpr Firsts FindFirsts() {
  Firsts firsts;
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    const uint32_t first = FirstWithHookOf(i);
    if (first == i) {
      firsts.hook_of_entry[i] = static_cast<uint8_t>(firsts.count);
      firsts.entries[firsts.count++] = i;
    } else {
      firsts.hook_of_entry[i] = firsts.hook_of_entry[first];
    }
  }
  return firsts;
}
constexpr Firsts kFirsts = FindFirsts();

// The i-th hook, or nothing that is ever called.
struct NoHook {
  static int Call() { return -1; }
};
template <uint32_t kIndex, bool kExists>
struct HookAtIndex : HookOf<kFirsts.entries[kIndex]>::Type {};
template <uint32_t kIndex>
struct HookAtIndex<kIndex, false> : NoHook {};
template <uint32_t kIndex>
using HookAt = HookAtIndex<kIndex, (kIndex < kFirsts.count)>;

template <int kStatus>
int Missing() {
  return kStatus;
}

}  // namespace

extern "C" {

__thread uint32_t mfu_stub_code = 0;

extern const std::array<uint8_t, kEntryCount> mfu_hook_of_entry = kFirsts.hook_of_entry;

// Spelled out: only a plain array of casts is sure to be filled by the linker, not by a
// constructor.
#define MFU_HOOK(i) reinterpret_cast<HookTarget>(&HookAt<i>::Call)
#define MFU_4_HOOKS(i) MFU_HOOK(i), MFU_HOOK(i + 1), MFU_HOOK(i + 2), MFU_HOOK(i + 3)
#define MFU_16_HOOKS(i) MFU_4_HOOKS(i), MFU_4_HOOKS(i + 4), MFU_4_HOOKS(i + 8), MFU_4_HOOKS(i + 12)
extern const HookTarget mfu_hook_targets[];
const HookTarget mfu_hook_targets[] = {
    MFU_16_HOOKS(0),  MFU_16_HOOKS(16), MFU_16_HOOKS(32),  MFU_16_HOOKS(48),  MFU_16_HOOKS(64),
    MFU_16_HOOKS(80), MFU_16_HOOKS(96), MFU_16_HOOKS(112), MFU_16_HOOKS(128),
};
#undef MFU_HOOK
#undef MFU_4_HOOKS
#undef MFU_16_HOOKS
static_assert(std::size(mfu_hook_targets) >= kFirsts.count);

}  // extern "C"

const EntryInfo& InfoOf(Entry entry) { return kEntries[static_cast<uint32_t>(entry)]; }

const char* NameOf(Entry entry) { return kNames + InfoOf(entry).name; }

const char* FilePrefixOf(Library library) {
  switch (library) {
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
    case Library::kNccl:
      return reinterpret_cast<void*>(&Missing<static_cast<int>(ncclSystemError)>);
    case Library::kCudnn:
      return reinterpret_cast<void*>(&Missing<static_cast<int>(CUDNN_STATUS_NOT_INITIALIZED)>);
    default:
      return reinterpret_cast<void*>(&Missing<static_cast<int>(CUBLAS_STATUS_NOT_INITIALIZED)>);
  }
}

Entry EntryNamed(const char* symbol) {
  const bool is_candidate = (symbol[0] == 'c' && symbol[1] == 'u') ||
                            (symbol[0] == 'n' && symbol[1] == 'c' && symbol[2] == 'c');
  if (!is_candidate) return Entry::kCount;
  uint32_t position = HashOf(symbol) % NameTableSize();
  for (; kNameTable[position] != 0; position = (position + 1) % NameTableSize()) {
    const uint32_t index = kNameTable[position] - 1u;
    if (std::strcmp(kNames + kEntries[index].name, symbol) == 0) return static_cast<Entry>(index);
  }
  return Entry::kCount;
}

}  // namespace mfutrace::interpose
