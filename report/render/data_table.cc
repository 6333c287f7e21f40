// One function a table.
#include "report/render/data_table.h"

#include <optional>
#include <type_traits>

#include "report/analyze/rates.h"

namespace mfutrace::report {
namespace {

using Type = DataTable::Type;

template <typename T>
Cell Maybe(const std::optional<T>& value) {
  if (!value.has_value()) return std::monostate();
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, absl::uint128>) {
    return *value;
  } else if constexpr (std::is_unsigned_v<T>) {
    return absl::uint128(*value);
  } else {
    return static_cast<int64_t>(*value);
  }
}

Cell Count(uint64_t value) { return absl::uint128(value); }
Cell Text(const std::string& text) {
  if (text.empty()) return std::monostate();
  return text;
}
Cell Rank(int32_t rank) {
  if (rank < 0) return std::monostate();
  return int64_t{rank};
}

const std::vector<DataTable::Column>& TimeColumns() {
  static const std::vector<DataTable::Column> kColumns = {
      {"window_ns"},  {"compute_ns"},  {"comm_ns"}, {"compute_only_ns"}, {"overlapped_ns"},
      {"exposed_ns"}, {"mem_only_ns"}, {"idle_ns"}, {"unattributed_ns"}};
  return kColumns;
}

void AddTimes(const TimeSplit& split, std::vector<Cell>& row) {
  row.emplace_back(split.window_ns);
  for (const auto& ns :
       {split.compute_ns, split.comm_ns, split.compute_only_ns, split.overlapped_ns,
        split.exposed_ns, split.mem_only_ns, split.idle_ns, split.unattributed_ns}) {
    row.push_back(Maybe(ns));
  }
}

void AddColumns(DataTable& table, const std::vector<DataTable::Column>& columns) {
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
}

}  // namespace

DataTable RanksTable(const RunResult& result) {
  DataTable table;
  table.name = "ranks";
  table.columns = {{"rank"}, {"device"}, {"host", Type::kText}, {"pid"}};
  AddColumns(table, TimeColumns());
  AddColumns(table, {{"flop_executed"},
                     {"flop_model"},
                     {"mfu", Type::kReal},
                     {"dropped"},
                     {"untimed"},
                     {"wait_ns"},
                     {"transfer_ns"},
                     {"times_last"},
                     {"caused_wait_ns"}});
  for (const RankResult& rank : result.ranks) {
    std::vector<Cell> row = {Rank(rank.rank), Rank(rank.device), Text(rank.host),
                             rank.pid == 0 ? Cell() : Count(rank.pid)};
    AddTimes(rank.split, row);
    for (Cell cell : {Maybe(rank.flop_executed), Maybe(rank.flop_model),
                      Maybe(MfuOf(rank.budget, rank.split.window_ns)), Count(rank.dropped),
                      Count(rank.untimed), Maybe(rank.wait_ns), Maybe(rank.transfer_ns),
                      Maybe(rank.times_last), Maybe(rank.caused_wait_ns)}) {
      row.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

DataTable StepsTable(const RunResult& result) {
  DataTable table;
  table.name = "steps";
  table.columns = {{"rank"}, {"step"}, {"name", Type::kText}};
  AddColumns(table, TimeColumns());
  AddColumns(table, {{"flop_executed"}, {"flop_model"}, {"mfu", Type::kReal}});
  for (const StepResult& step : result.steps) {
    std::vector<Cell> row = {Rank(step.rank), int64_t{step.index}, Text(step.name)};
    AddTimes(step.split, row);
    row.push_back(Maybe(step.flop_executed));
    row.push_back(Maybe(step.flop_model));
    row.push_back(Maybe(MfuOf(step.budget, step.split.window_ns)));
    table.rows.push_back(std::move(row));
  }
  return table;
}

DataTable OpsTable(const RunResult& result) {
  DataTable table;
  table.name = "ops";
  table.columns = {{"label", Type::kText},
                   {"kind", Type::kText},
                   {"dtype", Type::kText},
                   {"provenance", Type::kText},
                   {"calls"},
                   {"timed_calls"},
                   {"time_ns"},
                   {"flop_executed"},
                   {"flop_model"},
                   {"bytes_least"},
                   {"peak_flop_per_s"},
                   {"memory_bytes_per_s"},
                   {"of_peak", Type::kReal},
                   {"of_roofline", Type::kReal},
                   {"bound", Type::kText}};
  for (const OpResult& op : result.ops) {
    table.rows.push_back({Text(op.label), Text(op.kind), Text(op.dtype), Text(op.provenance),
                          Count(op.calls), Count(op.timed_calls), Maybe(op.time_ns),
                          Maybe(op.flop_executed), Maybe(op.flop_model), Maybe(op.bytes_least),
                          Maybe(op.peak_flop_per_s), Maybe(op.memory_bytes_per_s),
                          Maybe(OfPeak(op)), Maybe(OfRoofline(op)), Text(op.bound)});
  }
  return table;
}

DataTable CommunicatorsTable(const RunResult& result) {
  DataTable table;
  table.name = "communicators";
  table.columns = {{"id", Type::kText},
                   {"name", Type::kText},
                   {"size"},
                   {"strategy", Type::kText},
                   {"calls"},
                   {"bytes"},
                   {"bus_bytes"},
                   {"time_ns"},
                   {"exposed_ns"},
                   {"wait_ns"},
                   {"transfer_ns"},
                   {"transfer_bus_bytes"}};
  for (const CommunicatorResult& communicator : result.communicators) {
    uint64_t calls = 0;
    for (const auto& [name, count] : communicator.ops) calls += count;
    table.rows.push_back({Text(communicator.id), Text(communicator.name),
                          communicator.size == 0 ? Cell() : Count(communicator.size),
                          Text(communicator.strategy), Count(calls), Maybe(communicator.bytes),
                          Maybe(communicator.bus_bytes), Maybe(communicator.time_ns),
                          Maybe(communicator.exposed_ns), Maybe(communicator.wait_ns),
                          Maybe(communicator.transfer_ns), Maybe(communicator.transfer_bus_bytes)});
  }
  return table;
}

DataTable BudgetTable(const RunResult& result) {
  DataTable table;
  table.name = "budget";
  table.columns = {{"window", Type::kText},
                   {"part", Type::kText},
                   {"strategy", Type::kText},
                   {"ns"},
                   {"fraction", Type::kReal}};
  const auto add = [&table](const char* name, const WindowSummary& window) {
    for (const BudgetLine& line : window.budget) {
      table.rows.push_back({std::string(name), line.name, Text(line.strategy), line.ns,
                            Maybe(Ratio(line.ns, window.window_ns))});
    }
  };
  add("run", result.run);
  if (result.steady.has_value()) add("steady", *result.steady);
  return table;
}

std::vector<DataTable> AllTables(const RunResult& result) {
  return {RanksTable(result), StepsTable(result), OpsTable(result), CommunicatorsTable(result),
          BudgetTable(result)};
}

}  // namespace mfutrace::report
