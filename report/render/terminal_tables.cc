// Rows and columns of the report's tables.
#include "report/render/terminal_tables.h"

#include <algorithm>
#include <set>
#include <utility>

#include "report/analyze/rates.h"
#include "report/render/table.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

constexpr size_t kIndent = 2;
constexpr double kTera = 1e12;

// "0-3", "0,2,5-7"; ranks are in order.
std::string RankRanges(const std::vector<int32_t>& ranks) {
  std::string text;
  for (size_t i = 0; i < ranks.size();) {
    size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(ranks[i]);
    if (end - i > 2) text += "-" + std::to_string(ranks[end - 1]);
    if (end - i == 2) text += "," + std::to_string(ranks[end - 1]);
    i = end;
  }
  return text;
}

// The headline is of the steady part; the tables are not.
std::string WholeRun(const std::string& head, const RunResult& result) {
  return result.steady.has_value() ? head + ", whole run" : head;
}

}  // namespace

// The line that says "1 more" would take the place of the one row it leaves out.
size_t RowsShown(size_t rows, size_t row_limit) {
  return rows <= row_limit || rows == row_limit + 1 ? rows : row_limit;
}

namespace {

// A column of the table of operations, and when to leave it out.
struct OpColumn {
  const char* head;
  std::string (*cell)(const OpResult&);
  int rank;  // 0: always there; else the highest goes first where the page is too narrow
};

// An upper bound is marked as one wherever its FLOPs show.
std::string Marked(const OpResult& op, const std::string& figure) {
  return IsUpperBound(op) && figure != kUnknownText ? "≤" + figure : figure;
}

std::string PercentOrUnknown(const std::optional<double>& ratio) {
  return ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText;
}

std::string TeraCell(const OpResult& op) {
  const std::optional<double> rate = FlopPerSecond(op);
  return rate.has_value() ? Marked(op, Significant(*rate / kTera)) : kUnknownText;
}

std::string PeakCell(const OpResult& op) { return Marked(op, PercentOrUnknown(OfPeak(op))); }
std::string RooflineCell(const OpResult& op) {
  return Marked(op, PercentOrUnknown(OfRoofline(op)));
}

std::string IntensityCell(const OpResult& op) {
  const std::optional<double> intensity = FlopPerByte(op);
  return intensity.has_value() ? Significant(*intensity) : kUnknownText;
}

std::string BoundCell(const OpResult& op) { return op.bound.empty() ? kUnknownText : op.bound; }

std::string ProvenanceCell(const OpResult& op) {
  return op.provenance.empty() ? kUnknownText : op.provenance;
}

// Those of `ops` with something to say. Where FLOPs are exact, a bound (marked) or unknown (a dash)
// in every row, the column that says how they are known would say nothing more.
std::vector<OpColumn> OpColumns(const std::vector<const OpResult*>& ops) {
  const auto any = [&ops](bool (*is)(const OpResult&)) {
    return std::any_of(ops.begin(), ops.end(), [is](const OpResult* op) { return is(*op); });
  };
  std::vector<OpColumn> columns = {{"TFLOP/s", TeraCell, 0}, {"peak %", PeakCell, 1}};
  if (any([](const OpResult& op) { return op.roofline_ns_per_call.has_value(); })) {
    columns.push_back({"FLOP/B", IntensityCell, 2});
    columns.push_back({"roof %", RooflineCell, 0});
    columns.push_back({"bound", BoundCell, 0});
  } else {
    columns[1].rank = 0;
  }
  if (any([](const OpResult& op) {
        return op.provenance != "exact" && op.provenance != "none" && !IsUpperBound(op);
      })) {
    columns.push_back({"known by", ProvenanceCell, 3});
  }
  return columns;
}

}  // namespace

std::vector<std::string> OpLines(const RunResult& result, size_t row_limit, size_t page_width) {
  std::vector<const OpResult*> ops;
  for (const OpResult& op : result.ops) {
    if (op.kind != "collective") ops.push_back(&op);
  }
  if (ops.empty()) return {};
  const size_t shown = RowsShown(ops.size(), row_limit);
  const auto share = [&result](std::optional<int64_t> time_ns) {
    return PercentOrUnknown(Ratio(time_ns, TimedNs(result.run)));
  };
  const auto table_of = [&](const std::vector<OpColumn>& columns) {
    std::vector<Table::Column> heads = {
        {WholeRun("operations", result), Table::Align::kLeft}, {"calls"}, {"GPU ms"}, {"share %"}};
    for (const OpColumn& column : columns) heads.push_back({column.head});
    Table table(heads);
    for (size_t i = 0; i < shown; ++i) {
      const OpResult& op = *ops[i];
      std::vector<std::string> cells = {op.label, std::to_string(op.calls),
                                        Milliseconds(op.time_ns), share(op.time_ns)};
      for (const OpColumn& column : columns) cells.push_back(column.cell(op));
      table.AddRow(std::move(cells));
    }
    if (shown < ops.size()) {
      uint64_t calls = 0;
      std::optional<int64_t> time_ns;
      for (size_t i = shown; i < ops.size(); ++i) {
        calls += ops[i]->calls;
        if (ops[i]->time_ns.has_value()) time_ns = time_ns.value_or(0) + *ops[i]->time_ns;
      }
      std::vector<std::string> cells = {"… " + std::to_string(ops.size() - shown) + " more",
                                        std::to_string(calls), Milliseconds(time_ns),
                                        share(time_ns)};
      cells.resize(heads.size());
      table.AddRow(std::move(cells));
    }
    return table;
  };
  std::vector<OpColumn> columns = OpColumns(ops);
  Table table = table_of(columns);
  while (table.Width(kIndent) > page_width) {
    const auto last =
        std::max_element(columns.begin(), columns.end(),
                         [](const OpColumn& a, const OpColumn& b) { return a.rank < b.rank; });
    if (last->rank == 0) break;
    columns.erase(last);
    table = table_of(columns);
  }
  return table.Lines(page_width, kIndent);
}

std::vector<std::string> CommunicationLines(const RunResult& result, size_t row_limit,
                                            size_t page_width) {
  std::vector<const CommunicatorResult*> order;
  for (const CommunicatorResult& communicator : result.communicators) {
    // Frameworks create groups that they never use.
    if (!communicator.ops.empty() || communicator.time_ns.value_or(0) > 0) {
      order.push_back(&communicator);
    }
  }
  if (order.empty()) return {};
  Table table({{WholeRun("communication", result), Table::Align::kLeft},
               {"size"},
               {"ranks"},
               {"calls"},
               {"GB"},
               {"GPU ms"},
               {"exposed ms"},
               {"busbw GB/s"}});
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->time_ns.value_or(-1) > b->time_ns.value_or(-1);
  });
  const size_t shown = RowsShown(order.size(), row_limit);
  for (size_t i = 0; i < shown; ++i) {
    const CommunicatorResult& communicator = *order[i];
    uint64_t calls = 0;
    std::string mix;
    std::vector<std::pair<std::string, uint64_t>> ops(communicator.ops.begin(),
                                                      communicator.ops.end());
    std::stable_sort(ops.begin(), ops.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    for (const auto& [name, count] : ops) {
      calls += count;
      mix += (mix.empty() ? "" : ", ") + name + " " + std::to_string(count);
    }
    const std::string name =
        communicator.name.empty() ? communicator.id.substr(0, 8) : communicator.name;
    const std::optional<double> bandwidth = PerSecond(communicator.bus_bytes, communicator.time_ns);
    table.AddRow(
        {name + (mix.empty() ? "" : "  " + mix),
         communicator.size > 0 ? std::to_string(communicator.size) : kUnknownText,
         communicator.ranks.empty() ? kUnknownText : Cut(RankRanges(communicator.ranks), 12),
         calls > 0 ? std::to_string(calls) : kUnknownText,
         communicator.bytes.has_value() && calls > 0
             ? Significant(static_cast<double>(*communicator.bytes) / 1e9)
             : kUnknownText,
         Milliseconds(communicator.time_ns), Milliseconds(communicator.exposed_ns),
         bandwidth.value_or(0) > 0 ? Significant(*bandwidth / 1e9) : kUnknownText});
  }
  std::vector<std::string> lines = table.Lines(page_width, kIndent);
  if (shown < order.size()) {
    lines.push_back("  … " + std::to_string(order.size() - shown) + " more");
  }
  return lines;
}

std::vector<std::string> OtherKernelLines(const RunResult& result, size_t row_limit,
                                          size_t page_width) {
  const std::vector<OtherKernel>& kernels = result.other_kernels;
  if (kernels.empty()) return {};
  Table table({{WholeRun("other kernels, FLOPs unknown", result), Table::Align::kLeft},
               {"launches"},
               {"ran"},
               {"GPU ms"}});
  const auto row = [&table](const std::string& name, const OtherKernel& kernel) {
    table.AddRow({name,
                  kernel.launches.has_value() ? std::to_string(*kernel.launches) : kUnknownText,
                  kernel.kernels.has_value() ? std::to_string(*kernel.kernels) : kUnknownText,
                  Milliseconds(kernel.time_ns)});
  };
  const size_t shown = RowsShown(kernels.size(), row_limit);
  for (size_t i = 0; i < shown; ++i) {
    row(kernels[i].name.empty() ? "(no name)" : kernels[i].name, kernels[i]);
  }
  OtherKernel rest;
  for (size_t i = shown; i < kernels.size(); ++i) AddTo(rest, kernels[i]);
  if (shown < kernels.size()) {
    row("… " + std::to_string(kernels.size() - shown) + " more", rest);
  }
  return table.Lines(page_width, kIndent);
}

std::vector<std::string> RankLines(const RunResult& result, size_t row_limit, size_t page_width) {
  const std::vector<RankResult>& ranks = result.ranks;
  if (ranks.empty()) return {};
  std::vector<const RankResult*> order;
  std::set<std::string> hosts;
  bool knows_idle = true;
  bool knows_memory = false;
  for (const RankResult& rank : ranks) {
    order.push_back(&rank);
    hosts.insert(rank.host);
    knows_idle = knows_idle && rank.split.idle_ns.has_value();
    knows_memory = knows_memory || rank.split.mem_only_ns.has_value();
  }
  const size_t shown = RowsShown(order.size(), row_limit);
  if (shown < order.size()) {
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return Ratio(a->split.exposed_ns, a->split.window_ns).value_or(-1) >
             Ratio(b->split.exposed_ns, b->split.window_ns).value_or(-1);
    });
  }
  std::vector<Table::Column> columns = {{"ranks", Table::Align::kLeft}, {"gpu"}};
  columns.insert(columns.end(), {{"window ms"}, {"compute %"}, {"hidden %"}, {"exposed %"}});
  if (knows_memory) columns.push_back({"memory %"});
  columns.insert(columns.end(),
                 {{knows_idle ? "idle %" : "unattr. %"}, {"TFLOP/s"}, {"dropped"}, {"untimed"}});
  Table table(columns);
  for (size_t i = 0; i < shown; ++i) {
    const RankResult& rank = *order[i];
    const TimeSplit& split = rank.split;
    const auto share = [&split](std::optional<int64_t> ns) {
      const std::optional<double> ratio = Ratio(ns, split.window_ns);
      return ratio.has_value() ? Fixed(*ratio * 100, 1) : kUnknownText;
    };
    const std::optional<double> rate = PerSecond(rank.flop_executed, RunNs(rank));
    std::string name = rank.rank >= 0 ? std::to_string(rank.rank) : kUnknownText;
    if (hosts.size() > 1 && !rank.host.empty()) name += " " + rank.host;
    std::vector<std::string> cells = {name,
                                      rank.device >= 0 ? std::to_string(rank.device) : kUnknownText,
                                      Milliseconds(split.window_ns),
                                      share(split.compute_only_ns),
                                      share(split.overlapped_ns),
                                      share(split.exposed_ns)};
    if (knows_memory) cells.push_back(share(split.mem_only_ns));
    cells.insert(cells.end(), {share(knows_idle ? split.idle_ns : split.unattributed_ns),
                               rate.has_value() ? Significant(*rate / kTera) : kUnknownText,
                               std::to_string(rank.dropped), std::to_string(rank.untimed)});
    table.AddRow(std::move(cells));
  }
  std::vector<std::string> lines = table.Lines(page_width, kIndent);
  if (shown < order.size()) {
    lines.push_back("  … the " + std::to_string(shown) + " of " + std::to_string(order.size()) +
                    " with most exposed communication; all: mfutrace report --only ranks");
  }
  return lines;
}

}  // namespace mfutrace::report
