// Reads cuDNN's multi-head attention: its projections are products of their own, and between them
// lies attention over sequences whose lengths and windows the caller keeps on the host.
//
// Forward, per projection that the descriptor has: heads * size-after x size-before x tokens; with
// P = kept (query, key) pairs, attention does 2 heads P (d_qk + d_v). Gradients of the inputs do
// each projection once more, and attention's four products instead of two (the softmax is kept in
// the reserve space, so nothing is recomputed); gradients of the weights do each projection once
// more. (cuDNN documentation, cudnnSetAttnDescriptor and cudnnMultiHeadAttn*.)
#include <cudnn.h>

#include "interpose/cudnn_legacy.h"
#include "interpose/observe_cudnn_legacy.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::Dtype;
using shapes::Mask;
using shapes::Provenance;
using Part = MultiHeadArguments::Part;

constexpr uint32_t kMaxLengthPairs = kMaxMultiHeadParts - 4;

uint64_t Unsigned(int value) { return value < 0 ? 0 : static_cast<uint64_t>(value); }

struct Sequences {
  HostLengths lengths;
  uint32_t count = 0;
  uint64_t tokens = 0;
  int longest = 0;

  bool Read(const VendorLibrary& library, Pointer pointer) {
    const auto get = MFU_CUDNN_GETTER(library, cudnnGetSeqDataDescriptor);
    if (get == nullptr || pointer == nullptr) return false;
    const auto descriptor = As<cudnnSeqDataDescriptor_t>(pointer);
    cudnnDataType_t type;
    int dim_count = 0;
    int dims[CUDNN_SEQDATA_DIM_COUNT];
    cudnnSeqDataAxis_t axes[CUDNN_SEQDATA_DIM_COUNT];
    size_t found = 0;
    const auto read = [&](size_t room, int* into) {
      return get(descriptor, &type, &dim_count, CUDNN_SEQDATA_DIM_COUNT, dims, axes, &found, room,
                 into, nullptr) == CUDNN_STATUS_SUCCESS;
    };
    if (!read(HostLengths::kOnStack, lengths.few()) || found > UINT32_MAX) return false;
    count = static_cast<uint32_t>(found);
    if (!lengths.Fit(count)) return false;
    if (count > HostLengths::kOnStack && !read(count, lengths.data())) return false;
    for (uint32_t i = 0; i < count; ++i) {
      const int length = lengths.data()[i];
      tokens += Unsigned(length);
      if (length > longest) longest = length;
    }
    return true;
  }
};

struct Sizes {
  int heads = 0;
  int q = 0, k = 0, v = 0;
  int q_projected = 0, k_projected = 0, v_projected = 0, o_projected = 0;
  Dtype dtype = Dtype::kUnknown;
  bool is_tf32 = false;

  bool Read(const VendorLibrary& library, Pointer pointer) {
    const auto get = MFU_CUDNN_GETTER(library, cudnnGetAttnDescriptor);
    unsigned mode = 0;
    double scale = 0;
    cudnnDataType_t type;
    cudnnDataType_t precision;
    cudnnMathType_t math;
    cudnnDropoutDescriptor_t dropouts[2];
    int limits[4];
    if (get == nullptr || pointer == nullptr ||
        get(As<cudnnAttnDescriptor_t>(pointer), &mode, &heads, &scale, &type, &precision, &math,
            &dropouts[0], &dropouts[1], &q, &k, &v, &q_projected, &k_projected, &v_projected,
            &o_projected, &limits[0], &limits[1], &limits[2], &limits[3]) != CUDNN_STATUS_SUCCESS) {
      return false;
    }
    dtype = DtypeOfCudnn(type);
    is_tf32 = ArithmeticOfCudnn(type, math) == Dtype::kTf32;
    return heads > 0;
  }

  uint64_t WidthOfQ() const { return Unsigned(q_projected > 0 ? q_projected : q); }
  uint64_t WidthOfV() const { return Unsigned(v_projected > 0 ? v_projected : v); }
};

// The windows of all queries as one mask; false if they are none of those that masks can say.
bool ReadMask(const int* begin, const int* end, int queries, int keys, Mask* mask) {
  if (begin == nullptr || end == nullptr) return false;
  bool is_full = true;
  bool is_causal = true;
  for (int i = 0; i < queries; ++i) {
    is_full = is_full && begin[i] <= 0 && end[i] >= keys;
    is_causal = is_causal && begin[i] <= 0 && end[i] == i + 1;
  }
  *mask = is_full ? Mask::kNone : Mask::kCausalTopLeft;
  return is_full || is_causal;
}

// Sequences of equal lengths together.
struct LengthPairs {
  shapes::SequenceRun runs[kMaxLengthPairs];
  uint32_t count = 0;

  bool Add(uint32_t q, uint32_t k) {
    for (uint32_t i = 0; i < count; ++i) {
      if (runs[i].seq_q == q && runs[i].seq_k == k) {
        ++runs[i].count;
        return true;
      }
    }
    if (count == kMaxLengthPairs) return false;
    runs[count++] = {q, k, 1};
    return true;
  }
};

class Reader {
 public:
  Reader(const MultiHeadArguments& arguments, Entry entry, CompoundPart* parts,
         const MultiHeadInterning& interning)
      : arguments_(arguments), entry_(entry), parts_(parts), interning_(interning) {}

  uint32_t Read(const VendorLibrary& library) {
    if (!sizes_.Read(library, arguments_.attention) || !q_.Read(library, arguments_.q) ||
        !k_.Read(library, arguments_.k) || q_.count != k_.count) {
      return 0;  // beams that share their keys: which lengths belong together is not told
    }
    const bool is_single = arguments_.current >= 0;
    const uint64_t q_tokens = is_single ? q_.count : q_.tokens;
    const uint64_t heads = Unsigned(sizes_.heads);
    // With one query a sequence, keys and values of earlier calls may be used again.
    const Provenance of_keys = is_single ? Provenance::kBound : Provenance::kExact;
    Project(heads * Unsigned(sizes_.q_projected), Unsigned(sizes_.q), q_tokens, Provenance::kExact);
    Project(heads * Unsigned(sizes_.k_projected), Unsigned(sizes_.k), k_.tokens, of_keys);
    Project(heads * Unsigned(sizes_.v_projected), Unsigned(sizes_.v), k_.tokens, of_keys);
    Project(Unsigned(sizes_.o_projected), heads * sizes_.WidthOfV(), q_tokens, Provenance::kExact);
    if (arguments_.part != Part::kBackwardWeights) Attend();
    return has_failed_ ? 0 : count_;
  }

 private:
  void Add(uint32_t signature, uint64_t times) {
    has_failed_ = has_failed_ || signature == 0;
    parts_[count_++] = {signature, times};
  }

  void Project(uint64_t to, uint64_t from, uint64_t tokens, Provenance provenance) {
    if (to == 0) return;
    shapes::Gemm gemm;
    gemm.m = to;
    gemm.n = tokens;
    gemm.k = from;
    if (arguments_.part == Part::kBackwardData) {
      gemm.m = from;
      gemm.k = to;
    } else if (arguments_.part == Part::kBackwardWeights) {
      gemm.n = from;
      gemm.k = tokens;
    }
    gemm.a = gemm.b = gemm.c = gemm.d = sizes_.dtype;
    gemm.math = sizes_.is_tf32 ? shapes::MathMode::kTf32 : shapes::MathMode::kDefault;
    Add(interning_.gemm(gemm, 0, entry_, provenance), 1);
  }

  void Attend() {
    const auto* begin = static_cast<const int*>(arguments_.window_begin);
    const auto* end = static_cast<const int*>(arguments_.window_end);
    LengthPairs pairs;
    Mask mask = Mask::kNone;
    bool is_exact = begin != nullptr && end != nullptr;
    if (arguments_.current < 0) is_exact = ReadMask(begin, end, q_.longest, k_.longest, &mask);
    for (uint32_t i = 0; i < q_.count && is_exact; ++i) {
      uint64_t queries = Unsigned(q_.lengths.data()[i]);
      int keys = k_.lengths.data()[i];
      if (arguments_.current >= 0) {
        const int first = begin[arguments_.current] > 0 ? begin[arguments_.current] : 0;
        if (end[arguments_.current] < keys) keys = end[arguments_.current];
        queries = 1;
        keys -= first;
      }
      is_exact = pairs.Add(static_cast<uint32_t>(queries), static_cast<uint32_t>(Unsigned(keys)));
    }
    if (!is_exact) {
      pairs.count = 1;
      const int queries = arguments_.current < 0 ? q_.longest : 1;
      pairs.runs[0] = {static_cast<uint32_t>(Unsigned(queries)),
                       static_cast<uint32_t>(Unsigned(k_.longest)), q_.count};
      mask = Mask::kNone;
    }
    for (uint32_t i = 0; i < pairs.count; ++i) {
      shapes::Attention attention;
      attention.batch = pairs.runs[i].count;
      attention.heads_q = attention.heads_kv = Unsigned(sizes_.heads);
      attention.seq_q = pairs.runs[i].seq_q;
      attention.seq_k = pairs.runs[i].seq_k;
      attention.head_dim_qk = sizes_.WidthOfQ();
      attention.head_dim_v = sizes_.WidthOfV();
      attention.dtype = sizes_.is_tf32 ? Dtype::kTf32 : sizes_.dtype;
      attention.mask = mask;
      Add(interning_.attention(attention, 0, entry_,
                               is_exact ? Provenance::kExact : Provenance::kBound),
          arguments_.part == Part::kForward ? 1 : 2);
    }
  }

  const MultiHeadArguments& arguments_;
  const Entry entry_;
  CompoundPart* const parts_;
  const MultiHeadInterning& interning_;
  Sizes sizes_;
  Sequences q_;
  Sequences k_;
  uint32_t count_ = 0;
  bool has_failed_ = false;
};

}  // namespace

uint32_t InternMultiHead(const VendorLibrary& library, const MultiHeadArguments& arguments,
                         Entry entry, CompoundPart* parts, const MultiHeadInterning& interning) {
  return Reader(arguments, entry, parts, interning).Read(library);
}

void ObserveMultiHead(HookedCall& call, Pointer handle, const MultiHeadArguments& arguments) {
  CompoundPart parts[kMaxMultiHeadParts];
  const uint32_t count = InternMultiHead(*call.library, arguments, call.entry, parts, {});
  uint32_t signature = count != 0 ? InternCompound(call.entry, parts, count, nullptr) : 0;
  if (signature == 0) signature = InternOpaque(call.entry, "descriptors not readable");
  BeginOnCudnn(call, handle, signature);
}

}  // namespace mfutrace::interpose::observe
