// MaxText's count of a training step: calculate_tflops_training_per_device in
// src/maxtext/utils/maxtext_utils.py of AI-Hypercomputer/maxtext@e591f30cbbf2.
//
// QKV, output, MLP or experts with their router, and logits, times three; attention as half a
// square (since its pull request 1988), windows as T W - W^2 / 2 where the model is Gemma 2, Gemma
// 3 or GPT-OSS, and full elsewhere; latent attention without its norms; modules of multi-token
// prediction without their logits.
#pragma once

#include <string>

#include "report/estimate/model_config.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

struct MaxTextFlop {
  Flop weights = 0;
  Flop attention = 0;
};

// `sequences` of `length` on one device.
MaxTextFlop CountMaxText(const ModelConfig& config, uint64_t sequences, uint64_t length);

Estimate MaxText(const ModelConfig& config, const Batch& batch);

}  // namespace mfutrace::report::estimate
