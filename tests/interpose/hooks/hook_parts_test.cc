// Parts of the hooks that need no process of their own: names, vendor codes, ids, symbol tables.
#include <dlfcn.h>
#include <link.h>

#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "interpose/elf_symbols.h"
#include "interpose/entry_table.h"
#include "interpose/observe_types.h"
#include "interpose/resolve.h"
#include "interpose/shadow.h"
#include "interpose/stubs.h"

namespace mfutrace::interpose {
namespace {

using shapes::BetaUse;
using shapes::Dtype;
using shapes::MathMode;

TEST(EntryTable, FindsEveryNameAndNoOther) {
  std::set<std::string> names;
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    const auto entry = static_cast<Entry>(i);
    EXPECT_EQ(EntryNamed(NameOf(entry)), entry) << NameOf(entry);
    EXPECT_EQ(EntryNamed((std::string(NameOf(entry)) + "_x").c_str()), Entry::kCount);
    names.insert(NameOf(entry));
  }
  EXPECT_EQ(names.size(), kEntryCount);
  for (const char* other : {"", "c", "cu", "cublas", "cublasSaxpy", "n", "nccl", "ncclAll",
                            "malloc", "pncclAllReduce", "cublasSgemm_v"}) {
    EXPECT_EQ(EntryNamed(other), Entry::kCount) << other;
  }
}

TEST(EntryTable, IsSortedByLibraryThenName) {
  for (uint32_t i = 1; i < kEntryCount; ++i) {
    const EntryInfo& before = InfoOf(static_cast<Entry>(i - 1));
    const EntryInfo& here = InfoOf(static_cast<Entry>(i));
    EXPECT_TRUE(before.library < here.library ||
                (before.library == here.library &&
                 std::strcmp(NameOf(static_cast<Entry>(i - 1)), NameOf(static_cast<Entry>(i))) < 0))
        << NameOf(static_cast<Entry>(i));
  }
}

TEST(Stubs, EachExportLiesWhereItsNumberSays) {
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    EXPECT_EQ(StubAtOffset(StubOffset(i)), i);
    const void* stub = mfu_stubs_begin + StubOffset(i);
    EXPECT_TRUE(IsOwnStub(stub));
    // What the dynamic linker would bind the name to.
    EXPECT_EQ(dlsym(RTLD_DEFAULT, NameOf(static_cast<Entry>(i))), nullptr);  // ours, hidden from us
    link_map* map = ObjectAt(mfu_stubs_begin);
    ASSERT_NE(map, nullptr);
    EXPECT_EQ(FindInObject(map->l_addr, map->l_ld, NameOf(static_cast<Entry>(i))), stub);
  }
  EXPECT_FALSE(IsOwnStub(mfu_stubs_end));
  EXPECT_FALSE(IsOwnStub(nullptr));
}

TEST(Stubs, ThunksAreGivenAwayOnceEach) {
  static_assert(kThunkCount >= kEntryCount);
  std::set<const void*> thunks;
  for (uint32_t i = 0; i < kEntryCount; ++i) {
    const auto entry = static_cast<Entry>(i);
    void* thunk = ThunkOf(entry, 1 + i % kSlotsPerEntry);
    ASSERT_NE(thunk, nullptr);
    EXPECT_EQ(ThunkOf(entry, 1 + i % kSlotsPerEntry), thunk);
    EXPECT_TRUE(IsOwnStub(thunk));
    thunks.insert(thunk);
    const uint32_t number = StubAtOffset(
        static_cast<size_t>(static_cast<const unsigned char*>(thunk) - mfu_thunks_begin));
    ASSERT_LT(number, kThunkCount);
    EXPECT_EQ(mfu_thunk_codes[number], i << kRouteBits | (1 + i % kSlotsPerEntry));
  }
  EXPECT_EQ(thunks.size(), kEntryCount);
  EXPECT_EQ(mfu_stubs_end - mfu_thunks_begin, static_cast<ptrdiff_t>(StubOffset(kThunkCount)));
}

TEST(ElfSymbols, AgreesWithDlsymOnTheCLibrary) {
  link_map* map = ObjectAt(reinterpret_cast<void*>(&std::strlen));
  ASSERT_NE(map, nullptr);
  void* handle = dlopen(map->l_name, RTLD_NOLOAD | RTLD_LAZY);
  ASSERT_NE(handle, nullptr);
  // Plain functions and data with one or several versions; indirect functions are left out.
  for (const char* name : {"qsort", "environ", "fopen", "pthread_cond_wait", "dlsym", "regexec"}) {
    EXPECT_EQ(FindInObject(map->l_addr, map->l_ld, name), dlsym(handle, name)) << name;
  }
  EXPECT_EQ(FindInObject(map->l_addr, map->l_ld, "no_such_symbol"), nullptr);
  EXPECT_EQ(FindInObject(map->l_addr, nullptr, "qsort"), nullptr);
  dlclose(handle);
}

TEST(Arithmetic, ComputeTypesOldAndNew) {
  struct Row {
    int compute;
    Dtype operand;
    int handle_mode;
    Dtype accumulate;
    MathMode math;
  };
  const Row rows[] = {
      {CUBLAS_COMPUTE_32F, Dtype::kBf16, 0, Dtype::kF32, MathMode::kDefault},
      {CUBLAS_COMPUTE_32F, Dtype::kBf16, CUBLAS_TF32_TENSOR_OP_MATH, Dtype::kF32,
       MathMode::kDefault},
      {CUBLAS_COMPUTE_32F, Dtype::kF32, CUBLAS_TF32_TENSOR_OP_MATH, Dtype::kF32, MathMode::kTf32},
      {CUBLAS_COMPUTE_32F, Dtype::kC32F32, CUBLAS_TF32_TENSOR_OP_MATH, Dtype::kF32,
       MathMode::kTf32},
      {CUBLAS_COMPUTE_32F, Dtype::kF32,
       CUBLAS_TF32_TENSOR_OP_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION, Dtype::kF32,
       MathMode::kTf32},
      {CUBLAS_COMPUTE_32F, Dtype::kF32, CUBLAS_PEDANTIC_MATH, Dtype::kF32, MathMode::kPedantic},
      {CUBLAS_COMPUTE_32F_FAST_TF32, Dtype::kF32, 0, Dtype::kF32, MathMode::kTf32},
      {CUBLAS_COMPUTE_32F_FAST_16BF, Dtype::kF32, 0, Dtype::kF32, MathMode::kReducedBf16},
      {CUBLAS_COMPUTE_16F, Dtype::kF16, 0, Dtype::kF16, MathMode::kDefault},
      {CUBLAS_COMPUTE_64F, Dtype::kF64, 0, Dtype::kF64, MathMode::kDefault},
      {CUBLAS_COMPUTE_32I, Dtype::kI8, 0, Dtype::kI32, MathMode::kDefault},
      {78, Dtype::kF32, 0, Dtype::kF32, MathMode::kEmulatedBf16x9},
      {79, Dtype::kF64, 0, Dtype::kF64, MathMode::kEmulatedFixedPoint},
      // cudaDataType in the same place, from programs built against cuBLAS 10.
      {CUDA_R_32F, Dtype::kF16, 0, Dtype::kF32, MathMode::kDefault},
      {CUDA_R_32F, Dtype::kF32, CUBLAS_TF32_TENSOR_OP_MATH, Dtype::kF32, MathMode::kTf32},
      {CUDA_R_16F, Dtype::kF16, 0, Dtype::kF16, MathMode::kDefault},
      {CUDA_C_64F, Dtype::kC64F64, 0, Dtype::kF64, MathMode::kDefault},
      {1234, Dtype::kF32, 0, Dtype::kUnknown, MathMode::kDefault},
  };
  for (const Row& row : rows) {
    const Arithmetic result = ArithmeticOf(row.compute, row.operand, row.handle_mode);
    EXPECT_EQ(result.accumulate, row.accumulate) << row.compute;
    EXPECT_EQ(result.math, row.math) << row.compute << " mode " << row.handle_mode;
  }
}

TEST(Beta, IsReadInTheScalarsOwnFormat) {
  const double f64[2] = {-0.0, 1e-300};
  EXPECT_EQ(BetaAt(f64, Dtype::kF64), BetaUse::kZero);
  EXPECT_EQ(BetaAt(f64, Dtype::kC64F64), BetaUse::kNonzero);
  const float f32[2] = {0.0f, -0.0f};
  EXPECT_EQ(BetaAt(f32, Dtype::kC32F32), BetaUse::kZero);
  const uint16_t negative_zero = 0x8000;
  const uint16_t smallest = 0x0001;
  EXPECT_EQ(BetaAt(&negative_zero, Dtype::kF16), BetaUse::kZero);
  EXPECT_EQ(BetaAt(&smallest, Dtype::kF16), BetaUse::kNonzero);
  const int32_t one = 1;
  EXPECT_EQ(BetaAt(&one, Dtype::kI32), BetaUse::kNonzero);
  EXPECT_EQ(BetaAt(nullptr, Dtype::kF32), BetaUse::kUnknown);
  EXPECT_EQ(BetaAt(&one, Dtype::kUnknown), BetaUse::kUnknown);
}

Dtype ScalarFor(int compute, Dtype c) {
  return ScalarOf(compute, ArithmeticOf(compute, c, 0).accumulate, c);
}

TEST(Beta, ScalarFormatFollowsComputeType) {
  EXPECT_EQ(ScalarFor(CUBLAS_COMPUTE_32F, Dtype::kBf16), Dtype::kF32);
  EXPECT_EQ(ScalarFor(CUBLAS_COMPUTE_32F, Dtype::kC32F32), Dtype::kC32F32);
  EXPECT_EQ(ScalarFor(CUBLAS_COMPUTE_64F, Dtype::kC64F64), Dtype::kC64F64);
  EXPECT_EQ(ScalarFor(CUBLAS_COMPUTE_16F, Dtype::kF16), Dtype::kF16);
  EXPECT_EQ(ScalarFor(CUBLAS_COMPUTE_32I, Dtype::kI32), Dtype::kI32);
  EXPECT_EQ(ScalarFor(CUDA_R_64F, Dtype::kF64), Dtype::kF64);
  EXPECT_EQ(ScalarFor(4321, Dtype::kF64), Dtype::kUnknown);
}

TEST(CommunicatorIds, DependOnEveryByteAndEveryPart) {
  unsigned char bytes[128] = {};
  std::set<uint64_t> ids = {HashBytes(bytes, sizeof(bytes))};
  for (unsigned char& byte : bytes) {
    byte = 1;
    ids.insert(HashBytes(bytes, sizeof(bytes)));
    byte = 0;
  }
  EXPECT_EQ(ids.size(), 129u);
  EXPECT_EQ(ids.count(0), 0u);
  EXPECT_EQ(SplitId(1, 2, 3), SplitId(1, 2, 3));
  EXPECT_EQ((std::set<uint64_t>{SplitId(1, 2, 3), SplitId(2, 2, 3), SplitId(1, 3, 3),
                                SplitId(1, 2, 4), SplitId(1, 3, 2)}
                 .size()),
            5u);
  EXPECT_NE(PrivateId(), PrivateId());
}

TEST(Communicators, HandlesComeGoAndComeAgain) {
  char handles[3000];
  CommunicatorIdentity identity;
  for (int round = 0; round < 4; ++round) {
    for (size_t i = 0; i < sizeof(handles); ++i) {
      identity.rank = static_cast<int32_t>(i);
      ASSERT_NE(AddCommunicator(&handles[i], identity), nullptr) << round << " " << i;
    }
    for (size_t i = 0; i < sizeof(handles); ++i) {
      const Communicator* found = FindCommunicator(&handles[i]);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->identity.rank, static_cast<int32_t>(i));
    }
    for (char& handle : handles) RemoveCommunicator(&handle);
    EXPECT_EQ(FindCommunicator(&handles[round]), nullptr);
  }
  EXPECT_EQ(FindCommunicator(nullptr), nullptr);
}

TEST(Communicators, ALoneOrphanIsTakenAndAmbiguousOnesAreNot) {
  CommunicatorIdentity identity;
  EXPECT_FALSE(TakeOnlyOrphan(&identity));
  identity.id = 7;
  AddOrphan(identity);
  identity.id = 0;
  EXPECT_TRUE(TakeOnlyOrphan(&identity));
  EXPECT_EQ(identity.id, 7u);
  AddOrphan(identity);
  AddOrphan(identity);
  EXPECT_FALSE(TakeOnlyOrphan(&identity));
}

}  // namespace
}  // namespace mfutrace::interpose
