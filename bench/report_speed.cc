// How long a report's own work takes, apart from reading: one thread, traces one after the other.
//
// Usage: bench_report_speed FILE... Prints calls, seconds to read and decode them, seconds to
// analyse them, seconds to put ranks together. bench/run makes ratios of it. Seconds
// are of the processor, so that other work on the machine does not count; memory is kept as the
// program keeps it.
#include <malloc.h>

#include <cstdio>
#include <ctime>

#include "report/analyze/analyze.h"
#include "report/model/load.h"

namespace {

double Now() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mfutrace::report::Analyzer analyzer({});
  uint64_t calls = 0;
  double load_s = 0;
  double analysis_s = 0;
  for (int i = 1; i < argc; ++i) {
    const double begin = Now();
    const auto timelines = mfutrace::report::LoadNative(argv[i]);
    const double loaded = Now();
    if (!timelines.ok()) {
      std::fprintf(stderr, "%s\n", timelines.status().ToString().c_str());
      return 1;
    }
    for (const auto& timeline : *timelines) {
      calls += timeline.calls.size();
      analyzer.Add(timeline);
    }
    load_s += loaded - begin;
    analysis_s += Now() - loaded;
  }
  const double begin = Now();
  const auto result = analyzer.Finish();
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    return 1;
  }
  std::printf("%llu %.6f %.6f %.6f\n", static_cast<unsigned long long>(calls), load_s, analysis_s,
              Now() - begin);
  return 0;
}
