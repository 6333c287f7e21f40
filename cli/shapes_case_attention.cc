#include "cli/shapes_case_attention.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shapes/flops.h"
#include "shapes/saturating.h"
#include "shapes/traffic.h"

namespace mfutrace::cli {
namespace {

using shapes::Sum;

// A list of lengths; [4096, "x64"] is 64 times 4096. As (length, how often).
std::vector<std::pair<uint64_t, uint64_t>> Lengths(Fields& args, const char* name) {
  std::vector<std::pair<uint64_t, uint64_t>> lengths;
  const rapidjson::Value* list = args.Find(name);
  if (list == nullptr || !list->IsArray()) {
    args.Complain(std::string("no list \"") + name + "\"");
    return lengths;
  }
  for (const rapidjson::Value& item : list->GetArray()) {
    if (const std::optional<uint64_t> length = WholeNumber(item)) {
      lengths.emplace_back(*length, 1);
      continue;
    }
    uint64_t times = 0;
    const std::string text = item.IsString() ? item.GetString() : "";
    if (text.size() >= 2 && text.size() <= 10 && text[0] == 'x' && !lengths.empty() &&
        text.find_first_not_of("0123456789", 1) == std::string::npos) {
      times = std::stoull(text.substr(1));
    }
    if (times == 0) {
      args.Complain(std::string("\"") + name + "\" holds what is no length");
      return {};
    }
    lengths.back().second = times;
  }
  return lengths;
}

shapes::Attention AttentionOf(Fields& args) {
  shapes::Attention attention;
  attention.batch = 1;
  attention.heads_q = args.Number("h_q");
  attention.heads_kv = args.Number("h_kv");
  attention.head_dim_qk = args.Number("d_qk");
  attention.head_dim_v = args.Number("d_v");
  attention.window_left = args.Signed("window_left").value_or(-1);
  attention.window_right = args.Signed("window_right").value_or(-1);
  // Two bytes an element where a case does not say.
  attention.dtype = DtypeOfWidth(args.Number("bytes_per_elem", 2));
  const std::string mask = args.Text("mask");
  const std::string align = args.Text("align");
  if (mask == "causal") {
    // Sources that leave the alignment out have squares, or are FlashAttention's.
    attention.mask =
        align == "top_left" ? shapes::Mask::kCausalTopLeft : shapes::Mask::kCausalBottomRight;
  } else if (mask == "none") {
    attention.mask = shapes::Mask::kNone;
  } else {
    args.Complain("no arithmetic for the mask \"" + mask + "\"");
  }
  return attention;
}

}  // namespace

Figures AttentionFigures(bool forward, bool backward, Fields& args) {
  std::vector<shapes::Attention> calls;
  std::optional<shapes::Attention> longest;
  const shapes::Attention like = AttentionOf(args);
  if (args.Has("seqlens_q")) {
    const auto lengths_q = Lengths(args, "seqlens_q");
    const auto lengths_k = Lengths(args, "seqlens_k");
    if (lengths_q.size() != lengths_k.size()) {
      args.Complain("\"seqlens_q\" and \"seqlens_k\" differ in length");
      return {};
    }
    // Without the lengths the window's place is not known either.
    longest = like;
    longest->batch = 0;
    longest->window_left = longest->window_right = -1;
    for (size_t i = 0; i < lengths_q.size(); ++i) {
      shapes::Attention call = like;
      call.batch = lengths_q[i].second;
      call.seq_q = lengths_q[i].first;
      call.seq_k = lengths_k[i].first;
      if (lengths_q[i].second != lengths_k[i].second) {
        args.Complain("\"seqlens_q\" and \"seqlens_k\" differ in length");
      }
      longest->batch = Sum(longest->batch, call.batch);
      longest->seq_q = std::max(longest->seq_q, call.seq_q);
      longest->seq_k = std::max(longest->seq_k, call.seq_k);
      calls.push_back(call);
    }
  } else {
    shapes::Attention call = like;
    call.batch = args.Number("b");
    call.seq_q = args.Number("s_q");
    call.seq_k = args.Number("s_k");
    calls.push_back(call);
  }

  Figures sum;
  sum.least_bytes = 0;
  const bool is_math = args.Text("backend") == "math";
  uint64_t source_flop = 0;
  for (shapes::Attention call : calls) {
    const bool has_window = call.window_left >= 0 || call.window_right >= 0;
    if (call.mask == shapes::Mask::kNone && has_window && call.seq_q != call.seq_k &&
        args.Text("align") == "top_left") {
      args.Complain("no arithmetic for a window from the top left without a causal mask");
    }
    sum.kept_pairs.push_back(shapes::KeptPairs(call));
    for (const bool is_backward : {false, true}) {
      if (is_backward ? !backward : !forward) continue;
      call.pass = is_backward ? shapes::Pass::kBackward : shapes::Pass::kForward;
      Figures figures = Counted(call);
      shapes::Attention full = call;
      full.mask = shapes::Mask::kNone;
      full.window_left = full.window_right = -1;
      figures.full_executed_flop = shapes::FullRectangleFlop(call);
      figures.full_model_flop = shapes::ModelFlop(full);
      // PyTorch's math backend keeps the scores: its backward has four products.
      source_flop =
          Sum(source_flop, is_math ? figures.full_model_flop : figures.full_executed_flop);
      AddFigures(figures, 1, &sum);
    }
  }
  if (args.Text("counted_as") == "full") sum.source_flop = source_flop;
  if (longest.has_value()) {
    longest->pass = forward ? shapes::Pass::kForward : shapes::Pass::kBackward;
    sum.longest_flop = shapes::ExecutedFlop(*longest);
  }
  return sum;
}

}  // namespace mfutrace::cli
