// The tables of the terminal report: operations, communication, other kernels, ranks. Each is a
// list of lines, heads first; empty where the run has no rows for it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/analyze/results.h"

namespace mfutrace::report {

// Rows to show of so many: all, if a line that names the rest would be no shorter.
size_t RowsShown(size_t rows, size_t row_limit);

// `row_limit` rows and a line that names the rest.
std::vector<std::string> OpLines(const RunResult& result, size_t row_limit, size_t page_width);
std::vector<std::string> CommunicationLines(const RunResult& result, size_t row_limit,
                                            size_t page_width);
std::vector<std::string> OtherKernelLines(const RunResult& result, size_t row_limit,
                                          size_t page_width);
std::vector<std::string> RankLines(const RunResult& result, size_t row_limit, size_t page_width);

}  // namespace mfutrace::report
