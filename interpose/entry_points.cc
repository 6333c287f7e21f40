// The table: what entry_points.def says, and which hook each entry jumps to. The only place where
// the vendors' declarations meet our hooks: a changed signature is a compile error here.
#include "interpose/entry_points.h"

#include <cublasLt.h>
#include <cublas_v2.h>
#include <nccl.h>

#include <array>
#include <cstring>
#include <type_traits>

#include "interpose/entry_table.h"
#include "interpose/hook.h"
#include "interpose/observe.h"
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

// Newer than some headers in use; intercepted all the same when a newer library is there.
using AlltoAll = ncclResult_t (*)(const void*, void*, size_t, ncclDataType_t, ncclComm_t,
                                  cudaStream_t);
using CommInitRankScalable = ncclResult_t (*)(ncclComm_t*, int, int, int, ncclUniqueId*,
                                              ncclConfig_t*);
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
#define MFU_SIGNATURE_AlltoAll(symbol) AlltoAll
#define MFU_SIGNATURE_CommInitRankScalable(symbol) CommInitRankScalable

// --- types as the calling convention sees them
// ---------------------------------------------------- Functions whose arguments travel alike share
// one hook: a table of five hundred names compiles to a few dozen functions. Pointers are pointers,
// enums are 32-bit integers, signedness does not matter, and a struct of more than 16 bytes goes
// through memory on both architectures whatever it holds.

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

// --- details
// ---------------------------------------------------------------------------------------

namespace detail {
constexpr uint8_t kNone = 0;
using shapes::CollectiveKind::kAllGather;
using shapes::CollectiveKind::kAllReduce;
using shapes::CollectiveKind::kAllToAll;
using shapes::CollectiveKind::kBroadcast;
using shapes::CollectiveKind::kRecv;
using shapes::CollectiveKind::kReduce;
using shapes::CollectiveKind::kReduceScatter;
using shapes::CollectiveKind::kSend;
using shapes::Dtype::kC32F32;
using shapes::Dtype::kC64F64;
using shapes::Dtype::kF16;
using shapes::Dtype::kF32;
using shapes::Dtype::kF64;
}  // namespace detail

constexpr EntryInfo kEntries[] = {
#define MFU_ENTRY(symbol, library, observer, what, signature) \
  {#symbol, Library::library, static_cast<uint8_t>(detail::what)},
#include "interpose/entry_points.def"
#undef MFU_ENTRY
};
static_assert(std::size(kEntries) == kEntryCount);

// --- names
// -----------------------------------------------------------------------------------------

constexpr uint32_t HashOf(const char* name) {  // FNV-1a
  uint32_t hash = 2166136261u;
  for (; *name != '\0'; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 16777619u;
  return hash;
}

constexpr uint32_t NameTableSize() {
  uint32_t size = 64;
  while (size < 2 * kEntryCount) size *= 2;
  return size;
}

// Open addressing, filled by the compiler: position -> entry + 1.
constexpr std::array<uint16_t, NameTableSize()> MakeNameTable() {
  std::array<uint16_t, NameTableSize()> table = {};
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    uint32_t position = HashOf(kEntries[i].symbol) % NameTableSize();
    while (table[position] != 0) position = (position + 1) % NameTableSize();
    table[position] = static_cast<uint16_t>(i + 1);
  }
  return table;
}
constexpr auto kNameTable = MakeNameTable();

}  // namespace

extern "C" {

__thread uint32_t mfu_stub_code = 0;

const HookTarget mfu_hook_targets[] = {
#define MFU_ENTRY(symbol, library, observer, what, signature) \
  reinterpret_cast<HookTarget>(                               \
      &HookFor<observe::observer, MFU_SIGNATURE_##signature(symbol)>::Type::Call),
#include "interpose/entry_points.def"
#undef MFU_ENTRY
};

}  // extern "C"

const EntryInfo& InfoOf(Entry entry) { return kEntries[static_cast<uint32_t>(entry)]; }

const char* NameOf(Entry entry) { return InfoOf(entry).symbol; }

const char* FilePrefixOf(Library library) {
  switch (library) {
    case Library::kCublas:
      return "libcublas.so";
    case Library::kCublasLt:
      return "libcublasLt.so";
    case Library::kNccl:
      return "libnccl.so";
    case Library::kCount:
      break;
  }
  return "";
}

int NotInitializedStatusOf(Library library) {
  return library == Library::kNccl ? static_cast<int>(ncclSystemError)
                                   : static_cast<int>(CUBLAS_STATUS_NOT_INITIALIZED);
}

Entry EntryNamed(const char* symbol) {
  const bool is_candidate = (symbol[0] == 'c' && symbol[1] == 'u') ||
                            (symbol[0] == 'n' && symbol[1] == 'c' && symbol[2] == 'c');
  if (!is_candidate) return Entry::kCount;
  uint32_t position = HashOf(symbol) % NameTableSize();
  for (; kNameTable[position] != 0; position = (position + 1) % NameTableSize()) {
    const uint32_t index = kNameTable[position] - 1u;
    if (std::strcmp(kEntries[index].symbol, symbol) == 0) return static_cast<Entry>(index);
  }
  return Entry::kCount;
}

}  // namespace mfutrace::interpose
