// See signatures.h. Values that this version does not know stay as they are.
#include "trace/signatures.h"

#include <cstddef>

namespace mfutrace::trace {

shapes::Gemm GemmOf(const GemmSignature& record) {
  shapes::Gemm gemm;
  gemm.m = record.m;
  gemm.n = record.n;
  gemm.k = record.k;
  gemm.batch = record.batch;
  gemm.a = static_cast<shapes::Dtype>(record.a);
  gemm.b = static_cast<shapes::Dtype>(record.b);
  gemm.c = static_cast<shapes::Dtype>(record.c);
  gemm.d = static_cast<shapes::Dtype>(record.d);
  gemm.accumulate = static_cast<shapes::Dtype>(record.accumulate);
  gemm.math = static_cast<shapes::MathMode>(record.math);
  gemm.op_a = static_cast<shapes::Transpose>(record.op_a);
  gemm.op_b = static_cast<shapes::Transpose>(record.op_b);
  gemm.beta = static_cast<shapes::BetaUse>(record.beta);
  gemm.gauss_3m = (record.flags & kGauss3m) != 0;
  gemm.a_is_broadcast = (record.flags & kABroadcast) != 0;
  gemm.b_is_broadcast = (record.flags & kBBroadcast) != 0;
  gemm.bias_is_along_n = (record.flags & kBiasAlongN) != 0;
  gemm.scale_a = static_cast<shapes::ScaleMode>(record.scale_a);
  gemm.scale_b = static_cast<shapes::ScaleMode>(record.scale_b);
  gemm.scale_d = static_cast<shapes::ScaleMode>(record.scale_d);
  gemm.bias = static_cast<shapes::Dtype>(record.bias);
  gemm.aux = static_cast<shapes::Dtype>(record.aux);
  gemm.epilogue = record.epilogue;
  return gemm;
}

shapes::Matrix MatrixOf(const MatrixSignature& record) {
  shapes::Matrix matrix;
  matrix.m = record.m;
  matrix.n = record.n;
  matrix.k = record.k;
  matrix.batch = record.batch;
  matrix.dtype = static_cast<shapes::Dtype>(record.dtype);
  matrix.result = static_cast<shapes::Dtype>(record.result);
  matrix.accumulate = static_cast<shapes::Dtype>(record.accumulate);
  matrix.math = static_cast<shapes::MathMode>(record.math);
  matrix.routine = static_cast<shapes::MatrixRoutine>(record.routine);
  matrix.side = static_cast<shapes::Side>(record.side);
  matrix.beta = static_cast<shapes::BetaUse>(record.beta);
  matrix.gauss_3m = (record.flags & kGauss3m) != 0;
  return matrix;
}

shapes::Attention AttentionOf(const AttentionSignature& record) {
  shapes::Attention attention;
  attention.batch = record.batch;
  attention.heads_q = record.heads_q;
  attention.heads_kv = record.heads_kv;
  attention.seq_q = record.seq_q;
  attention.seq_k = record.seq_k;
  attention.head_dim_qk = record.head_dim_qk;
  attention.head_dim_v = record.head_dim_v;
  attention.window_left = record.window_left;
  attention.window_right = record.window_right;
  attention.dtype = static_cast<shapes::Dtype>(record.dtype);
  attention.mask = static_cast<shapes::Mask>(record.mask);
  attention.pass = static_cast<shapes::Pass>(record.pass);
  attention.writes_logsumexp = (record.flags & kWritesLogSumExp) != 0;
  attention.v_is_view_of_k = (record.flags & kVIsViewOfK) != 0;
  return attention;
}

shapes::Convolution ConvolutionOf(const ConvolutionSignature& record) {
  shapes::Convolution convolution;
  convolution.batch = record.batch;
  convolution.c_in = record.c_in;
  convolution.c_out = record.c_out;
  convolution.groups = record.groups;
  for (size_t i = 0; i < 3; ++i) {
    convolution.in[i] = record.in[i];
    convolution.filter[i] = record.filter[i];
    convolution.out[i] = record.out[i];
  }
  convolution.dtype = static_cast<shapes::Dtype>(record.dtype);
  convolution.direction = static_cast<shapes::ConvDirection>(record.direction);
  convolution.is_transposed = (record.flags & 1) != 0;
  return convolution;
}

shapes::Rnn RnnOf(const RnnSignature& record) {
  shapes::Rnn rnn;
  rnn.steps = record.steps;
  rnn.input_size = record.input_size;
  rnn.hidden_size = record.hidden_size;
  rnn.projection_size = record.projection_size;
  rnn.layers = record.layers;
  rnn.directions = record.directions;
  rnn.dtype = static_cast<shapes::Dtype>(record.dtype);
  rnn.cell = static_cast<shapes::RnnCell>(record.cell);
  rnn.pass = static_cast<shapes::RnnPass>(record.pass);
  rnn.skips_input = (record.flags & 1) != 0;
  return rnn;
}

shapes::SequenceRun RunOf(const SequenceLengths& record) {
  return {record.seq_q, record.seq_k, record.count};
}

shapes::Collective CollectiveOf(const CollectiveSignature& record) {
  shapes::Collective collective;
  collective.count = record.count;
  collective.peer = record.peer;
  collective.kind = static_cast<shapes::CollectiveKind>(record.kind);
  collective.dtype = static_cast<shapes::Dtype>(record.dtype);
  collective.reduction = record.reduction;
  return collective;
}

}  // namespace mfutrace::trace
