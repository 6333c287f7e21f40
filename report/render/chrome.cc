// Chrome's trace event format:
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU Times are
// microseconds since the first event, with three decimals: exact, and small enough that a double
// holds them, which absolute times are not.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "report/render/json.h"
#include "report/render/perfetto.h"
#include "report/render/tracks.h"
#include "report/render/units.h"

namespace mfutrace::report {
namespace {

constexpr int kStepsThread = 1, kExposedThread = 2, kHostThread = 3, kFirstStream = 10;

std::string Microseconds(int64_t ns) {
  const std::string digits = std::to_string(ns % 1000);
  return absl::StrCat(ns / 1000, ".", std::string(3 - digits.size(), '0'), digits);
}

class Writer {
 public:
  explicit Writer(int64_t first_ns) : first_ns_(first_ns) {}

  void Name(size_t pid, int tid, const char* what, const std::string& name) {
    Add(absl::StrCat("{\"ph\":\"M\",\"pid\":", pid, ",\"tid\":", tid, ",\"name\":\"", what,
                     "\",\"args\":{\"name\":", JsonQuote(name), "}}"));
  }
  void Slice(size_t pid, int tid, const std::string& name, const Interval& time,
             const std::string& args = "") {
    Add(absl::StrCat("{\"ph\":\"X\",\"pid\":", pid, ",\"tid\":", tid, ",\"name\":", JsonQuote(name),
                     ",\"ts\":", Microseconds(time.begin_ns - first_ns_),
                     ",\"dur\":", Microseconds(std::max<int64_t>(0, time.end_ns - time.begin_ns)),
                     args.empty() ? "" : ",\"args\":{" + args + "}", "}"));
  }
  void Flow(size_t pid, int tid, bool is_begin, uint64_t id, int64_t time_ns) {
    Add(absl::StrCat("{\"ph\":\"", is_begin ? "s" : "f\",\"bp\":\"e", "\",\"pid\":", pid,
                     ",\"tid\":", tid, ",\"cat\":\"launch\",\"name\":\"launch\",\"id\":", id,
                     ",\"ts\":", Microseconds(time_ns - first_ns_), "}"));
  }
  void Counter(size_t pid, const std::string& name, int64_t time_ns, double value) {
    Add(absl::StrCat("{\"ph\":\"C\",\"pid\":", pid, ",\"name\":", JsonQuote(name),
                     ",\"ts\":", Microseconds(time_ns - first_ns_),
                     ",\"args\":{\"%\":", Fixed(value, 4), "}}"));
  }
  std::string Take() {
    return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" + events_ + "\n]}\n";
  }

 private:
  void Add(const std::string& event) {
    absl::StrAppend(&events_, events_.empty() ? "" : ",\n", event);
  }

  int64_t first_ns_;
  std::string events_;
};

int64_t FirstOf(const Tracks& tracks) {
  int64_t first_ns = INT64_MAX;
  const auto see = [&first_ns](const Interval& time) {
    first_ns = std::min(first_ns, time.begin_ns);
  };
  for (const Tracks::Rank& rank : tracks.ranks) {
    for (const Tracks::Step& step : rank.steps) see(step.time);
    for (const auto& [name, works] : rank.streams) {
      for (const Tracks::Work& work : works) see(work.time);
    }
    for (const Tracks::Work& call : rank.host_calls) see(call.time);
    for (const Interval& piece : rank.exposed) see(piece);
  }
  return first_ns == INT64_MAX ? 0 : first_ns;
}

}  // namespace

std::string RenderChrome(const RunResult& result) {
  const Tracks tracks = TracksOf(result);
  Writer writer(FirstOf(tracks));
  for (size_t i = 0; i < tracks.ranks.size(); ++i) {
    const Tracks::Rank& rank = tracks.ranks[i];
    const size_t pid = i + 1;
    writer.Name(pid, 0, "process_name", rank.name + "  " + rank.description);
    writer.Name(pid, kStepsThread, "thread_name", "steps");
    for (const Tracks::Step& step : rank.steps) {
      writer.Slice(pid, kStepsThread, step.name, step.time);
      if (step.mfu_percent) writer.Counter(pid, "MFU %", step.time.begin_ns, *step.mfu_percent);
      if (step.exposed_percent) {
        writer.Counter(pid, "exposed communication %", step.time.begin_ns, *step.exposed_percent);
      }
    }
    int tid = kFirstStream;
    for (const auto& [name, works] : rank.streams) {
      writer.Name(pid, tid, "thread_name", name);
      for (const Tracks::Work& work : works) {
        writer.Slice(pid, tid, *work.name, work.time,
                     work.collective == 0
                         ? ""
                         : absl::StrCat("\"collective\":\"", absl::Hex(work.collective), "\""));
        if (work.flow != 0) writer.Flow(pid, tid, false, work.flow, work.time.begin_ns);
      }
      ++tid;
    }
    if (!rank.exposed.empty())
      writer.Name(pid, kExposedThread, "thread_name", "exposed communication");
    for (const Interval& piece : rank.exposed) {
      writer.Slice(pid, kExposedThread, "exposed communication", piece);
    }
    if (!rank.host_calls.empty()) writer.Name(pid, kHostThread, "thread_name", "host calls");
    for (const Tracks::Work& call : rank.host_calls) {
      writer.Slice(pid, kHostThread, *call.name, call.time);
      writer.Flow(pid, kHostThread, true, call.flow, call.time.begin_ns);
    }
  }
  return writer.Take();
}

}  // namespace mfutrace::report
