// What a model family fixes without writing it into config.json, by the file's model_type.
//
// Facts of the classes in Hugging Face transformers (src/transformers/models/*/modeling_*.py and
// configuration_*.py, v4.57): whether the MLP is gated, what a missing key means, which layers have
// a sliding window, which norms and biases there are. A family that is not here is not guessed at:
// figures that need one of these facts are unknown for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mfutrace::report::estimate {

enum class Norm : uint8_t { kRms, kLayer };

// Which layers a sliding_window means.
enum class WindowRule : uint8_t {
  kNone,          // the key means nothing
  kAll,           // every layer
  kFromMaxLayer,  // layers >= max_window_layers, and only with use_sliding_window
  kEven,          // layers 0, 2, 4, ...
  kPattern,       // all but every sliding_window_pattern-th
};

enum class QueryKeyNorm : uint8_t { kNone, kPerHead, kWhole };

struct Family {
  std::string_view model_type;
  uint8_t ffn_matrices = 3;
  bool is_tied = false;  // if tie_word_embeddings is absent
  Norm norm = Norm::kRms;
  uint8_t norms_per_layer = 2;
  bool has_qkv_bias = false;
  bool has_out_bias = false;
  bool has_mlp_bias = false;
  QueryKeyNorm query_key_norm = QueryKeyNorm::kNone;
  WindowRule window = WindowRule::kNone;
  uint64_t window_pattern = 0;   // kPattern, if the file does not say
  uint64_t ffn_over_hidden = 0;  // width of the MLP if the file does not say; 0 = unknown
  bool has_learned_positions = false;
  bool experts_use_ffn_width = false;  // intermediate_size is an expert's
  bool has_shared_gate = false;
  // False where norms and biases are not as this table can say: no total of parameters then.
  bool is_exact = true;
};

std::optional<Family> FamilyNamed(std::string_view model_type);

}  // namespace mfutrace::report::estimate
