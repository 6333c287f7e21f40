// See cudnn_sdpa.h.
#include "cudnn_sdpa.h"

#include <cmath>

namespace jobs {
namespace {

// What the graphs of one attention have in common.
class Wiring {
 public:
  Wiring(const Sdpa& sdpa, Graph* graph) : sdpa_(sdpa), graph_(*graph) {
    if (!sdpa.lengths_q.empty()) {
      length_q_ = graph_.Integers({sdpa.b, 1, 1, 1}, sdpa.lengths_q);
      length_k_ = graph_.Integers({sdpa.b, 1, 1, 1}, sdpa.lengths_k);
    }
    if (sdpa.ragged) {
      ragged_q_ = Offsets(sdpa.lengths_q, sdpa.hq * sdpa.dqk);
      ragged_k_ = Offsets(sdpa.lengths_k, sdpa.hk * sdpa.dqk);
      ragged_v_ = Offsets(sdpa.lengths_k, sdpa.hk * sdpa.dv);
      ragged_o_ = Offsets(sdpa.lengths_q, sdpa.hq * sdpa.dv);
    }
  }

  int64_t Q() { return Heads(sdpa_.hq, sdpa_.sq, sdpa_.dqk, ragged_q_); }
  int64_t O() { return Heads(sdpa_.hq, sdpa_.sq, sdpa_.dv, ragged_o_); }
  int64_t K() { return Heads(sdpa_.hk, sdpa_.sk, sdpa_.dqk, ragged_k_); }
  int64_t V() { return Heads(sdpa_.hk, sdpa_.sk, sdpa_.dv, ragged_v_); }
  int64_t TransposedK() { return Transposed(sdpa_.dqk, ragged_k_); }
  int64_t TransposedV() { return Transposed(sdpa_.dv, ragged_v_); }
  int64_t Container(int64_t width) {
    return graph_.Real({sdpa_.b * Pages(), sdpa_.hk, sdpa_.page, width});
  }
  int64_t PageTable() { return graph_.Real({sdpa_.b, 1, Pages(), 1}, CUDNN_DATA_INT32); }
  int64_t Stats() { return graph_.Real({sdpa_.b, sdpa_.hq, sdpa_.sq, 1}, CUDNN_DATA_FLOAT); }
  int64_t Scores(cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    return graph_.Virtual({sdpa_.b, sdpa_.hq, sdpa_.sq, sdpa_.sk}, type);
  }
  int64_t Rows() { return graph_.Virtual({sdpa_.b, sdpa_.hq, sdpa_.sq, 1}); }
  int64_t length_q() const { return length_q_; }
  int64_t length_k() const { return length_k_; }

  // Pages of keys or values brought together.
  int64_t Load(int64_t container, const Dims& dim, const Dims& stride) {
    const int64_t loaded = graph_.Virtual(dim, sdpa_.type, stride);
    graph_.Operation(CUDNN_BACKEND_OPERATION_PAGED_CACHE_LOAD_DESCRIPTOR,
                     {{CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_CONTAINER_DESC, container},
                      {CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_PAGE_TABLE_DESC, PageTable()},
                      {CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_SEQUENCE_DESC, length_k_},
                      {CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_YDESC, loaded}});
    return loaded;
  }

  int64_t Modified(int64_t scores) {
    if (sdpa_.bias) {
      const int64_t bias = graph_.Real({1, sdpa_.hq, sdpa_.sq, sdpa_.sk});
      scores = graph_.Pointwise(CUDNN_POINTWISE_ADD, scores, bias);
    }
    if (!sdpa_.alibi) return scores;
    const int64_t row = Index(scores, 2);
    const int64_t column = Index(scores, 3);
    const int64_t distance =
        graph_.Pointwise(CUDNN_POINTWISE_SUB, column, row, 0, 0, CUDNN_DATA_INT32);
    const int64_t slopes = graph_.Real({1, sdpa_.hq, 1, 1}, CUDNN_DATA_FLOAT);
    return graph_.Pointwise(CUDNN_POINTWISE_ADD, scores,
                            graph_.Pointwise(CUDNN_POINTWISE_MUL, distance, slopes));
  }

  // Rows and columns past the sequence's lengths.
  int64_t Padded(int64_t scores) {
    if (length_q_ == 0) return scores;
    const int64_t row = Index(scores, 2);
    const int64_t column = Index(scores, 3);
    const int64_t row_in = Condition(CUDNN_POINTWISE_CMP_LT, row, length_q_);
    const int64_t column_in = Condition(CUDNN_POINTWISE_CMP_LT, column, length_k_);
    return Select(scores, Condition(CUDNN_POINTWISE_LOGICAL_AND, row_in, column_in));
  }

  // Right bound first, each a comparison of shifted indices.
  int64_t Banded(int64_t scores) {
    if (sdpa_.right) {
      int64_t row = Index(scores, 2);
      const int64_t column = Index(scores, 3);
      if (sdpa_.bottom_right) {
        row = Shift(CUDNN_POINTWISE_ADD, row, LengthK());
        row = Shift(CUDNN_POINTWISE_SUB, row, LengthQ());
      }
      if (*sdpa_.right != 0) {
        row = Shift(CUDNN_POINTWISE_ADD, row, graph_.Scalar(static_cast<int32_t>(*sdpa_.right)));
      }
      scores = Select(scores, Condition(CUDNN_POINTWISE_CMP_GE, row, column));
    }
    if (sdpa_.left) {
      const int64_t row = Index(scores, 2);
      int64_t column = Index(scores, 3);
      const bool by_lengths = sdpa_.bottom_right && length_q_ != 0;
      if (by_lengths) {
        column =
            Shift(CUDNN_POINTWISE_ADD, column, graph_.Scalar(static_cast<int32_t>(*sdpa_.left)));
        column = Shift(CUDNN_POINTWISE_SUB, column, length_k_);
        column = Shift(CUDNN_POINTWISE_ADD, column, length_q_);
      } else {
        const int64_t shift = sdpa_.bottom_right ? sdpa_.sq - sdpa_.sk : 0;
        const int64_t window = graph_.Scalar(static_cast<float>(*sdpa_.left + shift));
        column = graph_.Pointwise(CUDNN_POINTWISE_ADD, column, window);
      }
      scores = Select(scores, Condition(CUDNN_POINTWISE_CMP_GT, column, row));
    }
    return scores;
  }

  int64_t Random() {
    const int64_t kept = Scores();
    graph_.Bernoulli(0.8, graph_.Real({1, 1, 1, 1}, CUDNN_DATA_INT64),
                     graph_.Real({1, 1, 1, 1}, CUDNN_DATA_INT64), kept);
    return kept;
  }

 private:
  int64_t Pages() const { return sdpa_.sk / sdpa_.page; }

  int64_t Offsets(const std::vector<int32_t>& lengths, int64_t elements) {
    std::vector<int32_t> offsets = {0};
    for (const int32_t length : lengths) {
      offsets.push_back(offsets.back() + length * static_cast<int32_t>(elements));
    }
    return graph_.Integers({sdpa_.b + 1, 1, 1, 1}, offsets);
  }

  // [b, h, s, d]; ragged ones lie by tokens.
  int64_t Heads(int64_t heads, int64_t length, int64_t width, int64_t ragged) {
    if (ragged == 0) return graph_.Real({sdpa_.b, heads, length, width});
    return graph_.Real({sdpa_.b, heads, length, width}, sdpa_.type,
                       {heads * length * width, width, heads * width, 1}, ragged);
  }

  int64_t Transposed(int64_t width, int64_t ragged) {
    const int64_t heads = sdpa_.hk;
    const int64_t length = sdpa_.sk;
    const Dims dim = {sdpa_.b, heads, width, length};
    if (ragged == 0) {
      return graph_.Real(dim, sdpa_.type, {heads * length * width, length * width, 1, width});
    }
    return graph_.Real(dim, sdpa_.type, {heads * length * width, width, 1, heads * width}, ragged);
  }

  int64_t Index(int64_t scores, int64_t axis) {
    return graph_.Pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, 0, 0, 0, CUDNN_DATA_INT32, axis);
  }
  int64_t Shift(cudnnPointwiseMode_t mode, int64_t index, int64_t by) {
    return graph_.Pointwise(mode, index, by, 0, 0, CUDNN_DATA_INT32);
  }
  int64_t Condition(cudnnPointwiseMode_t mode, int64_t x, int64_t b) {
    return graph_.Pointwise(mode, x, b, 0, 0, CUDNN_DATA_BOOLEAN);
  }
  int64_t Select(int64_t scores, int64_t condition) {
    return graph_.Pointwise(CUDNN_POINTWISE_BINARY_SELECT, scores, graph_.Scalar(-INFINITY),
                            condition);
  }
  int64_t LengthQ() {
    return length_q_ != 0 ? length_q_ : graph_.Scalar(static_cast<int32_t>(sdpa_.sq));
  }
  int64_t LengthK() {
    return length_k_ != 0 ? length_k_ : graph_.Scalar(static_cast<int32_t>(sdpa_.sk));
  }

  const Sdpa& sdpa_;
  Graph& graph_;
  int64_t length_q_ = 0;
  int64_t length_k_ = 0;
  int64_t ragged_q_ = 0;
  int64_t ragged_k_ = 0;
  int64_t ragged_v_ = 0;
  int64_t ragged_o_ = 0;
};

}  // namespace

void BuildUnifiedForward(const Sdpa& sdpa, Graph* graph) {
  Wiring wiring(sdpa, graph);
  const bool paged = sdpa.page != 0;
  const int64_t q = wiring.Q();
  const int64_t k = paged ? wiring.Container(sdpa.dqk) : wiring.K();
  const int64_t v = paged ? wiring.Container(sdpa.dv) : wiring.V();
  graph->Operation(
      CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR,
      {{CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, wiring.O()},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, sdpa.stats ? wiring.Stats() : 0},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, graph->Scalar(0.2F)},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_KDESC, paged ? wiring.PageTable() : 0},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_VDESC, paged ? wiring.PageTable() : 0},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_QDESC, wiring.length_q()},
       {CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_KVDESC, wiring.length_k()}});
}

void BuildUnifiedBackward(const Sdpa& sdpa, Graph* graph) {
  Wiring wiring(sdpa, graph);
  graph->Operation(CUDNN_BACKEND_OPERATION_SDPA_BWD_DESCRIPTOR,
                   {{CUDNN_ATTR_OPERATION_SDPA_BWD_QDESC, wiring.Q()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_KDESC, wiring.K()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_VDESC, wiring.V()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_ODESC, wiring.O()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_DODDESC, wiring.O()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_STATSDESC, wiring.Stats()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_SCALEDESC, graph->Scalar(0.2F)},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_SEQ_LEN_QDESC, wiring.length_q()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_SEQ_LEN_KVDESC, wiring.length_k()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_DQDESC, wiring.Q()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_DKDESC, wiring.K()},
                    {CUDNN_ATTR_OPERATION_SDPA_BWD_DVDESC, wiring.V()}});
}

void BuildComposedForward(const Sdpa& sdpa, Graph* graph) {
  Wiring wiring(sdpa, graph);
  const int64_t q = wiring.Q();
  int64_t k = 0;
  if (sdpa.page != 0) {
    k = wiring.Load(wiring.Container(sdpa.dqk), {sdpa.b, sdpa.hk, sdpa.dqk, sdpa.sk},
                    {sdpa.dqk * sdpa.sk * sdpa.hk, sdpa.dqk * sdpa.sk, 1, sdpa.dqk});
  } else {
    k = wiring.TransposedK();
  }
  int64_t scores = wiring.Scores();
  graph->Matmul(q, k, scores, {.m = wiring.length_q(), .n = wiring.length_k()});
  scores = graph->Pointwise(CUDNN_POINTWISE_MUL, scores, graph->Scalar(0.2F));
  scores = wiring.Banded(wiring.Padded(wiring.Modified(scores)));

  const int64_t most = wiring.Rows();
  graph->Reduce(CUDNN_REDUCE_TENSOR_MAX, scores, most);
  const int64_t exponent =
      graph->Pointwise(CUDNN_POINTWISE_EXP, graph->Pointwise(CUDNN_POINTWISE_SUB, scores, most));
  const int64_t sum = wiring.Rows();
  graph->Reduce(CUDNN_REDUCE_TENSOR_ADD, exponent, sum);
  graph->Pointwise(CUDNN_POINTWISE_ADD, most, graph->Pointwise(CUDNN_POINTWISE_LOG, sum), 0,
                   sdpa.stats ? wiring.Stats() : wiring.Rows());
  int64_t weights = 0;
  if (sdpa.dropout) {
    weights = graph->Pointwise(CUDNN_POINTWISE_DIV, exponent, sum);
    weights = graph->Pointwise(CUDNN_POINTWISE_MUL, weights, wiring.Random());
    weights = graph->Pointwise(CUDNN_POINTWISE_MUL, weights, graph->Scalar(1.25F), 0,
                               wiring.Scores(sdpa.type));
  } else {
    weights = graph->Pointwise(CUDNN_POINTWISE_DIV, exponent, sum, 0, wiring.Scores(sdpa.type));
  }
  int64_t v = 0;
  if (sdpa.page != 0) {
    v = wiring.Load(wiring.Container(sdpa.dv), {sdpa.b, sdpa.hk, sdpa.sk, sdpa.dv}, {});
  } else {
    v = wiring.V();
  }
  graph->Matmul(weights, v, wiring.O(), {.m = wiring.length_q(), .k = wiring.length_k()});
}

void BuildComposedBackward(const Sdpa& sdpa, Graph* graph) {
  Wiring wiring(sdpa, graph);
  const int64_t lq = wiring.length_q();
  const int64_t lk = wiring.length_k();
  const int64_t q = wiring.Q();
  const int64_t k = wiring.TransposedK();
  const int64_t v = wiring.TransposedV();
  const int64_t o = wiring.O();
  const int64_t d_o = wiring.O();
  const int64_t stats = wiring.Stats();
  const int64_t scale = graph->Scalar(0.2F);
  const int64_t kept = sdpa.dropout ? wiring.Random() : 0;

  // What each row of dP loses: the sum of dO * O.
  int64_t row_sum = wiring.Rows();
  graph->Reduce(CUDNN_REDUCE_TENSOR_ADD, graph->Pointwise(CUDNN_POINTWISE_MUL, d_o, o), row_sum);
  const int64_t softmax_sum = graph->Real({sdpa.b, sdpa.hq, sdpa.sq, 1}, CUDNN_DATA_FLOAT);
  graph->Pointwise(CUDNN_POINTWISE_MUL, row_sum, graph->Scalar(1.0F), 0, softmax_sum);

  int64_t scores = wiring.Scores();
  graph->Matmul(q, k, scores, {.m = lq, .n = lk});
  scores = graph->Pointwise(CUDNN_POINTWISE_MUL, scores, scale);
  scores = wiring.Padded(wiring.Modified(scores));
  scores = graph->Pointwise(CUDNN_POINTWISE_SUB, scores, stats);
  scores = wiring.Banded(scores);
  const int64_t exponent = graph->Pointwise(CUDNN_POINTWISE_EXP, scores);
  int64_t weights = exponent;
  if (sdpa.dropout) {
    weights = graph->Pointwise(CUDNN_POINTWISE_MUL, weights, kept);
    weights = graph->Pointwise(CUDNN_POINTWISE_MUL, weights, graph->Scalar(1.25F));
  }
  const auto transposed = [&](int64_t x) {
    const int64_t y = graph->Virtual({sdpa.b, sdpa.hq, sdpa.sk, sdpa.sq}, sdpa.type,
                                     {sdpa.hq * sdpa.sq * sdpa.sk, sdpa.sq * sdpa.sk, 1, sdpa.sk});
    graph->Reshape(x, y);
    return y;
  };
  // Heads that share keys have a gradient each, which are then added up.
  const auto into = [&](int64_t a, int64_t b, int64_t result, int64_t width) {
    const bool shared = sdpa.hq != sdpa.hk;
    const int64_t full =
        shared ? graph->Virtual({sdpa.b, sdpa.hq, sdpa.sk, width}, sdpa.type) : result;
    graph->Matmul(a, b, full, {.m = lk, .k = lq});
    if (shared) graph->Reduce(CUDNN_REDUCE_TENSOR_ADD, full, result);
  };
  into(transposed(weights), d_o, wiring.V(), sdpa.dv);

  int64_t d_scores = wiring.Scores();
  graph->Matmul(d_o, v, d_scores, {.m = lq, .n = lk});
  if (sdpa.dropout) d_scores = graph->Pointwise(CUDNN_POINTWISE_MUL, d_scores, kept);
  d_scores = graph->Pointwise(CUDNN_POINTWISE_SUB, d_scores, softmax_sum);
  d_scores = graph->Pointwise(CUDNN_POINTWISE_MUL, d_scores, exponent);
  if (sdpa.dropout)
    d_scores = graph->Pointwise(CUDNN_POINTWISE_MUL, d_scores, graph->Scalar(1.25F));
  d_scores = graph->Pointwise(CUDNN_POINTWISE_MUL, d_scores, scale, 0, wiring.Scores(sdpa.type));
  into(transposed(d_scores), q, wiring.K(), sdpa.dqk);

  const int64_t plain_k = graph->Virtual({sdpa.b, sdpa.hk, sdpa.sk, sdpa.dqk});
  graph->Reshape(k, plain_k);
  const int64_t dq_sum = graph->Real({sdpa.b, sdpa.hq, sdpa.sq, sdpa.dqk}, CUDNN_DATA_FLOAT);
  graph->Matmul(d_scores, plain_k, dq_sum, {.m = lq, .k = lk});
  graph->Pointwise(CUDNN_POINTWISE_IDENTITY, dq_sum, 0, 0, wiring.Q());
}

}  // namespace jobs
