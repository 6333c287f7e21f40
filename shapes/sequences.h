// Attention over sequences of different lengths: the functions of flops.h, traffic.h and label.h
// for a list of runs, which stands in for `batch`, `seq_q` and `seq_k` of the Attention.
//
// Each sequence is counted by itself with the same mask, window and heads (METHOD, "Work": varlen
// per sequence), so the sums are exact. Sources: PyTorch's flop_counter.py, which sums per sequence
// where offsets can be read; FlashAttention and vLLM, whose causal mask is per sequence, to the
// bottom right. An empty list is an empty problem. All functions saturate.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "shapes/label.h"
#include "shapes/op.h"

namespace mfutrace::shapes {

uint64_t ExecutedFlop(const Attention& attention, std::span<const SequenceRun> runs);
uint64_t ModelFlop(const Attention& attention, std::span<const SequenceRun> runs);
// Each sequence's own rectangle of queries and keys: what its mask leaves out, not padding.
uint64_t FullRectangleFlop(const Attention& attention, std::span<const SequenceRun> runs);

// Operands of all sequences that have queries; the others' keys and values need not be read.
std::optional<uint64_t> LeastBytes(const Attention& attention, std::span<const SequenceRun> runs);

uint64_t SequenceCount(std::span<const SequenceRun> runs);
uint64_t QueryCount(std::span<const SequenceRun> runs);
uint64_t KeyCount(std::span<const SequenceRun> runs);

// "sdpa bf16 varlen b17 q4096 k8192 h32/8 d128 causal-br": sequences, then all their queries and
// keys. Square runs alone make the two alignments one mask, "causal".
Label LabelOf(const Attention& attention, std::span<const SequenceRun> runs);

}  // namespace mfutrace::shapes
