// See cudnn_mask.h.
#include "interpose/cudnn_mask.h"

#include <cstring>

namespace mfutrace::interpose {
namespace {

using shapes::Dtype;
using shapes::Mask;
using shapes::Provenance;

// row * query + col * key + constant + terms, of a tensor in the mask's computation.
struct Form {
  int row = 0;
  int col = 0;
  uint32_t term_count = 0;
  CudnnTerm terms[CudnnEdge::kMaxTerms];

  bool Join(const Form& other, int sign) {
    row += sign * other.row;
    col += sign * other.col;
    if (term_count + other.term_count > CudnnEdge::kMaxTerms) return false;
    for (uint32_t i = 0; i < other.term_count; ++i) {
      terms[term_count] = other.terms[i];
      terms[term_count].sign = static_cast<int8_t>(sign * other.terms[i].sign);
      ++term_count;
    }
    return true;
  }
};

CudnnTerm TermOf(const CudnnTensor& tensor, int sign) {
  return {tensor.uid, static_cast<int8_t>(sign), tensor.is_by_value, tensor.dtype};
}

class MaskReader {
 public:
  MaskReader(const CudnnGraph& graph, int parent, const CudnnGraph::Set* scores, CudnnMask* mask)
      : graph_(graph), parent_(parent), scores_(scores), mask_(mask) {}

  void Run() {
    uint32_t comparisons = 0;
    for (uint32_t i = 0; i < graph_.node_count; ++i) {
      const CudnnNode& node = graph_.nodes[i];
      if (node.parent != parent_) continue;
      switch (node.op) {
        case CudnnOp::kPointwise:
          if (IsComparison(node.pointwise)) ++comparisons;
          if (node.pointwise == CudnnPointwise::kSelect) Check(ReadSelect(i));
          break;
        case CudnnOp::kBandMask:
          Check(ReadBand(i));
          break;
        case CudnnOp::kPaddingMask:
          Check(ReadPadding(i));
          break;
        case CudnnOp::kOddMask:
          Check(false);
          break;
        case CudnnOp::kOther:
          // It may change scores in any way.
          Check(scores_ != nullptr && !scores_->Has(graph_.IndexAt(i, CudnnPort::kX)) &&
                !node.has_unknown_key);
          break;
        default:
          break;
      }
    }
    // A comparison that nothing understood has used is a mask by other means.
    Check(comparisons == used_count_);
  }

 private:
  void Check(bool is_understood) { mask_->is_unknown |= !is_understood; }

  static bool IsComparison(CudnnPointwise mode) {
    return mode >= CudnnPointwise::kGreater && mode <= CudnnPointwise::kLessEqual;
  }

  // Marks a comparison as used; one that is used twice counts once.
  void Use(uint32_t number) {
    const uint64_t bit = uint64_t{1} << (number % 64);
    uint64_t& word = used_[number / 64];
    if ((word & bit) == 0) ++used_count_;
    word |= bit;
  }

  // Scores where the mask is true, something constant elsewhere.
  bool ReadSelect(uint32_t number) {
    const CudnnTensor* kept = graph_.At(number, CudnnPort::kX);
    const CudnnTensor* replacement = graph_.At(number, CudnnPort::kB);
    const CudnnTensor* mask = graph_.At(number, CudnnPort::kT);
    if (kept == nullptr || replacement == nullptr || mask == nullptr) return false;
    if (replacement->producer >= 0) return false;
    if (scores_ != nullptr && !scores_->Has(graph_.IndexAt(number, CudnnPort::kX))) return false;
    return ReadCondition(mask, 0);
  }

  bool ReadCondition(const CudnnTensor* mask, uint32_t depth) {
    if (mask == nullptr || mask->producer < 0 || depth > 4) return false;
    const auto number = static_cast<uint32_t>(mask->producer);
    const CudnnNode& node = graph_.nodes[number];
    const CudnnTensor* x = graph_.At(number, CudnnPort::kX);
    const CudnnTensor* b = graph_.At(number, CudnnPort::kB);
    if (node.op != CudnnOp::kPointwise || node.is_scaled) return false;
    if (node.pointwise == CudnnPointwise::kAnd) {
      return ReadCondition(x, depth + 1) && ReadCondition(b, depth + 1);
    }
    if (!IsComparison(node.pointwise)) return false;
    Form left;
    Form right;
    if (!Read(x, 0, &left) || !Read(b, 0, &right)) return false;
    Use(number);
    const bool is_greater = node.pointwise == CudnnPointwise::kGreater ||
                            node.pointwise == CudnnPointwise::kGreaterEqual;
    const bool is_strict =
        node.pointwise == CudnnPointwise::kGreater || node.pointwise == CudnnPointwise::kLess;
    // Difference >= 0, or > 0.
    Form& difference = is_greater ? left : right;
    return difference.Join(is_greater ? right : left, -1) && Limit(difference, is_strict);
  }

  bool Limit(const Form& form, bool is_strict) {
    if (form.row == 1 && form.col == -1) return SetEdge(&mask_->right, form, is_strict);
    if (form.row == -1 && form.col == 1) return SetEdge(&mask_->left, form, is_strict);
    // Positions below a length: padding.
    const bool is_length = is_strict && form.term_count == 1 && form.terms[0].sign == 1;
    if (!is_length || form.row + form.col != -1 || form.row * form.col != 0) return false;
    const int tensor = graph_.IndexOf(form.terms[0].uid);
    if (tensor < 0) return false;
    // By value: the whole length, which cudnn-frontend told old versions of cuDNN to heed.
    if (form.terms[0].is_by_value) return true;
    return SetLength(form.row != 0 ? &mask_->queries : &mask_->keys, graph_.tensors[tensor]);
  }

  static bool SetLength(CudnnLengths* lengths, const CudnnTensor& tensor) {
    if (lengths->is_set) return lengths->uid == tensor.uid;
    lengths->is_set = true;
    lengths->uid = tensor.uid;
    lengths->is_wide = tensor.dtype == Dtype::kI64;
    return true;
  }

  static bool SetEdge(CudnnEdge* edge, const Form& form, bool is_strict) {
    if (edge->is_set) return false;
    edge->is_set = true;
    edge->constant = is_strict ? -1 : 0;
    edge->term_count = static_cast<uint8_t>(form.term_count);
    for (uint32_t i = 0; i < form.term_count; ++i) edge->terms[i] = form.terms[i];
    return true;
  }

  bool Read(const CudnnTensor* tensor, uint32_t depth, Form* form) {
    if (tensor == nullptr || depth > 8) return false;
    if (tensor->producer < 0) {
      *form = {};
      form->term_count = 1;
      form->terms[0] = TermOf(*tensor, 1);
      return !tensor->is_virtual;
    }
    const auto number = static_cast<uint32_t>(tensor->producer);
    const CudnnNode& node = graph_.nodes[number];
    if (node.op != CudnnOp::kPointwise || node.is_scaled) return false;
    const CudnnTensor* x = graph_.At(number, CudnnPort::kX);
    switch (node.pointwise) {
      case CudnnPointwise::kGenIndex: {
        *form = {};
        const int from_end = tensor->rank - node.axis;  // 1 = keys, 2 = queries
        form->col = from_end == 1 ? 1 : 0;
        form->row = from_end == 2 ? 1 : 0;
        return from_end == 1 || from_end == 2;
      }
      case CudnnPointwise::kIdentity:
        return Read(x, depth + 1, form);
      case CudnnPointwise::kAdd:
      case CudnnPointwise::kSub: {
        Form other;
        return Read(x, depth + 1, form) &&
               Read(graph_.At(number, CudnnPort::kB), depth + 1, &other) &&
               form->Join(other, node.pointwise == CudnnPointwise::kAdd ? 1 : -1);
      }
      default:
        return false;
    }
  }

  // DIAGONAL_BAND_MASK: the comparison of the composed form as one operation.
  bool ReadBand(uint32_t number) {
    const CudnnNode& node = graph_.nodes[number];
    const CudnnTensor* left = graph_.At(number, CudnnPort::kLeftBound);
    const CudnnTensor* shift = graph_.At(number, CudnnPort::kShiftRightBound);
    const CudnnTensor* queries = graph_.At(number, CudnnPort::kSeqLenQ);
    const CudnnTensor* keys = graph_.At(number, CudnnPort::kSeqLenK);
    const bool is_strict = node.pointwise == CudnnPointwise::kGreater;
    if (node.has_unknown_key || (left != nullptr && shift != nullptr)) return false;
    if (!is_strict && node.pointwise != CudnnPointwise::kGreaterEqual) return false;
    Form form;
    const int sign = left != nullptr ? -1 : 1;
    form.row = sign;
    form.col = -sign;
    const auto add = [&form](const CudnnTensor* tensor, int its_sign) {
      if (tensor != nullptr) form.terms[form.term_count++] = TermOf(*tensor, its_sign);
    };
    add(left != nullptr ? left : shift, 1);
    add(keys, sign);
    add(queries, -sign);
    return Limit(form, is_strict);
  }

  bool ReadPadding(uint32_t number) {
    const CudnnTensor* queries = graph_.At(number, CudnnPort::kSeqLenQ);
    const CudnnTensor* keys = graph_.At(number, CudnnPort::kSeqLenK);
    if (graph_.nodes[number].has_unknown_key || (queries == nullptr && keys == nullptr)) {
      return false;
    }
    return (queries == nullptr || SetLength(&mask_->queries, *queries)) &&
           (keys == nullptr || SetLength(&mask_->keys, *keys));
  }

  const CudnnGraph& graph_;
  const int parent_;
  const CudnnGraph::Set* scores_;
  CudnnMask* mask_;
  uint64_t used_[CudnnGraph::kMaxNodes / 64] = {};
  uint32_t used_count_ = 0;
};

// One edge at one run: `value` beside the diagonal that is in the corner which `is_shifted` tells.
struct Limit {
  bool is_set = false;
  bool is_shifted = false;  // by keys - queries of each sequence: bottom right
  int64_t value = 0;
};

bool ValueOf(const CudnnTerm& term, const CudnnPack& pack, int64_t* value) {
  const void* pointer = pack.Find(term.uid);
  if (pointer == nullptr) return false;
  float real = 0;
  int32_t number = 0;
  switch (term.dtype) {
    case Dtype::kI32:
      std::memcpy(&number, pointer, sizeof number);
      *value = number;
      return true;
    case Dtype::kI64:
      std::memcpy(value, pointer, sizeof *value);
      return *value > -INT32_MAX && *value < INT32_MAX;
    case Dtype::kF32:
      std::memcpy(&real, pointer, sizeof real);
      // A whole number that a float holds exactly; anything else is no width.
      if (!(real > -16777217.0f && real < 16777217.0f)) return false;
      *value = static_cast<int64_t>(real);
      return static_cast<float>(*value) == real;
    default:
      return false;
  }
}

// `sign` is that of keys - queries in a shifted edge: 1 right, -1 left.
bool Resolve(const CudnnEdge& edge, const CudnnMask& mask, const CudnnPack& pack, int sign,
             Limit* limit) {
  limit->is_set = edge.is_set;
  limit->value = edge.constant;
  int keys = 0;
  int queries = 0;
  for (uint32_t i = 0; i < edge.term_count; ++i) {
    const CudnnTerm& term = edge.terms[i];
    if (term.is_by_value) {
      int64_t value = 0;
      if (!ValueOf(term, pack, &value)) return false;
      limit->value += term.sign * value;
    } else if (mask.keys.is_set && !mask.keys.is_offsets && term.uid == mask.keys.uid) {
      keys += term.sign;
    } else if (mask.queries.is_set && !mask.queries.is_offsets && term.uid == mask.queries.uid) {
      queries += term.sign;
    } else {
      return false;
    }
  }
  limit->is_shifted = keys != 0 || queries != 0;
  return !limit->is_shifted || (keys == sign && queries == -sign);
}

}  // namespace

void ReadCudnnMask(const CudnnGraph& graph, int parent, const CudnnGraph::Set* scores,
                   CudnnMask* mask) {
  MaskReader(graph, parent, scores, mask).Run();
}

Provenance ResolveCudnnAttention(const CudnnOperation& operation, const CudnnPack& pack,
                                 shapes::Attention* attention, bool* has_lengths) {
  const CudnnMask& mask = operation.mask;
  *attention = operation.attention;
  attention->mask = Mask::kUnknown;
  *has_lengths = false;
  Limit right;
  Limit left;
  if (mask.is_unknown || !Resolve(mask.right, mask, pack, 1, &right) ||
      !Resolve(mask.left, mask, pack, -1, &left)) {
    return Provenance::kBound;
  }
  const bool lengths_vary = mask.queries.is_set || mask.keys.is_set;
  // Edges in both corners' terms. With lengths of their own, sequences have corners of their own,
  // and only an edge that says so follows them.
  const int64_t diagonal =
      static_cast<int64_t>(attention->seq_k) - static_cast<int64_t>(attention->seq_q);
  const auto from_bottom_right = [&](const Limit& limit, int sign) {
    return limit.is_shifted ? limit.value : limit.value - sign * diagonal;
  };
  const auto knows_top_left = [](const Limit& limit) { return !limit.is_set || !limit.is_shifted; };
  const auto knows_bottom_right = [&](const Limit& limit) {
    return !limit.is_set || limit.is_shifted || !lengths_vary;
  };
  const bool top_left = knows_top_left(right) && knows_top_left(left);
  const bool bottom_right = knows_bottom_right(right) && knows_bottom_right(left);
  const bool is_shifted_by_value = mask.right.term_count > 1;
  // A window in the top left corner's terms, where the other corner's cannot say it, or would say
  // it in numbers that the job did not.
  const bool is_band = top_left && (!right.is_set || right.value >= 0) &&
                       (!left.is_set || left.value >= 0) && (right.is_set || left.is_set);
  const bool prefers_top_left = !is_shifted_by_value && mask.left.term_count <= 1 && diagonal != 0;
  int64_t window = 0;
  if (right.is_set && top_left && right.value == 0 &&
      !(is_shifted_by_value && bottom_right && diagonal == 0)) {
    attention->mask = Mask::kCausalTopLeft;
    window = left.value;
  } else if (is_band && (prefers_top_left || !bottom_right)) {
    attention->mask = Mask::kWindowTopLeft;
    window = left.value;
    if (right.is_set) attention->window_right = right.value;
  } else if (bottom_right) {
    const int64_t width = right.is_set ? from_bottom_right(right, 1) : 0;
    window = from_bottom_right(left, -1);
    if (width < 0) return Provenance::kBound;  // a diagonal below both corners
    attention->mask = right.is_set && width == 0 ? Mask::kCausalBottomRight : Mask::kNone;
    if (right.is_set && width != 0) attention->window_right = width;
  } else {
    return Provenance::kBound;
  }
  if (left.is_set) {
    if (window < 0) {
      attention->mask = Mask::kUnknown;
      attention->window_right = -1;
      return Provenance::kBound;
    }
    attention->window_left = window;
  }
  *has_lengths = lengths_vary;
  return operation.provenance;
}

}  // namespace mfutrace::interpose
