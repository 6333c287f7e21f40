// The formula of rnn.h: every number is a count of weights times a count of steps.
#include "shapes/rnn.h"

#include "shapes/label_text.h"
#include "shapes/saturating.h"

namespace mfutrace::shapes {
namespace {

uint64_t GatesOf(RnnCell cell) {
  switch (cell) {
    case RnnCell::kVanilla:
      return 1;
    case RnnCell::kLstm:
      return 4;
    case RnnCell::kGru:
      return 3;
    case RnnCell::kUnknown:
      break;
  }
  return 0;
}

uint64_t FedBackWidth(const Rnn& rnn) {
  return rnn.projection_size != 0 ? rnn.projection_size : rnn.hidden_size;
}

// Weights of all layers and directions, each used once a step.
uint64_t WeightElements(const Rnn& rnn) {
  if (rnn.layers == 0) return 0;
  const uint64_t width = FedBackWidth(rnn);
  const uint64_t first_input = rnn.skips_input ? 0 : rnn.input_size;
  const uint64_t later_input = Product(rnn.directions, width);
  const uint64_t inputs =
      Sum(first_input, Product(rnn.layers - 1, later_input), Product(rnn.layers, width));
  const uint64_t gates = Product(GatesOf(rnn.cell), rnn.hidden_size, inputs);
  const uint64_t projections = Product(rnn.layers, rnn.hidden_size, rnn.projection_size);
  return Product(rnn.directions, Sum(gates, projections));
}

}  // namespace

uint64_t ExecutedFlop(const Rnn& rnn) {
  if (GatesOf(rnn.cell) == 0) return 0;
  return Product(2, rnn.steps, WeightElements(rnn));
}

uint64_t ModelFlop(const Rnn& rnn) { return ExecutedFlop(rnn); }

std::optional<uint64_t> LeastBytes(const Rnn& rnn) {
  const uint32_t bits = BitsOf(StoredAs(rnn.dtype));
  if (bits == 0 || GatesOf(rnn.cell) == 0) return std::nullopt;
  if (rnn.steps == 0 || rnn.layers == 0) return 0;
  const uint64_t input = Product(rnn.steps, rnn.input_size);
  const uint64_t output = Product(rnn.steps, rnn.directions, FedBackWidth(rnn));
  const uint64_t outputs = rnn.pass == RnnPass::kBackwardData ? Product(2, output) : output;
  const uint64_t elements = Sum(WeightElements(rnn), input, outputs);
  return Saturate((static_cast<Wide>(elements) * bits + 7) / 8);
}

Label LabelOf(const Rnn& rnn) {
  constexpr std::string_view kPasses[] = {" fwd ", " dgrad ", " wgrad "};
  const size_t pass = static_cast<size_t>(rnn.pass);
  Text text;
  text.Put(NameOf(rnn.cell)).Put(pass < std::size(kPasses) ? kPasses[pass] : " ? ");
  text.Put(NameOf(rnn.dtype)).Put(" ").Put(rnn.steps).Put(" steps ");
  text.Put(rnn.input_size).Put(">").Put(rnn.hidden_size).Put(" l").Put(rnn.layers);
  if (rnn.directions == 2) text.Put(" bi");
  if (rnn.projection_size != 0) text.Put(" proj").Put(rnn.projection_size);
  if (rnn.skips_input) text.Put(" skip");
  return text.label();
}

std::optional<PeakRate> RateOf(const Rnn& rnn) { return RateOf(rnn.dtype); }

std::string_view NameOf(RnnCell cell) {
  switch (cell) {
    case RnnCell::kVanilla:
      return "rnn";
    case RnnCell::kLstm:
      return "lstm";
    case RnnCell::kGru:
      return "gru";
    case RnnCell::kUnknown:
      break;
  }
  return "rnn?";
}

}  // namespace mfutrace::shapes
