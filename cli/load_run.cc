// Finds, loads and analyses the traces of a run.
#include "cli/load_run.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "cli/parallel.h"
#include "report/import/import.h"
#include "report/model/load.h"
#include "report/model/user_peaks.h"

namespace mfutrace::cli {
namespace {

// Each thread holds one trace: more of them would cost more memory than they save time.
constexpr size_t kMostThreads = 16;

// A trace takes hundreds of megabytes in a few pieces, and one follows the other: memory that goes
// back to the kernel in between is mapped and zeroed anew each time, which costs as much as
// reading.
void KeepFreedMemory() {
  mallopt(M_ARENA_MAX, 1);  // what one thread frees, the next may use
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
}

// Sees a timeline and what was kept of it; one thread alone calls it.
using Look = std::function<void(const report::Timeline&, const report::DeviceSummary&)>;

struct FileResult {
  report::Summaries summaries;
  absl::Status status;
};

FileResult ReduceFile(const std::string& path, const report::Analyzer& analyzer, const Look& look) {
  FileResult result;
  if (report::IsSummaryFile(path)) {
    absl::StatusOr<report::Summaries> summaries = report::ReadSummaries(path);
    result.status = summaries.status();
    if (summaries.ok()) result.summaries = *std::move(summaries);
    return result;
  }
  const auto add = [&](const report::Timeline& timeline) {
    absl::StatusOr<report::DeviceSummary> device = analyzer.Reduce(timeline);
    if (!device.ok()) {
      result.status.Update(device.status());
      return;
    }
    if (look != nullptr) look(timeline, *device);
    result.summaries.devices.push_back(*std::move(device));
  };
  if (report::IsNativeTrace(path)) {
    const absl::StatusOr<std::vector<report::Timeline>> timelines = report::LoadNative(path);
    result.status = timelines.status();
    if (!timelines.ok()) return result;
    for (const report::Timeline& timeline : *timelines) add(timeline);
  } else {
    result.status.Update(report::ImportEach(path, add));
  }
  // Half an archive is not taken for a whole one.
  if (!result.status.ok()) result.summaries.devices.clear();
  return result;
}

// What a file says of its own damage.
std::string DamageOf(const report::Summaries& summaries) {
  for (const report::DeviceSummary& device : summaries.devices) {
    if (device.quality.damaged_files > 0 && !device.quality.notes.empty()) {
      return device.quality.notes.front();
    }
  }
  return "";
}

absl::StatusOr<report::Summaries> ReduceLooking(const std::vector<std::string>& paths,
                                                const report::Analyzer& analyzer,
                                                const ReadOptions& options, const Look& look) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    absl::StatusOr<std::vector<std::string>> found = report::FindTraces(path);
    if (!found.ok()) return found.status();
    files.insert(files.end(), found->begin(), found->end());
  }
  KeepFreedMemory();
  std::vector<FileResult> results(files.size());
  const size_t threads =
      look != nullptr ? 1
      : options.threads > 0
          ? options.threads
          : std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMostThreads);
  ProgressBar bar("reading", files.size(), options.is_quiet);
  ForEachInParallel(
      files.size(), threads, [&](size_t i) { results[i] = ReduceFile(files[i], analyzer, look); },
      [&](size_t done) { bar.Show(done); });
  malloc_trim(0);  // the report needs little of what traces took
  report::Summaries all;
  size_t failures = 0;
  absl::Status first;
  for (FileResult& result : results) {
    if (!result.status.ok()) {
      ++failures;
      first.Update(result.status);
      all.left_out.emplace_back(result.status.message());
      continue;
    }
    for (report::DeviceSummary& device : result.summaries.devices) {
      all.devices.push_back(std::move(device));
    }
    for (std::string& text : result.summaries.left_out) all.left_out.push_back(std::move(text));
  }
  if (failures == files.size()) return first;
  std::sort(all.left_out.begin(), all.left_out.end());
  return all;
}

}  // namespace

absl::StatusOr<report::Summaries> ReduceFiles(const std::vector<std::string>& paths,
                                              const report::Analyzer& analyzer,
                                              const ReadOptions& options) {
  return ReduceLooking(paths, analyzer, options, nullptr);
}

absl::StatusOr<report::RunResult> LoadRun(const std::vector<std::string>& paths,
                                          const report::AnalyzeOptions& options,
                                          const ReadOptions& read) {
  report::Analyzer analyzer(options);
  Look look;
  if (options.sample.steps > 0 || read.sink != nullptr) {
    look = [&](const report::Timeline& timeline, const report::DeviceSummary& summary) {
      analyzer.Look(timeline, summary);
      if (read.sink != nullptr) read.sink(timeline);
    };
  }
  absl::StatusOr<report::Summaries> summaries = ReduceLooking(paths, analyzer, read, look);
  if (!summaries.ok()) return summaries.status();
  const std::string damage = DamageOf(*summaries);
  for (report::DeviceSummary& device : summaries->devices) analyzer.Add(std::move(device));
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
  result->quality.damaged_files += summaries->left_out.size();
  for (const std::string& text : summaries->left_out) {
    result->quality.notes.emplace_back(text + ": left out");
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
