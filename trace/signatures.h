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
shapes::Rnn RnnOf(const RnnSignature& record);
shapes::SequenceRun RunOf(const SequenceLengths& record);
// Without the size of its communicator, which stands in another record.
shapes::Collective CollectiveOf(const CollectiveSignature& record);

}  // namespace mfutrace::trace
