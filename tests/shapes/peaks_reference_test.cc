// The whole peak table, field by field, against the reference list it was drawn from.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "shapes/peaks.h"

namespace mfutrace::shapes {
namespace {

using Json = nlohmann::json;

// A figure in units of `scale`; 0 where it is absent or in doubt.
uint64_t Figure(const Json& figures, const std::string& key, double scale,
                const std::set<std::string>& in_doubt) {
  const Json value = figures.value(key, Json());
  if (!value.is_number() || in_doubt.count(key) != 0) return 0;
  return static_cast<uint64_t>(std::llround(value.get<double>() * scale));
}

TEST(PeaksReference, EveryFieldEqualsTheReferenceOrIsLeftOut) {
  const std::string path = std::string(MFU_SHARED_DIR) + "/peaks.json";
  std::ifstream file(path);
  if (!file.good()) GTEST_SKIP() << "no " << path << " (set MFUTRACE_SHARED_DIR)";
  const std::pair<const char*, PeakRate> columns[] = {{"fp64", PeakRate::kF64},
                                                      {"fp64_tensor", PeakRate::kF64Tensor},
                                                      {"fp32", PeakRate::kF32},
                                                      {"tf32", PeakRate::kTf32},
                                                      {"bf16", PeakRate::kBf16},
                                                      {"fp16", PeakRate::kF16},
                                                      {"fp16_acc16", PeakRate::kF16Acc16},
                                                      {"fp8", PeakRate::kF8},
                                                      {"fp8_acc16", PeakRate::kF8Acc16},
                                                      {"fp4", PeakRate::kF4},
                                                      {"int8", PeakRate::kI8},
                                                      {"int4", PeakRate::kI4}};
  ASSERT_EQ(std::size(columns), static_cast<size_t>(PeakRate::kCount));

  std::set<std::string> expected_names;
  const Json table = Json::parse(file);
  for (const Json& reference : table["gpus"]) {
    std::set<std::string> in_doubt;
    for (const std::string text : reference["unverified_fields"]) {
      in_doubt.insert(text.substr(0, text.find(' ')));
    }
    for (const std::string name : reference["names"]) {
      const Gpu* gpu = FindGpu(name);
      if (reference["confidence"] == "low") {
        EXPECT_EQ(gpu, nullptr) << name << " is in doubt";
        continue;
      }
      ASSERT_NE(gpu, nullptr) << name;
      expected_names.insert(name);
      EXPECT_EQ(gpu->compute_capability, reference["cc"].get<std::string>()) << name;
      EXPECT_EQ(gpu->sm_count, Figure(reference, "sms", 1, in_doubt)) << name;
      EXPECT_EQ(gpu->boost_mhz, Figure(reference, "boost_mhz", 1, in_doubt)) << name;
      EXPECT_EQ(gpu->memory_bytes_per_s, Figure(reference, "mem_gbps", 1e9, in_doubt)) << name;
      EXPECT_EQ(gpu->nvlink_bytes_per_s, Figure(reference, "nvlink_gbps", 1e9, in_doubt)) << name;
      for (const auto& [key, rate] : columns) {
        EXPECT_EQ(gpu->peak_flop_per_s[static_cast<int>(rate)],
                  Figure(reference["peak_tflops_dense"], key, 1e12, in_doubt))
            << name << " " << key;
      }
      bool names_a_source = false;
      for (const std::string source : reference["sources"]) {
        names_a_source = names_a_source || gpu->source == source;
      }
      EXPECT_TRUE(names_a_source) << name << ": " << gpu->source;
    }
  }
  EXPECT_EQ(AllGpus().size(), expected_names.size()) << "a GPU the reference does not have";
  std::printf("%zu GPUs compared\n", expected_names.size());
}

}  // namespace
}  // namespace mfutrace::shapes
