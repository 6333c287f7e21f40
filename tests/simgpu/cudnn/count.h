// What one execution of a graph does, counted from the graph's own meaning: every multiply-add that
// the graph defines, where a masked score saves those that belong to it. Nothing here looks for
// known patterns of masks: conditions are evaluated for each (query, key) pair.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cudnn/graph.h"
#include "engine/api.h"

namespace simgpu::cudnn {

// The variant pack of one call. Host scalars are read when the call is made, device memory when the
// work runs, which for a captured call is at every launch.
struct Bindings {
  std::map<int64_t, double> scalars;
  std::map<int64_t, const void*> device;
  std::map<int64_t, std::vector<int64_t>> shapes;  // overridden ones
};

struct Counted {
  OpKind kind = OpKind::kGraph;
  std::string dims;
  uint64_t flop = 0;
  uint64_t bytes = 0;
  // Extents for the duration model: those of the largest product.
  Format format = Format::kF32;
  uint64_t m = 1;
  uint64_t n = 1;
  uint64_t k = 1;
  uint64_t batch = 1;
};

Counted Count(const Graph& graph, const Bindings& bindings);

Format FormatOf(cudnnDataType_t type);
// Pairs that remain, summed over batch and heads, of the scores that `exponent` (a pointwise EXP)
// is taken of.
uint64_t KeptPairs(const Graph& graph, const Bindings& bindings, const Node& exponent,
                   const Node& scores);
// The same by whole stretches of keys, for long sequences; nullopt where their mask is none of
// stretches, or depends on the device's data.
std::optional<uint64_t> KeptPairsByLines(const Graph& graph, const Bindings& bindings,
                                         const Node& exponent, const Node& scores);
// The i-th integer of a tensor in device memory; `otherwise` where it has no address.
int64_t ReadInteger(const Graph& graph, const Bindings& bindings, int64_t uid, int64_t index,
                    int64_t otherwise);

}  // namespace simgpu::cudnn
