// From dimensions to an Op: label, FLOPs, bytes and rate by the arithmetic of shapes/. Loaders and
// importers call it, so that one shape has one label and one count whatever it was read from.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "report/model/timeline.h"
#include "shapes/op.h"

namespace mfutrace::report {

Op OpOf(const shapes::Gemm& gemm, shapes::Provenance provenance);
Op OpOf(const shapes::Attention& attention, shapes::Provenance provenance);
Op OpOf(const shapes::Convolution& convolution, shapes::Provenance provenance);
Op OpOf(const shapes::Matrix& matrix, shapes::Provenance provenance);
Op OpOf(const shapes::Rnn& rnn, shapes::Provenance provenance);
Op OpOf(const shapes::Collective& collective, shapes::Provenance provenance);

// Headline of a command line whose arguments are joined by NUL bytes: the program without its
// folder and the words after it, cut at 60 characters.
std::string CommandTitle(absl::string_view arguments);

}  // namespace mfutrace::report
