// The table of outputs.
#include "cli/outputs.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cli/args.h"
#include "report/render/csv.h"
#include "report/render/html.h"
#include "report/render/markdown.h"
#include "report/render/perfetto.h"
#include "report/render/prom.h"

namespace mfutrace::cli {
namespace {

constexpr uint32_t kSampledSteps = 20;

struct Output {
  const char* option;
  std::string OutputOptions::*path;
  const char* help;
};

const std::vector<Output>& Outputs() {
  static const std::vector<Output> kOutputs = {
      {"--json", &OutputOptions::json, "write all figures as JSON to this file (- = stdout)"},
      {"--html", &OutputOptions::html, "write one page with charts and tables, readable offline"},
      {"--perfetto", &OutputOptions::perfetto, "write a Perfetto trace of 20 steps"},
      {"--chrome", &OutputOptions::chrome, "write the same as Chrome's JSON"},
      {"--csv", &OutputOptions::csv, "write tables as CSV files into this folder"},
      {"--sqlite", &OutputOptions::sqlite, "write every call and all tables as a SQLite file"},
      {"--prom", &OutputOptions::prom, "write Prometheus' text format"},
      {"--markdown", &OutputOptions::markdown, "write a short summary for a pull request"},
  };
  return kOutputs;
}

int WriteCsv(const OutputOptions& options, const report::RunResult& result) {
  if (mkdir(options.csv.c_str(), 0777) != 0 && errno != EEXIST) {
    Say("cannot write to " + options.csv + ": " + std::strerror(errno));
    return kExitBadUse;
  }
  for (const report::DataTable& table : report::AllTables(result)) {
    const std::string path = options.csv + "/" + table.name + ".csv";
    const int code = WriteOutput(path, report::RenderCsv(table), options.force);
    if (code != kExitOk) return code;
  }
  return kExitOk;
}

}  // namespace

void AddOutputOptions(CLI::App& app, OutputOptions& options) {
  for (const Output& output : Outputs()) {
    app.add_option(output.option, options.*output.path, output.help);
  }
  app.add_flag("-f,--force", options.force, "overwrite existing files");
}

int CheckOutputs(const OutputOptions& options) {
  const char* on_stdout = nullptr;
  for (const Output& output : Outputs()) {
    const std::string& path = options.*output.path;
    if (path.empty()) continue;
    if (path == "-") {
      if (output.path == &OutputOptions::csv || output.path == &OutputOptions::sqlite) {
        Say(std::string(output.option) + " cannot go to stdout");
        return kExitBadUse;
      }
      if (on_stdout != nullptr) {
        Say(std::string(on_stdout) + " and " + output.option + " cannot both go to stdout");
        return kExitBadUse;
      }
      on_stdout = output.option;
      continue;
    }
    struct stat info;
    if (output.path == &OutputOptions::csv) continue;  // file by file
    if (!options.force && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      Say("refusing to overwrite " + path + " (use --force)");
      return kExitBadUse;
    }
  }
  return kExitOk;
}

bool WritesToStdout(const OutputOptions& options) {
  for (const Output& output : Outputs()) {
    if (options.*output.path == "-") return true;
  }
  return false;
}

report::SampleRequest SampleFor(const OutputOptions& options) {
  report::SampleRequest request;
  if (!options.html.empty()) request.steps = 1;
  if (!options.perfetto.empty() || !options.chrome.empty()) {
    request.steps = kSampledSteps;
    request.has_works = true;
  }
  return request;
}

absl::StatusOr<std::unique_ptr<report::SqliteExport>> OpenSqlite(const OutputOptions& options) {
  if (options.sqlite.empty()) return nullptr;
  return report::SqliteExport::Create(options.sqlite);
}

int WriteOutputs(const OutputOptions& options, const report::RunResult& result,
                 const std::string& json) {
  const auto write = [&](const std::string& path, const std::string& text) -> int {
    if (path != "-") return WriteOutput(path, text, options.force);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return kExitOk;
  };
  if (!options.json.empty()) {
    if (const int code = write(options.json, json); code != kExitOk) return code;
  }
  if (!options.html.empty()) {
    report::HtmlOptions html;
    html.tool = "mfutrace " MFU_VERSION;
    const int code = write(options.html, report::RenderHtml(result, html));
    if (code != kExitOk) return code;
  }
  if (!options.perfetto.empty()) {
    const int code = write(options.perfetto, report::RenderPerfetto(result));
    if (code != kExitOk) return code;
  }
  if (!options.chrome.empty()) {
    const int code = write(options.chrome, report::RenderChrome(result));
    if (code != kExitOk) return code;
  }
  if (!options.markdown.empty()) {
    const int code = write(options.markdown, report::RenderMarkdown(result));
    if (code != kExitOk) return code;
  }
  if (!options.prom.empty()) {
    const std::string text = report::RenderPrometheus(result, MFU_VERSION);
    if (options.prom == "-") return write(options.prom, text);
    if (!WriteByRename(options.prom, text)) {
      Say("cannot write " + options.prom + ": " + std::strerror(errno));
      return kExitBadUse;
    }
  }
  if (!options.csv.empty()) return WriteCsv(options, result);
  return kExitOk;
}

}  // namespace mfutrace::cli
