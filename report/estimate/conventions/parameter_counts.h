// Conventions that start from the number of parameters N: 6N and its relatives.
//
// N is the model's, as CountParameters gives it, unless a function takes it as an argument, for
// sources that publish N. T = sequence length, L layers, H heads, Q head dimension.
#pragma once

#include "report/estimate/model_config.h"
#include "report/estimate/parameters.h"
#include "report/estimate/work.h"

namespace mfutrace::report::estimate {

// 6 N D: 2 forward, 4 backward for every parameter and token (Kaplan 2020, arXiv 2001.08361,
// section 2.1), embeddings and idle experts included, as it is commonly used.
Estimate SixN(const ModelConfig& config, const Batch& batch);

// 6 N D with only the experts that a token uses.
Estimate ActiveSixN(const ModelConfig& config, const Batch& batch);

// 6 N_active D + attention with its mask, exactly.
Estimate SixNAndAttention(const ModelConfig& config, const Batch& batch);

// Per token 6 N + 12 L H Q T: PaLM, appendix B (Chowdhery 2022, arXiv 2204.02311). Full rectangle.
Flop PalmPerToken(Flop parameters, uint64_t layers, uint64_t heads, uint64_t head_dim,
                  uint64_t length);
Estimate Palm(const ModelConfig& config, const Batch& batch);

// karpathy/nanoGPT model.py estimate_mfu @3adf61e154c3: PaLM's, N without learned positions.
Estimate NanoGpt(const ModelConfig& config, const Batch& batch);

// pytorch/torchtitan torchtitan/models/utils.py get_dense/moe_model_nparams_and_flops
// @b5bcd76c66d0: per token 6 (N - N_embedding) + 6 L H (d_qk + d_v) T; tied embeddings stay in N,
// routed experts by top-k of E, layers without attention have no second term.
Flop TorchtitanPerToken(Flop parameters, Flop embedding, uint64_t attention_layers, uint64_t heads,
                        uint64_t head_dims, uint64_t length);
Estimate Torchtitan(const ModelConfig& config, const Batch& batch);

// mosaicml/llm-foundry scripts/train/benchmarking/README.md @8c8dd48f7216: per sequence
// 6 N T + 12 L d T^2, d the hidden size. With activation checkpointing 4/3 of it (HFU).
Flop FoundryPerSequence(Flop parameters, uint64_t layers, uint64_t hidden, uint64_t length);
Estimate Foundry(const ModelConfig& config, const Batch& batch);
Estimate FoundryHardware(const ModelConfig& config, const Batch& batch);

}  // namespace mfutrace::report::estimate
