// Which part of a model a product of the trace belongs to, told by its dimensions.
//
// A weight of out by in gives three products with the number of rows as the third dimension:
// forward and data gradient multiply over in or out, the weight gradient over the rows. Tensor
// parallelism divides one of out and in. One fit alone may be chance (a number of tokens can equal
// a width), so rows count as such where several weights fit with the same ones. What fits two
// parts, or none, is said so and not guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "report/estimate/model_config.h"

namespace mfutrace::report::estimate {

// Names of components.h.
inline constexpr char kAttentionProjections[] = "attention projections";
inline constexpr char kAttentionScores[] = "attention scores";
inline constexpr char kMambaProjections[] = "Mamba projections";
inline constexpr char kGatedDeltaProjections[] = "gated delta projections";
inline constexpr char kMlp[] = "MLP";
inline constexpr char kRouter[] = "router";
inline constexpr char kRoutedExperts[] = "routed experts";
inline constexpr char kSharedExperts[] = "shared experts";
inline constexpr char kLogits[] = "logits";
inline constexpr char kMultiToken[] = "multi-token prediction";

// The dimensions in a label of shapes/label.h: "gemm bf16 8192x14336x4096 b12 TN",
// "grouped gemm bf16 8 groups, 4096x512x1024". A dimension that differs between groups is 0.
struct GemmDimensions {
  uint64_t m = 0;
  uint64_t n = 0;
  uint64_t k = 0;
  uint64_t batch = 1;
  bool is_grouped = false;
};
std::optional<GemmDimensions> DimensionsOf(std::string_view label);

enum class Role { kUnknown, kForwardOrData, kWeightGradient };

struct Match {
  std::vector<std::string> parts;  // more than one: ambiguous; none: no part
  Role role = Role::kUnknown;
};

struct WeightShape {
  std::string part;
  uint64_t out = 0;
  uint64_t in = 0;
};

// Of one device at this degree of tensor parallelism; shapes that it does not divide are left out.
std::vector<WeightShape> WeightShapesOf(const ModelConfig& config, uint64_t tensor_parallel);

// Of all products of a trace at one degree of tensor parallelism.
class Matcher {
 public:
  // `gemms` decide which numbers are rows.
  Matcher(const ModelConfig& config, uint64_t tensor_parallel,
          const std::vector<GemmDimensions>& gemms);

  Match MatchOf(const GemmDimensions& gemm) const;
  // The product fits with rows that other weights fit with too.
  bool HasSharedRows(const GemmDimensions& gemm) const;

 private:
  struct Reading {
    size_t shape = 0;
    uint64_t rows = 0;
    Role role = Role::kUnknown;
  };
  std::vector<Reading> ReadingsOf(const GemmDimensions& gemm) const;
  Match Judge(const std::vector<Reading>& readings) const;

  const ModelConfig& config_;
  std::vector<WeightShape> shapes_;
  std::set<uint64_t> rows_;
};

}  // namespace mfutrace::report::estimate
