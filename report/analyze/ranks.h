// Who is who: world ranks of processes that did not say theirs, attempts of restarted jobs, and the
// rows of the ranks table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/analyze/results.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

// Keeps the newest attempt of a restarted job; what is left out is a sentence in `notes`.
void DropOlderAttempts(std::vector<DeviceSummary>& devices, std::vector<std::string>& notes);

// Fills missing ranks from a communicator that has as many members as there are processes (or
// devices). Says in `notes` where ranks stay unknown or appear twice.
void AssignRanks(std::vector<DeviceSummary>& devices, std::vector<std::string>& notes);

// In order of rank, then device, then host; unknown ranks last.
void SortByRank(std::vector<DeviceSummary>& devices);

// As told by the processes, else by the communicator that ranks come from, else 1 for a single
// native process; 0 if nothing tells.
uint32_t WorldSize(const std::vector<DeviceSummary>& devices);

RankResult RankRow(const DeviceSummary& device);

}  // namespace mfutrace::report
