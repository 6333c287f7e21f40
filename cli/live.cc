// Reads, prints, renames.
#include "cli/live.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "cli/args.h"
#include "cli/load_run.h"
#include "report/analyze/rates.h"
#include "report/render/prom.h"
#include "report/render/units.h"

namespace mfutrace::cli {
namespace {

// Textfile collectors are scraped every 15 s or less often: more would be read by nobody.
constexpr int64_t kPromMs = 15'000;
constexpr int64_t kReadingShare = 50;

int64_t NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string PercentText(std::optional<double> ratio) {
  return ratio.has_value() ? report::Fixed(*ratio * 100, 1) + "%" : report::kUnknownText;
}

}  // namespace

std::optional<int64_t> ParseInterval(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  if (end == text.c_str() || !(value > 0) || value > 1e6) return std::nullopt;
  const double ms = unit == "ms"  ? value
                    : unit == "s" ? value * 1e3
                    : unit == "m" ? value * 6e4
                                  : 0;
  if (ms < 1) return std::nullopt;
  return static_cast<int64_t>(ms);
}

Live::Live(LiveOptions options, report::AnalyzeOptions analyze,
           std::function<std::set<std::string>()> files)
    : options_(std::move(options)), analyze_(std::move(analyze)), files_(std::move(files)) {
  next_status_ms_ = NowMs() + options_.status_ms;
  next_prom_ms_ = NowMs() + kPromMs;
}

int64_t Live::Tick() {
  const int64_t begin_ms = NowMs();
  const bool wants_status = options_.status_ms > 0 && begin_ms >= next_status_ms_;
  const bool wants_prom = !options_.prom_path.empty() && begin_ms >= next_prom_ms_;
  if (wants_status || wants_prom) {
    const std::set<std::string> files = files_();
    if (!files.empty()) {
      const auto result = LoadRun(std::vector<std::string>(files.begin(), files.end()), analyze_);
      // Nothing readable yet is no news.
      if (result.ok() && wants_status) SayStatus(*result);
      if (result.ok() && wants_prom) WritePrometheus(*result);
    }
    const int64_t now_ms = NowMs();
    const int64_t rest_ms = kReadingShare * (now_ms - begin_ms);
    if (wants_status) next_status_ms_ = now_ms + std::max(options_.status_ms, rest_ms);
    if (wants_prom) next_prom_ms_ = now_ms + std::max(kPromMs, rest_ms);
  }
  int64_t next_ms = begin_ms + kPromMs;
  if (options_.status_ms > 0) next_ms = std::min(next_ms, next_status_ms_);
  if (!options_.prom_path.empty()) next_ms = std::min(next_ms, next_prom_ms_);
  return std::max<int64_t>(1, next_ms - NowMs());
}

void Live::Finish() {
  if (options_.prom_path.empty()) return;
  const std::set<std::string> files = files_();
  if (files.empty()) return;
  const auto result = LoadRun(std::vector<std::string>(files.begin(), files.end()), analyze_);
  if (result.ok()) WritePrometheus(*result);
}

void Live::SayStatus(const report::RunResult& result) {
  const report::StepsSince recent = report::StepsAfter(result, last_step_);
  const std::optional<double> rate =
      report::PerSecond(recent.flop_model, std::optional<int64_t>(recent.window_ns));
  std::string slowest = report::kUnknownText;
  if (const auto last = report::LatestRank(result.lateness); last.has_value()) {
    slowest = last->first.substr(last->first.rfind(' ') + 1) + "(+" +
              report::Fixed(static_cast<double>(last->second) / 1e6, 1) + "ms)";
  }
  std::fprintf(
      stderr,
      "mfutrace  step: %s  mfu: %s  tflops: %s  step_ms: %s  exposed_comm: %s  slowest: %s\n",
      recent.last_step >= 0 ? std::to_string(recent.last_step).c_str() : report::kUnknownText,
      PercentText(recent.mfu).c_str(),
      rate.has_value() ? report::Fixed(*rate / 1e12, 1).c_str() : report::kUnknownText,
      recent.step_median_ns.has_value()
          ? report::Fixed(static_cast<double>(*recent.step_median_ns) / 1e6, 1).c_str()
          : report::kUnknownText,
      PercentText(recent.exposed).c_str(), slowest.c_str());
  last_step_ = std::max(last_step_, recent.last_step);
}

bool Live::WritePrometheus(const report::RunResult& result) {
  const bool is_written =
      WriteByRename(options_.prom_path, report::RenderPrometheus(result, MFU_VERSION));
  if (!is_written && !has_failed_) {
    Say("cannot write " + options_.prom_path + ": " + std::strerror(errno));
    has_failed_ = true;
  }
  return is_written;
}

}  // namespace mfutrace::cli
