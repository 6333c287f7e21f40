// The mask of an attention graph, evaluated: each row of scores at a time, every pointwise
// operation on the way from the product to the exponential is carried out on what is known without
// data: indices, host scalars, lengths in device memory. A score that is replaced by minus infinity
// is masked.
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "cudnn/count.h"

namespace simgpu::cudnn {
namespace {

// One row of a [b, h, q, k] tensor. `value` is empty where it depends on data; a masked element is
// known to be minus infinity whatever the data are.
struct Row {
  std::vector<double> value;
  std::vector<bool> masked;
  bool is_known() const { return !value.empty(); }
};

struct At {
  int64_t b;
  int64_t h;
  int64_t q;
};

class Evaluator {
 public:
  Evaluator(const Graph& graph, const Bindings& bindings, int64_t keys)
      : graph_(graph), bindings_(bindings), keys_(static_cast<size_t>(keys)) {}

  void Start(At at) {
    at_ = at;
    rows_.clear();
  }

  const Row& Evaluate(int64_t uid) {
    const auto found = rows_.find(uid);
    if (found != rows_.end()) return found->second;
    Row row = Compute(uid);
    row.masked.resize(keys_, false);
    return rows_[uid] = std::move(row);
  }

 private:
  Row Constant(double value) const { return {std::vector<double>(keys_, value), {}}; }

  Row Compute(int64_t uid) {
    const Tensor& tensor = graph_.tensor(uid);
    if (tensor.by_value) {
      const auto scalar = bindings_.scalars.find(uid);
      return scalar == bindings_.scalars.end() ? Row{} : Constant(scalar->second);
    }
    const Node* producer = graph_.ProducerOf(uid);
    if (producer == nullptr) {
      // One length a sequence.
      const bool is_length = (tensor.type == CUDNN_DATA_INT32 || tensor.type == CUDNN_DATA_INT64) &&
                             !tensor.dim.empty() && tensor.elements() == tensor.dim.front();
      if (!is_length) return {};
      const int64_t index = tensor.dim.front() > 1 ? at_.b : 0;
      return Constant(static_cast<double>(ReadInteger(graph_, bindings_, uid, index, 0)));
    }
    return producer->is("POINTWISE") ? Pointwise(*producer) : Row{};
  }

  Row Pointwise(const Node& node) {
    if (node.is_pointwise("GEN_INDEX")) return Index(node.numbers.at("axis").front());
    const Row& x = Evaluate(node.port("X"));
    static const Row kNone;
    const Row& b = node.port("B") != 0 ? Evaluate(node.port("B")) : kNone;
    if (node.is_pointwise("BINARY_SELECT")) return Select(x, b, Evaluate(node.port("T")));
    Row result;
    result.masked = x.masked;  // minus infinity, whatever finite is added to it or divides it
    if (!x.is_known() || (node.port("B") != 0 && !b.is_known())) return result;
    result.value.resize(keys_);
    if (!Apply(node, x, b, &result)) result.value.clear();
    return result;
  }

  Row Index(int64_t axis) const {
    if (axis == 0) return Constant(static_cast<double>(at_.b));
    if (axis == 1) return Constant(static_cast<double>(at_.h));
    if (axis == 2) return Constant(static_cast<double>(at_.q));
    Row row = Constant(0);
    for (size_t i = 0; i < keys_; ++i) row.value[i] = static_cast<double>(i);
    return row;
  }

  // X where the condition holds, else B.
  Row Select(const Row& x, const Row& b, const Row& condition) const {
    Row result;
    if (!condition.is_known()) return result;
    result.masked.resize(keys_);
    for (size_t i = 0; i < keys_; ++i) {
      const Row& from = condition.value[i] != 0 ? x : b;
      // Minus infinity, or the lowest float that stood for it before cuDNN 9.10.
      result.masked[i] =
          from.masked[i] || (from.is_known() && from.value[i] <= static_cast<double>(-FLT_MAX));
    }
    return result;
  }

  template <typename Function>
  static bool Each(const Row& x, const Row& b, Row* result, Function function) {
    const size_t count = result->value.size();
    for (size_t i = 0; i < count; ++i) {
      result->value[i] = static_cast<double>(function(x.value[i], b.is_known() ? b.value[i] : 0));
    }
    return true;
  }

  // False: an operation that no mask uses.
  static bool Apply(const Node& node, const Row& x, const Row& b, Row* result) {
#define SIM_MODE(mode, expression)                                                             \
  if (node.is_pointwise(mode)) {                                                               \
    return Each(x, b, result, [](double p, [[maybe_unused]] double q) { return expression; }); \
  }
    SIM_MODE("ADD", p + q)
    SIM_MODE("SUB", p - q)
    SIM_MODE("MUL", p * q)
    SIM_MODE("DIV", p / q)
    SIM_MODE("MIN", std::fmin(p, q))
    SIM_MODE("MAX", std::fmax(p, q))
    SIM_MODE("MOD", std::fmod(p, q))
    SIM_MODE("NEG", -p)
    SIM_MODE("ABS", std::fabs(p))
    SIM_MODE("IDENTITY", p)
    SIM_MODE("CMP_EQ", p == q)
    SIM_MODE("CMP_NEQ", p != q)
    SIM_MODE("CMP_GT", p > q)
    SIM_MODE("CMP_GE", p >= q)
    SIM_MODE("CMP_LT", p < q)
    SIM_MODE("CMP_LE", p <= q)
    SIM_MODE("LOGICAL_AND", p != 0 && q != 0)
    SIM_MODE("LOGICAL_OR", p != 0 || q != 0)
    SIM_MODE("LOGICAL_NOT", p == 0)
#undef SIM_MODE
    return false;
  }

  const Graph& graph_;
  const Bindings& bindings_;
  size_t keys_;
  At at_{};
  std::unordered_map<int64_t, Row> rows_;
};

// Pairs of all sequences that are still looked at one by one.
uint64_t MostPairs() {
  const char* text = std::getenv("SIMGPU_MASK_PAIRS");
  return text == nullptr ? uint64_t{1} << 18 : std::strtoull(text, nullptr, 10);
}

bool IndexesAxis(const Graph& graph, int64_t axis) {
  for (const Node& node : graph.nodes) {
    if (node.is_pointwise("GEN_INDEX") && node.numbers.at("axis").front() == axis) return true;
  }
  return false;
}

}  // namespace

int64_t ReadInteger(const Graph& graph, const Bindings& bindings, int64_t uid, int64_t index,
                    int64_t otherwise) {
  const auto found = bindings.device.find(uid);
  if (found == bindings.device.end() || found->second == nullptr) return otherwise;
  const auto* base = static_cast<const char*>(found->second);
  if (graph.tensor(uid).type == CUDNN_DATA_INT64) {
    int64_t value = 0;
    std::memcpy(&value, base + 8 * index, sizeof value);
    return value;
  }
  int32_t value = 0;
  std::memcpy(&value, base + 4 * index, sizeof value);
  return value;
}

uint64_t KeptPairs(const Graph& graph, const Bindings& bindings, const Node& exponent,
                   const Node& scores) {
  const Tensor& q = graph.tensor(scores.port("matA"));
  const int64_t batch = q.dim.front();
  const int64_t heads = q.FromLast(2);
  const int64_t queries = q.FromLast(1);
  const int64_t keys = graph.tensor(scores.port("matB")).FromLast(0);
  // Sequences are masked alike unless there are lengths or a condition looks at the sequence.
  bool alike = !IndexesAxis(graph, 0) && scores.port("mOverride") == 0;
  for (const auto& [uid, tensor] : graph.tensors) {
    alike &= tensor.is_virtual || tensor.by_value || tensor.type != CUDNN_DATA_INT32;
    alike &= tensor.is_virtual || tensor.by_value || tensor.type != CUDNN_DATA_INT64 ||
             tensor.elements() == 1;
  }
  const int64_t distinct_sequences = alike ? 1 : batch;
  if (static_cast<uint64_t>(batch) * static_cast<uint64_t>(queries) * static_cast<uint64_t>(keys) >
      MostPairs()) {
    const std::optional<uint64_t> by_lines = KeptPairsByLines(graph, bindings, exponent, scores);
    if (by_lines) return *by_lines;
  }
  // All heads are masked alike unless a condition looks at the head.
  const int64_t distinct_heads = IndexesAxis(graph, 1) ? heads : 1;
  Evaluator evaluator(graph, bindings, keys);
  uint64_t kept = 0;
  for (int64_t b = 0; b < distinct_sequences; ++b) {
    int64_t rows = queries;
    int64_t columns = keys;
    if (const int64_t uid = scores.port("mOverride")) {
      rows = std::min(rows, ReadInteger(graph, bindings, uid, b, rows));
    }
    if (const int64_t uid = scores.port("nOverride")) {
      columns = std::min(columns, ReadInteger(graph, bindings, uid, b, columns));
    }
    for (int64_t h = 0; h < distinct_heads; ++h) {
      for (int64_t i = 0; i < rows; ++i) {
        evaluator.Start({b, h, i});
        const Row& row = evaluator.Evaluate(exponent.port("X"));
        for (int64_t j = 0; j < columns; ++j) kept += !row.masked[static_cast<size_t>(j)];
      }
    }
  }
  return kept * static_cast<uint64_t>(heads / distinct_heads * (batch / distinct_sequences));
}

}  // namespace simgpu::cudnn
