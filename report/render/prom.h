// `report --prom`, and what `run` writes where MFUTRACE_PROM says: Prometheus' text format, for
// node_exporter's textfile collector. Counters in base units; MFU is rate(flop) / peak, divided
// where it is read. No shapes and no job ids in labels: they would make a series each.
#pragma once

#include <string>

#include "report/analyze/results.h"

namespace mfutrace::report {

std::string RenderPrometheus(const RunResult& result, const std::string& version);

}  // namespace mfutrace::report
