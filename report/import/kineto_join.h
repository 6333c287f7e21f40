// Second half of the Kineto import: flat records -> Timelines. Called by kineto.cc and by tests.
#pragma once

#include <string>
#include <vector>

#include "report/import/kineto.h"
#include "report/import/kineto_reader.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// `trace` is taken apart. Empty if it has no GPU events.
std::vector<Timeline> JoinKineto(RawTrace trace, const std::string& path,
                                 const KinetoOptions& options);

}  // namespace mfutrace::report
