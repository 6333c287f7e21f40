// `report --perfetto`: the sampled steps as a native Perfetto trace, readable by ui.perfetto.dev
// and trace_processor. `report --chrome`: the same as Chrome's JSON, for tools that want it.
//
// Tracks of a rank: MFU and exposed share (counters), steps, one a GPU stream, exposed
// communication, host calls with an arrow from each call to its GPU work. Slices of one name have
// one colour on all ranks, and one collective has one correlation id. Without a sample there is
// nothing but steps.
#pragma once

#include <string>

#include "report/analyze/results.h"

namespace mfutrace::report {

std::string RenderPerfetto(const RunResult& result);
std::string RenderChrome(const RunResult& result);

}  // namespace mfutrace::report
