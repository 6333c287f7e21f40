// Reads an attention mask back from the operations that compute it: row and column numbers
// (GEN_INDEX), shifted by lengths or widths (ADD, SUB), compared (CMP_...), joined (LOGICAL_AND)
// and used to replace scores (BINARY_SELECT), as cudnn-frontend 1.23 builds them
// (utils/attn_score_modifiers.h, node/diagonal_band_mask.h); or from the single operations that
// stand for them since cuDNN 9.21.
#pragma once

#include "interpose/cudnn_graph.h"
#include "interpose/cudnn_work.h"

namespace mfutrace::interpose {

// `parent`: the attention node whose inner operations make the mask, -1 if they are the graph's
// own. `scores`: what is computed from the scores, nullptr if that cannot be told. Sets edges and
// lengths, or `is_unknown` where something does not have one of the known forms.
void ReadCudnnMask(const CudnnGraph& graph, int parent, const CudnnGraph::Set* scores,
                   CudnnMask* mask);

}  // namespace mfutrace::interpose
