// mfutrace reduce: traces -> one file of summaries, for `report` to read in their place.
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/load_run.h"
#include "cli/verbs.h"

namespace mfutrace::cli {

int ReduceVerb(int argc, char** argv) {
  CLI::App app(
      "What a report needs of traces, in a file that is small: reduce each node's traces where "
      "they "
      "are, then give all files to mfutrace report, or to another reduce.",
      "reduce");
  CommonOptions common;
  AddCommonOptions(app, common);
  std::vector<std::string> paths;
  std::string output;
  std::vector<std::string> peaks;
  std::string peaks_file;
  ReadOptions read;
  bool is_forced = false;
  app.add_option("RUN", paths,
                 "folders of traces, trace files, files of summaries; default: the "
                 "newest mfutrace-* here");
  app.add_option("-o,--output", output, "the file to write (- = stdout)")->required();
  app.add_option("--peak", peaks, "as report's; the report must be given the same")
      ->allow_extra_args(false);
  app.add_option("--peaks", peaks_file, "as report's; the report must be given the same");
  app.add_option("--jobs", read.threads, "threads (default: one a core, at most 16)")
      ->check(CLI::PositiveNumber);
  app.add_flag("-f,--force", is_forced, "overwrite an existing file");
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;
  read.is_quiet = common.is_quiet;
  report::AnalyzeOptions options;
  options.compat_hta = true;  // a report may ask for it, and the trace is gone by then
  if (const absl::Status status = LoadPeaks(peaks_file, peaks, options); !status.ok()) {
    return SayStatus(status);
  }
  if (paths.empty()) {
    absl::StatusOr<std::string> newest = NewestRun();
    if (!newest.ok()) return SayStatus(newest.status());
    if (!common.is_quiet) Say("reading " + *newest);
    paths.push_back(*std::move(newest));
  }
  absl::StatusOr<report::Summaries> summaries = ReduceFiles(paths, report::Analyzer(options), read);
  if (!summaries.ok()) return SayStatus(summaries.status());
  for (const std::string& text : summaries->left_out) Say("note: " + text + ": left out");
  const size_t devices = summaries->devices.size();
  const std::string bytes = report::PackSummaries(*std::move(summaries));
  if (output == "-") {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    if (std::fflush(stdout) == 0) return kExitOk;
    Say("cannot write the summaries to stdout");
    return kExitBadUse;
  }
  if (const int code = WriteOutput(output, bytes, is_forced); code != kExitOk) return code;
  if (!common.is_quiet) {
    Say(std::to_string(devices) + (devices == 1 ? " device in " : " devices in ") + output + ", " +
        std::to_string(bytes.size()) + " bytes");
  }
  return kExitOk;
}

}  // namespace mfutrace::cli
