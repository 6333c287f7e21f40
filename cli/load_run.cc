// Finds, loads and analyses the traces of a run.
#include "cli/load_run.h"

#include <dirent.h>
#include <sys/stat.h>

#include <utility>

#include "report/import/kineto.h"
#include "report/model/load.h"
#include "report/model/user_peaks.h"

namespace mfutrace::cli {
namespace {

// `damage` gets what the file says of its own damage, if nothing did before.
absl::Status AddFile(const std::string& path, report::Analyzer& analyzer, std::string& damage,
                     const TimelineSink& sink) {
  const absl::StatusOr<std::vector<report::Timeline>> timelines =
      report::IsNativeTrace(path) ? report::LoadNative(path) : report::ImportKineto(path);
  if (!timelines.ok()) return timelines.status();
  for (const report::Timeline& timeline : *timelines) {
    analyzer.Add(timeline);
    if (sink != nullptr) sink(timeline);
    const report::Quality& quality = timeline.quality;
    if (damage.empty() && quality.damaged_files > 0 && !quality.notes.empty()) {
      damage = quality.notes.front();
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<report::RunResult> LoadRun(const std::vector<std::string>& paths,
                                          const report::AnalyzeOptions& options,
                                          const TimelineSink& sink) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    absl::StatusOr<std::vector<std::string>> found = report::FindTraces(path);
    if (!found.ok()) return found.status();
    files.insert(files.end(), found->begin(), found->end());
  }
  report::Analyzer analyzer(options);
  std::vector<absl::Status> failures;
  std::string damage;
  for (const std::string& file : files) {
    absl::Status status = AddFile(file, analyzer, damage, sink);
    if (!status.ok()) failures.push_back(std::move(status));
  }
  if (failures.size() == files.size()) return failures.front();
  absl::StatusOr<report::RunResult> result = analyzer.Finish();
  if (!result.ok()) {
    const std::string where = paths.front() + (paths.size() > 1 ? " and others" : "");
    const std::string what(result.status().message());
    // What was lost before the first call is not the same as a job that made none.
    if (result.status().code() == absl::StatusCode::kFailedPrecondition && !damage.empty()) {
      return absl::DataLossError(where + ": nothing readable in it (" +
                                 damage.substr(0, damage.find(';')) + ")");
    }
    return absl::Status(result.status().code(), where + ": " + what);
  }
  result->quality.damaged_files += failures.size();
  for (const absl::Status& failure : failures) {
    result->quality.notes.emplace_back(std::string(failure.message()) + ": left out");
  }
  return result;
}

absl::StatusOr<std::string> NewestRun() {
  static const std::string kPrefix = "mfutrace-";
  std::string newest;
  timespec newest_time = {};
  if (DIR* folder = opendir(".")) {
    while (const dirent* entry = readdir(folder)) {
      const std::string name = entry->d_name;
      struct stat info;
      if (name.compare(0, kPrefix.size(), kPrefix) != 0) continue;
      if (stat(name.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
      const bool is_newer = info.st_mtim.tv_sec != newest_time.tv_sec
                                ? info.st_mtim.tv_sec > newest_time.tv_sec
                                : info.st_mtim.tv_nsec > newest_time.tv_nsec;
      if (!newest.empty() && !is_newer) continue;
      newest = name;
      newest_time = info.st_mtim;
    }
    closedir(folder);
  }
  if (newest.empty()) {
    return absl::NotFoundError(
        "no mfutrace-* folder here; name a run, or record one with mfutrace run -- CMD");
  }
  return newest;
}

absl::Status LoadPeaks(const std::string& path, const std::vector<std::string>& overrides,
                       report::AnalyzeOptions& options) {
  absl::StatusOr<report::UserPeaks> peaks =
      path.empty() ? report::LoadDefaultUserPeaks() : report::LoadUserPeaks(path);
  if (!peaks.ok()) return peaks.status();
  options.user_peaks = *std::move(peaks);
  for (const std::string& text : overrides) {
    const auto peak = report::ParsePeakOverride(text);
    if (!peak.ok()) return peak.status();
    options.peak_overrides[peak->first] = peak->second;
  }
  return absl::OkStatus();
}

}  // namespace mfutrace::cli
