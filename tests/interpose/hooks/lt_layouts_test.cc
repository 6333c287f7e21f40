// Reads descriptors that NVIDIA's own libcublasLt made: what is set with the public Set and Init
// functions must come back as the product it describes. Needs the library, no GPU; skipped without.
#include <dlfcn.h>

#include <cublasLt.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "interpose/elf_symbols.h"
#include "interpose/observe.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::BetaUse;
using shapes::Dtype;
using shapes::Gemm;
using shapes::MathMode;
using shapes::ScaleMode;
using shapes::Transpose;

class LtLayouts : public testing::Test {
 protected:
  void SetUp() override {
    std::string folders = MFU_CUBLASLT_FOLDERS;
    while (library_ == nullptr && !folders.empty()) {
      const size_t end = folders.find(':');
      const std::string folder = folders.substr(0, end);
      for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
        if (library_ == nullptr) library_ = dlopen((folder + "/" + name).c_str(), RTLD_LAZY);
      }
      folders.erase(0, end + 1);
    }
    if (library_ == nullptr) GTEST_SKIP() << "no libcublasLt in " << MFU_CUBLASLT_FOLDERS;
    // As the resolver does it: by the symbol table of the library itself.
    const link_map* map = ObjectAt(Find<void*>("cublasLtMatmul"));
    ASSERT_NE(map, nullptr);
    const auto find = [&](Getter getter, const char* name) {
      vendor_.getters[static_cast<size_t>(getter)] = FindInObject(map->l_addr, map->l_ld, name);
    };
    find(Getter::k_cublasLtMatrixLayoutGetAttribute, "cublasLtMatrixLayoutGetAttribute");
    find(Getter::k_cublasLtMatmulDescGetAttribute, "cublasLtMatmulDescGetAttribute");
    set_layout_ = Find<decltype(set_layout_)>("cublasLtMatrixLayoutSetAttribute");
    set_description_ = Find<decltype(set_description_)>("cublasLtMatmulDescSetAttribute");
    create_layout_ = Find<decltype(create_layout_)>("cublasLtMatrixLayoutCreate");
    create_description_ = Find<decltype(create_description_)>("cublasLtMatmulDescCreate");
    init_layout_ = Find<decltype(init_layout_)>("cublasLtMatrixLayoutInit_internal");
    init_description_ = Find<decltype(init_description_)>("cublasLtMatmulDescInit_internal");
  }

  template <typename Function>
  Function Find(const char* name) {
    void* found = dlsym(library_, name);
    EXPECT_NE(found, nullptr) << name;
    return reinterpret_cast<Function>(found);
  }

  cublasLtMatrixLayout_t Layout(cudaDataType type, uint64_t rows, uint64_t cols) {
    cublasLtMatrixLayout_t layout = nullptr;
    EXPECT_EQ(create_layout_(&layout, type, rows, cols, static_cast<int64_t>(rows)),
              CUBLAS_STATUS_SUCCESS);
    return layout;
  }
  template <typename Value>
  void Set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, Value value) {
    EXPECT_EQ(set_layout_(layout, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS)
        << attribute;
  }
  void SetBatch(cublasLtMatrixLayout_t layout, int32_t count, int64_t stride) {
    Set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
    Set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
  cublasLtMatmulDesc_t Description(cublasComputeType_t compute, cudaDataType scale,
                                   int32_t op_a = 0, int32_t op_b = 0) {
    cublasLtMatmulDesc_t description = nullptr;
    EXPECT_EQ(create_description_(&description, compute, scale), CUBLAS_STATUS_SUCCESS);
    Set(description, CUBLASLT_MATMUL_DESC_TRANSA, op_a);
    Set(description, CUBLASLT_MATMUL_DESC_TRANSB, op_b);
    return description;
  }
  template <typename Value>
  void Set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
           Value value) {
    EXPECT_EQ(set_description_(description, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  bool Read(cublasLtMatmulDesc_t description, const void* beta, cublasLtMatrixLayout_t a,
            cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
    return ReadLtMatmul(vendor_, {description, beta, a, b, c, d}, &gemm_, &compute_code_);
  }

  void* library_ = nullptr;
  VendorLibrary vendor_;
  Gemm gemm_;
  uint32_t compute_code_ = 0;
  decltype(&cublasLtMatrixLayoutSetAttribute) set_layout_ = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_description_ = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout_ = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_description_ = nullptr;
  decltype(&cublasLtMatrixLayoutInit_internal) init_layout_ = nullptr;
  decltype(&cublasLtMatmulDescInit_internal) init_description_ = nullptr;
};

TEST_F(LtLayouts, AllFourTransposes) {
  const float beta = 0;
  for (const int32_t op_a : {CUBLAS_OP_N, CUBLAS_OP_T}) {
    for (const int32_t op_b : {CUBLAS_OP_N, CUBLAS_OP_T}) {
      const auto a =
          op_a == CUBLAS_OP_N ? Layout(CUDA_R_16BF, 70, 90) : Layout(CUDA_R_16BF, 90, 70);
      const auto b =
          op_b == CUBLAS_OP_N ? Layout(CUDA_R_16BF, 90, 80) : Layout(CUDA_R_16BF, 80, 90);
      const auto d = Layout(CUDA_R_32F, 70, 80);
      ASSERT_TRUE(Read(Description(CUBLAS_COMPUTE_32F, CUDA_R_32F, op_a, op_b), &beta, a, b, d, d));
      EXPECT_EQ(gemm_.m, 70u);
      EXPECT_EQ(gemm_.n, 80u);
      EXPECT_EQ(gemm_.k, 90u);
      EXPECT_EQ(gemm_.batch, 1u);
      EXPECT_EQ(gemm_.op_a, op_a == CUBLAS_OP_N ? Transpose::kNo : Transpose::kYes);
      EXPECT_EQ(gemm_.op_b, op_b == CUBLAS_OP_N ? Transpose::kNo : Transpose::kYes);
      EXPECT_EQ(gemm_.a, Dtype::kBf16);
      EXPECT_EQ(gemm_.b, Dtype::kBf16);
      EXPECT_EQ(gemm_.c, Dtype::kF32);
      EXPECT_EQ(gemm_.d, Dtype::kF32);
      EXPECT_EQ(gemm_.accumulate, Dtype::kF32);
      EXPECT_EQ(gemm_.beta, BetaUse::kZero);
      EXPECT_FALSE(gemm_.a_is_broadcast);
      EXPECT_EQ(compute_code_, static_cast<uint32_t>(CUBLAS_COMPUTE_32F));
    }
  }
}

TEST_F(LtLayouts, RowOrderKeepsTheMeaningOfRowsAndColumns) {
  const auto a = Layout(CUDA_R_16F, 7, 9);
  const auto b = Layout(CUDA_R_16F, 9, 8);
  const auto d = Layout(CUDA_R_16F, 7, 8);
  for (const auto layout : {a, b, d}) {
    Set(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, static_cast<int32_t>(CUBLASLT_ORDER_ROW));
    Set(layout, CUBLASLT_MATRIX_LAYOUT_LD, int64_t{16});
  }
  ASSERT_TRUE(Read(Description(CUBLAS_COMPUTE_16F, CUDA_R_16F), nullptr, a, b, d, d));
  EXPECT_EQ(gemm_.m, 7u);
  EXPECT_EQ(gemm_.n, 8u);
  EXPECT_EQ(gemm_.k, 9u);
  EXPECT_EQ(gemm_.accumulate, Dtype::kF16);
  EXPECT_EQ(gemm_.beta, BetaUse::kUnknown);  // no scalar given
}

TEST_F(LtLayouts, BatchesAndBroadcastOperands) {
  const auto a = Layout(CUDA_R_8F_E4M3, 64, 32);
  const auto b = Layout(CUDA_R_8F_E5M2, 64, 48);
  const auto c = Layout(CUDA_R_16BF, 32, 48);
  const auto d = Layout(CUDA_R_8F_E4M3, 32, 48);
  SetBatch(a, 12, 0);
  SetBatch(b, 12, 64 * 48);
  SetBatch(c, 12, 32 * 48);
  SetBatch(d, 12, 32 * 48);
  const float beta = 1;
  ASSERT_TRUE(Read(Description(CUBLAS_COMPUTE_32F, CUDA_R_32F, CUBLAS_OP_T), &beta, a, b, c, d));
  EXPECT_EQ(gemm_.batch, 12u);
  EXPECT_EQ(gemm_.k, 64u);
  EXPECT_TRUE(gemm_.a_is_broadcast);
  EXPECT_FALSE(gemm_.b_is_broadcast);
  EXPECT_EQ(gemm_.a, Dtype::kF8E4M3);
  EXPECT_EQ(gemm_.b, Dtype::kF8E5M2);
  EXPECT_EQ(gemm_.c, Dtype::kBf16);
  EXPECT_EQ(gemm_.d, Dtype::kF8E4M3);
  EXPECT_EQ(gemm_.beta, BetaUse::kNonzero);
}

TEST_F(LtLayouts, PointerArrayBatchesAreNotBroadcast) {
  const auto batch_mode = static_cast<cublasLtMatrixLayoutAttribute_t>(8);
  const auto a = Layout(CUDA_R_32F, 4, 5);
  const uint32_t pointer_array = 1;
  if (set_layout_(a, batch_mode, &pointer_array, sizeof pointer_array) != CUBLAS_STATUS_SUCCESS) {
    GTEST_SKIP() << "this libcublasLt has no batch modes";
  }
  const auto b = Layout(CUDA_R_32F, 5, 6);
  const auto d = Layout(CUDA_R_32F, 4, 6);
  for (const auto layout : {a, b, d}) {
    Set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 3);
    Set(layout, batch_mode, pointer_array);
  }
  ASSERT_TRUE(Read(Description(CUBLAS_COMPUTE_32F, CUDA_R_32F), nullptr, a, b, d, d));
  EXPECT_EQ(gemm_.batch, 3u);
  EXPECT_FALSE(gemm_.a_is_broadcast);
}

TEST_F(LtLayouts, DescriptorsInitialisedOnTheStack) {
  // Never seen by a Create function; the Init macros of the header call these.
  cublasLtMatrixLayoutOpaque_t a;
  cublasLtMatrixLayoutOpaque_t b;
  cublasLtMatrixLayoutOpaque_t d;
  cublasLtMatmulDescOpaque_t description;
  EXPECT_EQ(init_layout_(&a, sizeof a, CUDA_R_64F, 11, 13, 11), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(init_layout_(&b, sizeof b, CUDA_R_64F, 13, 17, 13), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(init_layout_(&d, sizeof d, CUDA_R_64F, 11, 17, 11), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(init_description_(&description, sizeof description, CUBLAS_COMPUTE_64F, CUDA_R_64F),
            CUBLAS_STATUS_SUCCESS);
  const double beta = -0.0;
  ASSERT_TRUE(Read(&description, &beta, &a, &b, nullptr, &d));
  EXPECT_EQ(gemm_.m, 11u);
  EXPECT_EQ(gemm_.n, 17u);
  EXPECT_EQ(gemm_.k, 13u);
  EXPECT_EQ(gemm_.accumulate, Dtype::kF64);
  EXPECT_EQ(gemm_.c, Dtype::kF64);  // no layout of its own: D's
  EXPECT_EQ(gemm_.beta, BetaUse::kZero);
}

TEST_F(LtLayouts, PointerModesAndComputeTypes) {
  const auto a = Layout(CUDA_R_32F, 4, 5);
  const auto b = Layout(CUDA_R_32F, 5, 6);
  const auto d = Layout(CUDA_R_32F, 4, 6);
  const auto description = Description(CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F);
  const float beta = 3;
  ASSERT_TRUE(Read(description, &beta, a, b, d, d));
  EXPECT_EQ(gemm_.math, MathMode::kTf32);
  EXPECT_EQ(gemm_.beta, BetaUse::kNonzero);
  Set(description, CUBLASLT_MATMUL_DESC_POINTER_MODE,
      static_cast<int32_t>(CUBLASLT_POINTER_MODE_DEVICE));
  // A device pointer must not be read: this one would crash.
  ASSERT_TRUE(Read(description, reinterpret_cast<const void*>(0x10), a, b, d, d));
  EXPECT_EQ(gemm_.beta, BetaUse::kUnknown);
  Set(description, CUBLASLT_MATMUL_DESC_POINTER_MODE,
      static_cast<int32_t>(CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO));
  ASSERT_TRUE(Read(description, reinterpret_cast<const void*>(0x10), a, b, d, d));
  EXPECT_EQ(gemm_.beta, BetaUse::kZero);
}

// One product of every format that cuBLASLt names, by the vendor's codes (library_types.h).
TEST_F(LtLayouts, FormatsAreThoseOfTheLayouts) {
  constexpr std::pair<int, Dtype> kFormats[] = {{CUDA_R_64F, Dtype::kF64},
                                                {CUDA_R_32F, Dtype::kF32},
                                                {CUDA_R_16F, Dtype::kF16},
                                                {CUDA_R_16BF, Dtype::kBf16},
                                                {CUDA_R_8F_E4M3, Dtype::kF8E4M3},
                                                {CUDA_R_8F_E5M2, Dtype::kF8E5M2},
                                                {31, Dtype::kF6E2M3},
                                                {32, Dtype::kF6E3M2},
                                                {33, Dtype::kF4E2M1},
                                                {CUDA_R_8I, Dtype::kI8},
                                                {CUDA_R_32I, Dtype::kI32},
                                                {CUDA_R_8U, Dtype::kU8},
                                                {CUDA_R_4I, Dtype::kI4},
                                                {CUDA_C_32F, Dtype::kC32F32},
                                                {CUDA_C_64F, Dtype::kC64F64},
                                                {CUDA_C_16F, Dtype::kC16F16},
                                                {CUDA_C_16BF, Dtype::kC16Bf16},
                                                {CUDA_C_8I, Dtype::kCI8},
                                                {4711, Dtype::kUnknown}};
  for (const auto& [code, format] : kFormats) {
    const auto type = static_cast<cudaDataType>(code);
    const auto a = Layout(type, 32, 64);
    const auto b = Layout(type, 64, 96);
    const auto d = Layout(type, 32, 96);
    ASSERT_TRUE(Read(Description(CUBLAS_COMPUTE_32F, CUDA_R_32F), nullptr, a, b, d, d)) << code;
    EXPECT_EQ(gemm_.a, format) << code;
    EXPECT_EQ(gemm_.b, format) << code;
    EXPECT_EQ(gemm_.c, format) << code;
    EXPECT_EQ(gemm_.d, format) << code;
    EXPECT_EQ(gemm_.k, 64u);
  }
}

// The layouts say the same whatever the order of their elements, and whether a complex matrix has
// its halves side by side or in two planes; an order that the header does not have says nothing.
TEST_F(LtLayouts, OrdersAndPlanes) {
  const auto read_with = [&](int32_t order, cudaDataType type, int64_t plane_bytes) {
    const auto a = Layout(type, 33, 64);
    const auto b = Layout(type, 64, 97);
    const auto d = Layout(type, 33, 97);
    for (const auto layout : {a, b, d}) {
      Set(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, order);
      Set(layout, CUBLASLT_MATRIX_LAYOUT_LD, int64_t{4096});
      Set(layout, CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, plane_bytes);
    }
    return Read(Description(CUBLAS_COMPUTE_32F, CUDA_R_32F), nullptr, a, b, d, d);
  };
  for (const int32_t order : {CUBLASLT_ORDER_COL, CUBLASLT_ORDER_ROW, CUBLASLT_ORDER_COL32,
                              CUBLASLT_ORDER_COL4_4R2_8C, CUBLASLT_ORDER_COL32_2R_4R4}) {
    for (const int64_t plane_bytes : {0, 1 << 20}) {
      ASSERT_TRUE(read_with(order, CUDA_C_16F, plane_bytes)) << order;
      EXPECT_EQ(gemm_.m, 33u);
      EXPECT_EQ(gemm_.n, 97u);
      EXPECT_EQ(gemm_.k, 64u);
      EXPECT_EQ(gemm_.a, Dtype::kC16F16);
    }
  }
  // The library may refuse the value; then nothing can hold it.
  const auto odd = Layout(CUDA_R_16F, 33, 97);
  const int32_t later_order = 17;
  if (set_layout_(odd, CUBLASLT_MATRIX_LAYOUT_ORDER, &later_order, sizeof later_order) ==
      CUBLAS_STATUS_SUCCESS) {
    EXPECT_FALSE(read_with(later_order, CUDA_R_16F, 0));
  }
}

TEST_F(LtLayouts, LayoutsThatContradictEachOtherAreRefused) {
  const auto read = [&](uint64_t a_rows, uint64_t a_cols, uint64_t b_rows, uint64_t b_cols,
                        int32_t b_batch) {
    const auto a = Layout(CUDA_R_16F, a_rows, a_cols);
    const auto b = Layout(CUDA_R_16F, b_rows, b_cols);
    const auto d = Layout(CUDA_R_16F, 16, 32);
    SetBatch(a, 3, 0);
    SetBatch(b, b_batch, 0);
    SetBatch(d, 3, 512);
    return Read(Description(CUBLAS_COMPUTE_32F, CUDA_R_32F, CUBLAS_OP_T, CUBLAS_OP_C), nullptr, a,
                b, d, d);
  };
  EXPECT_TRUE(read(48, 16, 32, 48, 3));
  EXPECT_EQ(gemm_.op_b, Transpose::kConjugate);
  EXPECT_FALSE(read(48, 17, 32, 48, 3));  // m
  EXPECT_FALSE(read(48, 16, 33, 48, 3));  // n
  EXPECT_FALSE(read(48, 16, 32, 47, 3));  // k
  EXPECT_FALSE(read(16, 48, 48, 32, 3));  // as if nothing were transposed
  EXPECT_FALSE(read(48, 16, 32, 48, 2));  // batch
}

// Scale modes are the library's to store: every combination it takes must come back.
TEST_F(LtLayouts, ScaleModesOfOperandsAndResult) {
  constexpr auto kE4m3 = CUDA_R_8F_E4M3;
  const auto a = Layout(kE4m3, 512, 128);
  const auto b = Layout(kE4m3, 512, 256);
  const auto d = Layout(kE4m3, 128, 256);
  const void* const pointer = reinterpret_cast<const void*>(0x1000);
  const auto fresh = [&] { return Description(CUBLAS_COMPUTE_32F, CUDA_R_32F, CUBLAS_OP_T); };
  const auto read = [&](cublasLtMatmulDesc_t description) {
    ASSERT_TRUE(Read(description, nullptr, a, b, d, d));
  };

  auto description = fresh();
  read(description);
  EXPECT_EQ(gemm_.scale_a, ScaleMode::kNone);
  EXPECT_EQ(gemm_.scale_b, ScaleMode::kNone);
  EXPECT_EQ(gemm_.scale_d, ScaleMode::kNone);
  Set(description, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, pointer);
  read(description);
  EXPECT_EQ(gemm_.scale_a, ScaleMode::kScalar);
  EXPECT_EQ(gemm_.scale_b, ScaleMode::kNone);
  Set(description, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, pointer);
  Set(description, CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, pointer);
  read(description);
  EXPECT_EQ(gemm_.scale_b, ScaleMode::kScalar);
  EXPECT_EQ(gemm_.scale_d, ScaleMode::kScalar);

  const auto attribute = [](int number) {
    return static_cast<cublasLtMatmulDescAttributes_t>(number);
  };
  const int32_t vec16 = 1;
  if (set_description_(fresh(), attribute(31), &vec16, sizeof vec16) != CUBLAS_STATUS_SUCCESS) {
    GTEST_SKIP() << "this libcublasLt has no scale modes: scalars compared, nothing else";
  }
  constexpr ScaleMode kModes[] = {ScaleMode::kScalar,     ScaleMode::kVec16Ue4m3,
                                  ScaleMode::kVec32Ue8m0, ScaleMode::kOuterVec,
                                  ScaleMode::kVec128,     ScaleMode::kBlock128x128};
  for (int32_t for_a = 0; for_a < 6; ++for_a) {
    for (int32_t for_b = 0; for_b < 6; ++for_b) {
      Set(description, attribute(31), for_a);
      Set(description, attribute(32), for_b);
      read(description);
      EXPECT_EQ(gemm_.scale_a, kModes[for_a]);
      EXPECT_EQ(gemm_.scale_b, kModes[for_b]);
      EXPECT_EQ(gemm_.scale_d, ScaleMode::kScalar);
    }
  }
  // What is written with D (D_OUT) goes before the scalar that D is multiplied with.
  Set(description, attribute(34), int32_t{2});
  read(description);
  EXPECT_EQ(gemm_.scale_d, ScaleMode::kVec32Ue8m0);
  Set(description, attribute(34), int32_t{0});
  Set(description, attribute(36), pointer);
  Set(description, attribute(37), int32_t{1});
  read(description);
  EXPECT_EQ(gemm_.scale_d, ScaleMode::kVec16Ue4m3);
  // A mode from after this header.
  const int32_t later = 41;
  if (set_description_(description, attribute(31), &later, sizeof later) == CUBLAS_STATUS_SUCCESS) {
    read(description);
    EXPECT_EQ(gemm_.scale_a, ScaleMode::kUnknown);
  }
}

TEST_F(LtLayouts, BlockScaledFp4) {
  // NVFP4 as TransformerEngine sets it up: A transposed, two elements a byte.
  const auto a = Layout(static_cast<cudaDataType>(33), 1024, 256);
  const auto b = Layout(static_cast<cudaDataType>(33), 1024, 512);
  const auto d = Layout(CUDA_R_16BF, 256, 512);
  const auto description = Description(CUBLAS_COMPUTE_32F, CUDA_R_32F, CUBLAS_OP_T);
  const int32_t vec16 = 1;
  for (const int attribute : {31, 32}) {
    if (set_description_(description, static_cast<cublasLtMatmulDescAttributes_t>(attribute),
                         &vec16, sizeof vec16) != CUBLAS_STATUS_SUCCESS) {
      GTEST_SKIP() << "this libcublasLt has no scale modes";
    }
  }
  const float beta = 0;
  ASSERT_TRUE(Read(description, &beta, a, b, d, d));
  EXPECT_EQ(gemm_.m, 256u);
  EXPECT_EQ(gemm_.n, 512u);
  EXPECT_EQ(gemm_.k, 1024u);
  EXPECT_EQ(gemm_.a, Dtype::kF4E2M1);
  EXPECT_EQ(gemm_.d, Dtype::kBf16);
  EXPECT_EQ(gemm_.scale_a, ScaleMode::kVec16Ue4m3);
  EXPECT_EQ(gemm_.scale_b, ScaleMode::kVec16Ue4m3);
  EXPECT_EQ(gemm_.scale_d, ScaleMode::kNone);
}

TEST_F(LtLayouts, EpiloguesWithTheirVectorsAndMatrices) {
  struct Case {
    uint32_t epilogue;
    bool has_bias;
    Dtype aux;
  };
  constexpr Dtype kNone = Dtype::kUnknown;
  constexpr Case kCases[] = {{CUBLASLT_EPILOGUE_DEFAULT, false, kNone},
                             {CUBLASLT_EPILOGUE_RELU, false, kNone},
                             {CUBLASLT_EPILOGUE_RELU_AUX, false, Dtype::kBool},
                             {CUBLASLT_EPILOGUE_BIAS, true, kNone},
                             {CUBLASLT_EPILOGUE_RELU_BIAS, true, kNone},
                             {CUBLASLT_EPILOGUE_RELU_AUX_BIAS, true, Dtype::kBool},
                             {CUBLASLT_EPILOGUE_DRELU, false, Dtype::kBool},
                             {CUBLASLT_EPILOGUE_DRELU_BGRAD, true, Dtype::kBool},
                             {CUBLASLT_EPILOGUE_GELU, false, kNone},
                             {CUBLASLT_EPILOGUE_GELU_AUX, false, Dtype::kBf16},
                             {CUBLASLT_EPILOGUE_GELU_BIAS, true, kNone},
                             {CUBLASLT_EPILOGUE_GELU_AUX_BIAS, true, Dtype::kBf16},
                             {CUBLASLT_EPILOGUE_DGELU, false, Dtype::kBf16},
                             {CUBLASLT_EPILOGUE_DGELU_BGRAD, true, Dtype::kBf16},
                             {CUBLASLT_EPILOGUE_BGRADA, true, kNone},
                             {CUBLASLT_EPILOGUE_BGRADB, true, kNone}};
  const auto a = Layout(CUDA_R_16BF, 64, 48);
  const auto b = Layout(CUDA_R_16BF, 48, 80);
  const auto d = Layout(CUDA_R_16BF, 64, 80);
  for (const Case& one : kCases) {
    const auto description = Description(CUBLAS_COMPUTE_32F, CUDA_R_32F);
    Set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, one.epilogue);
    ASSERT_TRUE(Read(description, nullptr, a, b, d, d));
    EXPECT_EQ(gemm_.epilogue, one.epilogue);
    EXPECT_EQ(gemm_.bias, one.has_bias ? Dtype::kBf16 : kNone) << one.epilogue;
    EXPECT_EQ(gemm_.aux, one.aux) << one.epilogue;
    Set(description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<int32_t>(CUDA_R_32F));
    Set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE,
        static_cast<int32_t>(CUDA_R_8F_E4M3));
    ASSERT_TRUE(Read(description, nullptr, a, b, d, d));
    EXPECT_EQ(gemm_.bias, one.has_bias ? Dtype::kF32 : kNone) << one.epilogue;
    EXPECT_EQ(gemm_.aux, one.aux == Dtype::kBf16 ? Dtype::kF8E4M3 : one.aux) << one.epilogue;
  }
}

// cublasLt.h and the tables under cublasLtMatmul in the cuBLAS documentation.
TEST_F(LtLayouts, BiasesWithoutATypeOfTheirOwn) {
  const auto bias_of = [&](cublasComputeType_t compute, cudaDataType scale, cudaDataType operands,
                           cudaDataType c_type, cudaDataType d_type) {
    const auto a = Layout(operands, 64, 16);
    const auto b = Layout(operands, 64, 32);
    const auto c = Layout(c_type, 16, 32);
    const auto d = Layout(d_type, 16, 32);
    const auto description = Description(compute, scale, CUBLAS_OP_T);
    Set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
    EXPECT_TRUE(Read(description, nullptr, a, b, c, d));
    return gemm_.bias;
  };
  const auto f32 = CUBLAS_COMPUTE_32F;
  EXPECT_EQ(bias_of(f32, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F), Dtype::kF32);
  EXPECT_EQ(bias_of(f32, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F), Dtype::kF16);
  EXPECT_EQ(bias_of(f32, CUDA_R_32F, CUDA_R_8F_E4M3, CUDA_R_16F, CUDA_R_16F), Dtype::kF16);
  EXPECT_EQ(bias_of(f32, CUDA_R_32F, CUDA_R_8F_E4M3, CUDA_R_16F, CUDA_R_8F_E4M3), Dtype::kF16);
  EXPECT_EQ(bias_of(f32, CUDA_R_32F, CUDA_R_8F_E4M3, CUDA_R_16BF, CUDA_R_8F_E4M3), Dtype::kBf16);
  EXPECT_EQ(bias_of(f32, CUDA_R_32F, CUDA_R_8F_E4M3, CUDA_R_32F, CUDA_R_32F), Dtype::kBf16);
  const auto i32 = CUBLAS_COMPUTE_32I;
  EXPECT_EQ(bias_of(i32, CUDA_R_32F, CUDA_R_8I, CUDA_R_8I, CUDA_R_8I), Dtype::kF32);
  EXPECT_EQ(bias_of(i32, CUDA_R_32I, CUDA_R_8I, CUDA_R_32I, CUDA_R_32I), Dtype::kI32);
}

TEST_F(LtLayouts, ComputeTypesAndEmulation) {
  const auto math_of = [&](cublasLtMatmulDesc_t description, cudaDataType type) {
    const auto a = Layout(type, 4, 5);
    const auto b = Layout(type, 5, 6);
    const auto d = Layout(type, 4, 6);
    EXPECT_TRUE(Read(description, nullptr, a, b, d, d));
    return gemm_.math;
  };
  const auto compute = [&](int code, cudaDataType scale) {
    return Description(static_cast<cublasComputeType_t>(code), scale);
  };
  EXPECT_EQ(math_of(compute(CUBLAS_COMPUTE_32F, CUDA_R_32F), CUDA_R_32F), MathMode::kDefault);
  EXPECT_EQ(math_of(compute(CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F), CUDA_R_32F),
            MathMode::kPedantic);
  EXPECT_EQ(math_of(compute(CUBLAS_COMPUTE_32F_FAST_16F, CUDA_R_32F), CUDA_R_32F),
            MathMode::kReducedF16);
  EXPECT_EQ(math_of(compute(CUBLAS_COMPUTE_32F_FAST_16BF, CUDA_R_32F), CUDA_R_32F),
            MathMode::kReducedBf16);
  EXPECT_EQ(math_of(compute(CUBLAS_COMPUTE_64F, CUDA_R_64F), CUDA_R_64F), MathMode::kDefault);
  EXPECT_EQ(math_of(compute(78, CUDA_R_32F), CUDA_R_32F), MathMode::kEmulatedBf16x9);
  EXPECT_EQ(gemm_.accumulate, Dtype::kF32);
  EXPECT_EQ(math_of(compute(79, CUDA_R_64F), CUDA_R_64F), MathMode::kEmulatedFixedPoint);
  EXPECT_EQ(gemm_.accumulate, Dtype::kF64);
  EXPECT_EQ(compute_code_, 79u);

  // An emulation descriptor, which the library stores as a pointer.
  cublasLtEmulationDescOpaque_t* emulation = nullptr;
  const auto create = reinterpret_cast<cublasStatus_t (*)(cublasLtEmulationDescOpaque_t**)>(
      dlsym(library_, "cublasLtEmulationDescCreate"));
  if (create == nullptr || create(&emulation) != CUBLAS_STATUS_SUCCESS) {
    GTEST_SKIP() << "this libcublasLt has no emulation descriptors: compute types compared";
  }
  const auto attribute = static_cast<cublasLtMatmulDescAttributes_t>(38);
  const auto with = [&](int code, cudaDataType scale) {
    const auto description = compute(code, scale);
    Set(description, attribute, emulation);
    return description;
  };
  EXPECT_EQ(math_of(with(CUBLAS_COMPUTE_64F, CUDA_R_64F), CUDA_R_64F),
            MathMode::kEmulatedFixedPoint);
  EXPECT_EQ(math_of(with(CUBLAS_COMPUTE_32F, CUDA_R_32F), CUDA_R_32F), MathMode::kEmulatedBf16x9);
  EXPECT_EQ(math_of(with(CUBLAS_COMPUTE_32F, CUDA_R_32F), CUDA_R_16F), MathMode::kDefault);
  EXPECT_EQ(math_of(with(CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F), CUDA_R_32F), MathMode::kTf32);
  EXPECT_EQ(math_of(with(CUBLAS_COMPUTE_64F_PEDANTIC, CUDA_R_64F), CUDA_R_64F),
            MathMode::kPedantic);
}

TEST_F(LtLayouts, UnreadableDescriptorsAreRefused) {
  const auto a = Layout(CUDA_R_32F, 4, 5);
  const auto b = Layout(CUDA_R_32F, 5, 6);
  const auto d = Layout(CUDA_R_32F, 4, 6);
  const auto description = Description(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  EXPECT_TRUE(Read(description, nullptr, a, b, d, d));
  EXPECT_FALSE(Read(nullptr, nullptr, a, b, d, d));
  EXPECT_FALSE(Read(description, nullptr, nullptr, b, d, d));
  EXPECT_FALSE(Read(description, nullptr, a, b, d, nullptr));
  const VendorLibrary nothing;
  EXPECT_FALSE(ReadLtMatmul(nothing, {description, nullptr, a, b, d, d}, &gemm_, &compute_code_));
}

}  // namespace
}  // namespace mfutrace::interpose::observe
