// Descriptors of fake_cudnn.cc: plain structs, which jobs fill in themselves.
#pragma once

#include <cudnn.h>

struct FakeTensor {  // tensors and filters
  int count;
  int sizes[5];
};
struct FakeWalk {
  int pad, groups;
};
struct FakeRnn {
  int input_size, hidden_size;
};
struct FakeSequences {  // of RNN data and of attention's operands
  int count;
  int lengths[4];
};
struct FakeAttention {
  int heads, q, k, v, q_projected, k_projected, v_projected, o_projected;
};
