// verl's count of a training step: verl/utils/flops_counter.py of volcengine/verl@b178a3cd56f5, one
// formula a model_type.
//
// 6 for every weight and token, router and input embedding included (the latter as if it were a
// product); attention as half a square of each sequence, windowed layers as s x min(s, W) / 2.
// Families it does not name have no figure.
#pragma once

#include <span>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

Estimate Verl(const ModelConfig& config, const Batch& batch);

// The image tower of Qwen3-VL, for images of so many patches each. Full attention, not halved.
Flop VerlVision(const Vision& vision, std::span<const uint64_t> patches);

}  // namespace mfutrace::report::estimate
