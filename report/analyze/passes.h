// Passes of models over their layers, found in the calls of one timeline: what inference is made
// of.
//
// Every layer of a pass calls attention with the same lengths, so a pass is a run of attention
// calls with equal lengths. Where lengths are not known, the products between two attention calls
// tell: behind the last layer there are more (logits). Where nothing tells, several passes stay
// one, and say so. A launch of a CUDA graph that holds attention is a pass of its own. Used by
// serving.cc; METHOD ("Inference") defines the phases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "report/model/timeline.h"

namespace mfutrace::report {

enum class Phase : uint8_t { kDecode, kPrefill, kMixed, kVerify, kUnknown };
inline constexpr size_t kPhases = 5;
std::string_view NameOf(Phase phase);

// Sequences of an attention call, those without queries left out.
struct Sequences {
  std::vector<shapes::SequenceRun> runs;
  bool are_bounds = false;  // they may be shorter, and fewer

  uint64_t Count() const;
  uint64_t Queries() const;
  uint64_t Keys() const;
};
Sequences SequencesOf(const OpDetail& attention);
// By the numbers of queries: one each, more each, both. Of bounds only one query is sure.
Phase PhaseOf(const Sequences& sequences);

// What of a model attention shows.
struct ModelKey {
  uint64_t heads_q = 0;
  uint64_t heads_kv = 0;
  uint64_t head_dim_qk = 0;
  uint64_t head_dim_v = 0;
  auto operator<=>(const ModelKey&) const = default;
};

struct AttentionCall {
  size_t call = 0;                   // into Timeline::calls
  const OpDetail* detail = nullptr;  // with `attention`; of a graph launch, of its first one
  ModelKey model;
  Sequences sequences;
  Phase phase = Phase::kUnknown;
  uint32_t layers = 1;  // attention calls in it: more in a graph
  bool is_graph = false;
};

struct Pass {
  size_t first_call = 0;  // its share of Timeline::calls: [first_call, end_call)
  size_t end_call = 0;
  size_t first_attention = 0;  // into Passes::attention: [first_attention, end_attention)
  size_t end_attention = 0;
  uint32_t layers = 0;
  uint32_t model = 0;  // into Passes::models
  Phase phase = Phase::kUnknown;
  Sequences sequences;  // of all kinds of calls of a layer together
  bool is_one = true;   // false: several passes that nothing tells apart
};

struct Model {
  std::vector<ModelKey> keys;  // more than one: layers of several kinds
  uint32_t layers = 0;
  uint64_t passes = 0;
};

struct Passes {
  std::vector<AttentionCall> attention;
  std::vector<Pass> passes;
  std::vector<Model> models;
  bool has_backward = false;  // training: no passes are looked for
};

Passes FindPasses(const Timeline& timeline);

}  // namespace mfutrace::report
