#include "report/estimate/match.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace mfutrace::report::estimate {
namespace {

void Add(std::vector<WeightShape>& shapes, const char* part, uint64_t out, uint64_t in) {
  if (out == 0 || in == 0) return;
  const bool is_there = std::any_of(shapes.begin(), shapes.end(), [&](const WeightShape& shape) {
    return shape.part == part && shape.out == out && shape.in == in;
  });
  if (!is_there) shapes.push_back({part, out, in});
}

// The divided dimension over the degree; 0 where it does not divide.
uint64_t Share(uint64_t dimension, uint64_t degree) {
  return dimension % degree == 0 ? dimension / degree : 0;
}

void AddMlp(std::vector<WeightShape>& shapes, const char* part, uint64_t hidden, uint64_t width,
            uint64_t degree) {
  Add(shapes, part, Share(width, degree), hidden);
  // Gate and up in one product.
  Add(shapes, part, 2 * Share(width, degree), hidden);
  Add(shapes, part, hidden, Share(width, degree));
}

void AddAttention(std::vector<WeightShape>& shapes, const ModelConfig& config, uint64_t degree) {
  const uint64_t hidden = config.hidden;
  const uint64_t heads = Share(config.heads, degree);
  if (config.latent.has_value()) {
    const Latent& latent = *config.latent;
    const uint64_t down = latent.kv_rank + latent.rope_dim;
    Add(shapes, kAttentionProjections, latent.query_rank, hidden);
    Add(shapes, kAttentionProjections, heads * config.head_dim,
        latent.query_rank == 0 ? hidden : latent.query_rank);
    Add(shapes, kAttentionProjections, down, hidden);
    if (latent.query_rank != 0) {
      Add(shapes, kAttentionProjections, latent.query_rank + down, hidden);
    }
    Add(shapes, kAttentionProjections, heads * (latent.nope_dim + config.value_dim),
        latent.kv_rank);
    Add(shapes, kAttentionProjections, hidden, heads * config.value_dim);
    return;
  }
  // Heads of keys are copied where there are fewer than devices.
  const uint64_t kv_heads = config.kv_heads % degree == 0 ? config.kv_heads / degree
                            : degree % std::max<uint64_t>(1, config.kv_heads) == 0 ? 1
                                                                                   : 0;
  if (heads == 0 || kv_heads == 0) return;
  const uint64_t queries = heads * config.head_dim;
  const uint64_t keys = kv_heads * config.head_dim;
  std::vector<uint64_t> widths = {queries, keys, 2 * keys, queries + 2 * keys};
  if (config.gated_delta.has_value()) {
    // A gate beside each query.
    widths.push_back(2 * queries);
    widths.push_back(2 * queries + 2 * keys);
  }
  for (const uint64_t out : widths) Add(shapes, kAttentionProjections, out, hidden);
  Add(shapes, kAttentionProjections, hidden, queries);
}

void Note(const std::string& part, Role role, Match& match) {
  if (std::find(match.parts.begin(), match.parts.end(), part) == match.parts.end()) {
    match.parts.push_back(part);
    match.role = match.parts.size() == 1 ? role : Role::kUnknown;
  } else if (match.role != role) {
    match.role = Role::kUnknown;
  }
}

// Products of attention written out: one matrix a head, and one of the dimensions a head's.
bool IsUnfusedAttention(const ModelConfig& config, const GemmDimensions& gemm) {
  if (gemm.batch < 2 || config.attention_layers() == 0) return false;
  const auto is_head = [&](uint64_t dimension) {
    return dimension == config.head_dim || dimension == config.value_dim;
  };
  return is_head(gemm.m) || is_head(gemm.n) || is_head(gemm.k);
}

}  // namespace

std::optional<GemmDimensions> DimensionsOf(std::string_view label) {
  GemmDimensions gemm;
  gemm.is_grouped = label.substr(0, 12) == "grouped gemm";
  if (!gemm.is_grouped && label.substr(0, 5) != "gemm ") return std::nullopt;
  bool is_found = false;
  for (absl::string_view word :
       absl::StrSplit(absl::string_view(label.data(), label.size()), ' ')) {
    uint64_t batch = 0;
    if (absl::ConsumePrefix(&word, "b") && absl::SimpleAtoi(word, &batch) && is_found) {
      gemm.batch = batch;
    }
    const std::vector<std::string> parts = absl::StrSplit(word, 'x');
    if (parts.size() != 3 || is_found) continue;
    uint64_t* const dimensions[] = {&gemm.m, &gemm.n, &gemm.k};
    is_found = true;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (absl::SimpleAtoi(parts[i], dimensions[i])) continue;
      *dimensions[i] = 0;
      is_found &= gemm.is_grouped && parts[i].find('-') != std::string::npos;
    }
  }
  if (!is_found) return std::nullopt;
  return gemm;
}

std::vector<WeightShape> WeightShapesOf(const ModelConfig& config, uint64_t tensor_parallel) {
  std::vector<WeightShape> shapes;
  const uint64_t hidden = config.hidden;
  if (config.attention_layers() != 0) AddAttention(shapes, config, tensor_parallel);
  if (config.layers_with(Ffn::kDense) != 0) {
    AddMlp(shapes, kMlp, hidden, config.ffn, tensor_parallel);
  }
  if (config.experts.count != 0) {
    Add(shapes, kRouter, config.experts.count, hidden);
    // Experts are divided like the rest, or whole on one device.
    AddMlp(shapes, kRoutedExperts, hidden, config.experts.width, tensor_parallel);
    AddMlp(shapes, kRoutedExperts, hidden, config.experts.width, 1);
    AddMlp(shapes, kSharedExperts, hidden, config.experts.shared_width, tensor_parallel);
    if (config.experts.has_shared_gate) Add(shapes, kRouter, 1, hidden);
  }
  if (config.mamba.has_value()) {
    const Mamba& mamba = *config.mamba;
    const uint64_t in_width = 2 * mamba.inner + 2 * mamba.groups * mamba.state + mamba.heads;
    Add(shapes, kMambaProjections, Share(in_width, tensor_parallel), hidden);
    Add(shapes, kMambaProjections, hidden, Share(mamba.inner, tensor_parallel));
  }
  // Vocabularies are padded to a multiple of 64 or 128, and of that on each device (Megatron-LM's
  // --make-vocab-size-divisible-by).
  std::set<uint64_t> vocabs;
  for (const uint64_t multiple :
       {uint64_t{1}, uint64_t{64}, uint64_t{128}, 64 * tensor_parallel, 128 * tensor_parallel}) {
    vocabs.insert(Share((config.vocab + multiple - 1) / multiple * multiple, tensor_parallel));
  }
  for (const uint64_t vocab : vocabs) Add(shapes, kLogits, vocab, hidden);
  if (config.mtp_layers != 0) Add(shapes, kMultiToken, hidden, 2 * hidden);
  return shapes;
}

Matcher::Matcher(const ModelConfig& config, uint64_t tensor_parallel,
                 const std::vector<GemmDimensions>& gemms)
    : config_(config), shapes_(WeightShapesOf(config, tensor_parallel)) {
  std::map<uint64_t, std::set<size_t>> shapes_by_rows;
  for (const GemmDimensions& gemm : gemms) {
    for (const Reading& reading : ReadingsOf(gemm)) {
      shapes_by_rows[reading.rows].insert(reading.shape);
    }
  }
  size_t most = 0;
  for (const auto& [rows, shapes] : shapes_by_rows) most = std::max(most, shapes.size());
  for (const auto& [rows, shapes] : shapes_by_rows) {
    if (shapes.size() >= std::max<size_t>(2, (most + 1) / 2)) rows_.insert(rows);
  }
}

std::vector<Matcher::Reading> Matcher::ReadingsOf(const GemmDimensions& gemm) const {
  std::vector<Reading> readings;
  if (gemm.is_grouped) return readings;
  const auto fits = [](const WeightShape& shape, uint64_t a, uint64_t b) {
    return (a == shape.out && b == shape.in) || (b == shape.out && a == shape.in);
  };
  for (size_t i = 0; i < shapes_.size(); ++i) {
    const WeightShape& shape = shapes_[i];
    // Batches of one weight are more rows.
    if (fits(shape, gemm.n, gemm.k)) {
      readings.push_back({i, gemm.m * gemm.batch, Role::kForwardOrData});
    }
    if (fits(shape, gemm.m, gemm.k)) {
      readings.push_back({i, gemm.n * gemm.batch, Role::kForwardOrData});
    }
    if (fits(shape, gemm.m, gemm.n)) {
      readings.push_back({i, gemm.k * gemm.batch, Role::kWeightGradient});
    }
  }
  return readings;
}

Match Matcher::Judge(const std::vector<Reading>& readings) const {
  Match match;
  for (const Reading& reading : readings) Note(shapes_[reading.shape].part, reading.role, match);
  return match;
}

bool Matcher::HasSharedRows(const GemmDimensions& gemm) const {
  const std::vector<Reading> readings = ReadingsOf(gemm);
  return std::any_of(readings.begin(), readings.end(),
                     [&](const Reading& reading) { return rows_.contains(reading.rows); });
}

Match Matcher::MatchOf(const GemmDimensions& gemm) const {
  if (gemm.is_grouped) {
    // Rows differ by expert; what the groups share is a dimension of the experts' weights.
    Match match;
    for (const WeightShape& shape : shapes_) {
      if (shape.part != kRoutedExperts) continue;
      for (const uint64_t shared : {gemm.n, gemm.k}) {
        if (shared != 0 && (shared == shape.out || shared == shape.in)) {
          Note(shape.part, Role::kUnknown, match);
        }
      }
    }
    return match;
  }
  const std::vector<Reading> all = ReadingsOf(gemm);
  std::vector<Reading> shared;
  std::copy_if(all.begin(), all.end(), std::back_inserter(shared),
               [&](const Reading& reading) { return rows_.contains(reading.rows); });
  if (!shared.empty()) return Judge(shared);
  if (IsUnfusedAttention(config_, gemm)) return {{kAttentionScores}, Role::kUnknown};
  // Rows of their own: experts one by one, logits of a few tokens.
  return Judge(all);
}

}  // namespace mfutrace::report::estimate
