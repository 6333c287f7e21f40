// The attention cases of shapes_case: masks, windows, and lengths that differ by sequence.
#pragma once

#include <cstdint>

#include "cli/json_fields.h"
#include "cli/shapes_case.h"
#include "shapes/dtype.h"

namespace mfutrace::cli {

// What is wrong with `args` is told to them.
Figures AttentionFigures(bool forward, bool backward, Fields& args);

// A format of that many bytes, for cases that state a width only.
shapes::Dtype DtypeOfWidth(uint64_t bytes);

// What every shape has; `full` and `conventional` as the masked and executed FLOPs.
template <typename Shape>
Figures Counted(const Shape& shape) {
  Figures figures;
  figures.executed_flop = ExecutedFlop(shape);
  figures.model_flop = ModelFlop(shape);
  figures.conventional_flop = figures.executed_flop;
  figures.full_executed_flop = figures.executed_flop;
  figures.full_model_flop = figures.model_flop;
  figures.least_bytes = LeastBytes(shape);
  return figures;
}

}  // namespace mfutrace::cli
