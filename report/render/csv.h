// One table as comma-separated values (RFC 4180): heads first, text quoted where it must be,
// unknown empty. All digits of all integers.
#pragma once

#include <string>

#include "report/render/data_table.h"

namespace mfutrace::report {

std::string RenderCsv(const DataTable& table);

}  // namespace mfutrace::report
