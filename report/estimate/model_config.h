// A language model's dimensions, read from a Hugging Face style config.json.
//
// Names differ between model families (n_embd, hidden_size, d_model, ...); after parsing they do
// not. What follows from the family alone, not from the file (gated MLP, biases, which layers have
// a window), comes from families.h; what neither tells is unknown and is named in `missing` by the
// figures that need it. Unknown keys are ignored; a key of the wrong type is an error with its
// name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/estimate/families.h"

namespace mfutrace::report::estimate {

enum class Mixer : uint8_t {
  kNone,     // an MLP layer of a hybrid
  kFull,     // attention over everything before
  kWindow,   // ... over the last `window` keys, self included
  kChunk,    // ... inside chunks of `chunk` tokens
  kUnknown,  // attention whose mask the configuration does not tell
  kMamba1,
  kMamba2,
  kGatedDelta,
};

enum class Ffn : uint8_t { kNone, kDense, kMoe };

struct Layer {
  Mixer mixer = Mixer::kFull;
  Ffn ffn = Ffn::kDense;
};

inline bool IsAttention(Mixer mixer) {
  return mixer == Mixer::kFull || mixer == Mixer::kWindow || mixer == Mixer::kChunk ||
         mixer == Mixer::kUnknown;
}

// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434).
struct Latent {
  uint64_t query_rank = 0;  // 0 = queries are projected directly
  uint64_t kv_rank = 0;
  uint64_t nope_dim = 0;
  uint64_t rope_dim = 0;
};

struct Experts {
  uint64_t count = 0;  // routed ones of a layer; 0 = the model has none
  uint64_t per_token = 0;
  uint64_t width = 0;         // of one expert
  uint64_t shared_width = 0;  // of all shared experts together
  bool has_shared_gate = false;
};

struct Mamba {
  uint64_t inner = 0;  // heads x head dimension
  uint64_t heads = 0;
  uint64_t groups = 1;
  uint64_t state = 0;
  uint64_t convolution = 0;
  uint64_t time_rank = 0;  // of the first Mamba
};

// Gated delta net (Qwen3-Next).
struct GatedDelta {
  uint64_t key_heads = 0;
  uint64_t key_dim = 0;
  uint64_t value_heads = 0;
  uint64_t value_dim = 0;
  uint64_t convolution = 0;
};

// DeepSeek-V3.2's index of keys, which keeps top_k of them for each query.
struct Indexer {
  uint64_t heads = 0;
  uint64_t head_dim = 0;
  uint64_t top_k = 0;
};

// The image tower of a vision-language model.
struct Vision {
  uint64_t depth = 0;
  uint64_t hidden = 0;
  uint64_t heads = 0;
  uint64_t ffn = 0;
  uint64_t out_hidden = 0;
  uint64_t merge = 0;
  uint64_t patch_size = 0;
  uint64_t temporal_patch_size = 0;
  uint64_t channels = 0;
  uint64_t deepstack_layers = 0;
};

struct ModelConfig {
  std::string source;  // the file, for messages
  std::string model_type;
  std::string dtype;  // as the file says it; empty = unsaid
  std::optional<Family> family;

  uint64_t hidden = 0;
  uint64_t vocab = 0;
  uint64_t positions = 0;       // learned position embeddings; 0 = none
  std::optional<bool> is_tied;  // one matrix for embedding and logits
  std::vector<Layer> layers;

  uint64_t heads = 0;
  uint64_t kv_heads = 0;
  uint64_t head_dim = 0;   // of queries and keys
  uint64_t value_dim = 0;  // of values; differs with latent attention
  std::optional<Latent> latent;
  std::optional<Indexer> indexer;
  uint64_t window = 0;
  uint64_t chunk = 0;

  uint64_t ffn = 0;                      // width of the dense MLP
  std::optional<uint64_t> ffn_matrices;  // 3 = gated, 2 = plain
  Experts experts;
  uint64_t mtp_layers = 0;  // multi-token prediction modules
  std::optional<Mamba> mamba;
  std::optional<GatedDelta> gated_delta;
  std::optional<Vision> vision;

  // Said in the file, where it overrides the family.
  std::optional<bool> attention_bias;
  std::optional<bool> mlp_bias;

  uint64_t attention_layers() const;
  uint64_t layers_with(Ffn ffn) const;
  uint64_t layers_with(Mixer mixer) const;
};

// `name` is the file's, for messages. kInvalidArgument with one line that names key and file.
absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& json, const std::string& name);

}  // namespace mfutrace::report::estimate
