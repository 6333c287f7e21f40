// libcudnn_adv.so.9: multi-head attention of the older interface, with its projections. Pairs are
// counted one by one: each query's window of keys, cut off at the sequence's length.
#include <algorithm>
#include <memory>

#include "cudnn/graph.h"
#include "cudnn/legacy.h"

namespace simgpu::cudnn {
namespace {

struct Attn {
  static constexpr uint32_t kMagic = 0x4154544e;
  uint32_t magic = kMagic;
  unsigned mode = 0;
  int heads = 0;
  double scale = 1;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  cudnnDropoutDescriptor_t attention_dropout = nullptr;
  cudnnDropoutDescriptor_t post_dropout = nullptr;
  int q_size = 0;
  int k_size = 0;
  int v_size = 0;
  int q_projection = 0;
  int k_projection = 0;
  int v_projection = 0;
  int o_projection = 0;
  int q_length = 0;
  int k_length = 0;
  int batch = 0;
  int beam = 0;

  uint64_t d_qk() const { return static_cast<uint64_t>(q_projection > 0 ? q_projection : q_size); }
  uint64_t d_v() const { return static_cast<uint64_t>(v_projection > 0 ? v_projection : v_size); }
  // Elements of the four projections, those of size zero absent.
  uint64_t WeightsQ() const { return Matrix(q_size, q_projection * heads); }
  uint64_t WeightsK() const { return Matrix(k_size, k_projection * heads); }
  uint64_t WeightsV() const { return Matrix(v_size, v_projection * heads); }
  uint64_t WeightsO() const { return Matrix(static_cast<int>(d_v()) * heads, o_projection); }
  uint64_t Weights() const { return WeightsQ() + WeightsK() + WeightsV() + WeightsO(); }

 private:
  static uint64_t Matrix(int rows, int columns) {
    return static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns);
  }
};

struct SeqData {
  static constexpr uint32_t kMagic = 0x53455144;
  uint32_t magic = kMagic;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::vector<int> dim;
  std::vector<cudnnSeqDataAxis_t> axes;
  std::vector<int> lengths;  // batch x beam

  int extent(cudnnSeqDataAxis_t axis) const { return dim[static_cast<size_t>(axis)]; }
  uint64_t tokens() const {
    uint64_t sum = 0;
    for (const int length : lengths) sum += static_cast<uint64_t>(length);
    return sum;
  }
};

struct Shape {
  const Attn* attn = nullptr;
  const SeqData* q = nullptr;
  const SeqData* k = nullptr;
  uint64_t pairs = 0;  // of one head

  // Multiply-adds of the four projections over all tokens.
  uint64_t Projections() const {
    return q->tokens() * (attn->WeightsQ() + attn->WeightsO()) +
           k->tokens() * (attn->WeightsK() + attn->WeightsV());
  }
  uint64_t Core() const {
    return pairs * static_cast<uint64_t>(attn->heads) * (attn->d_qk() + attn->d_v());
  }
};

bool Understand(cudnnHandle_t handle, cudnnAttnDescriptor_t attn, cudnnSeqDataDescriptor_t q,
                cudnnSeqDataDescriptor_t k, Shape* shape) {
  shape->attn = Peek<Attn>(attn);
  shape->q = Peek<SeqData>(q);
  shape->k = Peek<SeqData>(k);
  return Find(handle) != nullptr && shape->attn != nullptr && shape->q != nullptr &&
         shape->k != nullptr && shape->q->lengths.size() >= shape->k->lengths.size();
}

// Queries of all beams of a sentence see the one set of keys that it has, unless each beam has its
// own.
void CountPairs(const int low[], const int high[], Shape* shape) {
  const size_t queries = shape->q->lengths.size();
  const size_t keys = shape->k->lengths.size();
  for (size_t i = 0; i < queries; ++i) {
    const int length = shape->k->lengths[keys == queries ? i : i * keys / queries];
    for (int at = 0; at < shape->q->lengths[i]; ++at) {
      for (int key = std::max(0, low[at]); key < std::min(length, high[at]); ++key) ++shape->pairs;
    }
  }
}

cudnnStatus_t Run(const char* function, const char* op, cudnnHandle_t handle, const Shape& shape,
                  uint64_t multiply_adds, uint64_t bytes) {
  Api* api = FindApi();
  if (api->ShouldFail(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  const Attn& attn = *shape.attn;
  const Format format = LegacyFormat(attn.type, attn.math);
  Work work;
  work.kind = OpKind::kAttention;
  work.function = CallerScope::Outermost(function);
  work.flop = 2 * multiply_adds;
  work.bytes = bytes;
  const auto pair = [](const char* key, uint64_t value) {
    return "," + std::string(key) + "=" + std::to_string(value);
  };
  work.dims = std::string("op=") + op + pair("heads", static_cast<uint64_t>(attn.heads)) +
              pair("sequences", shape.q->lengths.size()) + pair("q_tokens", shape.q->tokens()) +
              pair("k_tokens", shape.k->tokens()) + pair("pairs", shape.pairs) +
              pair("dqk", attn.d_qk()) + pair("dv", attn.d_v()) + pair("weights", attn.Weights()) +
              ",dtype=" + TextOf(attn.type) + ",out=" + TextOf(attn.type) +
              ",math=" + NameOf(format);
  work.duration_ns = api->GemmDuration(format, shape.q->tokens(), attn.d_v(), attn.d_qk(),
                                       static_cast<uint64_t>(attn.heads), work.flop, work.bytes);
  return EnqueueByHandle(handle, std::move(work));
}

uint64_t BytesOf(const SeqData& data) {
  return data.tokens() * static_cast<uint64_t>(data.extent(CUDNN_SEQDATA_VECT_DIM)) *
         static_cast<uint64_t>(BitsOf(data.type)) / 8;
}

uint64_t WeightBytes(const Attn& attn) {
  return attn.Weights() * static_cast<uint64_t>(BitsOf(attn.type)) / 8;
}

}  // namespace

extern "C" {

cudnnStatus_t CUDNNWINAPI cudnnCreateAttnDescriptor(cudnnAttnDescriptor_t* handle) {
  return Make<Attn>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroyAttnDescriptor(cudnnAttnDescriptor_t handle) {
  return Drop<Attn>(handle);
}

cudnnStatus_t CUDNNWINAPI cudnnSetAttnDescriptor(
    cudnnAttnDescriptor_t handle, unsigned mode, int heads, double scale, cudnnDataType_t type,
    cudnnDataType_t precision, cudnnMathType_t math, cudnnDropoutDescriptor_t attention_dropout,
    cudnnDropoutDescriptor_t post_dropout, int q_size, int k_size, int v_size, int q_projection,
    int k_projection, int v_projection, int o_projection, int q_length, int k_length, int batch,
    int beam) {
  auto* found = Peek<Attn>(handle);
  if (found == nullptr || heads <= 0 || q_size <= 0 || k_size <= 0 || v_size <= 0 ||
      q_length <= 0 || k_length <= 0 || batch <= 0 || beam <= 0 || q_projection < 0 ||
      v_projection < 0 || o_projection < 0 ||
      (q_projection > 0 ? q_projection : q_size) != (k_projection > 0 ? k_projection : k_size)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *found = {Attn::kMagic,      mode,         heads,    scale,    type,   precision,    math,
            attention_dropout, post_dropout, q_size,   k_size,   v_size, q_projection, k_projection,
            v_projection,      o_projection, q_length, k_length, batch,  beam};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetAttnDescriptor(
    cudnnAttnDescriptor_t handle, unsigned* mode, int* heads, double* scale, cudnnDataType_t* type,
    cudnnDataType_t* precision, cudnnMathType_t* math, cudnnDropoutDescriptor_t* attention_dropout,
    cudnnDropoutDescriptor_t* post_dropout, int* q_size, int* k_size, int* v_size,
    int* q_projection, int* k_projection, int* v_projection, int* o_projection, int* q_length,
    int* k_length, int* batch, int* beam) {
  const auto* found = Peek<Attn>(handle);
  if (found == nullptr) return CUDNN_STATUS_BAD_PARAM;
  const auto give = [](auto* to, auto value) {
    if (to != nullptr) *to = value;
  };
  give(mode, found->mode);
  give(heads, found->heads);
  give(scale, found->scale);
  give(type, found->type);
  give(precision, found->precision);
  give(math, found->math);
  give(attention_dropout, found->attention_dropout);
  give(post_dropout, found->post_dropout);
  give(q_size, found->q_size);
  give(k_size, found->k_size);
  give(v_size, found->v_size);
  give(q_projection, found->q_projection);
  give(k_projection, found->k_projection);
  give(v_projection, found->v_projection);
  give(o_projection, found->o_projection);
  give(q_length, found->q_length);
  give(k_length, found->k_length);
  give(batch, found->batch);
  give(beam, found->beam);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnCreateSeqDataDescriptor(cudnnSeqDataDescriptor_t* handle) {
  return Make<SeqData>(handle);
}
cudnnStatus_t CUDNNWINAPI cudnnDestroySeqDataDescriptor(cudnnSeqDataDescriptor_t handle) {
  return Drop<SeqData>(handle);
}

cudnnStatus_t CUDNNWINAPI cudnnSetSeqDataDescriptor(
    cudnnSeqDataDescriptor_t handle, cudnnDataType_t type, int count, const int dim[],
    const cudnnSeqDataAxis_t axes[], size_t length_count, const int lengths[], void*) {
  auto* found = Peek<SeqData>(handle);
  if (found == nullptr || count != CUDNN_SEQDATA_DIM_COUNT || dim == nullptr || axes == nullptr ||
      lengths == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  const auto sequences = static_cast<size_t>(dim[CUDNN_SEQDATA_BATCH_DIM]) *
                         static_cast<size_t>(dim[CUDNN_SEQDATA_BEAM_DIM]);
  if (length_count != sequences) return CUDNN_STATUS_BAD_PARAM;
  found->type = type;
  found->dim.assign(dim, dim + count);
  found->axes.assign(axes, axes + count);
  found->lengths.assign(lengths, lengths + length_count);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetSeqDataDescriptor(const cudnnSeqDataDescriptor_t handle,
                                                    cudnnDataType_t* type, int* count,
                                                    int requested, int dim[],
                                                    cudnnSeqDataAxis_t axes[], size_t* length_count,
                                                    size_t lengths_requested, int lengths[],
                                                    void*) {
  const auto* found = Peek<SeqData>(handle);
  if (found == nullptr || requested < 0) return CUDNN_STATUS_BAD_PARAM;
  if (type != nullptr) *type = found->type;
  if (count != nullptr) *count = static_cast<int>(found->dim.size());
  for (size_t i = 0; i < std::min(static_cast<size_t>(requested), found->dim.size()); ++i) {
    if (dim != nullptr) dim[i] = found->dim[i];
    if (axes != nullptr) axes[i] = found->axes[i];
  }
  if (length_count != nullptr) *length_count = found->lengths.size();
  for (size_t i = 0; lengths != nullptr && i < std::min(lengths_requested, found->lengths.size());
       ++i) {
    lengths[i] = found->lengths[i];
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnGetMultiHeadAttnBuffers(cudnnHandle_t library,
                                                       const cudnnAttnDescriptor_t handle,
                                                       size_t* weights, size_t* work,
                                                       size_t* reserve) {
  const auto* found = Peek<Attn>(handle);
  if (Find(library) == nullptr || found == nullptr || weights == nullptr || work == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *weights = WeightBytes(*found);
  *work = 1 << 16;
  if (reserve != nullptr) *reserve = 1 << 16;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnMultiHeadAttnForward(
    cudnnHandle_t handle, const cudnnAttnDescriptor_t attn, int, const int low[], const int high[],
    const int*, const int*, const cudnnSeqDataDescriptor_t q_desc, const void* q, const void*,
    const cudnnSeqDataDescriptor_t k_desc, const void* k, const cudnnSeqDataDescriptor_t v_desc,
    const void* v, const cudnnSeqDataDescriptor_t o_desc, void* o, size_t, const void*, size_t,
    void*, size_t, void*) {
  Shape shape;
  const auto* v_data = Peek<SeqData>(v_desc);
  const auto* o_data = Peek<SeqData>(o_desc);
  if (!Understand(handle, attn, q_desc, k_desc, &shape) || v_data == nullptr || o_data == nullptr ||
      q == nullptr || k == nullptr || v == nullptr || o == nullptr || low == nullptr ||
      high == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  CountPairs(low, high, &shape);
  return Run("cudnnMultiHeadAttnForward", "forward", handle, shape,
             shape.Projections() + shape.Core(),
             BytesOf(*shape.q) + BytesOf(*shape.k) + BytesOf(*v_data) + BytesOf(*o_data) +
                 WeightBytes(*shape.attn));
}

// Each projection passes one gradient back; of the core, dP = dO V', dV = P' dO, dQ = dS K, dK =
// dS' Q: the probabilities were kept in the reserve space.
cudnnStatus_t CUDNNWINAPI cudnnMultiHeadAttnBackwardData(
    cudnnHandle_t handle, const cudnnAttnDescriptor_t attn, const int low[], const int high[],
    const int*, const int*, const cudnnSeqDataDescriptor_t do_desc, const void* d_out,
    const cudnnSeqDataDescriptor_t dq_desc, void* dq, const void* q,
    const cudnnSeqDataDescriptor_t dk_desc, void* dk, const void* k,
    const cudnnSeqDataDescriptor_t dv_desc, void* dv, const void* v, size_t, const void*, size_t,
    void*, size_t, void*) {
  Shape shape;
  const auto* do_data = Peek<SeqData>(do_desc);
  const auto* dv_data = Peek<SeqData>(dv_desc);
  if (!Understand(handle, attn, dq_desc, dk_desc, &shape) || do_data == nullptr ||
      dv_data == nullptr || d_out == nullptr || dq == nullptr || q == nullptr || dk == nullptr ||
      k == nullptr || dv == nullptr || v == nullptr || low == nullptr || high == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  CountPairs(low, high, &shape);
  return Run("cudnnMultiHeadAttnBackwardData", "data", handle, shape,
             shape.Projections() + 2 * shape.Core(),
             BytesOf(*do_data) + 2 * (BytesOf(*shape.q) + BytesOf(*shape.k) + BytesOf(*dv_data)) +
                 WeightBytes(*shape.attn));
}

cudnnStatus_t CUDNNWINAPI cudnnMultiHeadAttnBackwardWeights(
    cudnnHandle_t handle, const cudnnAttnDescriptor_t attn, cudnnWgradMode_t,
    const cudnnSeqDataDescriptor_t q_desc, const void* q, const cudnnSeqDataDescriptor_t k_desc,
    const void* k, const cudnnSeqDataDescriptor_t v_desc, const void* v,
    const cudnnSeqDataDescriptor_t do_desc, const void* d_out, size_t, const void*, void* dweights,
    size_t, void*, size_t, void*) {
  Shape shape;
  const auto* v_data = Peek<SeqData>(v_desc);
  const auto* do_data = Peek<SeqData>(do_desc);
  if (!Understand(handle, attn, q_desc, k_desc, &shape) || v_data == nullptr ||
      do_data == nullptr || q == nullptr || k == nullptr || v == nullptr || d_out == nullptr ||
      dweights == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  return Run("cudnnMultiHeadAttnBackwardWeights", "weights", handle, shape, shape.Projections(),
             BytesOf(*shape.q) + BytesOf(*shape.k) + BytesOf(*v_data) + BytesOf(*do_data) +
                 WeightBytes(*shape.attn));
}

}  // extern "C"
}  // namespace simgpu::cudnn
