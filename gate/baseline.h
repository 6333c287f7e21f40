// The baseline file: observations of the runs that later ones are held against, written by
// `mfutrace gate --update` and committed beside the gate file.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gate/observation.h"

namespace mfutrace::gate {

std::string WriteBaseline(const std::vector<Observation>& runs);

// Errors name file, line and column. kNotFound: no such file.
absl::StatusOr<std::vector<Observation>> ParseBaseline(const std::string& text,
                                                       const std::string& path);
absl::StatusOr<std::vector<Observation>> LoadBaseline(const std::string& path);

}  // namespace mfutrace::gate
