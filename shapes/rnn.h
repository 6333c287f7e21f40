// FLOPs, bytes, label and rate of a recurrent network call (cuDNN's RNN, LSTM and GRU).
//
// Forward, a step of one sequence, layer l, direction: 2 G H (I_l + R) and, with a projection,
// 2 H P. G = 1 (vanilla), 4 (LSTM), 3 (GRU) gate matrices; R, the width that is fed back and handed
// on, is P with a projection and H without; I_0 = input size, later I_l = directions x R.
// Skip-input mode has no product with I_0. Each backward half (data, weights) does the same
// products again. Sources: NVIDIA's cuDNN RNN sample, which counts 2, 8 and 6 H^2 a step (input and
// recurrent) and the same for each backward half, but takes I_l = H also behind two directions;
// oneDNN's benchdnn for input, recurrent and projection widths; DeepBench for skip-input. Gates'
// own arithmetic (sigmoid, tanh, products by element) and biases are not counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shapes/label.h"
#include "shapes/op.h"
#include "shapes/peaks.h"

namespace mfutrace::shapes {

// 0 for an unknown cell. Saturates.
uint64_t ExecutedFlop(const Rnn& rnn);
uint64_t ModelFlop(const Rnn& rnn);

// Weights, the first layer's input and the last layer's output, once each; backward data has the
// output and its gradient (read) and the input's gradient (written). Hidden states between steps
// and cuDNN's reserve space need not leave the chip; initial and final states and biases are not
// known here: all are left out, so this is a lower bound. nullopt for an unknown cell or format.
std::optional<uint64_t> LeastBytes(const Rnn& rnn);

// "lstm fwd f16 3200 steps 1024>512 l4 bi proj256".
Label LabelOf(const Rnn& rnn);

std::optional<PeakRate> RateOf(const Rnn& rnn);

std::string_view NameOf(RnnCell cell);

}  // namespace mfutrace::shapes
