// Numbers while a command runs under `mfutrace run`: a status line on stderr, and Prometheus' text
// format in a file. Both are read from the traces the job's processes have written so far, by the
// launcher: nothing is added to the job.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "report/analyze/analyze.h"

namespace mfutrace::cli {

struct LiveOptions {
  int64_t status_ms = 0;  // between lines; 0 = none
  std::string prom_path;  // empty = none
};

// "10s", "500ms", "2m", "1.5s"; nullopt if it is none of these, or not positive.
std::optional<int64_t> ParseInterval(const std::string& text);

class Live {
 public:
  // `files` tells the traces there are by now.
  Live(LiveOptions options, report::AnalyzeOptions analyze,
       std::function<std::set<std::string>()> files);

  bool is_wanted() const { return options_.status_ms > 0 || !options_.prom_path.empty(); }
  // Does what is due; returns in how many milliseconds to call again. Reading takes at most 2 % of
  // the time.
  int64_t Tick();
  // The file once more, with everything in it.
  void Finish();

 private:
  void SayStatus(const report::RunResult& result);
  bool WritePrometheus(const report::RunResult& result);

  LiveOptions options_;
  report::AnalyzeOptions analyze_;
  std::function<std::set<std::string>()> files_;
  int64_t last_step_ = -1;  // of the line before
  int64_t next_status_ms_ = 0;
  int64_t next_prom_ms_ = 0;
  bool has_failed_ = false;  // to write the file: said once
};

}  // namespace mfutrace::cli
