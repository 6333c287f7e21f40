// See kineto_ops.h. Argument positions: PyTorch's native_functions.yaml (2.0 to 2.9) and
// flash-attn's custom operators (2.7).
#include "report/import/kineto_ops.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace mfutrace::report {
namespace {

using shapes::Attention;
using shapes::ConvDirection;
using shapes::Convolution;
using shapes::Dtype;
using shapes::Gemm;
using shapes::Mask;
using shapes::Pass;
using shapes::Provenance;

// How query, key and value lie in memory.
enum class Layout : uint8_t { kBatchHeadsSequence, kBatchSequenceHeads, kTokensHeads };

enum class Rule : uint8_t { kMatrices, kAttention, kConvolution, kConvolutionBackward };

// Positions of arguments in the operator's schema; -1 = it has none such.
struct OpRule {
  absl::string_view name;
  Rule rule;
  int first = 0;  // first matrix, or the query (key and value follow it)
  Layout layout = Layout::kBatchHeadsSequence;
  Pass pass = Pass::kForward;
  int causal = -1;
  Mask causal_mask = Mask::kCausalTopLeft;  // what the flag means in this library
  int window_left = -1;
  int old_causal = -1;  // where the flag was in older versions
  int cu_seqlens = -1;  // offsets of sequences of unequal length; the longest two after both
  int mask_type = -1;   // efficient attention: 0 none, 1 causal top left, 2 causal bottom right
};

constexpr OpRule Matrices(absl::string_view name, int first) {
  OpRule rule;
  rule.name = name;
  rule.rule = Rule::kMatrices;
  rule.first = first;
  return rule;
}

// A mask given as a tensor is no mask here: the kernel does the full rectangle.
constexpr OpRule Sdpa(absl::string_view name, Pass pass, int causal, int old_causal) {
  OpRule rule;
  rule.name = name;
  rule.rule = Rule::kAttention;
  rule.first = pass == Pass::kForward ? 0 : 1;  // backward: the output's gradient comes first
  rule.pass = pass;
  rule.causal = causal;
  rule.old_causal = old_causal;
  return rule;
}

// flash-attn since 2.1 aligns the causal diagonal with the last key.
constexpr OpRule Flash(absl::string_view name, Layout layout, Pass pass, int causal,
                       int cu_seqlens) {
  OpRule rule;
  rule.name = name;
  rule.rule = Rule::kAttention;
  rule.first = pass == Pass::kForward ? 0 : 1;
  rule.layout = layout;
  rule.pass = pass;
  rule.causal = causal;
  rule.causal_mask = Mask::kCausalBottomRight;
  rule.window_left = causal + 1;
  rule.cu_seqlens = cu_seqlens;
  return rule;
}

// aten's own entries below SDPA; a caller that has offsets passes them and drops the batch.
constexpr OpRule AtenFlash(absl::string_view name, Pass pass, int causal, int cu_seqlens) {
  OpRule rule = Flash(name, Layout::kBatchSequenceHeads, pass, causal, cu_seqlens);
  rule.window_left = -1;
  return rule;
}

constexpr OpRule AtenEfficient(absl::string_view name, Pass pass, int cu_seqlens, int mask_type) {
  OpRule rule = Flash(name, Layout::kBatchSequenceHeads, pass, -1, cu_seqlens);
  rule.window_left = -1;
  rule.mask_type = mask_type;
  return rule;
}

constexpr OpRule Plain(absl::string_view name, Rule kind) {
  OpRule rule;
  rule.name = name;
  rule.rule = kind;
  return rule;
}

constexpr OpRule kRules[] = {
    Matrices("aten::mm", 0),
    Matrices("aten::addmm", 1),
    Matrices("aten::_addmm_activation", 1),
    Matrices("aten::bmm", 0),
    Matrices("aten::baddbmm", 1),
    Matrices("aten::_scaled_mm", 0),
    Matrices("aten::_int_mm", 0),
    Plain("aten::convolution", Rule::kConvolution),
    Plain("aten::convolution_backward", Rule::kConvolutionBackward),
    Sdpa("aten::_scaled_dot_product_flash_attention", Pass::kForward, 4, -1),
    Sdpa("aten::_scaled_dot_product_efficient_attention", Pass::kForward, 6, -1),
    Sdpa("aten::_scaled_dot_product_cudnn_attention", Pass::kForward, 6, 4),
    Sdpa("aten::_scaled_dot_product_flash_attention_backward", Pass::kBackward, 11, -1),
    Sdpa("aten::_scaled_dot_product_efficient_attention_backward", Pass::kBackward, 11, -1),
    Sdpa("aten::_scaled_dot_product_cudnn_attention_backward", Pass::kBackward, 14, -1),
    AtenFlash("aten::_flash_attention_forward", Pass::kForward, 8, 3),
    AtenFlash("aten::_flash_attention_backward", Pass::kBackward, 11, 6),
    AtenEfficient("aten::_efficient_attention_forward", Pass::kForward, 4, 9),
    AtenEfficient("aten::_efficient_attention_backward", Pass::kBackward, 6, 14),
    Flash("flash_attn::_flash_attn_forward", Layout::kBatchSequenceHeads, Pass::kForward, 5, -1),
    Flash("flash_attn::_flash_attn_backward", Layout::kBatchSequenceHeads, Pass::kBackward, 11, -1),
    Flash("flash_attn::_flash_attn_varlen_forward", Layout::kTokensHeads, Pass::kForward, 9, 3),
    Flash("flash_attn::_flash_attn_varlen_backward", Layout::kTokensHeads, Pass::kBackward, 15, 9),
};

// Operators that multiply matrices in ways their recorded operands do not tell.
constexpr absl::string_view kKnownUncounted[] = {
    "vllm::unified_attention",  // lengths of sequences live on the device
    "vllm::unified_attention_with_output",
    "vllm::unified_mla_attention",
    "vllm::unified_mla_attention_with_output",
    "vllm::moe_forward",
    "vllm::inplace_fused_experts",
    "vllm::outplace_fused_experts",
    "vllm::rocm_aiter_fused_moe",
    "aten::_grouped_mm",  // groups' sizes live on the device
    "aten::_scaled_grouped_mm",
    "aten::_cudnn_rnn",
    "aten::_cudnn_rnn_backward",
};

const OpRule* RuleOf(absl::string_view name) {
  static const auto* const kByName = [] {
    auto* map = new absl::flat_hash_map<absl::string_view, const OpRule*>();
    for (const OpRule& rule : kRules) map->emplace(rule.name, &rule);
    return map;
  }();
  const auto found = kByName->find(name);
  return found == kByName->end() ? nullptr : found->second;
}

// Far above any tensor's; below, products of two stay inside int64.
constexpr int64_t kMaxDim = int64_t{1} << 32;
constexpr int64_t kMaxParameter = int64_t{1} << 28;

// Reads operands by position; a position that is not there has no dimensions and no text.
class Arguments {
 public:
  explicit Arguments(const RawOperands& operands) : operands_(operands) {}

  // Dimensions of a tensor; empty if it is none, or a list.
  std::vector<uint64_t> DimsOf(int position) const {
    const auto at = static_cast<size_t>(position);
    if (position < 0 || at >= operands_.dims.size() || operands_.is_tensor_list[at]) return {};
    std::vector<uint64_t> dims;
    for (const int64_t dim : operands_.dims[at]) {
      if (dim < 0 || dim > kMaxDim) return {};
      dims.push_back(static_cast<uint64_t>(dim));
    }
    return dims;
  }
  Dtype DtypeOf(int position) const {
    const auto at = static_cast<size_t>(position);
    if (position < 0 || at >= operands_.types.size()) return Dtype::kUnknown;
    return DtypeOfTorch(operands_.types[at]);
  }
  absl::string_view TextOf(int position) const {
    const auto at = static_cast<size_t>(position);
    if (position < 0 || at >= operands_.concrete.size()) return {};
    return operands_.concrete[at];
  }
  std::optional<bool> BoolOf(int position) const {
    const absl::string_view text = TextOf(position);
    if (text == "True") return true;
    if (text == "False") return false;
    return std::nullopt;
  }
  std::optional<int64_t> IntegerOf(int position) const {
    int64_t value = 0;
    if (!absl::SimpleAtoi(TextOf(position), &value)) return std::nullopt;
    return value;
  }
  // "[1, 2]"; nullopt if it is no list of plausible sizes.
  std::optional<std::vector<int64_t>> ListOf(int position) const {
    absl::string_view text = TextOf(position);
    if (!absl::ConsumePrefix(&text, "[") || !absl::ConsumeSuffix(&text, "]")) return std::nullopt;
    std::vector<int64_t> list;
    for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
      int64_t value = 0;
      if (!absl::SimpleAtoi(part, &value) || value < 0 || value > kMaxParameter)
        return std::nullopt;
      list.push_back(value);
    }
    return list;
  }
  size_t size() const { return operands_.dims.size(); }

 private:
  const RawOperands& operands_;
};

std::vector<CountedShape> MatricesOf(const OpRule& rule, const Arguments& arguments) {
  const std::vector<uint64_t> a = arguments.DimsOf(rule.first);
  const std::vector<uint64_t> b = arguments.DimsOf(rule.first + 1);
  if (a.size() != b.size() || (a.size() != 2 && a.size() != 3)) return {};
  const size_t at = a.size() - 2;
  if (a[at + 1] != b[at] || (at == 1 && a[0] != b[0])) return {};
  Gemm gemm;
  gemm.m = a[at];
  gemm.k = a[at + 1];
  gemm.n = b[at + 1];
  gemm.batch = at == 1 ? a[0] : 1;
  gemm.a = arguments.DtypeOf(rule.first);
  gemm.b = arguments.DtypeOf(rule.first + 1);
  // Eight-bit products name their output's format in a form that profiles do not keep.
  const bool keeps_format = shapes::BitsOf(gemm.a) > 8;
  gemm.c = gemm.d = keeps_format ? gemm.a : Dtype::kUnknown;
  return {{gemm, Provenance::kExact}};
}

std::vector<CountedShape> AttentionOf(const OpRule& rule, const Arguments& arguments) {
  const std::vector<uint64_t> q = arguments.DimsOf(rule.first);
  const std::vector<uint64_t> k = arguments.DimsOf(rule.first + 1);
  const std::vector<uint64_t> v = arguments.DimsOf(rule.first + 2);
  if (q.size() != k.size() || q.size() != v.size()) return {};
  Attention attention;
  attention.pass = rule.pass;
  attention.dtype = arguments.DtypeOf(rule.first);
  Provenance provenance = Provenance::kExact;

  const std::vector<uint64_t> offsets = arguments.DimsOf(rule.cu_seqlens);
  if (rule.cu_seqlens >= 0 && offsets.size() == 1) {
    // Lengths live on the device: each sequence is taken for the longest.
    const std::optional<int64_t> longest_q = arguments.IntegerOf(rule.cu_seqlens + 2);
    const std::optional<int64_t> longest_k = arguments.IntegerOf(rule.cu_seqlens + 3);
    const size_t heads = q.size() - 2;  // [tokens, heads, dim], aten with a batch of one before
    if ((q.size() != 3 && q.size() != 4) || offsets[0] == 0 || !longest_q || !longest_k ||
        *longest_q < 0 || *longest_k < 0) {
      return {};
    }
    attention.batch = offsets[0] - 1;
    attention.heads_q = q[heads];
    attention.heads_kv = k[heads];
    attention.seq_q = static_cast<uint64_t>(*longest_q);
    attention.seq_k = static_cast<uint64_t>(*longest_k);
    provenance = Provenance::kBound;
  } else {
    if (q.size() != 4) return {};
    const size_t heads = rule.layout == Layout::kBatchHeadsSequence ? 1 : 2;
    attention.batch = q[0];
    attention.heads_q = q[heads];
    attention.heads_kv = k[heads];
    attention.seq_q = q[3 - heads];
    attention.seq_k = k[3 - heads];
  }
  attention.head_dim_qk = q.back();
  attention.head_dim_v = v.back();

  if (rule.mask_type >= 0) {
    const std::optional<int64_t> type = arguments.IntegerOf(rule.mask_type);
    if (type == 0) attention.mask = Mask::kNone;
    if (type == 1) attention.mask = Mask::kCausalTopLeft;
    if (type == 2) attention.mask = Mask::kCausalBottomRight;
  } else {
    std::optional<bool> is_causal = arguments.BoolOf(rule.causal);
    if (!is_causal) is_causal = arguments.BoolOf(rule.old_causal);
    if (is_causal) attention.mask = *is_causal ? rule.causal_mask : Mask::kNone;
  }
  if (rule.window_left >= 0) {
    const std::optional<int64_t> left = arguments.IntegerOf(rule.window_left);
    const std::optional<int64_t> right = arguments.IntegerOf(rule.window_left + 1);
    if (left) attention.window_left = *left;
    if (right) attention.window_right = *right;
  }
  if (attention.mask == Mask::kUnknown) provenance = Provenance::kBound;
  return {{attention, provenance}};
}

// What forward and backward share, from the position of `stride` on: stride, padding, dilation,
// transposed, output padding, groups. Without these texts (PyTorch before 2.0) nothing is known.
bool FillConvolution(const Arguments& arguments, const std::vector<uint64_t>& input,
                     const std::vector<uint64_t>& weight, int stride_at, Convolution* convolution) {
  const auto stride = arguments.ListOf(stride_at);
  const auto padding = arguments.ListOf(stride_at + 1);
  const auto dilation = arguments.ListOf(stride_at + 2);
  const auto is_transposed = arguments.BoolOf(stride_at + 3);
  const auto output_padding = arguments.ListOf(stride_at + 4);
  const auto groups = arguments.IntegerOf(stride_at + 5);
  if (input.size() < 3 || input.size() > 5 || weight.size() != input.size() || !stride ||
      !padding || !dilation || !is_transposed || !output_padding || !groups || *groups < 1 ||
      *groups > kMaxParameter) {
    return false;
  }
  convolution->batch = input[0];
  convolution->c_in = input[1];
  convolution->groups = static_cast<uint64_t>(*groups);
  convolution->is_transposed = *is_transposed;
  convolution->c_out = *is_transposed ? weight[1] * convolution->groups : weight[0];
  // One number stands for all dimensions.
  const auto item = [](const std::vector<int64_t>& list, size_t i) {
    return list.empty() ? int64_t{0} : list[std::min(i, list.size() - 1)];
  };
  for (size_t i = 0; i + 2 < input.size(); ++i) {
    const auto in = static_cast<int64_t>(input[i + 2]);
    const auto taps = static_cast<int64_t>(weight[i + 2]);
    const int64_t step = item(*stride, i);
    const int64_t reach = item(*dilation, i) * (taps - 1);
    if (step < 1) return false;
    const int64_t out = *is_transposed ? (in - 1) * step - 2 * item(*padding, i) + reach +
                                             item(*output_padding, i) + 1
                                       : (in + 2 * item(*padding, i) - reach - 1) / step + 1;
    if (out < 0) return false;
    convolution->in[i] = static_cast<uint64_t>(in);
    convolution->filter[i] = static_cast<uint64_t>(taps);
    convolution->out[i] = static_cast<uint64_t>(out);
  }
  return true;
}

std::vector<CountedShape> ConvolutionOf(const Arguments& arguments) {
  Convolution convolution;
  convolution.dtype = arguments.DtypeOf(0);
  if (!FillConvolution(arguments, arguments.DimsOf(0), arguments.DimsOf(1), 3, &convolution)) {
    return {};
  }
  return {{convolution, Provenance::kExact}};
}

std::vector<CountedShape> ConvolutionBackwardOf(const Arguments& arguments) {
  Convolution convolution;
  convolution.dtype = arguments.DtypeOf(1);
  if (!FillConvolution(arguments, arguments.DimsOf(1), arguments.DimsOf(2), 4, &convolution)) {
    return {};
  }
  // Which gradients were asked for: "[True, True, False]" of input, weight and bias.
  const std::vector<std::string> wanted = absl::StrSplit(
      absl::StrReplaceAll(arguments.TextOf(10), {{"[", ""}, {"]", ""}, {" ", ""}}), ',');
  if (wanted.size() != 3) return {};
  std::vector<CountedShape> result;
  if (wanted[0] == "True") {
    convolution.direction = ConvDirection::kDataGradient;
    result.push_back({convolution, Provenance::kExact});
  }
  if (wanted[1] == "True") {
    convolution.direction = ConvDirection::kFilterGradient;
    result.push_back({convolution, Provenance::kExact});
  }
  return result;
}

}  // namespace

OpInterest InterestIn(absl::string_view op_name) {
  if (RuleOf(op_name) != nullptr) return OpInterest::kCounted;
  const bool is_known = std::find(std::begin(kKnownUncounted), std::end(kKnownUncounted),
                                  op_name) != std::end(kKnownUncounted);
  return is_known ? OpInterest::kKnownUncounted : OpInterest::kNone;
}

std::vector<CountedShape> ShapesOf(const RawSignature& signature) {
  const OpRule* rule = RuleOf(signature.name);
  if (rule == nullptr) return {};
  const Arguments arguments(signature.operands);
  switch (rule->rule) {
    case Rule::kMatrices:
      return MatricesOf(*rule, arguments);
    case Rule::kAttention:
      return AttentionOf(*rule, arguments);
    case Rule::kConvolution:
      return ConvolutionOf(arguments);
    case Rule::kConvolutionBackward:
      return ConvolutionBackwardOf(arguments);
  }
  return {};
}

}  // namespace mfutrace::report
