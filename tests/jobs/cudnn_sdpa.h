// Attention as cuDNN graphs: one operation where cuDNN 9.19 has one, else products and pointwise
// operations wired as cudnn-frontend 1.23 wires them for that version (nodes
// scaled_dot_product_flash_attention, diagonal_band_mask, softmax, paged_cache_load; score
// modifiers).
#pragma once

#include <optional>

#include "cudnn_builder.h"

namespace jobs {

struct Sdpa {
  int64_t b = 2, hq = 12, hk = 3, sq = 40, sk = 56, dqk = 24, dv = 16;
  bool bottom_right = false;
  std::optional<int64_t> left =
      std::nullopt;  // keys at this distance behind the diagonal and further are masked
  std::optional<int64_t> right =
      std::nullopt;                     // keys further than this ahead of the diagonal are masked
  std::vector<int32_t> lengths_q = {};  // one a sequence; empty: all are whole
  std::vector<int32_t> lengths_k = {};
  bool ragged = false;  // sequences lie end to end; needs lengths
  int64_t page = 0;     // keys of a page; 0: no pages
  bool dropout = false;
  bool bias = false;
  bool alibi = false;
  bool stats = true;  // the forward pass writes them
  cudnnDataType_t type = CUDNN_DATA_BFLOAT16;
};

// Only what has neither masks nor dropout.
void BuildUnifiedForward(const Sdpa& sdpa, Graph* graph);
void BuildUnifiedBackward(const Sdpa& sdpa, Graph* graph);
void BuildComposedForward(const Sdpa& sdpa, Graph* graph);
void BuildComposedBackward(const Sdpa& sdpa, Graph* graph);

}  // namespace jobs
