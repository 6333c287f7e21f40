// The mask of an attention graph by rows in place of single pairs, for sequences too long to look
// at each pair: along a row every index is a line c + s j in the key j, a comparison of two lines
// holds on one stretch of keys or on all but one, and conditions are joined stretch by stretch.
// Where an operation on the way is none of these, or data of the device matter, it says so and
// every pair is looked at. mask.cc's results are the measure (`SIMGPU_MASK_PAIRS`,
// test/cudnn_masks_test.py).
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <mutex>
#include <unordered_map>

#include "cudnn/count.h"

namespace simgpu::cudnn {
namespace {

struct Line {
  double at_zero = 0;
  double slope = 0;
};

// Keys at which a truth value changes, from false before key 0; sorted, without repetition.
using Flips = std::vector<int64_t>;

bool ValueAt(const Flips& flips, int64_t key) {
  return (std::upper_bound(flips.begin(), flips.end(), key) - flips.begin()) % 2 != 0;
}

Flips Always(bool value) { return value ? Flips{0} : Flips{}; }

// Truth of each stretch that two values have in common.
template <typename Join>
Flips Joined(const Flips& a, const Flips& b, Join join) {
  Flips borders = {0};
  borders.insert(borders.end(), a.begin(), a.end());
  borders.insert(borders.end(), b.begin(), b.end());
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  Flips joined;
  bool value = false;
  for (const int64_t key : borders) {
    if (join(ValueAt(a, key), ValueAt(b, key)) == value) continue;
    value = !value;
    joined.push_back(key);
  }
  return joined;
}

int64_t CountTrue(const Flips& flips, int64_t keys) {
  int64_t count = 0;
  for (size_t i = 0; i < flips.size(); i += 2) {
    const int64_t end = i + 1 < flips.size() ? std::min(flips[i + 1], keys) : keys;
    count += std::max<int64_t>(0, end - flips[i]);
  }
  return count;
}

struct Row {
  enum class Kind { kData, kLine, kTruth } kind = Kind::kData;
  Line line;
  Flips truth;
  Flips masked;
};

// One row at a time; `failed` once something is not a line.
class Lines {
 public:
  Lines(const Graph& graph, const Bindings& bindings) : graph_(graph), bindings_(bindings) {}

  const Row& Evaluate(int64_t uid) {
    const auto found = rows_.find(uid);
    if (found != rows_.end()) return found->second;
    Row row = Compute(uid);
    return rows_[uid] = std::move(row);
  }
  void Start(int64_t query) {
    query_ = query;
    rows_.clear();
  }
  bool failed() const { return failed_; }

 private:
  static Row OfLine(double at_zero, double slope) {
    Row row;
    row.kind = Row::Kind::kLine;
    row.line = {at_zero, slope};
    return row;
  }
  Row Fail() {
    failed_ = true;
    return {};
  }

  Row Compute(int64_t uid) {
    const Tensor& tensor = graph_.tensor(uid);
    if (tensor.by_value) {
      const auto scalar = bindings_.scalars.find(uid);
      return scalar == bindings_.scalars.end() ? Row{} : OfLine(scalar->second, 0);
    }
    const Node* producer = graph_.ProducerOf(uid);
    if (producer == nullptr) {
      const bool is_integer = tensor.type == CUDNN_DATA_INT32 || tensor.type == CUDNN_DATA_INT64;
      return is_integer ? Fail() : Row{};
    }
    return producer->is("POINTWISE") ? Pointwise(*producer) : Row{};
  }

  Row Pointwise(const Node& node) {
    if (node.is_pointwise("GEN_INDEX")) {
      const int64_t axis = node.numbers.at("axis").front();
      if (axis == 2) return OfLine(static_cast<double>(query_), 0);
      return axis == 3 ? OfLine(0, 1) : Fail();
    }
    const Row x = Evaluate(node.port("X"));
    const bool has_b = node.port("B") != 0;
    const Row b = has_b ? Evaluate(node.port("B")) : Row{};
    if (node.is_pointwise("BINARY_SELECT")) return Select(x, b, Evaluate(node.port("T")));
    Row row = Function(node, x, b, has_b);
    row.masked = x.masked;
    return row;
  }

  Row Select(const Row& x, const Row& b, const Row& condition) {
    if (condition.kind == Row::Kind::kData) return {};
    if (condition.kind == Row::Kind::kLine) return Fail();
    Row row;
    const Flips chosen = Joined(condition.truth, MaskOf(x), [](bool c, bool m) { return c && m; });
    const Flips other = Joined(condition.truth, MaskOf(b), [](bool c, bool m) { return !c && m; });
    row.masked = Joined(chosen, other, [](bool p, bool q) { return p || q; });
    return row;
  }

  Flips MaskOf(const Row& row) {
    if (row.kind != Row::Kind::kLine || row.line.at_zero > static_cast<double>(-FLT_MAX)) {
      return row.masked;
    }
    return Always(true);
  }

  Row Function(const Node& node, const Row& x, const Row& b, bool has_b) {
    const bool is_data = x.kind == Row::Kind::kData || (has_b && b.kind == Row::Kind::kData);
    if (is_data) return {};
    if (node.is_pointwise("IDENTITY")) return x;
    if (x.kind == Row::Kind::kLine && (!has_b || b.kind == Row::Kind::kLine)) {
      return OnLines(node, x.line, b.line);
    }
    if (x.kind != Row::Kind::kTruth || (has_b && b.kind != Row::Kind::kTruth)) return Fail();
    Row row;
    row.kind = Row::Kind::kTruth;
    if (node.is_pointwise("LOGICAL_AND")) {
      row.truth = Joined(x.truth, b.truth, [](bool p, bool q) { return p && q; });
    } else if (node.is_pointwise("LOGICAL_OR")) {
      row.truth = Joined(x.truth, b.truth, [](bool p, bool q) { return p || q; });
    } else if (node.is_pointwise("LOGICAL_NOT")) {
      row.truth = Joined(x.truth, {}, [](bool p, bool) { return !p; });
    } else {
      return Fail();
    }
    return row;
  }

  Row OnLines(const Node& node, const Line& x, const Line& b) {
    if (node.is_pointwise("ADD")) return OfLine(x.at_zero + b.at_zero, x.slope + b.slope);
    if (node.is_pointwise("SUB")) return OfLine(x.at_zero - b.at_zero, x.slope - b.slope);
    const Line difference = {x.at_zero - b.at_zero, x.slope - b.slope};
    Row row;
    row.kind = Row::Kind::kTruth;
    if (node.is_pointwise("CMP_GT")) {
      row.truth = Positive(difference);
    } else if (node.is_pointwise("CMP_LT")) {
      row.truth = Positive({-difference.at_zero, -difference.slope});
    } else if (node.is_pointwise("CMP_GE")) {
      row.truth = Joined(Positive({-difference.at_zero, -difference.slope}), {},
                         [](bool p, bool) { return !p; });
    } else if (node.is_pointwise("CMP_LE")) {
      row.truth = Joined(Positive(difference), {}, [](bool p, bool) { return !p; });
    } else {
      return Fail();
    }
    return row;
  }

  // Where a line is above zero. Lines of indices go up or down by one a key, from whole numbers.
  Flips Positive(const Line& line) {
    if (line.slope == 0) return Always(line.at_zero > 0);
    if (std::fabs(line.slope) != 1 || line.at_zero != std::floor(line.at_zero) ||
        std::fabs(line.at_zero) > 1e15) {
      failed_ = true;
      return {};
    }
    const auto zero = static_cast<int64_t>(-line.at_zero / line.slope);
    if (line.slope > 0) return {std::max<int64_t>(0, zero + 1)};
    return zero > 0 ? Flips{0, zero} : Flips{};
  }

  const Graph& graph_;
  const Bindings& bindings_;
  int64_t query_ = 0;
  bool failed_ = false;
  std::unordered_map<int64_t, Row> rows_;
};

std::optional<uint64_t> PairsOfOneSequence(const Graph& graph, const Bindings& bindings,
                                           int64_t masked_scores, int64_t queries, int64_t keys) {
  Lines lines(graph, bindings);
  uint64_t kept = 0;
  for (int64_t query = 0; query < queries; ++query) {
    lines.Start(query);
    const Flips& masked = lines.Evaluate(masked_scores).masked;
    if (lines.failed()) return std::nullopt;
    kept += static_cast<uint64_t>(keys - CountTrue(masked, keys));
  }
  return kept;
}

}  // namespace

std::optional<uint64_t> KeptPairsByLines(const Graph& graph, const Bindings& bindings,
                                         const Node& exponent, const Node& scores) {
  if (scores.port("mOverride") != 0 || scores.port("nOverride") != 0) return std::nullopt;
  const Tensor& q = graph.tensor(scores.port("matA"));
  const int64_t queries = q.FromLast(1);
  const int64_t keys = graph.tensor(scores.port("matB")).FromLast(0);
  // A plan is executed once a layer, with nothing in it that could make a difference.
  static std::mutex mutex;
  static auto* known = new std::map<std::string, std::optional<uint64_t>>;
  std::string key = WritePlan(graph, 1);
  for (const auto& [uid, value] : bindings.scalars) {
    key += " " + std::to_string(uid) + "=" + std::to_string(value);
  }
  const std::lock_guard<std::mutex> lock(mutex);
  const auto [found, is_new] = known->try_emplace(key);
  if (is_new) {
    found->second = PairsOfOneSequence(graph, bindings, exponent.port("X"), queries, keys);
  }
  if (!found->second) return std::nullopt;
  const auto sequences = static_cast<uint64_t>(q.dim.front() * q.FromLast(2));
  return *found->second * sequences;
}

}  // namespace simgpu::cudnn
