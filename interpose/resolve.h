// Where the vendor's function behind an entry point is, and what else its library offers.
//
// RTLD_NEXT is not an answer: it sees nothing of libraries that the job loaded RTLD_LOCAL, and two
// versions of one library may live in one process. So a call that came through the linker is
// resolved from its caller (whose scope the linker would have searched), and a pointer that dlsym
// found is kept as it is. Each distinct real function of an entry gets a slot; slots are never
// given back, and the library behind a slot is pinned, because a cached pointer must not outlive
// its code.
//
// Runs on the job's threads. The steady path (SlotOfCaller with a warm cache) is a few loads; a
// miss takes the dynamic linker's lock, once per call site and thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/entry_table.h"

namespace mfutrace::interpose {

inline constexpr uint32_t kSlotsPerEntry = 4;

// Public helpers of a vendor library that observers call, from the same file as the function
// observed.
#define MFU_GETTERS(X)                \
  X(cublasGetStream_v2)               \
  X(cublasGetPointerMode_v2)          \
  X(cublasGetMathMode)                \
  X(cublasLtMatrixLayoutGetAttribute) \
  X(cublasLtMatmulDescGetAttribute)   \
  X(cudnnGetStream)                   \
  X(cudnnBackendGetAttribute)         \
  X(cudnnGetTensorNdDescriptor)       \
  X(cudnnGetFilterNdDescriptor)       \
  X(cudnnGetConvolutionNdDescriptor)  \
  X(cudnnGetConvolutionGroupCount)    \
  X(cudnnGetConvolutionMathType)      \
  X(cudnnGetRNNDescriptor_v8)         \
  X(cudnnGetRNNDataDescriptor)        \
  X(cudnnGetAttnDescriptor)           \
  X(cudnnGetSeqDataDescriptor)        \
  X(ncclCommUserRank)                 \
  X(ncclCommCount)                    \
  X(ncclCommCuDevice)

enum class Getter : uint8_t {
#define MFU_GETTER_ENUM(symbol) k_##symbol,
  MFU_GETTERS(MFU_GETTER_ENUM)
#undef MFU_GETTER_ENUM
      kCount
};

struct VendorLibrary {
  const void* base = nullptr;  // load address
  void* getters[static_cast<size_t>(Getter::kCount)] = {};

  void* Get(Getter getter) const { return getters[static_cast<size_t>(getter)]; }
};

// The real function to call, and its library. `slot` counts from 1; 0 means that all slots of the
// entry are taken: the call is passed on without being observed.
struct Target {
  void* real = nullptr;
  const VendorLibrary* library = nullptr;
  uint32_t slot = 0;
};

Target TargetOfSlot(Entry entry, uint32_t slot);
// By the caller of an exported symbol; `real` is nullptr where no library in the process has it.
Target TargetOfCaller(Entry entry, const void* return_address);
// By what a lookup found. `real` is never one of our own addresses.
Target TargetOfPointer(Entry entry, void* real);

// True if calls into the file that holds `address` have come through the hooks of NCCL.
bool IsHookedNccl(const void* address);

// What `symbol` would have resolved to from the caller's place in the process without this library:
// the global scope behind us, then the caller's own dependencies. nullptr if nothing.
void* LookUpBeyondUs(const char* symbol, const void* return_address);

// True for addresses of the stubs and thunks that this library hands out.
bool IsOwnStub(const void* address);
// The thunk that enters the hook of `entry` with its slot already known; nullptr if all thunks are
// given away.
void* ThunkOf(Entry entry, uint32_t slot);

// True if the code at `address` belongs to one of the vendors' libraries or to this one. Their own
// lookups must see the real functions (libcudnn.so.9 looks its own public names up in its parts).
bool IsVendorCode(const void* address);

}  // namespace mfutrace::interpose
