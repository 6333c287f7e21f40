// Which layer of a model is what: attention with or without a window, Mamba, dense MLP or experts.
#pragma once

#include "report/estimate/config_reader.h"
#include "report/estimate/model_config.h"

namespace mfutrace::report::estimate {

// Fills config.layers (already as many as the model has) by the file's lists and patterns, else by
// the family's rule. An attention layer whose mask neither tells becomes Mixer::kUnknown.
void PlaceLayers(ConfigReader& reader, ModelConfig& config);

// Layers of a hybrid's pattern, one letter each: M Mamba, * attention, - MLP, E experts (Megatron's
// and Nemotron-H's letters). An empty list for any other letter.
std::vector<Layer> LayersOfPattern(const std::string& pattern);

}  // namespace mfutrace::report::estimate
