// Short canonical text of an operation, the key and first column of every table.
//
// Examples: "gemm bf16 8192x14336x4096", "gemm f32(tf32) 64x64x64 b12 TN", "allreduce bf16 512
// MiB", "gemm f4_e2m1(nvfp4)>bf16 ...", "sdpa bf16 b2 h32/8 s4096 d128 causal", "conv fwd f16 ...".
// The same on all ranks, so that labels can be compared and coloured alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shapes/op.h"

namespace mfutrace::shapes {

// A label's text, kept inside the object: this room allocates nothing. Longer text is cut.
struct Label {
  std::array<char, 112> chars = {};
  uint32_t size = 0;
  std::string_view text() const { return {chars.data(), size}; }
};

Label LabelOf(const Gemm& gemm);
Label LabelOf(const Attention& attention);
Label LabelOf(const Convolution& convolution);
Label LabelOf(const Collective& collective);

std::string_view NameOf(OpKind kind);
std::string_view NameOf(Provenance provenance);
std::string_view NameOf(CollectiveKind kind);

// "512 MiB", "1.5 GiB", "17 B": binary units, at most one decimal.
Label HumanBytes(uint64_t bytes);

}  // namespace mfutrace::shapes
