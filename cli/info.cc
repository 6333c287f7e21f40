// mfutrace info: what trace files hold and whether they are whole. Interprets nothing: figures are
// the report's.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/load_run.h"
#include "cli/trace_facts.h"
#include "cli/verbs.h"
#include "report/analyze/rates.h"
#include "report/model/load.h"
#include "report/model/load_windows.h"
#include "report/render/table.h"
#include "report/render/units.h"
#include "trace/contract.h"
#include "trace/dump.h"

namespace mfutrace::cli {
namespace {

namespace fact = trace::fact;

std::string Fact(const TraceFacts& facts, std::string_view key,
                 const std::string& otherwise = report::kUnknownText) {
  const auto found = facts.facts.find(std::string(key));
  return found == facts.facts.end() || found->second.empty() ? otherwise : found->second;
}

std::string Utc(int64_t realtime_ns) {
  const auto seconds = static_cast<std::time_t>(realtime_ns / 1'000'000'000);
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text;
  return std::string(text.data(),
                     std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc));
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string EndText(const TraceFacts& facts) {
  if (!facts.has_end) return "no end record: killed, or still running";
  switch (static_cast<trace::EndReason>(facts.end.reason)) {
    case trace::EndReason::kExit:
      return "ended in order";
    case trace::EndReason::kSizeLimit:
      return "stopped at its size limit, counting went on";
    case trace::EndReason::kWriteError:
      return "stopped by a write error";
  }
  return "ended for a reason this version does not know";
}

std::string CountedText(const TraceFacts& facts) {
  std::string text;
  for (const auto& [reason, calls] : facts.counted) {
    text += (text.empty() ? "" : ", ") + std::to_string(calls);
    text += reason == trace::CountReason::kDropped     ? " dropped (ring full)"
            : reason == trace::CountReason::kUntimed   ? " outside timed windows"
            : reason == trace::CountReason::kSizeLimit ? " after the size limit"
                                                       : " for an unknown reason";
  }
  return text.empty() ? "0 counted only" : "counted only: " + text;
}

std::string BytesPerCall(uint64_t bytes, uint64_t calls) {
  if (calls == 0) return report::kUnknownText;
  return report::Fixed(static_cast<double>(bytes) / static_cast<double>(calls), 1);
}

class Sheet {
 public:
  void Add(const std::string& label, const std::string& text) {
    text_ += "  " + report::PadRight(label, 12) + text + "\n";
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void AddProcess(const TraceFacts& facts, Sheet& sheet) {
  std::string rank = "rank " + Fact(facts, fact::kRank);
  if (Fact(facts, fact::kWorldSize) != report::kUnknownText) {
    rank += " of " + Fact(facts, fact::kWorldSize);
  }
  rank += " (" + Fact(facts, fact::kRankSource, "not told") + ")";
  sheet.Add("process", "pid " + std::to_string(facts.header.pid) + " on " +
                           Fact(facts, fact::kHost) + ", " + rank + ", local rank " +
                           Fact(facts, fact::kLocalRank) + ", role " + Fact(facts, fact::kRole) +
                           ", restart " + Fact(facts, fact::kRestart));
  std::string command = Fact(facts, fact::kCommandLine);
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  for (char& c : command) c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  sheet.Add("command", command);
  sheet.Add("time",
            Utc(facts.header.start_realtime_ns) + ", " +
                report::Duration(facts.last_monotonic_ns - facts.header.start_monotonic_ns) +
                " to the last record; " + EndText(facts));
}

void AddDevices(const TraceFacts& facts, Sheet& sheet) {
  if (facts.devices.empty()) sheet.Add("devices", "none named");
  for (const TraceFacts::Device& device : facts.devices) {
    const trace::DeviceRecord& record = device.record;
    sheet.Add(&device == facts.devices.data() ? "devices" : "",
              std::to_string(record.ordinal) + "  " +
                  (device.name.empty() ? "unknown" : device.name) + "  sm_" +
                  std::to_string(record.compute_major) + std::to_string(record.compute_minor) +
                  "  " + std::to_string(record.sm_count) + " SMs  " +
                  report::Fixed(static_cast<double>(record.memory_bytes) / (1 << 30), 1) + " GiB" +
                  (device.bus_id.empty() ? "" : "  " + device.bus_id));
  }
}

void AddSampling(const TraceFacts& facts, Sheet& sheet) {
  const std::string asked = Fact(facts, fact::kSample, "");
  if (asked.empty()) return;
  const report::Sampling sampling =
      report::SamplingOf(facts.windows, facts.header.start_monotonic_ns, facts.last_monotonic_ns);
  int64_t recorded_ns = 0;
  for (const report::Interval& window : sampling.host) {
    recorded_ns += window.end_ns - window.begin_ns;
  }
  sheet.Add("sampling",
            asked + ": " + std::to_string(sampling.host.size()) + " windows, " +
                report::Duration(recorded_ns) + " of " +
                report::Duration(facts.last_monotonic_ns - facts.header.start_monotonic_ns) +
                " recorded; overhead budget " + Fact(facts, fact::kOverheadBudget) + " %");
  const auto timed = report::PerSecond(sampling.timed_calls, sampling.timed_ns);
  const auto untimed = report::PerSecond(sampling.untimed_calls, sampling.untimed_ns);
  if (timed.has_value() && untimed.has_value()) {
    const auto cost = facts.counters.find("timed_cost_ppm");
    sheet.Add("", "pace " + report::Fixed(*timed, 0) + " calls/s timed, " +
                      report::Fixed(*untimed, 0) + " untimed; timing costs " +
                      (cost == facts.counters.end()
                           ? std::string("nothing that can be told")
                           : report::Percent(static_cast<double>(cost->second) / 1e6)) +
                      " of it");
  }
}

void AddOwnCost(const TraceFacts& facts, Sheet& sheet) {
  std::map<std::string, uint64_t> counters = facts.counters;
  const report::OwnCost cost = report::TakeOwnCost(counters);
  if (cost.flusher_cpu_ns == 0) return;
  std::string text;
  if (cost.probed_calls > 0) {
    text = report::Fixed(
               static_cast<double>(cost.probed_ns) / static_cast<double>(cost.probed_calls), 0) +
           " ns a recorded call (" + std::to_string(cost.probed_calls) + " probed), ";
  }
  text += "flusher " + report::Duration(static_cast<int64_t>(cost.flusher_cpu_ns)) + " of CPU time";
  if (cost.event_gpu_ns.has_value()) {
    text += ", a timing event " + std::to_string(*cost.event_gpu_ns) + " ns of GPU time";
  }
  if (cost.event_resolution_ns.has_value()) {
    text += "; events resolve " + std::to_string(*cost.event_resolution_ns) + " ns";
  }
  sheet.Add("own cost", text);
}

void AddCalls(const TraceFacts& facts, bool is_verbose, Sheet& sheet) {
  const uint64_t all = facts.CallsInAll();
  std::string end;
  if (facts.has_end) {
    end = facts.end.calls == all ? "; the process counted the same"
                                 : "; the process counted " + std::to_string(facts.end.calls);
  }
  sheet.Add("calls", std::to_string(all) + ": " + std::to_string(facts.calls) + " recorded, " +
                         CountedText(facts) + end);
  sheet.Add("", std::to_string(facts.timed) + " timed, " +
                    std::to_string(facts.calls - facts.timed) + " untimed, " +
                    std::to_string(facts.captured) + " captured into graphs, " +
                    std::to_string(facts.collectives) + " collectives");
  std::vector<std::pair<std::string, uint64_t>> entries(facts.calls_by_entry.begin(),
                                                        facts.calls_by_entry.end());
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const size_t shown = is_verbose ? entries.size() : std::min<size_t>(entries.size(), 8);
  for (size_t i = 0; i < shown; ++i) {
    sheet.Add(i == 0 ? "by function" : "",
              report::PadLeft(std::to_string(entries[i].second), 9) + "  " + entries[i].first);
  }
  if (shown < entries.size()) {
    sheet.Add("", std::to_string(entries.size() - shown) + " more: mfutrace info -v");
  }
  sheet.Add("tables", std::to_string(facts.gemm_signatures) + " GEMM, " +
                          std::to_string(facts.collective_signatures) + " collective, " +
                          std::to_string(facts.opaque_signatures) + " other signatures; " +
                          std::to_string(facts.communicators.size()) + " communicators, " +
                          std::to_string(facts.lanes) + " lanes, " + std::to_string(facts.threads) +
                          " threads");
}

void AddIntegrity(const TraceFacts& facts, Sheet& sheet) {
  sheet.Add("size", report::Si(static_cast<double>(facts.file_bytes), "B") + ", " +
                        BytesPerCall(facts.file_bytes, facts.CallsInAll()) +
                        " bytes a call; call records alone " +
                        BytesPerCall(facts.CallBytes(), facts.CallsInAll()));
  std::string integrity =
      facts.outcome.damage.empty()
          ? "every block is whole"
          : facts.outcome.damage + "; " + std::to_string(facts.outcome.bytes_lost) + " bytes lost";
  if (facts.outcome.blocks_skipped > 0) {
    integrity += ", " + std::to_string(facts.outcome.blocks_skipped) +
                 " blocks of kinds this version does not know";
  }
  sheet.Add("integrity", integrity);
  bool is_first = true;
  for (const auto& [name, value] : facts.counters) {
    if (value == 0) continue;
    sheet.Add(is_first ? "counters" : "", report::PadLeft(std::to_string(value), 9) + "  " + name);
    is_first = false;
  }
  if (is_first) sheet.Add("counters", "all zero");
}

std::string Describe(const TraceFacts& facts, bool is_verbose) {
  Sheet sheet;
  AddProcess(facts, sheet);
  AddDevices(facts, sheet);
  const std::string reason = Fact(facts, fact::kTimingReason, "");
  sheet.Add("timing",
            Fact(facts, fact::kTimingBackend) + (reason.empty() ? "" : " (" + reason + ")") +
                (facts.clock_samples == 0
                     ? ""
                     : ", " + std::to_string(facts.clock_samples) + " clock samples, widest " +
                           report::Duration(facts.widest_clock_sample_ns)));
  AddSampling(facts, sheet);
  AddCalls(facts, is_verbose, sheet);
  AddOwnCost(facts, sheet);
  AddIntegrity(facts, sheet);
  return BaseName(facts.path) + "   format " + std::to_string(facts.header.format_version) +
         "   mfutrace " + Fact(facts, fact::kVersion) + "\n" + sheet.Take();
}

std::string DescribeMany(const std::vector<TraceFacts>& files) {
  report::Table table({{"file", report::Table::Align::kLeft},
                       {"rank"},
                       {"calls"},
                       {"timed"},
                       {"not recorded"},
                       {"kB"},
                       {"bytes/call"},
                       {"state", report::Table::Align::kLeft}});
  for (const TraceFacts& facts : files) {
    const std::string state = !facts.outcome.damage.empty() ? "damaged"
                              : facts.has_end               ? "whole"
                                                            : "no end";
    table.AddRow({BaseName(facts.path), Fact(facts, fact::kRank),
                  std::to_string(facts.CallsInAll()), std::to_string(facts.timed),
                  std::to_string(facts.CallsInAll() - facts.calls),
                  report::Fixed(static_cast<double>(facts.file_bytes) / 1e3, 1),
                  BytesPerCall(facts.file_bytes, facts.CallsInAll()), state});
  }
  std::string text;
  for (const std::string& line : table.Lines(100, 0)) text += line + "\n";
  return text;
}

int DumpFile(const std::string& path) {
  const absl::StatusOr<trace::Outcome> outcome = trace::Dump(path, [](absl::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
  });
  if (!outcome.ok()) return SayStatus(outcome.status());
  if (!outcome->damage.empty()) Say(path + ": " + outcome->damage);
  return kExitOk;
}

}  // namespace

int InfoVerb(int argc, char** argv) {
  CLI::App app("What a trace holds: header, facts, counts, drops, integrity.", "info");
  CommonOptions common;
  std::string path;
  bool dump = false;
  AddCommonOptions(app, common);
  app.add_option("RUN", path, "a .mfut file or a folder of them; default: the newest mfutrace-*");
  app.add_flag("--dump", dump, "print every record as a line of text");
  if (const std::optional<int> code = ParseArguments(app, argc, argv)) return *code;
  if (path.empty()) {
    absl::StatusOr<std::string> newest = NewestRun();
    if (!newest.ok()) return SayStatus(newest.status());
    path = *std::move(newest);
  }
  const absl::StatusOr<std::vector<std::string>> files = report::FindTraces(path);
  if (!files.ok()) return SayStatus(files.status());

  int worst = kExitOk;
  std::vector<TraceFacts> read;
  for (const std::string& file : *files) {
    if (dump) {
      worst = std::max(worst, DumpFile(file));
      continue;
    }
    absl::StatusOr<TraceFacts> facts = ReadTraceFacts(file);
    if (facts.ok()) {
      read.push_back(*std::move(facts));
    } else {
      worst = std::max(worst, SayStatus(facts.status()));
    }
  }
  std::string text;
  if (read.size() == 1 || common.is_verbose) {
    for (const TraceFacts& facts : read) {
      text += (text.empty() ? "" : "\n") + Describe(facts, common.is_verbose);
    }
  } else if (!read.empty()) {
    text = DescribeMany(read);
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return worst;
}

}  // namespace mfutrace::cli
