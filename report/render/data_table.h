// The run's figures as plain tables, whatever they are written to: CSV files and SQLite have the
// same tables and columns (docs/EXPORTS.md).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/numeric/int128.h"
#include "report/analyze/results.h"

namespace mfutrace::report {

// Unknown is monostate: NULL, or nothing between two commas.
using Cell = std::variant<std::monostate, int64_t, absl::uint128, double, std::string>;

struct DataTable {
  enum class Type { kInteger, kReal, kText };
  struct Column {
    std::string name;
    Type type = Type::kInteger;
  };
  std::string name;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

DataTable RanksTable(const RunResult& result);
DataTable StepsTable(const RunResult& result);
DataTable OpsTable(const RunResult& result);
DataTable CommunicatorsTable(const RunResult& result);
DataTable BudgetTable(const RunResult& result);

std::vector<DataTable> AllTables(const RunResult& result);

}  // namespace mfutrace::report
