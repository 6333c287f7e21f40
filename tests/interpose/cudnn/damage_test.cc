// Damaged plans: whatever is cut off, overwritten, repeated or left out, reading ends with an
// answer, and inside the text, which is as long as its allocation so that a sanitizer sees what
// goes beyond.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/interpose/cudnn/graph_text.h"

namespace mfutrace::interpose {
namespace {

const char* const kReferences[] = {"conv_dgrad",  "conv_fprop",         "sdpa_bwd_causal",
                                   "sdpa_causal", "sdpa_causal_swa256", "sdpa_causal_varlen",
                                   "sdpa_full",   "sdpa_paged_decode",  "sdpa_ragged"};

// The references, or graphs of ours where they are missing.
std::vector<std::string> Graphs() {
  std::vector<std::string> graphs;
  for (const char* name : kReferences) {
    if (auto text = ReferenceGraph(name)) graphs.push_back(*text);
  }
  GraphText own;
  own.Tensor("1", {6, 70, 30}, {.dtype = "HALF", .ragged = "9"})
      .Tensor("2", {1, 30, 50})
      .Virtual("3", {6, 70, 50})
      .Virtual("4", {6, 70, 50})
      .Tensor("5", {6, 70, 50})
      .Node("MATMUL", R"("matA":"1","matB":"2","matC":"3")")
      .Pointwise("EXP", R"("X":"3","Y":"4")")
      .Node("CONCAT", R"("inputDescs":["3","4"],"Y":"5","axis":2)");
  graphs.push_back(own.text());
  return graphs;
}

// What must hold for any answer.
void ExpectSound(const Decoded& decoded) {
  if (!decoded.is_readable) return;
  ASSERT_GE(decoded.work.count, 1u);
  ASSERT_LE(decoded.work.count, CudnnWork::kMaxOperations);
  for (uint32_t i = 0; i < decoded.work.count; ++i) {
    const CudnnOperation& operation = decoded.work.operations[i];
    if (operation.kind == CudnnOperation::Kind::kNamed) {
      ASSERT_NE(operation.name, nullptr);
      for (const char* c = operation.name; *c != '\0'; ++c) ASSERT_TRUE(*c >= ' ' && *c <= '~');
    } else if (operation.kind == CudnnOperation::Kind::kAttention) {
      shapes::Attention attention;
      bool has_lengths = false;
      const TestPack nothing;
      ResolveCudnnAttention(operation, nothing.pack(), &attention, &has_lengths);
    }
  }
}

TEST(CudnnPlanDamage, CutOffAnywhereIsNotReadable) {
  for (const std::string& graph : Graphs()) {
    ASSERT_TRUE(DecodeText(graph).is_readable);
    const size_t last = graph.find_last_of('}');
    const size_t step = graph.size() / 2500 + 1;
    for (size_t bytes = 0; bytes <= last; bytes += step) {
      ASSERT_FALSE(DecodeText(graph.substr(0, bytes)).is_readable) << bytes << " of " << last + 1;
    }
  }
}

TEST(CudnnPlanDamage, OneByteChangedAnywhere) {
  std::mt19937 random(20261124);
  std::string bytes = "{}[]\",:\\0-9aE \n\x7f\xff";
  bytes.push_back('\0');
  for (const std::string& graph : Graphs()) {
    const size_t step = graph.size() / 2500 + 1;
    for (size_t at = random() % step; at < graph.size(); at += step) {
      std::string damaged = graph;
      damaged[at] = bytes[random() % bytes.size()];
      ExpectSound(DecodeText(damaged));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(CudnnPlanDamage, PiecesRemovedRepeatedAndMoved) {
  std::mt19937 random(405);
  const std::vector<std::string> graphs = Graphs();
  uint32_t readable = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = graphs[random() % graphs.size()];
    for (auto edits = 1 + random() % 4; edits > 0 && !damaged.empty(); --edits) {
      const size_t at = random() % damaged.size();
      const size_t bytes = random() % (random() % 2 == 0 ? 12 : 400);
      const std::string piece = damaged.substr(at, bytes);
      switch (random() % 4) {
        case 0:
          damaged.erase(at, bytes);
          break;
        case 1:
          damaged.insert(at, piece);
          break;
        case 2:
          damaged.erase(at, bytes);
          damaged.insert(random() % (damaged.size() + 1), piece);
          break;
        default: {
          const std::string& other = graphs[random() % graphs.size()];
          damaged.insert(at, other.substr(random() % other.size(), bytes));
        }
      }
    }
    const Decoded decoded = DecodeText(damaged);
    readable += decoded.is_readable ? 1 : 0;
    ExpectSound(decoded);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(readable, 100u) << "the damage leaves nothing to decode, so it tests nothing";
}

// Links between known operations, at random: cycles, missing tensors, strange ranks and sizes.
TEST(CudnnPlanDamage, GraphsWithoutSense) {
  std::mt19937 random(9);
  const std::vector<std::string> operations = {"MATMUL",
                                               "CONVOLUTION_FORWARD",
                                               "CONVOLUTION_BACKWARD_FILTER",
                                               "SDPA_FWD",
                                               "SDPA_BWD",
                                               "POINTWISE",
                                               "MOE_GROUPED_MATMUL",
                                               "BLOCK_SCALE_DEQUANTIZE",
                                               "REDUCTION",
                                               "SOFTMAX",
                                               "RESHAPE",
                                               "DIAGONAL_BAND_MASK",
                                               "PADDING_MASK",
                                               "TELEPORT"};
  const std::vector<std::string> modes = {"ADD",       "SUB",           "EXP",
                                          "GEN_INDEX", "BINARY_SELECT", "CMP_GE",
                                          "CMP_GT",    "CMP_LT",        "LOGICAL_AND"};
  const std::vector<std::string> keys = {"X",         "Y",
                                         "B",         "T",
                                         "W",         "dX",
                                         "dW",        "dY",
                                         "matA",      "matB",
                                         "matC",      "Q",
                                         "K",         "V",
                                         "O",         "stats",
                                         "mOverride", "nOverride",
                                         "token",     "weight",
                                         "output",    "seqLenQ",
                                         "seqLenKV",  "pageTableK",
                                         "leftBound", "shiftRightBound"};
  uint32_t readable = 0;
  const int64_t sizes[] = {0, 1, 2, 7, 64, 1024, -5, INT32_MAX, INT64_MAX / 16};
  for (int round = 0; round < 4000; ++round) {
    GraphText graph;
    const auto tensors = static_cast<uint32_t>(2 + random() % 12);
    for (uint32_t i = 0; i < tensors; ++i) {
      std::vector<int64_t> dims(1 + random() % 6);
      for (int64_t& dim : dims) dim = sizes[random() % std::size(sizes)];
      GraphText::TensorOptions options;
      options.is_virtual = random() % 2 == 0;
      options.is_by_value = random() % 4 == 0;
      graph.Tensor(std::to_string(i), dims, options);
    }
    const auto nodes = static_cast<uint32_t>(1 + random() % 20);
    for (uint32_t i = 0; i < nodes; ++i) {
      std::string members = "\"axis\":" + std::to_string(random() % 5) +
                            ",\"pointwiseMode\":\"CUDNN_POINTWISE_" +
                            modes[random() % modes.size()] + "\"";
      for (auto links = random() % 8; links > 0; --links) {
        members += ",\"" + keys[random() % keys.size()] + "\":\"" +
                   std::to_string(random() % (tensors + 2)) + "\"";
      }
      graph.Node(operations[random() % operations.size()], members);
    }
    const Decoded decoded = DecodeText(graph.text());
    readable += decoded.is_readable ? 1 : 0;
    ExpectSound(decoded);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(readable, 3000u) << "strides beyond 64 bits alone make a graph unreadable";
}

TEST(CudnnPlanDamage, TooMuchIsNotReadable) {
  GraphText tensors;
  for (uint32_t i = 0; i <= CudnnGraph::kMaxTensors; ++i) tensors.Tensor(std::to_string(i), {1});
  tensors.Node("REDUCTION", R"("X":"0","Y":"1")");
  EXPECT_FALSE(DecodeText(tensors.text()).is_readable);

  GraphText nodes;
  nodes.Tensor("0", {1});
  for (uint32_t i = 0; i <= CudnnGraph::kMaxNodes; ++i) nodes.Node("REDUCTION", R"("X":"0")");
  EXPECT_FALSE(DecodeText(nodes.text()).is_readable);

  std::string links;
  for (int i = 0; i < 200; ++i) links += R"("X":"0",)";
  GraphText wide;
  wide.Tensor("0", {1}).Node("REDUCTION", links + R"("Y":"0")");
  EXPECT_FALSE(DecodeText(wide.text()).is_readable);

  std::string deep = R"("subgraph":)";
  for (int i = 0; i < 100; ++i) deep += "[";
  for (int i = 0; i < 100; ++i) deep += "]";
  GraphText nested;
  nested.Tensor("0", {1}).Node("SDPA_FWD", deep);
  EXPECT_FALSE(DecodeText(nested.text()).is_readable);

  GraphText ranks;
  ranks.Tensor("0", std::vector<int64_t>(CudnnTensor::kMaxRank + 1, 1))
      .Node("REDUCTION", R"("X":"0")");
  EXPECT_FALSE(DecodeText(ranks.text()).is_readable);
}

TEST(CudnnPlanDamage, OnlyAPlanIsAPlan) {
  for (const char* text :
       {"", "{", "{}", "[]", "null", "\"operationGraph\"",
        "{\"operationGraph\":", "{\"operationGraph\":3}", "{\"operationGraph\":{}}",
        "{\"operationGraph\":{\"tensors\":[],\"nodes\":[]}}", "{\"a\":\"\\", "{\"a\":1 \"b\":2}",
        "{\"a\" 1}", "{,}"}) {
    EXPECT_FALSE(DecodePlan(text).is_readable) << text;
  }
  GraphText graph;
  graph.Tensor("1", {70, 30}).Tensor("2", {30, 50}).Tensor("3", {70, 50});
  graph.Node("MATMUL", R"("matA":"1","matB":"2","matC":"3")");
  // Other members before the graph, of any kind, with text that looks like structure.
  EXPECT_TRUE(DecodePlan(R"({"a":[1,{"b":"}]"},null],"c":{},"d":-1.5e3,"e":true,"f":"\\\"",)"
                         R"("operationGraph":)" +
                         graph.text() + "}")
                  .is_readable);
}

}  // namespace
}  // namespace mfutrace::interpose
