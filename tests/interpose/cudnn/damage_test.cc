// Damaged plans: whatever a text holds, reading it ends, stays within it (the copy is as long as
// the text, for a sanitizer to see), and what is made of it can be resolved.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "shapes/flops.h"
#include "tests/interpose/cudnn/graph_text.h"

namespace mfutrace::interpose {
namespace {

const char* const kReferences[] = {"conv_dgrad",  "conv_fprop",         "sdpa_bwd_causal",
                                   "sdpa_causal", "sdpa_causal_swa256", "sdpa_causal_varlen",
                                   "sdpa_full",   "sdpa_paged_decode",  "sdpa_ragged"};

// True if it is readable.
bool Use(const std::string& text) {
  const Decoded decoded = DecodeText(text);
  if (!decoded.is_readable) return false;
  EXPECT_LE(decoded.work.count, CudnnWork::kMaxOperations);
  for (uint32_t i = 0; i < decoded.work.count; ++i) {
    const CudnnOperation& operation = decoded.work.operations[i];
    if (operation.kind != CudnnOperation::Kind::kAttention) continue;
    shapes::Attention attention;
    bool has_lengths = false;
    ResolveCudnnAttention(operation, TestPack().pack(), &attention, &has_lengths);
    EXPECT_LE(shapes::ExecutedFlop(attention), shapes::FullRectangleFlop(attention));
  }
  return true;
}

class Damage : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto text = ReferenceGraph(GetParam());
    if (!text) {
      GTEST_SKIP() << "no reference graph json_" << GetParam() << ".json under " << MFU_SHARED_DIR
                   << "/experiments";
    }
    text_ = *text;
  }
  std::string text_;
};

TEST_P(Damage, CutOffAnywhereItIsNotReadable) {
  ASSERT_TRUE(Use(text_));
  const size_t last = text_.find_last_of('}');
  for (size_t bytes = 0; bytes <= last; bytes += 1 + text_.size() / 1500) {
    EXPECT_FALSE(Use(text_.substr(0, bytes))) << bytes;
  }
}

TEST_P(Damage, OtherBytesAreReadOrRefused) {
  std::mt19937 random(20);
  size_t readable = 0;
  constexpr int kRounds = 1500;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = text_;
    const size_t changes = 1 + random() % 8;
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = random() % damaged.size();
      switch (random() % 4) {
        case 0:
          damaged[at] = static_cast<char>(random());
          break;
        case 1:
          damaged[at] = "{}[]\",:\\09-"[random() % 11];
          break;
        case 2:
          damaged.erase(at, 1 + random() % 40);
          if (damaged.empty()) damaged = "{";
          break;
        default:
          damaged.insert(at, damaged.substr(random() % damaged.size(), 1 + random() % 200));
          break;
      }
    }
    readable += Use(damaged) ? 1 : 0;
  }
  std::printf("%zu of %d damaged graphs were still readable\n", readable, kRounds);
  // Both happen: the damage is neither all fatal nor all harmless.
  EXPECT_GT(readable, 0u);
  EXPECT_LT(readable, size_t{kRounds});
}

TEST(DamageByHand, DepthAndSizesAreBounded) {
  EXPECT_FALSE(Use(std::string(100000, '[')));
  EXPECT_FALSE(Use(std::string(100000, '{')));
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += "{\"nodes\":[";
  EXPECT_FALSE(Use(nested));
  GraphText many;
  many.Tensor("1", {4, 4}).Tensor("2", {4, 4}).Tensor("3", {4, 4});
  for (int i = 0; i < 300; ++i) many.Node("MATMUL", R"("matA":"1","matB":"2","matC":"3")");
  EXPECT_FALSE(Use(many.text()));
}

INSTANTIATE_TEST_SUITE_P(Reference, Damage, testing::ValuesIn(kReferences));

}  // namespace
}  // namespace mfutrace::interpose
