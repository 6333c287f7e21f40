// What one run of an execution plan computes: its operations with their dimensions, and what of
// them is only known when the plan runs (widths passed by value, lengths in device memory).
//
// Pure: no CUDA, no state but the texts of names. Conservative: what is not understood is an upper
// bound or a name, never a guess.
#pragma once

#include <cstdint>

#include "interpose/cudnn_graph.h"
#include "interpose/cudnn_packs.h"
#include "shapes/op.h"

namespace mfutrace::interpose {

// One summand of a mask's edge: a tensor of one element a batch entry.
struct CudnnTerm {
  int64_t uid = 0;
  int8_t sign = 0;
  bool is_by_value = false;  // the job passes a pointer to host memory
  shapes::Dtype dtype = shapes::Dtype::kUnknown;
};

// A limit that a mask sets. Right: key - query <= constant + terms. Left: query - key <= the same.
struct CudnnEdge {
  static constexpr uint32_t kMaxTerms = 4;

  bool is_set = false;
  uint8_t term_count = 0;
  int32_t constant = 0;
  CudnnTerm terms[kMaxTerms];
};

// Lengths of the sequences of one side that lie in device memory.
struct CudnnLengths {
  bool is_set = false;
  bool is_wide = false;     // int64
  bool is_offsets = false;  // elements before each sequence, rather than tokens in it
  int64_t uid = 0;
  uint64_t divisor = 1;  // elements of a token, of offsets
};

struct CudnnMask {
  bool is_unknown = false;
  CudnnEdge right;
  CudnnEdge left;
  CudnnLengths queries;
  CudnnLengths keys;
};

struct CudnnOperation {
  enum class Kind : uint8_t { kNamed, kGemm, kConvolution, kAttention };

  Kind kind = Kind::kNamed;
  bool rows_are_k = false;  // of experts: a gradient of weights, which contracts the rows
  shapes::Provenance provenance = shapes::Provenance::kExact;
  uint64_t experts = 0;        // a Gemm whose rows belong to that many weights; 0 = one for all
  const char* name = nullptr;  // of a named one: why it is not counted; static storage
  union {
    shapes::Gemm gemm;
    shapes::Convolution convolution;
    shapes::Attention attention;  // without its mask
  };
  CudnnMask mask;  // of attention

  CudnnOperation() : gemm() {}
};

struct CudnnWork {
  static constexpr uint32_t kMaxOperations = 8;

  uint32_t count;
  // Something in it must be looked up in the variant pack at each run.
  bool needs_pack;
  CudnnOperation operations[kMaxOperations];
};

// A product of experts as its parts: how many rows each has lies on the device, so they are spread
// evenly, which gives their sum, the FLOPs and the bytes of all weights as they are. Returns the
// number of parts, at most 2.
uint32_t SpreadOverExperts(const CudnnOperation& operation, shapes::Gemm parts[2],
                           uint64_t counts[2]);

void DecodeCudnnGraph(const CudnnGraph& graph, CudnnWork* work);

// The attention of one run: `operation`'s with its mask. kBound where the mask is not understood or
// lengths are unknown; *has_lengths: it would be exact if the lengths were read.
shapes::Provenance ResolveCudnnAttention(const CudnnOperation& operation, const CudnnPack& pack,
                                         shapes::Attention* attention, bool* has_lengths);

}  // namespace mfutrace::interpose
