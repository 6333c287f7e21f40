// HTA's own temporal breakdown and overlap, figure for figure, for `--compat hta`.
//
// Its definitions differ from METHOD's: whole microseconds (starts up, ends down, in float64), the
// last profiler step and what it launched left out, "non-compute" for all the rest. Called by the
// analyzer for imported timelines only; nothing else may use these figures.
#pragma once

#include "report/analyze/results.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

struct HtaOptions {
  bool include_last_step = false;
};

HtaCompat ComputeHtaCompat(const Timeline& timeline, const HtaOptions& options = {});

}  // namespace mfutrace::report
