// Operators' operands -> FLOPs, against PyTorch's own counter (reference vectors), and names.
#include "report/import/kineto_ops.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "report/import/kernel_classes.h"
#include "report/import/kineto_groups.h"
#include "shapes/flops.h"
#include "tests/report/import_reference.h"

namespace mfutrace::report {
namespace {

using Dims = std::vector<std::vector<int64_t>>;

RawSignature Signature(const std::string& name, const Dims& dims,
                       const std::vector<std::string>& concrete = {}) {
  RawSignature signature;
  signature.name = name;
  signature.operands.dims = dims;
  signature.operands.is_tensor_list.resize(dims.size());
  signature.operands.types.resize(dims.size(), "c10::BFloat16");
  signature.operands.concrete = concrete;
  return signature;
}

uint64_t ExecutedOf(const CountedShape& counted) {
  return std::visit([](const auto& shape) { return shapes::ExecutedFlop(shape); }, counted.shape);
}

uint64_t SumOf(const RawSignature& signature) {
  uint64_t sum = 0;
  for (const CountedShape& counted : ShapesOf(signature)) sum += ExecutedOf(counted);
  return sum;
}

const shapes::Attention& AttentionIn(const std::vector<CountedShape>& counted) {
  EXPECT_EQ(counted.size(), 1u);
  return std::get<shapes::Attention>(counted.at(0).shape);
}

std::string ListText(const std::vector<int64_t>& list) {
  return absl::StrCat("[", absl::StrJoin(list, ", "), "]");
}

// Vectors of torch.utils.flop_counter and its tests, put into the form that the profiler records.
class FlopCounterVectors : public testing::Test {
 protected:
  void SetUp() override {
    if (!LoadReference(std::string(MFU_SHARED_DIR) + "/vectors/pytorch_flop_counter.json",
                       &cases_)) {
      GTEST_SKIP() << "no reference vectors under " << MFU_SHARED_DIR << "/vectors";
    }
  }
  static int64_t Get(const rapidjson::Value& args, const char* name, int64_t otherwise = 1) {
    return args.HasMember(name) ? args[name].GetInt64() : otherwise;
  }
  static std::vector<int64_t> List(const rapidjson::Value& args, const char* name, size_t size,
                                   int64_t otherwise) {
    std::vector<int64_t> list(size, otherwise);
    if (!args.HasMember(name)) return list;
    for (size_t i = 0; i < size; ++i) {
      list[i] = args[name][static_cast<rapidjson::SizeType>(i)].GetInt64();
    }
    return list;
  }
  static std::vector<int64_t> Joined(std::vector<int64_t> first, const std::vector<int64_t>& rest) {
    first.insert(first.end(), rest.begin(), rest.end());
    return first;
  }

  rapidjson::Document cases_;
};

TEST_F(FlopCounterVectors, AgreeingCasesAreEqual) {
  std::map<std::string, int> tested;
  for (const rapidjson::Value& test : cases_.GetArray()) {
    if (!test["agrees_with_recommended"].IsBool() || !test["agrees_with_recommended"].GetBool()) {
      continue;
    }
    SCOPED_TRACE(test["id"].GetString());
    const std::string op = test["op"].GetString();
    const rapidjson::Value& args = test["args"];
    const uint64_t flop = test["flops"].GetUint64();
    if (op == "gemm") {
      const int64_t m = Get(args, "m"), n = Get(args, "n"), k = Get(args, "k");
      const int64_t batch = Get(args, "batch");
      if (batch == 1) {
        EXPECT_EQ(SumOf(Signature("aten::mm", {{m, k}, {k, n}})), flop);
        EXPECT_EQ(SumOf(Signature("aten::addmm", {{n}, {m, k}, {k, n}, {}, {}})), flop);
      }
      EXPECT_EQ(SumOf(Signature("aten::bmm", {{batch, m, k}, {batch, k, n}})), flop);
      EXPECT_EQ(SumOf(Signature("aten::baddbmm", {{batch, m, n}, {batch, m, k}, {batch, k, n}})),
                flop);
    } else if (op == "conv_fwd" || op == "conv_bwd_filter" || op == "conv_bwd_data_and_filter") {
      const size_t rank = args["spatial"].Size();
      const int64_t groups = Get(args, "groups");
      const std::vector<int64_t> input =
          Joined({Get(args, "n"), Get(args, "c")}, List(args, "spatial", rank, 1));
      const std::vector<int64_t> weight =
          Joined({Get(args, "k"), Get(args, "c") / groups}, List(args, "filter", rank, 1));
      const std::vector<std::string> window = {
          ListText(List(args, "stride", rank, 1)),   ListText(List(args, "pad", rank, 0)),
          ListText(List(args, "dilation", rank, 1)), "False",
          ListText(std::vector<int64_t>(rank, 0)),   absl::StrCat(groups)};
      if (op == "conv_fwd") {
        std::vector<std::string> concrete = {"", "", ""};
        concrete.insert(concrete.end(), window.begin(), window.end());
        EXPECT_EQ(SumOf(Signature("aten::convolution", {input, weight, {}}, concrete)), flop);
      } else {
        std::vector<std::string> concrete = {"", "", "", "[0]"};
        concrete.insert(concrete.end(), window.begin(), window.end());
        concrete.push_back(op == "conv_bwd_filter" ? "[False, True, True]" : "[True, True, False]");
        EXPECT_EQ(SumOf(Signature("aten::convolution_backward", {{}, input, weight}, concrete)),
                  flop);
      }
    } else if (op == "conv_transpose_fwd") {
      const size_t rank = args["spatial_in"].Size();
      const int64_t groups = Get(args, "groups");
      const std::vector<int64_t> input =
          Joined({Get(args, "n"), Get(args, "c_in")}, List(args, "spatial_in", rank, 1));
      const std::vector<int64_t> weight =
          Joined({Get(args, "c_in"), Get(args, "c_out") / groups}, List(args, "filter", rank, 1));
      EXPECT_EQ(SumOf(Signature("aten::convolution", {input, weight, {}},
                                {"", "", "", ListText(List(args, "stride", rank, 1)),
                                 ListText(List(args, "pad", rank, 0)),
                                 ListText(List(args, "dilation", rank, 1)), "True",
                                 ListText(std::vector<int64_t>(rank, 0)), absl::StrCat(groups)})),
                flop);
    } else if (op == "attention_fwd" || op == "attention_bwd") {
      const int64_t b = Get(args, "b"), h_q = Get(args, "h_q"), h_kv = Get(args, "h_kv");
      const int64_t s_q = Get(args, "s_q"), s_k = Get(args, "s_k");
      const int64_t d_qk = Get(args, "d_qk"), d_v = Get(args, "d_v");
      ASSERT_STREQ(args["mask"].GetString(), "none");
      const std::vector<int64_t> q = {b, h_q, s_q, d_qk}, k = {b, h_kv, s_k, d_qk},
                                 v = {b, h_kv, s_k, d_v};
      const std::vector<int64_t> q2 = {b, s_q, h_q, d_qk}, k2 = {b, s_k, h_kv, d_qk},
                                 v2 = {b, s_k, h_kv, d_v};
      if (op == "attention_fwd") {
        EXPECT_EQ(SumOf(Signature("aten::_scaled_dot_product_flash_attention", {q, k, v},
                                  {"", "", "", "0.", "False", "False", "0.125"})),
                  flop);
        EXPECT_EQ(SumOf(Signature("aten::_scaled_dot_product_efficient_attention", {q, k, v, {}},
                                  {"", "", "", "", "True", "0.", "False", ""})),
                  flop);
        EXPECT_EQ(SumOf(Signature("flash_attn::_flash_attn_forward", {q2, k2, v2},
                                  {"", "", "", "0.", "0.1", "False", "-1", "-1"})),
                  flop);
      } else {
        const std::vector<std::string> text = {"", "", "",  "",  "",   "",
                                               "", "", "1", "1", "0.", "False"};
        EXPECT_EQ(SumOf(Signature("aten::_scaled_dot_product_flash_attention_backward",
                                  {q, q, k, v}, text)),
                  flop);
        EXPECT_EQ(SumOf(Signature("aten::_flash_attention_backward", {q2, q2, k2, v2}, text)),
                  flop);
      }
    } else {
      continue;  // whole models
    }
    ++tested[op];
  }
  EXPECT_EQ(tested["gemm"], 12);
  EXPECT_EQ(tested["conv_fwd"], 13);
  EXPECT_EQ(tested["conv_transpose_fwd"], 5);
  EXPECT_EQ(tested["conv_bwd_filter"], 4);
  EXPECT_EQ(tested["conv_bwd_data_and_filter"], 1);
  EXPECT_EQ(tested["attention_fwd"], 4);
  EXPECT_EQ(tested["attention_bwd"], 4);
}

// 17 queries, 33 keys: top left keeps 17 * 18 / 2 pairs, bottom right 17 * 16 more.
TEST(ShapesOf, CausalMeansWhatTheLibraryMeansByIt) {
  const std::vector<int64_t> q = {1, 1, 17, 8}, k = {1, 1, 33, 8};
  const auto sdpa = ShapesOf(Signature("aten::_scaled_dot_product_flash_attention", {q, k, k},
                                       {"", "", "", "0.", "True", "False", ""}));
  EXPECT_EQ(AttentionIn(sdpa).mask, shapes::Mask::kCausalTopLeft);
  EXPECT_EQ(ExecutedOf(sdpa[0]), 2u * 153 * 16);
  EXPECT_EQ(sdpa[0].provenance, shapes::Provenance::kExact);

  const std::vector<int64_t> q2 = {1, 17, 1, 8}, k2 = {1, 33, 1, 8};
  const auto flash = ShapesOf(Signature("flash_attn::_flash_attn_forward", {q2, k2, k2},
                                        {"", "", "", "0.", "0.1", "True", "-1", "-1"}));
  EXPECT_EQ(AttentionIn(flash).mask, shapes::Mask::kCausalBottomRight);
  EXPECT_EQ(ExecutedOf(flash[0]), 2u * (153 + 17 * 16) * 16);

  const auto efficient =
      ShapesOf(Signature("aten::_efficient_attention_forward", {q2, k2, k2, {}, {}, {}},
                         {"", "", "", "", "", "", "", "", "0.", "2", "False"}));
  EXPECT_EQ(AttentionIn(efficient).mask, shapes::Mask::kCausalBottomRight);
}

TEST(ShapesOf, CausalFlagsMovedBetweenVersions) {
  const std::vector<int64_t> q = {2, 4, 8, 16};
  const auto mask = [&](const std::vector<std::string>& concrete) {
    return AttentionIn(ShapesOf(Signature("aten::_scaled_dot_product_cudnn_attention",
                                          {q, q, q, {}}, concrete)))
        .mask;
  };
  // query, key, value, dropout, is_causal, return_debug_mask
  EXPECT_EQ(mask({"", "", "", "0.", "True", "False", ""}), shapes::Mask::kCausalTopLeft);
  // query, key, value, bias, compute_log_sumexp, dropout, is_causal, return_debug_mask
  EXPECT_EQ(mask({"", "", "", "", "True", "0.", "False", "False", ""}), shapes::Mask::kNone);
  EXPECT_EQ(mask({"", "", "", "", "False", "0.", "True", "False", ""}),
            shapes::Mask::kCausalTopLeft);
}

TEST(ShapesOf, AnUnknownMaskIsABound) {
  const std::vector<int64_t> q = {2, 4, 8, 16};
  const auto counted = ShapesOf(Signature("aten::_scaled_dot_product_flash_attention", {q, q, q}));
  EXPECT_EQ(AttentionIn(counted).mask, shapes::Mask::kUnknown);
  EXPECT_EQ(counted[0].provenance, shapes::Provenance::kBound);
  EXPECT_EQ(ExecutedOf(counted[0]), 2u * 2 * 4 * 8 * 8 * 32);
}

TEST(ShapesOf, WindowsAreKept) {
  const std::vector<int64_t> q = {1, 100, 2, 16};
  const auto counted = ShapesOf(Signature("flash_attn::_flash_attn_forward", {q, q, q},
                                          {"", "", "", "0.", "0.1", "True", "9", "0"}));
  EXPECT_EQ(AttentionIn(counted).window_left, 9);
  EXPECT_EQ(AttentionIn(counted).window_right, 0);
  // Ten keys a row, but for the first rows.
  EXPECT_EQ(ExecutedOf(counted[0]), 2u * 2 * (10 * 11 / 2 + 90 * 10) * 32);
}

TEST(ShapesOf, SequencesOfUnequalLengthAreABound) {
  const std::vector<int64_t> q = {192, 8, 64};
  const auto counted =
      ShapesOf(Signature("flash_attn::_flash_attn_varlen_forward", {q, q, q, {3}, {3}},
                         {"", "", "", "", "", "128", "128", "0.", "0.1", "False"}));
  EXPECT_EQ(AttentionIn(counted).batch, 2u);
  EXPECT_EQ(AttentionIn(counted).heads_q, 8u);
  EXPECT_EQ(counted[0].provenance, shapes::Provenance::kBound);
  EXPECT_EQ(ExecutedOf(counted[0]), 2u * 2 * 8 * 128 * 128 * 128);
}

TEST(ShapesOf, GroupedFilterGradientCountsItsOwnChannels) {
  // Depthwise: each output channel sees one input channel, in every direction.
  const std::vector<std::string> window = {"[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "256"};
  std::vector<std::string> concrete = {"", "", "", "[0]"};
  concrete.insert(concrete.end(), window.begin(), window.end());
  concrete.push_back("[True, True, False]");
  const auto counted =
      ShapesOf(Signature("aten::convolution_backward",
                         {{4, 256, 28, 28}, {4, 256, 28, 28}, {256, 1, 3, 3}}, concrete));
  ASSERT_EQ(counted.size(), 2u);
  for (const CountedShape& part : counted) {
    EXPECT_EQ(ExecutedOf(part), 2u * 4 * 256 * 28 * 28 * 9);
  }
}

TEST(ShapesOf, WhatIsNotRecordedIsNotGuessed) {
  EXPECT_TRUE(ShapesOf(Signature("aten::mm", {})).empty());
  EXPECT_TRUE(ShapesOf(Signature("aten::mm", {{4, 5}, {6, 7}})).empty());
  EXPECT_TRUE(ShapesOf(Signature("aten::mm", {{4, -5}, {-5, 7}})).empty());
  EXPECT_TRUE(ShapesOf(Signature("aten::bmm", {{4, 5}, {5, 7}, {1}, {}})).size() == 1);
  EXPECT_TRUE(ShapesOf(Signature("aten::convolution", {{1, 3, 8, 8}, {4, 3, 3, 3}, {}})).empty());
  EXPECT_TRUE(ShapesOf(Signature("aten::_cudnn_rnn", {{1, 2}, {2, 3}})).empty());
  EXPECT_TRUE(ShapesOf(Signature("aten::relu", {{1, 2}})).empty());
  EXPECT_EQ(InterestIn("aten::_convolution"), OpInterest::kNone);
  EXPECT_EQ(InterestIn("aten::cudnn_convolution"), OpInterest::kNone);
  EXPECT_EQ(InterestIn("vllm::unified_attention_with_output"), OpInterest::kKnownUncounted);
}

TEST(Names, TypesAndCollectives) {
  using shapes::CollectiveKind;
  EXPECT_EQ(DtypeOfTorch("c10::BFloat16"), shapes::Dtype::kBf16);
  EXPECT_EQ(DtypeOfTorch("Half"), shapes::Dtype::kF16);
  EXPECT_EQ(DtypeOfTorch("long int"), shapes::Dtype::kI64);
  // AMD's own eight-bit formats are others than OCP's.
  EXPECT_EQ(DtypeOfTorch("c10::Float8_e4m3fnuz"), shapes::Dtype::kUnknown);
  EXPECT_EQ(DtypeOfTorch(""), shapes::Dtype::kUnknown);
  EXPECT_EQ(CollectiveOfTorch("allreduce"), CollectiveKind::kAllReduce);
  EXPECT_EQ(CollectiveOfTorch("allreduce_coalesced"), CollectiveKind::kAllReduce);
  EXPECT_EQ(CollectiveOfTorch("nccl:_reduce_scatter_base"), CollectiveKind::kReduceScatter);
  EXPECT_EQ(CollectiveOfTorch("_allgather_base"), CollectiveKind::kAllGather);
  EXPECT_EQ(CollectiveOfTorch("all_to_allv"), CollectiveKind::kAllToAll);
  EXPECT_EQ(CollectiveOfTorch("nccl:send 0->1"), CollectiveKind::kSend);
  EXPECT_EQ(CollectiveOfTorch("nccl:recv 0<-1"), CollectiveKind::kRecv);
  EXPECT_EQ(CollectiveOfTorch("reduce"), CollectiveKind::kReduce);
  EXPECT_EQ(CollectiveOfTorch("wait"), CollectiveKind::kUnknown);
  EXPECT_EQ(CollectiveOfKernel("ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)"),
            CollectiveKind::kAllGather);
  EXPECT_EQ(CollectiveOfKernel("ncclKernel_ReduceScatter_RING_LL_Sum_float(ncclDevComm*)"),
            CollectiveKind::kReduceScatter);
  EXPECT_EQ(CollectiveOfKernel("ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(ncclDevComm*)"),
            CollectiveKind::kUnknown);
  EXPECT_EQ(CollectiveOfKernel("rccl"), CollectiveKind::kUnknown);
}

TEST(Names, CommunicationKernels) {
  EXPECT_EQ(CommFamilyOf("ncclDevKernel_Generic_4(ncclDevKernelArgsStorage)"), CommFamily::kNccl);
  EXPECT_EQ(CommFamilyOf("ncclKernel_AllReduce_RING_LL_Sum_float"), CommFamily::kNccl);
  EXPECT_EQ(CommFamilyOf("void RcclAllReduce"), CommFamily::kNccl);
  EXPECT_EQ(CommFamilyOf("void deep_ep::internode::dispatch<8>"), CommFamily::kCustom);
  EXPECT_EQ(CommFamilyOf("void vllm::cross_device_reduce_2stage<__half, 8>"), CommFamily::kCustom);
  EXPECT_EQ(CommFamilyOf("two_shot_all_reduce_kernel"), CommFamily::kCustom);
  EXPECT_EQ(CommFamilyOf("multimem_all_reduce_kernel<c10::BFloat16>"), CommFamily::kCustom);
  EXPECT_EQ(CommFamilyOf("sm90_xmma_gemm_bf16bf16_bf16f32"), CommFamily::kNone);
  EXPECT_EQ(CommFamilyOf("reduce_kernel<512, 1, at::native::ReduceOp>"), CommFamily::kNone);
}

TEST(Groups, RanksAreReadAndWrittenShort) {
  EXPECT_EQ(RanksOf("[0, 1, 2]"), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(RanksOf("4,6,"), (std::vector<int32_t>{4, 6}));
  EXPECT_TRUE(RanksOf("[0, 1, ..., 127]").empty());
  EXPECT_TRUE(RanksOf("").empty());
  EXPECT_EQ(RanksText({5}), "5");
  EXPECT_EQ(RanksText({0, 1}), "0,1");
  EXPECT_EQ(RanksText({0, 1, 2, 3}), "0-3");
  EXPECT_EQ(RanksText({0, 8, 16}), "0-16/8");
  EXPECT_EQ(RanksText({0, 1, 4, 5}), "0,1,4,5");
  std::vector<int32_t> odd;
  for (int32_t i = 0; i < 100; ++i) odd.push_back(i * i);
  std::vector<int32_t> other = odd;
  other.back() += 1;
  EXPECT_LT(RanksText(odd).size(), 48u);
  EXPECT_NE(RanksText(odd), RanksText(other));
}

}  // namespace
}  // namespace mfutrace::report
