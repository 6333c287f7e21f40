// Every reference vector of a GEMM, attention, convolution or collective call against shapes/.
//
// The vectors (public tests, public formulas, published tables) are not part of the project: tests
// say how many cases they checked, and are skipped where the folder is missing. flops_test.cc and
// traffic_test.cc hold some of the cases for that case.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shapes/flops.h"
#include "shapes/traffic.h"

namespace mfutrace::shapes {
namespace {

using Json = nlohmann::json;

class Vectors : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::ifstream(std::string(MFU_SHARED_DIR) + "/vectors/blas.json").good()) {
      GTEST_SKIP() << "no reference vectors in " << MFU_SHARED_DIR
                   << "/vectors (set MFUTRACE_SHARED_DIR)";
    }
  }

  static std::vector<Json> Load(const std::vector<std::string>& names) {
    std::vector<Json> cases;
    for (const std::string& name : names) {
      std::ifstream file(std::string(MFU_SHARED_DIR) + "/vectors/" + name + ".json");
      EXPECT_TRUE(file.good()) << name;
      for (Json& entry : Json::parse(file)) cases.push_back(std::move(entry));
    }
    return cases;
  }
};

// The number mfutrace should give: the case's own where the source agrees with our definitions.
std::optional<uint64_t> Wanted(const Json& entry) {
  if (entry.value("agrees_with_recommended", Json()).is_boolean() &&
      entry["agrees_with_recommended"].get<bool>()) {
    return entry["flops"].get<uint64_t>();
  }
  if (entry.contains("flops_recommended")) return entry["flops_recommended"].get<uint64_t>();
  if (entry.contains("flops_exact_causal")) return entry["flops_exact_causal"].get<uint64_t>();
  return std::nullopt;
}

bool IsOp(const Json& entry, const std::string& op) { return entry["op"] == op; }
bool StartsWith(const std::string& text, const std::string& start) {
  return text.rfind(start, 0) == 0;
}
bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Dtype DtypeOf(const std::string& name) {
  if (name == "e4m3") return Dtype::kF8E4M3;
  if (name == "e2m1") return Dtype::kF4E2M1;
  return DtypeNamed(name);
}

Gemm GemmOf(const Json& args) {
  Gemm gemm;
  gemm.m = args["m"];
  gemm.n = args["n"];
  gemm.k = args["k"];
  gemm.batch = args.value("batch", 1);
  gemm.beta = args.value("beta", 1) == 0 ? BetaUse::kZero : BetaUse::kNonzero;
  const std::string type = args.value("type", "real_f64");
  gemm.a = gemm.b = gemm.c = gemm.d = StartsWith(type, "complex") ? Dtype::kC64F64 : Dtype::kF64;
  gemm.gauss_3m = args.value("algorithm", "") == "gauss_3m";
  if (args.contains("types")) {
    const std::string types = args["types"];
    const size_t first = types.find(',');
    const size_t second = types.find(',', first + 1);
    gemm.a = DtypeOf(types.substr(0, first));
    gemm.b = DtypeOf(types.substr(first + 1, second - first - 1));
    gemm.c = gemm.d = DtypeOf(types.substr(second + 1));
  }
  return gemm;
}

TEST_F(Vectors, GemmFlopsAndBytes) {
  int checked = 0;
  int bytes_checked = 0;
  int blas_checked = 0;
  const auto check = [&](const std::string& id, const Gemm& gemm, uint64_t wanted) {
    EXPECT_EQ(ExecutedFlop(gemm), wanted) << id;
    EXPECT_EQ(ModelFlop(gemm), wanted) << id;
    ++checked;
  };
  for (const Json& entry : Load({"blas", "pytorch_flop_counter", "deepbench_published"})) {
    const std::string id = entry["id"];
    if (IsOp(entry, "gemm_sequence")) {
      uint64_t sum = 0;
      for (const Json& call : entry["calls"]) {
        sum += ExecutedFlop(GemmOf(call)) * call["count"].get<uint64_t>();
      }
      EXPECT_EQ(sum, Wanted(entry)) << id;
      ++checked;
      continue;
    }
    if (!IsOp(entry, "gemm") && !IsOp(entry, "gemm3m")) continue;
    Gemm gemm = GemmOf(entry["args"]);
    if (IsOp(entry, "gemm3m")) {
      gemm.a = gemm.b = gemm.c = gemm.d = Dtype::kC32F32;
      gemm.gauss_3m = true;
    }
    if (const std::optional<uint64_t> wanted = Wanted(entry)) {
      check(id, gemm, *wanted);
      if (StartsWith(id, "blas")) ++blas_checked;
    }
    if (entry.contains("flops_model")) {
      EXPECT_EQ(ConventionalFlop(gemm), entry["flops_model"].get<uint64_t>()) << id;
    }
    if (entry["bytes"].is_number()) {
      EXPECT_EQ(LeastBytes(gemm), entry["bytes"].get<uint64_t>()) << id;
      ++bytes_checked;
    }
  }
  std::printf("%d gemm cases (%d of blas), %d of bytes\n", checked, blas_checked, bytes_checked);
  EXPECT_GE(blas_checked, 15);
  EXPECT_GE(checked, 100);
  EXPECT_GE(bytes_checked, 10);
}

Attention AttentionOf(const Json& args) {
  Attention attention;
  attention.batch = args.value("b", 1);
  attention.heads_q = args["h_q"];
  attention.heads_kv = args["h_kv"];
  if (args.contains("s_q")) {
    attention.seq_q = args["s_q"];
    attention.seq_k = args["s_k"];
  }
  attention.head_dim_qk = args["d_qk"];
  attention.head_dim_v = args["d_v"];
  attention.dtype = Dtype::kBf16;
  const Json align = args.value("align", Json());
  if (args["mask"] == "none") {
    attention.mask = Mask::kNone;
  } else {
    attention.mask = align == "top_left" ? Mask::kCausalTopLeft : Mask::kCausalBottomRight;
  }
  const Json left = args.value("window_left", Json());
  const Json right = args.value("window_right", Json());
  if (left.is_number()) attention.window_left = left;
  if (right.is_number()) attention.window_right = right;
  return attention;
}

// The call itself, or one call a sequence where lengths are ragged.
std::vector<Attention> SequencesOf(const Json& args) {
  if (!args.contains("seqlens_q")) return {AttentionOf(args)};
  std::vector<Attention> sequences;
  for (size_t i = 0; i < args["seqlens_q"].size(); ++i) {
    Attention sequence = AttentionOf(args);
    sequence.seq_q = args["seqlens_q"][i];
    sequence.seq_k = args["seqlens_k"][i];
    sequences.push_back(sequence);
  }
  return sequences;
}

template <typename Count>
uint64_t SumOver(const std::vector<Attention>& sequences, Count count) {
  uint64_t sum = 0;
  for (const Attention& sequence : sequences) sum += count(sequence);
  return sum;
}

TEST_F(Vectors, AttentionFlopsPairsAndBytes) {
  const auto executed = [](const Attention& call) { return ExecutedFlop(call); };
  const auto model = [](const Attention& call) { return ModelFlop(call); };
  int checked = 0;
  int bytes_checked = 0;
  int full_checked = 0;
  for (const Json& entry : Load({"attention_exact", "attention_cudnn_frontend",
                                 "attention_flash_benchmarks", "pytorch_flop_counter"})) {
    const std::string id = entry["id"];
    const std::string op = entry["op"];
    if (!StartsWith(op, "attention")) continue;
    const Json& args = entry["args"];
    std::vector<Attention> calls = SequencesOf(args);
    std::vector<Attention> backward = calls;
    for (Attention& call : backward) call.pass = Pass::kBackward;
    const bool is_both = EndsWith(op, "fwd_bwd");
    if (!is_both && EndsWith(op, "bwd")) calls = backward;

    // PyTorch's convention: no mask; its math backend has four products in the backward.
    if (args.value("counted_as", "") == "full") {
      uint64_t full = SumOver(calls, [](const Attention& call) { return FullRectangleFlop(call); });
      if (is_both) {
        const bool is_math = args.value("backend", "") == "math";
        full += SumOver(backward, [is_math](Attention call) {
          call.mask = Mask::kNone;
          return is_math ? ModelFlop(call) : FullRectangleFlop(call);
        });
      }
      EXPECT_EQ(full, entry["flops"].get<uint64_t>()) << id;
      ++full_checked;
    }
    if (entry.contains("pairs")) {
      if (entry["pairs"].is_array()) {
        for (size_t i = 0; i < calls.size(); ++i) {
          EXPECT_EQ(KeptPairs(calls[i]), entry["pairs"][i].get<uint64_t>()) << id;
        }
      } else {
        EXPECT_EQ(KeptPairs(calls.front()), entry["pairs"].get<uint64_t>()) << id;
      }
    }
    if (entry.contains("full_rectangle")) {
      EXPECT_EQ(FullRectangleFlop(calls.front()), entry["full_rectangle"].get<uint64_t>()) << id;
    }
    if (entry.contains("flops_model")) {
      EXPECT_EQ(SumOver(calls, model), entry["flops_model"].get<uint64_t>()) << id;
    }
    if (const std::optional<uint64_t> wanted = Wanted(entry)) {
      uint64_t sum = SumOver(calls, executed);
      if (is_both) sum += SumOver(backward, executed);
      EXPECT_EQ(sum, *wanted) << id;
      ++checked;
    }
    const bool bytes_agree = !entry.contains("bytes_agree") || entry["bytes_agree"] == true;
    if (entry.contains("bytes_recommended")) {
      EXPECT_EQ(LeastBytes(calls.front()), entry["bytes_recommended"].get<uint64_t>()) << id;
      ++bytes_checked;
    } else if (entry["bytes"].is_number() && bytes_agree) {
      EXPECT_EQ(LeastBytes(calls.front()), entry["bytes"].get<uint64_t>()) << id;
      ++bytes_checked;
    }
  }
  std::printf("%d attention cases, %d as the full rectangle, %d of bytes\n", checked, full_checked,
              bytes_checked);
  EXPECT_GE(checked, 100);
  EXPECT_GE(full_checked, 8);
  EXPECT_GE(bytes_checked, 40);
}

void SetSizes(const Json& from, std::array<uint64_t, 3>* sizes) {
  for (size_t i = 0; i < from.size(); ++i) (*sizes)[i] = from[i];
}

Convolution ConvolutionOf(const std::string& op, const Json& args) {
  Convolution convolution;
  convolution.batch = args["n"];
  convolution.c_in = args.contains("c") ? args["c"] : args["c_in"];
  convolution.c_out = args.contains("k") ? args["k"] : args["c_out"];
  convolution.groups = args.value("groups", 1);
  convolution.dtype = Dtype::kF16;
  convolution.is_transposed = StartsWith(op, "conv_transpose");
  if (EndsWith(op, "bwd_data")) convolution.direction = ConvDirection::kDataGradient;
  if (EndsWith(op, "bwd_filter")) convolution.direction = ConvDirection::kFilterGradient;
  SetSizes(args.contains("spatial") ? args["spatial"] : args["spatial_in"], &convolution.in);
  SetSizes(args["filter"], &convolution.filter);
  if (args.contains("out")) {
    SetSizes(args["out"], &convolution.out);
  } else if (!convolution.is_transposed) {
    for (size_t i = 0; i < args["filter"].size(); ++i) {
      const uint64_t reach = args["dilation"][i].get<uint64_t>() * (convolution.filter[i] - 1) + 1;
      convolution.out[i] = (convolution.in[i] + 2 * args["pad"][i].get<uint64_t>() - reach) /
                               args["stride"][i].get<uint64_t>() +
                           1;
    }
  }
  return convolution;
}

TEST_F(Vectors, ConvolutionFlopsAndBytes) {
  int checked = 0;
  int bytes_checked = 0;
  for (const Json& entry :
       Load({"conv_taps", "pytorch_flop_counter", "blas", "deepbench_published"})) {
    const std::string id = entry["id"];
    const std::string op = entry["op"];
    if (op == "conv_sequence" || op == "model_train_step") {
      uint64_t sum = 0;
      for (const Json& call : entry["calls"]) {
        const std::string call_op = call["op"];
        const uint64_t flop = StartsWith(call_op, "conv")
                                  ? ExecutedFlop(ConvolutionOf(call_op, call))
                                  : ExecutedFlop(GemmOf(call));
        sum += flop * call.value("passes", 1) * call.value("count", 1);
      }
      EXPECT_EQ(sum, Wanted(entry)) << id;
      ++checked;
      continue;
    }
    if (!StartsWith(op, "conv_")) continue;
    const std::optional<uint64_t> wanted = Wanted(entry);
    const Convolution convolution = ConvolutionOf(op, entry["args"]);
    if (wanted.has_value()) {
      const uint64_t passes = op == "conv_bwd_data_and_filter" ? 2 : 1;
      EXPECT_EQ(passes * ExecutedFlop(convolution), *wanted) << id;
      EXPECT_EQ(ModelFlop(convolution), ExecutedFlop(convolution)) << id;
      ++checked;
    }
    if (entry["bytes"].is_number()) {
      EXPECT_EQ(LeastBytes(convolution), entry["bytes"].get<uint64_t>()) << id;
      ++bytes_checked;
    }
  }
  std::printf("%d convolution cases, %d of bytes\n", checked, bytes_checked);
  EXPECT_GE(checked, 120);
  EXPECT_GE(bytes_checked, 10);
}

TEST_F(Vectors, CollectiveSizes) {
  const std::vector<std::pair<std::string, CollectiveKind>> kinds = {
      {"nccl_all_reduce", CollectiveKind::kAllReduce},
      {"nccl_all_gather", CollectiveKind::kAllGather},
      {"nccl_reduce_scatter", CollectiveKind::kReduceScatter},
      {"nccl_broadcast", CollectiveKind::kBroadcast},
      {"nccl_reduce", CollectiveKind::kReduce},
      {"nccl_sendrecv", CollectiveKind::kSend},
      {"nccl_alltoall", CollectiveKind::kAllToAll},
      {"nccl_gather", CollectiveKind::kGather},
      {"nccl_scatter", CollectiveKind::kScatter}};
  int checked = 0;
  for (const Json& entry : Load({"nccl"})) {
    const std::string id = entry["id"];
    Collective collective;
    for (const auto& [name, kind] : kinds) {
      if (entry["op"] == name) collective.kind = kind;
    }
    ASSERT_NE(collective.kind, CollectiveKind::kUnknown) << id;
    collective.count = entry["args"]["count_arg"];
    collective.rank_count = entry["args"]["nranks"];
    collective.dtype = entry["args"]["elem_bytes"] == 2 ? Dtype::kBf16 : Dtype::kF32;
    ASSERT_EQ(entry["args"]["elem_bytes"].get<uint32_t>() * 8, BitsOf(collective.dtype)) << id;
    EXPECT_EQ(AlgorithmBytes(collective), entry["algo_bytes"].get<uint64_t>()) << id;
    EXPECT_EQ(BusBytes(collective), entry["bytes"].get<uint64_t>()) << id;
    EXPECT_EQ(ReductionAdds(collective), entry["reduction_adds_all_ranks"].get<uint64_t>()) << id;
    ++checked;
  }
  std::printf("%d collective cases\n", checked);
  EXPECT_GE(checked, 24);
}

}  // namespace
}  // namespace mfutrace::shapes
