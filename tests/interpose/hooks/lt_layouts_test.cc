// Reads descriptors that NVIDIA's own libcublasLt made: what is set with the public Set and Init
// functions must come back as the product it describes. Needs the library, no GPU; skipped without.
#include <dlfcn.h>

#include <cublasLt.h>
#include <gtest/gtest.h>

#include <string>

#include "interpose/elf_symbols.h"
#include "interpose/observe.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::BetaUse;
using shapes::Dtype;
using shapes::Gemm;
using shapes::MathMode;
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
