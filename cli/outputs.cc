// The table of outputs.
#include "cli/outputs.h"

#include <sys/stat.h>

#include <cstdio>
#include <vector>

#include "cli/args.h"
#include "report/render/html.h"

namespace mfutrace::cli {
namespace {

struct Output {
  const char* option;
  std::string OutputOptions::*path;
  const char* help;
};

const std::vector<Output>& Outputs() {
  static const std::vector<Output> kOutputs = {
      {"--json", &OutputOptions::json, "write all figures as JSON to this file (- = stdout)"},
      {"--html", &OutputOptions::html, "write one page with charts and tables, readable offline"},
  };
  return kOutputs;
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
      if (on_stdout != nullptr) {
        Say(std::string(on_stdout) + " and " + output.option + " cannot both go to stdout");
        return kExitBadUse;
      }
      on_stdout = output.option;
      continue;
    }
    struct stat info;
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
  return request;
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
  return kExitOk;
}

}  // namespace mfutrace::cli
