#include "report/estimate/layers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace mfutrace::report::estimate {
namespace {

Mixer MambaOf(const ModelConfig& config) {
  return config.mamba.has_value() && config.mamba->heads == 0 ? Mixer::kMamba1 : Mixer::kMamba2;
}

// One word of layer_types or layers_block_type.
std::optional<Mixer> MixerNamed(const std::string& name, const ModelConfig& config) {
  if (name == "full_attention" || name == "attention" || name == "global") return Mixer::kFull;
  if (name == "sliding_attention" || name == "local") return Mixer::kWindow;
  if (name == "chunked_attention") return Mixer::kChunk;
  if (name == "linear_attention") return Mixer::kGatedDelta;
  if (name == "mamba" || name == "mamba2") return MambaOf(config);
  return std::nullopt;
}

bool PlaceByNames(ConfigReader& reader, ModelConfig& config) {
  for (const char* key : {"layer_types", "layers_block_type", "block_types"}) {
    const std::optional<std::vector<std::string>> names = reader.Texts({key});
    if (!names.has_value()) continue;
    if (names->size() < config.layers.size()) {
      reader.Complain(key, absl::StrCat("has ", names->size(), " entries for ",
                                        config.layers.size(), " layers"));
      return true;
    }
    for (size_t i = 0; i < config.layers.size(); ++i) {
      const std::optional<Mixer> mixer = MixerNamed((*names)[i], config);
      if (!mixer.has_value()) {
        reader.Complain(key, "has a layer of unknown kind \"" + (*names)[i] + "\"");
        return true;
      }
      config.layers[i].mixer = *mixer;
    }
    return true;
  }
  return false;
}

// Every period-th layer, counted from offset, is attention; the others are `other`.
void PlaceByPeriod(uint64_t period, uint64_t offset, Mixer other, ModelConfig& config) {
  for (size_t i = 0; i < config.layers.size(); ++i) {
    config.layers[i].mixer = period != 0 && i % period == offset ? Mixer::kFull : other;
  }
}

bool PlaceByHybridKeys(ConfigReader& reader, ModelConfig& config) {
  if (const auto indices = reader.Numbers({"attn_layer_indices"})) {
    for (Layer& layer : config.layers) layer.mixer = MambaOf(config);
    for (const uint64_t index : *indices) {
      if (index < config.layers.size()) config.layers[index].mixer = Mixer::kFull;
    }
    return true;
  }
  if (reader.Has({"attn_layer_period"})) {
    PlaceByPeriod(reader.Number({"attn_layer_period"}, kMaxLayers, 0),
                  reader.Number({"attn_layer_offset"}, kMaxLayers, 0), MambaOf(config), config);
    return true;
  }
  if (config.gated_delta.has_value()) {
    const uint64_t interval = reader.Number({"full_attention_interval"}, kMaxLayers, 4);
    PlaceByPeriod(interval, interval == 0 ? 0 : interval - 1, Mixer::kGatedDelta, config);
    return true;
  }
  return false;
}

void PlaceChunks(ConfigReader& reader, ModelConfig& config) {
  // Layers without rotary positions see everything (Llama 4).
  const auto rotary = reader.Numbers({"no_rope_layers"});
  const uint64_t interval = reader.Number({"no_rope_layer_interval"}, kMaxLayers, 4);
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const bool is_chunked = rotary.has_value() && !rotary->empty()
                                ? i < rotary->size() && (*rotary)[i] != 0
                                : interval == 0 || (i + 1) % interval != 0;
    config.layers[i].mixer = is_chunked ? Mixer::kChunk : Mixer::kFull;
  }
}

void PlaceWindows(ConfigReader& reader, ModelConfig& config) {
  const std::optional<bool> is_used = reader.Flag({"use_sliding_window"});
  if (is_used.has_value() && !*is_used) return;
  if (!config.family.has_value()) {
    for (Layer& layer : config.layers) layer.mixer = Mixer::kUnknown;
    return;
  }
  const WindowRule rule = config.family->window;
  const uint64_t from = reader.Number({"max_window_layers"}, kMaxLayers, 0);
  const uint64_t pattern = reader.Number({"sliding_window_pattern", "_sliding_window_pattern"},
                                         kMaxLayers, config.family->window_pattern);
  for (size_t i = 0; i < config.layers.size(); ++i) {
    bool has_window = false;
    if (rule == WindowRule::kAll) has_window = true;
    if (rule == WindowRule::kFromMaxLayer) has_window = is_used.value_or(false) && i >= from;
    if (rule == WindowRule::kEven) has_window = i % 2 == 0;
    if (rule == WindowRule::kPattern) has_window = pattern != 0 && (i + 1) % pattern != 0;
    if (has_window) config.layers[i].mixer = Mixer::kWindow;
  }
}

void PlaceExperts(ConfigReader& reader, ModelConfig& config) {
  if (config.experts.count == 0) return;
  std::vector<Layer>& layers = config.layers;
  for (Layer& layer : layers) {
    if (layer.ffn == Ffn::kDense) layer.ffn = Ffn::kMoe;
  }
  const auto dense_if = [&layers](const auto& condition) {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (condition(i) && layers[i].ffn == Ffn::kMoe) layers[i].ffn = Ffn::kDense;
    }
  };
  if (const rapidjson::Value* freq = reader.Find({"moe_layer_freq"})) {
    if (freq->IsArray()) {
      const auto pattern = reader.Numbers({"moe_layer_freq"});
      if (pattern.has_value() && pattern->size() != layers.size()) {
        reader.Complain("moe_layer_freq", absl::StrCat("has ", pattern->size(), " entries for ",
                                                       layers.size(), " layers"));
      } else if (pattern.has_value()) {
        dense_if([&](size_t i) { return (*pattern)[i] == 0; });
      }
    } else {
      const uint64_t every = reader.Number({"moe_layer_freq"}, kMaxLayers, 1);
      dense_if([&](size_t i) { return every != 0 && i % every != 0; });
    }
  }
  const uint64_t first_dense = reader.Number({"first_k_dense_replace"}, kMaxLayers, 0);
  dense_if([&](size_t i) { return i < first_dense; });
  if (const auto step = reader.Number({"decoder_sparse_step"}, kMaxLayers)) {
    dense_if([&](size_t i) { return *step == 0 || (i + 1) % *step != 0; });
  }
  if (const auto only = reader.Numbers({"mlp_only_layers"})) {
    dense_if([&](size_t i) { return std::find(only->begin(), only->end(), i) != only->end(); });
  }
  const auto moe_layers = reader.Numbers({"moe_layers"});
  if (moe_layers.has_value() && !moe_layers->empty()) {
    dense_if([&](size_t i) {
      return std::find(moe_layers->begin(), moe_layers->end(), i) == moe_layers->end();
    });
  } else if (const auto step = reader.Number({"interleave_moe_layer_step"}, kMaxLayers)) {
    dense_if([&](size_t i) { return *step == 0 || (i + 1) % *step != 0; });
  }
  if (const auto period = reader.Number({"expert_layer_period"}, kMaxLayers)) {
    const uint64_t offset = reader.Number({"expert_layer_offset"}, kMaxLayers, 0);
    dense_if([&](size_t i) { return *period == 0 || i % *period != offset; });
  }
}

}  // namespace

std::vector<Layer> LayersOfPattern(const std::string& pattern) {
  std::vector<Layer> layers;
  for (const char letter : pattern) {
    switch (letter) {
      case 'M':
        layers.push_back({Mixer::kMamba2, Ffn::kNone});
        break;
      case '*':
        layers.push_back({Mixer::kFull, Ffn::kNone});
        break;
      case '-':
        layers.push_back({Mixer::kNone, Ffn::kDense});
        break;
      case 'E':
        layers.push_back({Mixer::kNone, Ffn::kMoe});
        break;
      default:
        return {};
    }
  }
  return layers;
}

void PlaceLayers(ConfigReader& reader, ModelConfig& config) {
  const std::string pattern = reader.Text({"hybrid_override_pattern", "hybrid_layer_pattern"});
  if (!pattern.empty()) {
    config.layers = LayersOfPattern(pattern);
    if (config.layers.empty()) {
      reader.Complain("hybrid_override_pattern", "has letters other than M, *, - and E");
    }
    return;
  }
  const bool is_mamba_alone = config.model_type == "mamba" || config.model_type == "mamba2";
  if (is_mamba_alone) {
    for (Layer& layer : config.layers) layer = {MambaOf(config), Ffn::kNone};
    return;
  }
  if (!PlaceByNames(reader, config) && !PlaceByHybridKeys(reader, config)) {
    if (config.chunk != 0) {
      PlaceChunks(reader, config);
    } else if (config.window != 0) {
      PlaceWindows(reader, config);
    }
  }
  for (Layer& layer : config.layers) {
    if ((layer.mixer == Mixer::kWindow && config.window == 0) ||
        (layer.mixer == Mixer::kChunk && config.chunk == 0)) {
      layer.mixer = Mixer::kUnknown;
    }
  }
  PlaceExperts(reader, config);
}

}  // namespace mfutrace::report::estimate
