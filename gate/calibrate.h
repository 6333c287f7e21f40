// From runs that differ by nothing but chance: how small a change shows, and limits to write.
#pragma once

#include <string>
#include <vector>

#include "gate/gate_file.h"
#include "gate/observation.h"

namespace mfutrace::gate {

// A text for people, its proposals ready to paste into the gate file.
std::string Calibrate(const GateFile& file, const std::vector<Observation>& runs);

}  // namespace mfutrace::gate
