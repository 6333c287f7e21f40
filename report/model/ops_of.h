// From dimensions to an Op: label, FLOPs, bytes and rate by the arithmetic of shapes/. Loaders and
// importers call it, so that one shape has one label and one count whatever it was read from.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "report/model/timeline.h"
#include "shapes/op.h"

namespace mfutrace::report {

Op OpOf(const shapes::Gemm& gemm, shapes::Provenance provenance);
// An unknown mask counts as the full rectangle, an upper bound. A bound of another provenance is
// one of its lengths.
Op OpOf(const shapes::Attention& attention, shapes::Provenance provenance);
// Of sequences with these lengths.
Op OpOf(const shapes::Attention& attention, std::span<const shapes::SequenceRun> runs,
        shapes::Provenance provenance);
Op OpOf(const shapes::Convolution& convolution, shapes::Provenance provenance);
// A routine, side or cell that is not known has no FLOPs: nullopt, seen and not understood.
Op OpOf(const shapes::Matrix& matrix, shapes::Provenance provenance);
Op OpOf(const shapes::Rnn& rnn, shapes::Provenance provenance);
Op OpOf(const shapes::Collective& collective, shapes::Provenance provenance);

// One operation of several that a call does at once, and how often.
struct OpPart {
  Op op;
  uint64_t count = 1;
  std::optional<shapes::Gemm> gemm;  // what `op` was made of, if it is a product
};
// The call as one operation: sums of its parts, unknown where one of them is; as well known as the
// worst known part. Kind of the part with most FLOPs (opaque where they are unknown and parts
// differ in kind), format and peak of the parts that have FLOPs, if they agree. Products alone are
// labelled "grouped gemm bf16 8 groups, 4096x512x1024": rows of all groups, then what they share,
// or "512-1024" from least to most. Others by their parts: "conv fwd f16 ... + gemm f16 ... x2".
Op OpOf(const std::vector<OpPart>& parts);

// Headline of a command line whose arguments are joined by NUL bytes: the program without its
// folder and the words after it, cut at 60 characters.
std::string CommandTitle(absl::string_view arguments);

}  // namespace mfutrace::report
