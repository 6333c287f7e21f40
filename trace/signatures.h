// Signature records as the operations they describe. Tool side: used by the dump and by whoever
// loads a trace, so that a record is decoded in one place.
#pragma once

#include "shapes/op.h"
#include "trace/format.h"

namespace mfutrace::trace {

shapes::Gemm GemmOf(const GemmSignature& record);
shapes::Matrix MatrixOf(const MatrixSignature& record);
shapes::Attention AttentionOf(const AttentionSignature& record);
shapes::Convolution ConvolutionOf(const ConvolutionSignature& record);

}  // namespace mfutrace::trace
