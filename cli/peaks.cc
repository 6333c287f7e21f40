// mfutrace peaks: the table of known GPUs, so that everyone can check what MFU is measured against.
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/measure.h"
#include "cli/verbs.h"
#include "report/model/user_peaks.h"
#include "report/render/json.h"
#include "report/render/table.h"
#include "report/render/units.h"
#include "shapes/peaks.h"

namespace mfutrace::cli {
namespace {

// A row of the table: built in, or the user's own, which holds over it.
struct Row {
  std::string name;
  std::string compute_capability;
  uint64_t memory_bytes_per_s = 0;
  uint64_t nvlink_bytes_per_s = 0;
  std::vector<uint64_t> peak_flop_per_s;  // by PeakRate, 0 = unknown
  std::string source;
};

constexpr size_t kRateCount = static_cast<size_t>(shapes::PeakRate::kCount);

std::vector<Row> AllRows(const report::UserPeaks& user) {
  std::vector<Row> rows;
  for (const report::UserGpu& gpu : user.gpus) {
    Row row;
    row.name = gpu.name;
    row.memory_bytes_per_s = gpu.memory_bytes_per_s;
    row.peak_flop_per_s.resize(kRateCount);
    for (const auto& [rate, value] : gpu.peak_flop_per_s) {
      row.peak_flop_per_s[static_cast<size_t>(rate)] = value;
    }
    row.source = (gpu.source.empty() ? "" : gpu.source + ", ") + user.path;
    rows.push_back(std::move(row));
  }
  for (const shapes::Gpu& gpu : shapes::AllGpus()) {
    Row row;
    row.name = std::string(gpu.name);
    row.compute_capability = std::string(gpu.compute_capability);
    row.memory_bytes_per_s = gpu.memory_bytes_per_s;
    row.nvlink_bytes_per_s = gpu.nvlink_bytes_per_s;
    row.peak_flop_per_s.assign(gpu.peak_flop_per_s, gpu.peak_flop_per_s + kRateCount);
    row.source = std::string(gpu.source);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Lower(const std::string& text) {
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

// Rows of exactly that name, else rows whose name contains it, whatever the case.
std::vector<Row> Select(const std::vector<Row>& rows, const std::string& name) {
  std::vector<Row> selected;
  for (const Row& row : rows) {
    if (name.empty() || row.name == name) selected.push_back(row);
  }
  if (!selected.empty()) return selected;
  for (const Row& row : rows) {
    if (Lower(row.name).find(Lower(name)) != std::string::npos) selected.push_back(row);
  }
  return selected;
}

std::string Scaled(uint64_t value, double scale) {
  if (value == 0) return report::kUnknownText;
  const double scaled = static_cast<double>(value) / scale;
  return report::Fixed(scaled, scaled < 100 ? 1 : 0);
}

std::string RowsAsText(const std::vector<Row>& rows) {
  using shapes::PeakRate;
  using Column = report::Table::Column;
  std::string text;
  std::vector<PeakRate> rates;
  std::vector<Column> columns = {{"dense TFLOP/s (TOP/s)", report::Table::Align::kLeft}};
  // The 16-bit accumulation columns would make the table wider than a page; --json has them.
  for (const PeakRate rate :
       {PeakRate::kF64Tensor, PeakRate::kF32, PeakRate::kTf32, PeakRate::kBf16, PeakRate::kF16,
        PeakRate::kF8, PeakRate::kF4, PeakRate::kI8}) {
    rates.push_back(rate);
    columns.push_back({std::string(shapes::NameOf(rate)), report::Table::Align::kRight});
  }
  columns.push_back({"memory GB/s", report::Table::Align::kRight});
  report::Table table(columns);
  for (const Row& row : rows) {
    std::vector<std::string> cells = {row.name};
    for (const PeakRate rate : rates) {
      cells.push_back(Scaled(row.peak_flop_per_s[static_cast<size_t>(rate)], 1e12));
    }
    cells.push_back(Scaled(row.memory_bytes_per_s, 1e9));
    table.AddRow(std::move(cells));
  }
  for (const std::string& line : table.Lines(120, 0)) text += line + "\n";
  return text;
}

std::string SourcesAsText(const std::vector<Row>& rows) {
  std::string text = "\n";
  for (const Row& row : rows) text += row.name + ": " + row.source + "\n";
  return text;
}

std::string RowsAsJson(const std::vector<Row>& rows) {
  const auto number = [](uint64_t value) {
    return value == 0 ? std::string("null") : std::to_string(value);
  };
  std::string text = "{\n  \"schema\": 1,\n  \"gpus\": [";
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    text += (i == 0 ? "\n    " : ",\n    ");
    text += "{\"name\": " + report::JsonQuote(row.name) + ", \"compute_capability\": " +
            (row.compute_capability.empty() ? "null" : report::JsonQuote(row.compute_capability)) +
            ", \"memory_bytes_per_s\": " + number(row.memory_bytes_per_s) +
            ", \"nvlink_bytes_per_s\": " + number(row.nvlink_bytes_per_s) +
            ", \"peak_flop_per_s\": {";
    for (size_t rate = 0; rate < kRateCount; ++rate) {
      text += (rate == 0 ? "\"" : ", \"") +
              std::string(shapes::NameOf(static_cast<shapes::PeakRate>(rate))) +
              "\": " + number(row.peak_flop_per_s[rate]);
    }
    text += "}, \"source\": " + report::JsonQuote(row.source) + "}";
  }
  return text + "\n  ]\n}\n";
}

}  // namespace

int PeaksVerb(int argc, char** argv) {
  CLI::App app("Known GPUs, their dense peaks and where the figures come from.", "peaks");
  CommonOptions common;
  std::string name;
  std::string json;
  std::string peaks_file;
  bool force = false;
  AddCommonOptions(app, common);
  app.add_option("NAME", name, "name as the driver gives it, or a part of it");
  app.add_option("--json", json, "write the table as JSON to this file (- = stdout)");
  app.add_option("--peaks", peaks_file, "peaks file (TOML); default ~/.config/mfutrace/peaks.toml");
  app.add_flag("-f,--force", force, "overwrite existing files");
  bool measures = false;
  MeasureOptions measure;
  app.add_flag("--measure", measures,
               "run dense products on a GPU here and append the rates to the peaks file");
  app.add_option("--device", measure.device, "with --measure: which GPU (0)");
  app.add_option("--rates", measure.rates, "with --measure: bf16,f16,f8,tf32,f32,f64_tensor,i8");
  app.add_option("--seconds", measure.most_seconds, "with --measure: at most so long a format (5)");
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;
  if (measures) {
    measure.peaks_file = peaks_file.empty() ? report::DefaultUserPeaksPath() : peaks_file;
    return MeasurePeaks(measure);
  }

  const absl::StatusOr<report::UserPeaks> user =
      peaks_file.empty() ? report::LoadDefaultUserPeaks() : report::LoadUserPeaks(peaks_file);
  if (!user.ok()) return SayStatus(user.status());
  const std::vector<Row> rows = AllRows(*user);
  const std::vector<Row> selected = Select(rows, name);
  if (selected.empty()) {
    std::vector<std::string> names;
    for (const Row& row : rows) names.push_back(row.name);
    Say("no known GPU \"" + name + "\"" + Suggestion(name, names));
    std::fputs("  FLOP/s needs no peak; for MFU: mfutrace report --peak bf16=... (dense FLOP/s)\n",
               stderr);
    return kExitBadUse;
  }
  if (!json.empty() && json != "-") return WriteOutput(json, RowsAsJson(selected), force);
  std::string text = json == "-" ? RowsAsJson(selected) : RowsAsText(selected);
  // Sources are long: with the full table on request, with a selection always.
  if (json.empty() && (!name.empty() || common.is_verbose)) text += SourcesAsText(selected);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (json.empty() && name.empty() && !common.is_verbose && !common.is_quiet) {
    std::fputs("sources: mfutrace peaks -v, or mfutrace peaks NAME\n", stderr);
  }
  return kExitOk;
}

}  // namespace mfutrace::cli
