// See count.h. An attention is found as a product whose result an exponential is taken of; all
// other products of the graph that touch those scores are counted by the pairs that remain.
#include "cudnn/count.h"

#include <algorithm>
#include <set>

namespace simgpu::cudnn {
namespace {

uint64_t Unsigned(int64_t value) { return value > 0 ? static_cast<uint64_t>(value) : 0; }

std::string Extents(const std::vector<int64_t>& dim, size_t from) {
  std::string text;
  for (size_t i = from; i < dim.size(); ++i) {
    text += (text.empty() ? "" : "x") + std::to_string(dim[i]);
  }
  return text;
}

std::string Pair(const char* key, int64_t value) {
  return "," + std::string(key) + "=" + std::to_string(value);
}

uint64_t TensorBytes(const Tensor& tensor) {
  return (Unsigned(tensor.elements()) * Unsigned(BitsOf(tensor.type)) + 7) / 8;
}

// Everything the graph reads or writes in memory, once.
uint64_t RealBytes(const Graph& graph) {
  std::set<int64_t> seen;
  uint64_t bytes = 0;
  for (const Node& node : graph.nodes) {
    for (const auto& [key, uid] : node.ports) {
      const Tensor& tensor = graph.tensor(uid);
      if (tensor.is_virtual || tensor.by_value || !seen.insert(uid).second) continue;
      bytes += TensorBytes(tensor);
    }
  }
  return bytes;
}

bool IsConvolution(const Node& node) {
  return node.operation.find("CONVOLUTION") != std::string::npos;
}

std::string Types(const Tensor& a, const Tensor& out, Format format) {
  return std::string(",dtype=") + TextOf(a.type) + ",out=" + TextOf(out.type) +
         ",math=" + NameOf(format);
}

// Each element of the result side is a sum over one filter: the input channels of its group times
// the filter's window. Both gradients do the same products in another order.
Counted CountConvolution(const Graph& graph, const Node& node) {
  const bool forward = node.is("CONVOLUTION_FORWARD");
  const bool data = node.is("CONVOLUTION_BACKWARD_DATA");
  const Tensor& x = graph.tensor(node.port(data ? "dX" : "X"));
  const Tensor& w = graph.tensor(node.port(forward || data ? "W" : "dW"));
  const Tensor& y = graph.tensor(node.port(forward ? "Y" : "dY"));
  Counted counted;
  counted.kind = OpKind::kConvolution;
  counted.format = FormatOf(forward ? x.type : y.type);
  uint64_t window = 1;
  for (size_t i = 1; i < w.dim.size(); ++i) window *= Unsigned(w.dim[i]);
  counted.flop = 2 * Unsigned(y.elements()) * window;
  counted.bytes = RealBytes(graph);
  counted.m = Unsigned(y.elements()) / Unsigned(y.dim[1]);
  counted.n = Unsigned(y.dim[1]);
  counted.k = window;
  const auto list = [&](const char* key) {
    const auto found = node.numbers.find(key);
    return found == node.numbers.end() ? std::string("-") : Extents(found->second, 0);
  };
  const Tensor& in = forward ? x : y;
  const Tensor& out = forward ? y : data ? x : w;
  counted.dims = std::string("op=") +
                 (forward ? "fprop"
                  : data  ? "dgrad"
                          : "wgrad") +
                 Pair("n", x.dim[0]) + Pair("c", x.dim[1]) + Pair("k", y.dim[1]) +
                 Pair("groups", x.dim[1] / w.dim[1]) + ",x=" + Extents(x.dim, 2) +
                 ",w=" + Extents(w.dim, 2) + ",y=" + Extents(y.dim, 2) +
                 ",pad=" + (node.numbers.count("pad") != 0 ? list("pad") : list("pad_lower")) +
                 ",stride=" + list("stride") + ",dilation=" + list("dilation") +
                 Types(in, out, counted.format);
  return counted;
}

Counted CountMatmul(const Graph& graph, const Bindings& bindings, const Node& node) {
  const Tensor& a = graph.tensor(node.port("matA"));
  const Tensor& b = graph.tensor(node.port("matB"));
  const Tensor& c = graph.tensor(node.port("matC"));
  Counted counted;
  counted.kind = OpKind::kGemm;
  counted.format = FormatOf(a.type);
  counted.m = Unsigned(c.FromLast(1));
  counted.n = Unsigned(c.FromLast(0));
  counted.k = Unsigned(a.FromLast(0));
  for (size_t i = 2; i < c.dim.size(); ++i) counted.batch *= Unsigned(c.FromLast(i));
  const uint64_t sequences = c.dim.size() > 2 ? Unsigned(c.dim[0]) : 1;
  for (uint64_t i = 0; i < sequences; ++i) {
    const auto extent = [&](const char* key, uint64_t whole) {
      const int64_t uid = node.port(key);
      const auto limit = static_cast<int64_t>(whole);
      if (uid == 0) return whole;
      return Unsigned(
          std::min(limit, ReadInteger(graph, bindings, uid, static_cast<int64_t>(i), limit)));
    };
    counted.flop += 2 * (counted.batch / sequences) * extent("mOverride", counted.m) *
                    extent("nOverride", counted.n) * extent("kOverride", counted.k);
  }
  counted.bytes = RealBytes(graph);
  const auto number = [](uint64_t value) { return static_cast<int64_t>(value); };
  counted.dims = "m=" + std::to_string(counted.m) + Pair("n", number(counted.n)) +
                 Pair("k", number(counted.k)) + Pair("batch", number(counted.batch)) +
                 Types(a, c, counted.format) +
                 Pair("a_batch", a.elements() / a.FromLast(0) / a.FromLast(1)) +
                 Pair("b_batch", b.elements() / b.FromLast(0) / b.FromLast(1));
  return counted;
}

// Tokens lie sorted by expert; the offsets say where each expert's begin.
Counted CountMoe(const Graph& graph, const Bindings& bindings, const Node& node) {
  const Tensor& token = graph.tensor(node.port("token"));
  const Tensor& weight = graph.tensor(node.port("weight"));
  const Tensor& output = graph.tensor(node.port("output"));
  const int64_t experts = weight.dim[0];
  const int64_t k = weight.dim[1];
  const int64_t n = weight.dim[2];
  const bool scatter = node.words.count("mode") != 0 &&
                       node.words.at("mode") == "CUDNN_MOE_GROUPED_MATMUL_MODE_SCATTER";
  const int64_t rows = (scatter ? token : output).FromLast(1);
  const int64_t offsets = node.port("firstTokenOffset");
  Counted counted;
  counted.kind = OpKind::kGemm;
  counted.format = FormatOf(token.type);
  std::string groups;
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t first = std::clamp<int64_t>(ReadInteger(graph, bindings, offsets, e, 0), 0, rows);
    const int64_t last =
        e + 1 < experts
            ? std::clamp<int64_t>(ReadInteger(graph, bindings, offsets, e + 1, rows), first, rows)
            : rows;
    counted.flop += 2 * Unsigned(last - first) * Unsigned(n) * Unsigned(k);
    // An expert without tokens moves nothing.
    if (last > first) {
      counted.bytes += (Unsigned((last - first) * k) * Unsigned(BitsOf(token.type)) +
                        Unsigned(k * n) * Unsigned(BitsOf(weight.type)) +
                        Unsigned((last - first) * n) * Unsigned(BitsOf(output.type))) /
                       8;
    }
    groups += (groups.empty() ? "" : "/") + std::to_string(last - first) + "x" + std::to_string(n) +
              "x" + std::to_string(k) + "x1";
  }
  counted.m = Unsigned(rows);
  counted.n = Unsigned(n);
  counted.k = Unsigned(k);
  counted.dims = "groups=" + groups + Pair("batch", experts) +
                 Types(token, output, counted.format) + Pair("rows", rows);
  return counted;
}

struct Attention {
  const Tensor* q = nullptr;
  const Tensor* k = nullptr;  // as given: for pages, the container
  const Tensor* v = nullptr;
  int64_t keys = 0;
  int64_t d_qk = 0;
  int64_t d_v = 0;
  int64_t k_heads = 0;
  int64_t v_heads = 0;
  int64_t length_q = 0;  // uids of lengths
  int64_t length_k = 0;
  bool backward = false;
  bool has_stats = false;
  uint64_t kept = 0;  // over batch and heads
  uint64_t flop = 0;
};

// Rows of a tensor with `most` rows a sequence: those of the lengths where there are any.
uint64_t RowsOf(const Graph& graph, const Bindings& bindings, int64_t lengths, int64_t batch,
                int64_t most) {
  uint64_t rows = 0;
  for (int64_t b = 0; b < batch; ++b) {
    rows += Unsigned(lengths == 0 ? most
                                  : std::min(most, ReadInteger(graph, bindings, lengths, b, most)));
  }
  return rows;
}

Counted Finish(const Graph& graph, const Bindings& bindings, const Attention& at) {
  const int64_t batch = at.q->dim[0];
  const int64_t heads = at.q->FromLast(2);
  const int64_t queries = at.q->FromLast(1);
  Counted counted;
  counted.kind = OpKind::kAttention;
  counted.format = FormatOf(at.q->type);
  counted.flop = at.flop;
  const uint64_t q_rows = RowsOf(graph, bindings, at.length_q, batch, queries);
  const uint64_t k_rows = RowsOf(graph, bindings, at.length_k, batch, at.keys);
  const uint64_t bytes = Unsigned(BitsOf(at.q->type)) / 8;
  const uint64_t q_bytes = q_rows * Unsigned(heads) * Unsigned(at.d_qk) * bytes;
  const uint64_t o_bytes = q_rows * Unsigned(heads) * Unsigned(at.d_v) * bytes;
  const uint64_t k_bytes = k_rows * Unsigned(at.k_heads) * Unsigned(at.d_qk) * bytes;
  const uint64_t v_bytes = k_rows * Unsigned(at.v_heads) * Unsigned(at.d_v) * bytes;
  const uint64_t stats_bytes = q_rows * Unsigned(heads) * 4;
  // Forward reads q, k, v and writes o; backward reads q, k, v, o, do and writes dq, dk, dv.
  counted.bytes = at.backward
                      ? 2 * (q_bytes + k_bytes + v_bytes + o_bytes) + stats_bytes
                      : q_bytes + k_bytes + v_bytes + o_bytes + (at.has_stats ? stats_bytes : 0);
  counted.m = Unsigned(queries);
  counted.n = Unsigned(at.keys);
  counted.k = Unsigned(at.d_qk);
  counted.batch = Unsigned(batch * heads);
  counted.dims = std::string("op=") + (at.backward ? "bwd" : "fwd") + Pair("b", batch) +
                 Pair("hq", heads) + Pair("hk", at.k_heads) + Pair("hv", at.v_heads) +
                 Pair("sq", queries) + Pair("sk", at.keys) + Pair("dqk", at.d_qk) +
                 Pair("dv", at.d_v) + Pair("pairs", static_cast<int64_t>(at.kept)) +
                 Pair("lengths", at.length_q != 0 || at.length_k != 0) +
                 Pair("stats", at.has_stats) + Types(*at.q, *at.q, counted.format);
  return counted;
}

// One operation that is an attention by definition.
Counted CountUnified(const Graph& graph, const Bindings& bindings, const Node& node) {
  Attention at;
  at.backward = node.is("SDPA_BWD");
  at.q = &graph.tensor(node.port("Q"));
  at.k = &graph.tensor(node.port("K"));
  at.v = &graph.tensor(node.port("V"));
  at.keys = at.k->FromLast(1);
  if (const int64_t pages = node.port("pageTableK")) at.keys *= graph.tensor(pages).FromLast(1);
  at.d_qk = at.q->FromLast(0);
  at.d_v = at.v->FromLast(0);
  at.k_heads = at.k->FromLast(2);
  at.v_heads = at.v->FromLast(2);
  at.length_q = node.port("seqLenQ");
  at.length_k = node.port("seqLenKV");
  at.has_stats = node.port("stats") != 0;
  for (int64_t b = 0; b < at.q->dim[0]; ++b) {
    const auto length = [&](int64_t uid, int64_t most) {
      return uid == 0 ? most : std::min(most, ReadInteger(graph, bindings, uid, b, most));
    };
    at.kept += Unsigned(length(at.length_q, at.q->FromLast(1))) *
               Unsigned(length(at.length_k, at.keys)) * Unsigned(at.q->FromLast(2));
  }
  // Forward: scores, weighted values. Backward: scores again, dP, dV, dQ, dK.
  const uint64_t width = at.backward ? 3 * Unsigned(at.d_qk) + 2 * Unsigned(at.d_v)
                                     : Unsigned(at.d_qk) + Unsigned(at.d_v);
  at.flop = 2 * at.kept * width;
  return Finish(graph, bindings, at);
}

const Node* ScoresBehind(const Graph& graph, const Node& exponent) {
  const Node* node = &exponent;
  for (size_t steps = 0; node != nullptr && steps < graph.nodes.size(); ++steps) {
    if (node->is("MATMUL")) return node;
    node = node->is("POINTWISE") ? graph.ProducerOf(node->port("X")) : nullptr;
  }
  return nullptr;
}

// Tensors that are the scores in another shape: one element for each (query, key) pair.
std::set<int64_t> ScoreTensors(const Graph& graph, const Node& scores) {
  std::set<int64_t> found = {scores.port("matC")};
  const int64_t elements = graph.tensor(scores.port("matC")).elements();
  for (bool grown = true; grown;) {
    grown = false;
    for (const Node& node : graph.nodes) {
      if (!node.is("POINTWISE") && !node.is("RESHAPE")) continue;
      bool touches = false;
      for (const auto& [key, uid] : node.ports) touches |= found.count(uid) != 0;
      if (!touches) continue;
      for (const auto& [key, uid] : node.ports) {
        if (graph.tensor(uid).elements() == elements) grown |= found.insert(uid).second;
      }
    }
  }
  return found;
}

Counted CountComposed(const Graph& graph, const Bindings& bindings, const Node& exponent,
                      const Node& scores) {
  Attention at;
  at.q = &graph.tensor(scores.port("matA"));
  at.k = &graph.tensor(scores.port("matB"));
  at.keys = at.k->FromLast(0);
  at.d_qk = at.q->FromLast(0);
  at.k_heads = at.k->FromLast(2);
  at.length_q = scores.port("mOverride");
  at.length_k = scores.port("nOverride");
  at.kept = KeptPairs(graph, bindings, exponent, scores);
  const std::set<int64_t> pairs = ScoreTensors(graph, scores);
  size_t products = 0;
  for (const Node& node : graph.nodes) {
    if (!node.is("MATMUL")) continue;
    const bool makes_pairs = pairs.count(node.port("matC")) != 0;
    if (!makes_pairs && pairs.count(node.port("matA")) == 0) continue;
    ++products;
    const Tensor& other = graph.tensor(node.port(makes_pairs ? "matA" : "matC"));
    at.flop += 2 * at.kept * Unsigned(other.FromLast(0));
  }
  at.backward = products > 2;
  for (const Node& node : graph.nodes) {
    if (!node.is("MATMUL") || &node == &scores) continue;
    const Tensor& b = graph.tensor(node.port("matB"));
    const bool makes_pairs = pairs.count(node.port("matC")) != 0;
    // Forward: P V. Backward: the other product that makes pairs, dO V^T.
    if (makes_pairs == at.backward) {
      at.v = &b;
      at.d_v = makes_pairs ? b.FromLast(1) : b.FromLast(0);
      at.v_heads = b.FromLast(2);
    }
  }
  // The statistics are the real [b, h, q, 1] floats that rows of scores are joined with or leave
  // behind.
  for (const Node& node : graph.nodes) {
    if (!node.is("POINTWISE")) continue;
    const int64_t port = at.backward ? node.port("B") : node.port("Y");
    if (port == 0) continue;
    const Tensor& tensor = graph.tensor(port);
    at.has_stats |= !tensor.is_virtual && !tensor.by_value && tensor.type == CUDNN_DATA_FLOAT &&
                    tensor.FromLast(0) == 1 && tensor.FromLast(1) == at.q->FromLast(1);
  }
  return Finish(graph, bindings, at);
}

}  // namespace

Format FormatOf(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_DOUBLE:
      return Format::kF64;
    case CUDNN_DATA_HALF:
      return Format::kF16;
    case CUDNN_DATA_BFLOAT16:
      return Format::kBf16;
    case CUDNN_DATA_FP8_E4M3:
    case CUDNN_DATA_FP8_E5M2:
      return Format::kF8;
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_UINT8:
    case CUDNN_DATA_INT8x4:
    case CUDNN_DATA_INT8x32:
      return Format::kI8;
    case CUDNN_DATA_FLOAT:
      return Format::kTf32;  // cuDNN's default math permits it (cudnnMathType_t,
                             // CUDNN_DEFAULT_MATH)
    default:
      return Format::kF32;
  }
}

Counted Count(const Graph& original, const Bindings& bindings) {
  Graph graph = original;
  for (const auto& [uid, shape] : bindings.shapes) {
    if (graph.tensors.count(uid) != 0) graph.tensors[uid].dim = shape;
  }
  for (const Node& node : graph.nodes) {
    if (node.is("SDPA_FWD") || node.is("SDPA_BWD")) return CountUnified(graph, bindings, node);
    if (!node.is_pointwise("EXP")) continue;
    if (const Node* scores = ScoresBehind(graph, node)) {
      return CountComposed(graph, bindings, node, *scores);
    }
  }
  for (const Node& node : graph.nodes) {
    if (IsConvolution(node)) return CountConvolution(graph, node);
    if (node.is("MATMUL")) return CountMatmul(graph, bindings, node);
    if (node.is("MOE_GROUPED_MATMUL")) return CountMoe(graph, bindings, node);
  }
  Counted counted;
  counted.bytes = RealBytes(graph);
  for (const Node& node : graph.nodes) {
    // "CUDNN_BACKEND_OPERATION_" and "_DESCRIPTOR" say nothing.
    const std::string name = node.operation.substr(24, node.operation.size() - 24 - 11);
    counted.dims += (counted.dims.empty() ? "ops=" : "/") + name;
  }
  return counted;
}

}  // namespace simgpu::cudnn
