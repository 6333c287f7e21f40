// See measure.h. The probe prints a JSON object a line (probe/main.cc).
#include "cli/measure.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "cli/args.h"
#include "cli/preload.h"
#include "rapidjson/document.h"
#include "report/render/units.h"

namespace mfutrace::cli {
namespace {

struct Rate {
  std::string name;
  uint64_t flop_per_s = 0;
  std::optional<double> clock_mhz;
  std::optional<double> power_w;
};

struct Measured {
  std::string gpu;
  std::string library;
  std::string error;
  std::vector<Rate> rates;
};

std::string TextOf(const rapidjson::Document& object, const char* key) {
  const auto found = object.FindMember(key);
  return found != object.MemberEnd() && found->value.IsString() ? found->value.GetString() : "";
}

std::optional<double> NumberOf(const rapidjson::Document& object, const char* key) {
  const auto found = object.FindMember(key);
  if (found == object.MemberEnd() || !found->value.IsNumber()) return std::nullopt;
  return found->value.GetDouble();
}

std::string Line(const Rate& rate, bool has_settled) {
  std::string text =
      report::PadRight(rate.name, 12) +
      report::PadLeft(report::Si(static_cast<double>(rate.flop_per_s), "FLOP/s"), 16);
  if (rate.clock_mhz.has_value()) text += "  " + report::Fixed(*rate.clock_mhz, 0) + " MHz";
  if (rate.power_w.has_value()) text += "  " + report::Fixed(*rate.power_w, 0) + " W";
  return has_settled ? text : text + "  (still changing)";
}

void TakeLine(const std::string& line, Measured& measured) {
  rapidjson::Document object;
  object.Parse(line.c_str(), line.size());
  if (object.HasParseError() || !object.IsObject()) return;
  const std::string error = TextOf(object, "error");
  const std::string name = TextOf(object, "rate");
  if (name.empty()) {
    measured.error = error;
    return;
  }
  measured.gpu = TextOf(object, "gpu");
  measured.library = TextOf(object, "library");
  const std::optional<double> flop_per_s = NumberOf(object, "flop_per_s");
  if (!flop_per_s.has_value() || *flop_per_s < 1) {
    std::printf("%s  none: %s\n", report::PadRight(name, 12).c_str(), error.c_str());
    std::fflush(stdout);
    return;
  }
  const auto settled = object.FindMember("settled");
  const bool has_settled =
      settled != object.MemberEnd() && settled->value.IsBool() && settled->value.GetBool();
  measured.rates.push_back({name, static_cast<uint64_t>(*flop_per_s), NumberOf(object, "clock_mhz"),
                            NumberOf(object, "power_w")});
  std::printf("%s\n", Line(measured.rates.back(), has_settled).c_str());
  std::fflush(stdout);
}

// Runs the probe and takes its lines as they come. The exit code, -1 if it did not start.
int RunProbe(const std::string& probe, const MeasureOptions& options, Measured& measured) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  const std::string device = std::to_string(options.device);
  const std::string seconds = report::Fixed(options.most_seconds, 3);
  std::vector<const char*> words = {probe.c_str(),  "gemm",      "--device",
                                    device.c_str(), "--seconds", seconds.c_str()};
  if (!options.rates.empty()) {
    words.push_back("--rates");
    words.push_back(options.rates.c_str());
  }
  words.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execv(probe.c_str(), const_cast<char* const*>(words.data()));
    _exit(127);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return -1;
  }
  std::string text;
  char buffer[4096];
  for (ssize_t bytes = 0; (bytes = read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (bytes < 0) {
      if (errno == EINTR) continue;
      break;
    }
    text.append(buffer, static_cast<size_t>(bytes));
    for (size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      TakeLine(text.substr(0, end), measured);
    }
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string TomlText(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string Today() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &local);
  return text;
}

std::string TomlOf(const Measured& measured) {
  std::string rates, clocks, powers;
  const auto add = [](std::string& to, const std::string& name, const std::string& value) {
    absl::StrAppend(&to, to.empty() ? "" : ", ", name, " = ", value);
  };
  for (const Rate& rate : measured.rates) {
    add(rates, rate.name, std::to_string(rate.flop_per_s));
    if (rate.clock_mhz.has_value()) add(clocks, rate.name, report::Fixed(*rate.clock_mhz, 0));
    if (rate.power_w.has_value()) add(powers, rate.name, report::Fixed(*rate.power_w, 0));
  }
  std::string text = absl::StrCat("\n[[measured]]\nname = ", TomlText(measured.gpu),
                                  "\nflop_per_s = { ", rates, " }\n");
  if (!clocks.empty()) absl::StrAppend(&text, "clock_mhz = { ", clocks, " }\n");
  if (!powers.empty()) absl::StrAppend(&text, "power_w = { ", powers, " }\n");
  return absl::StrCat(text, "library = ", TomlText(measured.library), "\nwhen = \"", Today(),
                      "\"\n");
}

}  // namespace

int MeasurePeaks(const MeasureOptions& options) {
  const std::string probe = FindProbe();
  if (probe.empty()) {
    Say("mfutrace-probe is not beside this program: reinstall mfutrace, or run it from where it "
        "was built");
    return kExitBadUse;
  }
  if (options.peaks_file.empty()) {
    Say("neither HOME nor XDG_CONFIG_HOME is set: say where to keep it with --peaks FILE");
    return kExitBadUse;
  }
  Measured measured;
  const int code = RunProbe(probe, options, measured);
  if (measured.rates.empty()) {
    Say(measured.error.empty()
            ? absl::StrCat("nothing was measured: mfutrace-probe ended with ", code)
            : measured.error);
    return kExitNoVerdict;
  }
  std::error_code error;
  const std::filesystem::path path = options.peaks_file;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream file(path, std::ios::app);
  file << TomlOf(measured);
  file.close();
  if (!file) {
    Say(absl::StrCat(options.peaks_file, ": ", std::strerror(errno)));
    return kExitBadUse;
  }
  std::printf("%s, appended to %s\n", measured.gpu.c_str(), options.peaks_file.c_str());
  return kExitOk;
}

}  // namespace mfutrace::cli
