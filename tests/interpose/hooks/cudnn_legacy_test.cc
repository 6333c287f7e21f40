// Reads descriptors that NVIDIA's own libcudnn made: convolutions, recurrent networks, multi-head
// attention. What counts is compared with loops that go over every output, tap, step and pair.
// Needs the library, no GPU; skipped without.
#include <dlfcn.h>

#include <cudnn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "interpose/elf_symbols.h"
#include "interpose/observe_cudnn_legacy.h"

namespace mfutrace::interpose {
namespace {

using shapes::ConvDirection;
using shapes::Convolution;
using shapes::Dtype;

// What was handed to the recorder, in order.
struct Interned {
  std::vector<shapes::Gemm> gemms;
  std::vector<shapes::Attention> attentions;
  std::vector<shapes::Provenance> provenances;
  uint32_t next = 1;
};
Interned g_interned;

}  // namespace

namespace observe {
namespace {

uint32_t KeepGemm(const shapes::Gemm& gemm, uint32_t, Entry, shapes::Provenance provenance) {
  g_interned.gemms.push_back(gemm);
  g_interned.provenances.push_back(provenance);
  return g_interned.next++;
}
uint32_t KeepAttention(const shapes::Attention& attention, uint32_t, Entry,
                       shapes::Provenance provenance) {
  g_interned.attentions.push_back(attention);
  g_interned.provenances.push_back(provenance);
  return g_interned.next++;
}

constexpr const char* kFolders = MFU_CUDNN_FOLDERS;

class CudnnLegacy : public testing::Test {
 protected:
  void SetUp() override {
    g_interned = {};
    std::string folders = kFolders;
    while (library_ == nullptr && !folders.empty()) {
      const size_t end = folders.find(':');
      library_ = dlopen((folders.substr(0, end) + "/libcudnn.so.9").c_str(), RTLD_LAZY);
      folders.erase(0, end + 1);
    }
    if (library_ == nullptr) GTEST_SKIP() << "no libcudnn.so.9 in " << kFolders;
    const link_map* map = ObjectAt(dlsym(library_, "cudnnGetTensorNdDescriptor"));
    ASSERT_NE(map, nullptr);
    constexpr const char* kNames[] = {
#define MFU_GETTER_NAME(symbol) #symbol,
        MFU_GETTERS(MFU_GETTER_NAME)
#undef MFU_GETTER_NAME
    };
    for (size_t i = 0; i < static_cast<size_t>(Getter::kCount); ++i) {
      vendor_.getters[i] = FindInObject(map->l_addr, map->l_ld, kNames[i]);
    }
  }

  // Calls one of the library's own functions, which must succeed.
  template <typename Function, typename... Args>
  void Vendor(Function*, const char* name, Args... args) {
    auto* function = reinterpret_cast<Function*>(dlsym(library_, name));
    ASSERT_NE(function, nullptr) << name;
    ASSERT_EQ(function(args...), CUDNN_STATUS_SUCCESS) << name;
  }
#define VENDOR(function, ...) Vendor(&::function, #function, __VA_ARGS__)

  cudnnTensorDescriptor_t Tensor(const std::vector<int>& sizes, cudnnDataType_t type,
                                 cudnnTensorFormat_t format) {
    cudnnTensorDescriptor_t tensor = nullptr;
    VENDOR(cudnnCreateTensorDescriptor, &tensor);
    VENDOR(cudnnSetTensorNdDescriptorEx, tensor, format, type, static_cast<int>(sizes.size()),
           sizes.data());
    return tensor;
  }
  cudnnFilterDescriptor_t Filter(const std::vector<int>& sizes, cudnnDataType_t type,
                                 cudnnTensorFormat_t format) {
    cudnnFilterDescriptor_t filter = nullptr;
    VENDOR(cudnnCreateFilterDescriptor, &filter);
    VENDOR(cudnnSetFilterNdDescriptor, filter, type, format, static_cast<int>(sizes.size()),
           sizes.data());
    return filter;
  }

  void* library_ = nullptr;
  VendorLibrary vendor_;
};

struct ConvolutionCase {
  const char* name;
  int batch, c_in, c_out, groups;
  std::vector<int> in, filter, pad, stride, dilation;
};

const std::vector<ConvolutionCase>& ConvolutionCases() {
  static const std::vector<ConvolutionCase> cases = {
      {"plain", 2, 6, 8, 1, {9, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {"grouped", 3, 8, 12, 4, {10, 6}, {3, 1}, {1, 0}, {1, 1}, {1, 1}},
      {"depthwise", 2, 8, 16, 8, {8, 8}, {5, 5}, {2, 2}, {2, 2}, {1, 1}},
      {"strided", 1, 4, 6, 2, {15, 13}, {5, 3}, {0, 2}, {3, 2}, {1, 1}},
      {"dilated", 2, 3, 5, 1, {17, 19}, {3, 3}, {2, 4}, {1, 2}, {2, 3}},
      {"volume", 2, 4, 6, 2, {7, 8, 9}, {3, 2, 1}, {1, 0, 0}, {2, 1, 3}, {1, 2, 1}},
  };
  return cases;
}

// Output positions that exist, and products there, counted one by one: where the dilated filter,
// moved by whole strides, stays inside the padded image.
uint64_t CountProducts(const ConvolutionCase& one, std::array<uint64_t, 3>* out) {
  uint64_t positions = 1;
  uint64_t taps = 1;
  *out = {1, 1, 1};
  for (size_t i = 0; i < one.in.size(); ++i) {
    uint64_t count = 0;
    for (int at = -one.pad[i]; at + (one.filter[i] - 1) * one.dilation[i] < one.in[i] + one.pad[i];
         at += one.stride[i]) {
      ++count;
    }
    (*out)[i] = count;
    positions *= count;
    taps *= static_cast<uint64_t>(one.filter[i]);
  }
  return static_cast<uint64_t>(one.batch) * static_cast<uint64_t>(one.c_out) *
         static_cast<uint64_t>(one.c_in / one.groups) * positions * taps;
}

uint64_t ProductsOf(const Convolution& found) {
  return found.batch * found.c_out * (found.c_in / found.groups) * found.filter[0] *
         found.filter[1] * found.filter[2] * found.out[0] * found.out[1] * found.out[2];
}

TEST_F(CudnnLegacy, ConvolutionsHaveTheSizesTheirLibraryGivesThem) {
  for (const ConvolutionCase& one : ConvolutionCases()) {
    for (const cudnnTensorFormat_t format : {CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC}) {
      SCOPED_TRACE(one.name);
      const auto space = static_cast<int>(one.in.size());
      std::vector<int> x_sizes = {one.batch, one.c_in};
      x_sizes.insert(x_sizes.end(), one.in.begin(), one.in.end());
      std::vector<int> w_sizes = {one.c_out, one.c_in / one.groups};
      w_sizes.insert(w_sizes.end(), one.filter.begin(), one.filter.end());
      const auto x = Tensor(x_sizes, CUDNN_DATA_HALF, format);
      const auto w = Filter(w_sizes, CUDNN_DATA_HALF, format);
      cudnnConvolutionDescriptor_t walk = nullptr;
      VENDOR(cudnnCreateConvolutionDescriptor, &walk);
      VENDOR(cudnnSetConvolutionNdDescriptor, walk, space, one.pad.data(), one.stride.data(),
             one.dilation.data(), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
      VENDOR(cudnnSetConvolutionGroupCount, walk, one.groups);
      // What the library itself says the output is.
      std::vector<int> y_sizes(x_sizes.size());
      VENDOR(cudnnGetConvolutionNdForwardOutputDim, walk, x, w, static_cast<int>(y_sizes.size()),
             y_sizes.data());
      const auto y = Tensor(y_sizes, CUDNN_DATA_HALF, format);
      std::array<uint64_t, 3> out;
      const uint64_t products = CountProducts(one, &out);
      for (const auto direction : {ConvDirection::kForward, ConvDirection::kDataGradient,
                                   ConvDirection::kFilterGradient}) {
        Convolution found;
        ASSERT_TRUE(ReadConvolution(vendor_, {x, w, y, walk, direction}, &found));
        EXPECT_EQ(found.out, out);
        EXPECT_EQ(ProductsOf(found), products);
        EXPECT_EQ(found.batch, static_cast<uint64_t>(one.batch));
        EXPECT_EQ(found.c_in, static_cast<uint64_t>(one.c_in));
        EXPECT_EQ(found.in[0], static_cast<uint64_t>(one.in[0]));
        EXPECT_EQ(found.direction, direction);
        EXPECT_EQ(found.dtype, Dtype::kF16);
      }
      // An output of another size, or a filter of another width, fits no convolution.
      y_sizes[2] += 1;
      const auto odd = Tensor(y_sizes, CUDNN_DATA_HALF, format);
      w_sizes[1] += 1;
      const auto wide = Filter(w_sizes, CUDNN_DATA_HALF, format);
      Convolution found;
      EXPECT_FALSE(ReadConvolution(vendor_, {x, w, odd, walk}, &found));
      EXPECT_FALSE(ReadConvolution(vendor_, {x, wide, y, walk}, &found));
      EXPECT_FALSE(ReadConvolution(vendor_, {x, w, nullptr, walk}, &found));
    }
  }
}

TEST_F(CudnnLegacy, MathTypesAndFormatsOfConvolutions) {
  const auto read = [&](cudnnDataType_t type, cudnnMathType_t math, cudnnTensorFormat_t format) {
    const auto x = Tensor({2, 64, 8, 8}, type, format);
    const auto w = Filter({32, 64, 1, 1}, type, format);
    const auto y = Tensor({2, 32, 8, 8}, type, format);
    cudnnConvolutionDescriptor_t walk = nullptr;
    VENDOR(cudnnCreateConvolutionDescriptor, &walk);
    VENDOR(cudnnSetConvolution2dDescriptor, walk, 0, 0, 1, 1, 1, 1, CUDNN_CONVOLUTION,
           CUDNN_DATA_FLOAT);
    VENDOR(cudnnSetConvolutionMathType, walk, math);
    Convolution found;
    EXPECT_TRUE(ReadConvolution(vendor_, {x, w, y, walk}, &found));
    EXPECT_EQ(ProductsOf(found), 2u * 32 * 64 * 64);
    return found.dtype;
  };
  constexpr auto kNchw = CUDNN_TENSOR_NCHW;
  EXPECT_EQ(read(CUDNN_DATA_FLOAT, CUDNN_DEFAULT_MATH, kNchw), Dtype::kTf32);
  EXPECT_EQ(read(CUDNN_DATA_FLOAT, CUDNN_TENSOR_OP_MATH, kNchw), Dtype::kTf32);
  EXPECT_EQ(read(CUDNN_DATA_FLOAT, CUDNN_FMA_MATH, kNchw), Dtype::kF32);
  EXPECT_EQ(read(CUDNN_DATA_DOUBLE, CUDNN_DEFAULT_MATH, kNchw), Dtype::kF64);
  EXPECT_EQ(read(CUDNN_DATA_BFLOAT16, CUDNN_TENSOR_OP_MATH, CUDNN_TENSOR_NHWC), Dtype::kBf16);
  EXPECT_EQ(read(CUDNN_DATA_INT8x32, CUDNN_DEFAULT_MATH, CUDNN_TENSOR_NCHW_VECT_C), Dtype::kI8);
}

TEST_F(CudnnLegacy, RecurrentNetworks) {
  cudnnRNNDescriptor_t network = nullptr;
  cudnnDropoutDescriptor_t dropout = nullptr;
  VENDOR(cudnnCreateRNNDescriptor, &network);
  VENDOR(cudnnCreateDropoutDescriptor, &dropout);
  const auto set = [&](cudnnRNNMode_t cell, cudnnDirectionMode_t direction,
                       cudnnRNNInputMode_t input, cudnnDataType_t type, cudnnMathType_t math,
                       int input_size, int hidden, int projection, int layers) {
    VENDOR(cudnnSetRNNDescriptor_v8, network, CUDNN_RNN_ALGO_STANDARD, cell, CUDNN_RNN_DOUBLE_BIAS,
           direction, input, type, type, math, input_size, hidden, projection, layers, dropout,
           static_cast<uint32_t>(CUDNN_RNN_PADDED_IO_ENABLED));
  };
  const auto data = [&](const std::vector<int>& lengths, int longest, int width) {
    cudnnRNNDataDescriptor_t made = nullptr;
    float fill = 0;
    VENDOR(cudnnCreateRNNDataDescriptor, &made);
    VENDOR(cudnnSetRNNDataDescriptor, made, CUDNN_DATA_HALF,
           CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED, longest, static_cast<int>(lengths.size()),
           width, lengths.data(), static_cast<void*>(&fill));
    return made;
  };
  shapes::Rnn rnn;
  set(CUDNN_LSTM, CUDNN_BIDIRECTIONAL, CUDNN_LINEAR_INPUT, CUDNN_DATA_HALF, CUDNN_TENSOR_OP_MATH,
      96, 64, 32, 3);
  ASSERT_TRUE(ReadRnn(vendor_, {network, data({7, 5, 2}, 10, 96)}, &rnn));
  EXPECT_EQ(rnn.steps, 14u);  // not 3 x 10
  EXPECT_EQ(rnn.input_size, 96u);
  EXPECT_EQ(rnn.hidden_size, 64u);
  EXPECT_EQ(rnn.projection_size, 32u);
  EXPECT_EQ(rnn.layers, 3u);
  EXPECT_EQ(rnn.directions, 2u);
  EXPECT_EQ(rnn.cell, shapes::RnnCell::kLstm);
  EXPECT_EQ(rnn.dtype, Dtype::kF16);
  EXPECT_EQ(rnn.pass, shapes::RnnPass::kForward);
  EXPECT_FALSE(rnn.skips_input);

  set(CUDNN_GRU, CUDNN_UNIDIRECTIONAL, CUDNN_SKIP_INPUT, CUDNN_DATA_FLOAT, CUDNN_FMA_MATH, 64, 64,
      64, 1);
  // More sequences than fit the usual room.
  std::vector<int> lengths;
  uint64_t steps = 0;
  for (int i = 0; i < 1000; ++i) {
    lengths.push_back(1 + i * 37 % 91);
    steps += static_cast<uint64_t>(lengths.back());
  }
  ASSERT_TRUE(
      ReadRnn(vendor_, {network, data(lengths, 91, 64), shapes::RnnPass::kBackwardWeights}, &rnn));
  EXPECT_EQ(rnn.steps, steps);
  EXPECT_EQ(rnn.projection_size, 0u);
  EXPECT_EQ(rnn.directions, 1u);
  EXPECT_EQ(rnn.cell, shapes::RnnCell::kGru);
  EXPECT_EQ(rnn.dtype, Dtype::kF32);
  EXPECT_EQ(rnn.pass, shapes::RnnPass::kBackwardWeights);
  EXPECT_TRUE(rnn.skips_input);

  set(CUDNN_RNN_TANH, CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, CUDNN_DATA_FLOAT,
      CUDNN_DEFAULT_MATH, 48, 64, 64, 2);
  ASSERT_TRUE(ReadRnn(vendor_, {network, data({4}, 4, 48)}, &rnn));
  EXPECT_EQ(rnn.cell, shapes::RnnCell::kVanilla);
  EXPECT_EQ(rnn.dtype, Dtype::kTf32);
  EXPECT_FALSE(ReadRnn(vendor_, {network, nullptr}, &rnn));
}

class MultiHead : public CudnnLegacy {
 protected:
  static constexpr int kHeads = 4, kQ = 64, kK = 48, kV = 56, kLongest = 12;

  void Describe(int q_projected, int k_projected, int v_projected, int o_projected,
                int k_size = kK) {
    VENDOR(cudnnCreateAttnDescriptor, &attention_);
    VENDOR(cudnnSetAttnDescriptor, attention_, 0u, kHeads, 1.0, CUDNN_DATA_HALF, CUDNN_DATA_FLOAT,
           CUDNN_DEFAULT_MATH, nullptr, nullptr, kQ, k_size, kV, q_projected, k_projected,
           v_projected, o_projected, kLongest, kLongest, 3, 1);
  }
  cudnnSeqDataDescriptor_t Sequence(const std::vector<int>& lengths, int width) {
    cudnnSeqDataDescriptor_t made = nullptr;
    const cudnnSeqDataAxis_t axes[] = {CUDNN_SEQDATA_TIME_DIM, CUDNN_SEQDATA_BATCH_DIM,
                                       CUDNN_SEQDATA_BEAM_DIM, CUDNN_SEQDATA_VECT_DIM};
    int dims[CUDNN_SEQDATA_DIM_COUNT];
    dims[CUDNN_SEQDATA_TIME_DIM] = kLongest;
    dims[CUDNN_SEQDATA_BATCH_DIM] = static_cast<int>(lengths.size());
    dims[CUDNN_SEQDATA_BEAM_DIM] = 1;
    dims[CUDNN_SEQDATA_VECT_DIM] = width;
    VENDOR(cudnnCreateSeqDataDescriptor, &made);
    VENDOR(cudnnSetSeqDataDescriptor, made, CUDNN_DATA_HALF, CUDNN_SEQDATA_DIM_COUNT,
           static_cast<const int*>(dims), static_cast<const cudnnSeqDataAxis_t*>(axes),
           lengths.size(), lengths.data(), nullptr);
    return made;
  }
  // Multiply-adds of what was interned, attention by walking over every row's keys.
  uint64_t Interned(uint32_t count) const {
    uint64_t sum = 0;
    for (const shapes::Gemm& gemm : g_interned.gemms) sum += gemm.m * gemm.n * gemm.k * gemm.batch;
    for (const shapes::Attention& one : g_interned.attentions) {
      uint64_t pairs = 0;
      for (uint64_t row = 0; row < one.seq_q; ++row) {
        const bool is_causal = one.mask == shapes::Mask::kCausalTopLeft;
        pairs += is_causal ? std::min(row + 1, one.seq_k) : one.seq_k;
      }
      const uint64_t times = parts_[count - 1].count;  // attentions stand last
      sum += times * one.batch * one.heads_q * pairs * (one.head_dim_qk + one.head_dim_v);
    }
    return sum;
  }
  uint32_t Read(const MultiHeadArguments& arguments) {
    g_interned = {};
    return InternMultiHead(vendor_, arguments, Entry::k_cudnnMultiHeadAttnForward, parts_,
                           {&KeepGemm, &KeepAttention});
  }

  cudnnAttnDescriptor_t attention_ = nullptr;
  CompoundPart parts_[kMaxMultiHeadParts];
};

TEST_F(MultiHead, ProjectionsAndAttentionOverHostLengths) {
  Describe(16, 16, 24, 80);
  const std::vector<int> q_lengths = {7, 5, 7}, k_lengths = {9, 11, 9};
  const auto q = Sequence(q_lengths, kQ);
  const auto k = Sequence(k_lengths, kK);
  std::vector<int> begin(kLongest, 0), end(kLongest, kLongest);
  MultiHeadArguments arguments;
  arguments.attention = attention_;
  arguments.q = q;
  arguments.k = k;
  arguments.window_begin = begin.data();
  arguments.window_end = end.data();
  uint32_t count = Read(arguments);
  ASSERT_EQ(count, 4u + 2);  // 7 x 9 twice and 5 x 11
  const uint64_t projections =
      19 * kQ * kHeads * 16 + 29 * kK * kHeads * 16 + 29 * kV * kHeads * 24 + 19 * kHeads * 24 * 80;
  const uint64_t full = (7 * 9 + 5 * 11 + 7 * 9) * kHeads * (16 + 24);
  EXPECT_EQ(Interned(count), projections + full);
  for (const auto provenance : g_interned.provenances) {
    EXPECT_EQ(provenance, shapes::Provenance::kExact);
  }
  // Gradients of the inputs: each projection once more, four products of attention.
  arguments.part = MultiHeadArguments::Part::kBackwardData;
  count = Read(arguments);
  EXPECT_EQ(Interned(count), projections + 2 * full);
  // Gradients of the weights: the projections alone.
  arguments.part = MultiHeadArguments::Part::kBackwardWeights;
  count = Read(arguments);
  ASSERT_EQ(count, 4u);
  EXPECT_EQ(Interned(count), projections);
}

TEST_F(MultiHead, WindowsAreMasksWhereTheyCanBe) {
  Describe(0, 0, 0, 0, kQ);  // no projections: heads share the operands as they are
  const auto q = Sequence({6, 6}, kQ);
  const auto k = Sequence({6, 6}, kQ);
  std::vector<int> begin(kLongest, 0), end(kLongest);
  for (int i = 0; i < kLongest; ++i) end[static_cast<size_t>(i)] = i + 1;
  MultiHeadArguments arguments;
  arguments.attention = attention_;
  arguments.q = q;
  arguments.k = k;
  arguments.window_begin = begin.data();
  arguments.window_end = end.data();
  uint32_t count = Read(arguments);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(Interned(count), 2u * kHeads * 21 * (kQ + kV));
  EXPECT_EQ(g_interned.provenances[0], shapes::Provenance::kExact);
  // The third query alone, of each sequence, with keys 1 and 2.
  begin[2] = 1;
  arguments.current = 2;
  count = Read(arguments);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(Interned(count), 2u * kHeads * 2 * (kQ + kV));
  // Windows that no mask of ours says: all pairs, as a bound.
  arguments.current = -1;
  count = Read(arguments);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(Interned(count), 2u * kHeads * 36 * (kQ + kV));
  EXPECT_EQ(g_interned.provenances[0], shapes::Provenance::kBound);
  arguments.q = nullptr;
  EXPECT_EQ(Read(arguments), 0u);
}

}  // namespace
}  // namespace observe
}  // namespace mfutrace::interpose
