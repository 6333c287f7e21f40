// mfutrace doctor: what will be seen of this program on this machine, what not, and what to do.
//
// The program is run for a while, preloaded and watched from outside: what a program loads cannot
// be read off its file (Python). The traces of that run go to a folder that is removed again.
#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/doctor_rows.h"
#include "cli/elf_file.h"
#include "cli/launch.h"
#include "cli/preload.h"
#include "cli/trace_facts.h"
#include "cli/verbs.h"
#include "trace/contract.h"

namespace mfutrace::cli {
namespace {

namespace env = trace::env;

constexpr char kPluginCounter[] = "nccl_calls_seen_by_profiler_plugin";  // interpose/counters.h

// Variables by which profilers get into a process.
constexpr const char* kProfilerVariables[] = {
    "CUDA_INJECTION64_PATH",     "NVTX_INJECTION64_PATH",
    "NSYS_PROFILING_SESSION_ID", "NV_COMPUTE_PROFILER_PERFWORKS_DIR",
    "KINETO_USE_DAEMON",         "COMPUTE_PROFILE"};

ProbeAnswer AskProbe() {
  ProbeAnswer answer;
  const std::string probe = FindProbe();
  if (probe.empty()) {
    answer.no_probe = "mfutrace-probe is not installed";
    return answer;
  }
  std::string text;
  FILE* pipe = popen(("'" + probe + "' 2>/dev/null").c_str(), "re");
  std::array<char, 4096> buffer;
  while (pipe != nullptr && std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
    text += buffer.data();
  }
  if (pipe == nullptr || pclose(pipe) != 0) {
    answer.no_probe = "mfutrace-probe failed";
    return answer;
  }
  return ParseProbe(text);
}

std::vector<std::string> RunningMonitors() {
  std::vector<std::string> found;
  DIR* directory = opendir("/proc");
  while (const dirent* entry = directory != nullptr ? readdir(directory) : nullptr) {
    FILE* file = std::fopen((std::string("/proc/") + entry->d_name + "/comm").c_str(), "re");
    std::array<char, 64> name = {};
    if (file == nullptr) continue;
    if (std::fgets(name.data(), name.size(), file) != nullptr) {
      const std::string word(name.data(), std::strcspn(name.data(), "\n"));
      if (word == "nv-hostengine" || word == "dcgm-exporter") found.push_back(word);
    }
    std::fclose(file);
  }
  if (directory != nullptr) closedir(directory);
  return found;
}

std::string MakeTemporaryFolder() {
  const char* named = std::getenv("TMPDIR");
  std::string path =
      std::string(named != nullptr && *named != '\0' ? named : "/tmp") + "/mfutrace-doctor-XXXXXX";
  return mkdtemp(path.data()) != nullptr ? path : "";
}

// A program by its path, as /proc/PID/maps would have it.
void InsertFile(const std::string& path, Evidence& evidence) {
  if (path.find('/') == std::string::npos) return;
  if (char* whole = realpath(path.c_str(), nullptr); whole != nullptr) {
    evidence.watched.files.insert(whole);
    std::free(whole);
  }
}

// Reads what the traces of the run say, and removes them with their folder.
void TakeTraces(const std::string& folder, Evidence& evidence) {
  if (DIR* directory = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(directory)) {
      if (entry->d_name[0] == '.') continue;
      const std::string path = folder + "/" + entry->d_name;
      const absl::StatusOr<TraceFacts> facts = ReadTraceFacts(path);
      if (facts.ok()) {
        for (const auto& [name, calls] : facts->calls_by_entry) {
          evidence.calls_by_entry[name] += calls;
        }
        // A program may have come and gone between two looks.
        const auto line = facts->facts.find(std::string(trace::fact::kCommandLine));
        if (line != facts->facts.end()) {
          InsertFile(line->second.substr(0, line->second.find('\0')), evidence);
        }
        const auto counter = facts->counters.find(kPluginCounter);
        if (counter != facts->counters.end()) evidence.nccl_calls_by_plugin += counter->second;
      }
      unlink(path.c_str());
    }
    closedir(directory);
  }
  rmdir(folder.c_str());
}

void LookInside(Evidence& evidence) {
  std::set<std::string> needed;  // also of programs that were over before they were looked at
  for (const std::string& path : evidence.watched.files) {
    for (std::string& name : ElfFile(path).Needed()) needed.insert(std::move(name));
  }
  evidence.watched.files.merge(needed);
  for (const std::string& path : evidence.watched.files) {
    for (const std::string& library : LibrariesInside(path)) {
      evidence.linked_into[library].push_back(path);
    }
    const std::string name = path.substr(path.rfind('/') + 1);
    if (name == "libc.so.6") {
      if (const auto glibc = GlibcOf(path)) evidence.glibc = *glibc;
    }
    for (const char* profiler : {"libToolsInjection64", "libcuinj64", "libnsys"}) {
      if (name.compare(0, std::strlen(profiler), profiler) == 0) evidence.profilers[name] = "";
    }
  }
}

// An exit code if the command cannot be run.
int RunCommand(const std::vector<std::string>& command, const std::string& library, double limit_s,
               bool is_verbose, Evidence& evidence) {
  const CommandPath found = FindCommand(command.front());
  if (found.exit_code != 0) {
    Say(command.front() + ": " + found.error);
    return kExitBadUse;
  }
  evidence.has_command = true;
  evidence.out_of_reach = WhyOutOfReach(found.path);
  const std::string folder = MakeTemporaryFolder();
  if (folder.empty()) {
    Say(std::string("no folder for the traces of the run: ") + std::strerror(errno) +
        "; set TMPDIR");
    return kExitBadUse;
  }
  const char* existing = std::getenv("LD_PRELOAD");
  std::vector<std::pair<std::string, std::string>> environment = {
      {env::kOut, folder},
      {env::kTiming, "count"},
      {env::kFlushMs, "50"},
      {env::kQuiet, "1"},
      {"LD_PRELOAD", PrependPreload(library, existing != nullptr ? existing : "")}};
  std::string why_not;
  const std::string plugin = NcclPluginBeside(library, &why_not);
  if (!plugin.empty()) environment.emplace_back("NCCL_PROFILER_PLUGIN", plugin);
  evidence.watched = Watch(found.path, command, environment, library, limit_s, is_verbose);
  TakeTraces(folder, evidence);
  if (!evidence.watched.error.empty()) {
    Say(command.front() + ": " + evidence.watched.error);
    return kExitBadUse;
  }
  // A program that ended before it was looked at is still a file.
  InsertFile(found.path, evidence);
  LookInside(evidence);
  if (evidence.watched.is_stopped) {
    std::fprintf(stderr, "mfutrace: stopped after %g s; --for gives it longer\n", limit_s);
  } else if (evidence.watched.exit_code != 0) {
    Say(command.front() + " ended with exit code " + std::to_string(evidence.watched.exit_code) +
        (is_verbose ? "" : "; -v shows what it says"));
  }
  return kExitOk;
}

}  // namespace

int DoctorVerb(int argc, char** argv) {
  CLI::App app("What will and will not be seen on this machine, and of a program.", "doctor");
  CommonOptions common;
  double limit_s = 60;
  AddCommonOptions(app, common);
  app.add_option("--for", limit_s, "seconds for which the program is run at most; default 60")
      ->check(CLI::PositiveNumber);
  app.prefix_command();
  app.footer(
      "The program behind -- is run, and stopped after a while; its traces are not kept.\n"
      "Verdicts: ok, part (of it), NO, -- (not there, or not asked). Exit code 0 whatever they "
      "are.");
  if (const auto code = ParseArguments(app, argc, argv)) return *code;
  std::vector<std::string> command = app.remaining();
  if (!command.empty() && command.front() == "--") command.erase(command.begin());

  const absl::StatusOr<std::string> library = FindPreloadLibrary();
  if (!library.ok()) {
    Say(std::string(library.status().message()));
    return kExitBadUse;
  }
  Evidence evidence;
  evidence.probe = AskProbe();
  evidence.monitors = RunningMonitors();
  evidence.glibc = InstalledGlibc().value_or("");
  NcclPluginBeside(*library, &evidence.no_nccl_plugin);
  for (const char* name : kProfilerVariables) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') evidence.profilers[name] = value;
  }
  if (!command.empty()) {
    const int code = RunCommand(command, *library, limit_s, common.is_verbose, evidence);
    if (code != kExitOk) return code;
  }
  evidence.too_old =
      WhyTooOld(evidence.glibc.empty() ? std::nullopt : std::optional<std::string>(evidence.glibc));
  std::fputs(RowsAsText(Diagnose(evidence)).c_str(), stdout);
  return kExitOk;
}

}  // namespace mfutrace::cli
