// mfutrace run: starts a command with libmfutrace.so preloaded, waits, and says what was recorded.
//
// Whatever goes wrong after the command has started changes nothing for its caller: the exit code
// is the command's own.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/args.h"
#include "cli/launch.h"
#include "cli/live.h"
#include "cli/load_run.h"
#include "cli/preload.h"
#include "cli/verbs.h"
#include "report/analyze/rates.h"
#include "report/render/units.h"
#include "shapes/peaks.h"
#include "trace/contract.h"

namespace mfutrace::cli {
namespace {

namespace env = trace::env;

struct RunOptions {
  CommonOptions common;
  std::string output;
  std::string timing;
  std::string kernels;
  std::vector<std::string> only;
  std::string max_size;
  std::string sample;
  std::string overhead_budget;
  std::string role;
  std::string peaks_file;
  int events = 0;
  bool device_lengths = false;
  bool print_env = false;
  std::string status;
};

std::string Getenv(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void Declare(CLI::App& app, RunOptions& options) {
  AddCommonOptions(app, options.common);
  app.add_option("-o,--output", options.output,
                 "folder for the traces; %h = host, %p = pid, %j = job id");
  app.add_option("--timing", options.timing, "auto, cupti, events or count")
      ->check(CLI::IsMember({"auto", "cupti", "events", "count"}));
  app.add_option("--kernels", options.kernels,
                 "kernels outside the intercepted libraries: sum (by name) or each")
      ->check(CLI::IsMember({"sum", "each"}));
  app.add_option("--only", options.only, "record these libraries alone: cublas,cublaslt,cudnn,nccl")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"cublas", "cublaslt", "cudnn", "nccl"}));
  app.add_option("--max-size", options.max_size, "bytes a process may write, e.g. 256M");
  app.add_option("--sample", options.sample,
                 "record and time calls all, none, or ON of every PERIOD, e.g. 10s/60s");
  app.add_option("--overhead-budget", options.overhead_budget,
                 "percent of the job's pace that timing may cost, or off");
  app.add_option("--events", options.events, "pairs of timing events per GPU context")
      ->check(CLI::PositiveNumber);
  app.add_flag("--device-lengths", options.device_lengths,
               "copy sequence lengths of attention from the GPU: exact counts, not bounds");
  app.add_option("--role", options.role, "name of the processes' part in the job, e.g. prefill");
  app.add_option("--peaks", options.peaks_file, "peaks file (TOML) for the summary at the end");
  app.add_option("--status", options.status,
                 "a line of figures on stderr every so often while it runs, e.g. 10s");
  app.add_flag("--print-env", options.print_env,
               "print the variables for eval in a batch script, and exit");
  app.prefix_command();
  app.footer(
      "Everything behind the options is the command. Exit code: the command's own, 128 + signal "
      "if\n"
      "one killed it, 125 if mfutrace failed, 126 if CMD cannot be executed, 127 if there is "
      "none.");
}

std::string JobId() {
  for (const char* name : {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"}) {
    std::string id = Getenv(name);
    if (!id.empty()) return id;
  }
  return "";
}

std::string Timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  std::array<char, 32> text;
  const size_t length = std::strftime(text.data(), text.size(), "%Y%m%d-%H%M%S", &local);
  return std::string(text.data(), length);
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The script a launcher or interpreter starts says more than the launcher's own name.
std::string ProgramName(const std::vector<std::string>& command) {
  if (command.empty()) return "job";
  std::string name = BaseName(command.front());
  for (size_t i = 1; i < command.size(); ++i) {
    const std::string& word = command[i];
    if (word.size() > 3 && word.compare(word.size() - 3, 3, ".py") == 0 && word.front() != '-') {
      name = BaseName(word);
      break;
    }
  }
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && std::strchr("._+-", c) == nullptr) {
      c = '_';
    }
  }
  return name.empty() ? "job" : name;
}

// -o with its placeholders, or a folder of our own naming; absolute, since the job may change its
// working directory before its first intercepted call.
std::string OutputFolder(const RunOptions& options, const std::vector<std::string>& command) {
  const std::string job = JobId();
  std::string folder;
  if (options.output.empty()) {
    folder = "mfutrace-" + ProgramName(command) + "-" + (job.empty() ? Timestamp() : "j" + job);
  }
  for (size_t i = 0; i < options.output.size(); ++i) {
    const char next = i + 1 < options.output.size() ? options.output[i + 1] : '\0';
    if (options.output[i] != '%' || std::strchr("hpj%", next) == nullptr || next == '\0') {
      folder += options.output[i];
      continue;
    }
    ++i;
    if (next == 'h') {
      std::array<char, 256> host = {};
      gethostname(host.data(), host.size() - 1);
      folder += host.data();
    } else if (next == 'p') {
      folder += std::to_string(getpid());
    } else if (next == 'j') {
      folder += job.empty() ? Timestamp() : job;
    } else {
      folder += '%';
    }
  }
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (folder.front() == '/') return folder;
  std::array<char, PATH_MAX> here;
  if (getcwd(here.data(), here.size()) == nullptr) return folder;
  return std::string(here.data()) + "/" + folder;
}

// mkdir -p; errno of the failure or 0.
int MakeFolders(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    struct stat info;
    if (mkdir(part.c_str(), 0777) != 0 && (stat(part.c_str(), &info) != 0)) return errno;
    if (slash == std::string::npos) {
      if (stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) return ENOTDIR;
      return access(path.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
    }
  }
}

std::set<std::string> TraceFiles(const std::string& folder) {
  std::set<std::string> files;
  const std::string suffix(trace::kFileSuffix);
  if (DIR* directory = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(directory)) {
      const std::string name = entry->d_name;
      if (name.size() > suffix.size() &&
          name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0) {
        files.insert(folder + "/" + name);
      }
    }
    closedir(directory);
  }
  return files;
}

std::set<std::string> NewFiles(const std::string& folder, const std::set<std::string>& before) {
  std::set<std::string> files = TraceFiles(folder);
  for (const std::string& file : before) files.erase(file);
  return files;
}

using Environment = std::vector<std::pair<std::string, std::string>>;

// Without LD_PRELOAD. Only what was asked for: the rest may come from the caller's environment.
Environment JobEnvironment(const RunOptions& options, const std::string& folder,
                           const std::string& library) {
  Environment environment = {{env::kOut, folder}};
  std::string why_not;
  const std::string nccl_plugin = NcclPluginBeside(library, &why_not);
  const bool is_nccl_wanted =
      options.only.empty() ||
      std::find(options.only.begin(), options.only.end(), "nccl") != options.only.end();
  if (is_nccl_wanted && !nccl_plugin.empty()) {
    environment.emplace_back("NCCL_PROFILER_PLUGIN", nccl_plugin);
  }
  if (!options.timing.empty()) environment.emplace_back(env::kTiming, options.timing);
  if (!options.kernels.empty()) environment.emplace_back(env::kKernels, options.kernels);
  if (!options.only.empty()) {
    std::string list;
    for (const std::string& name : options.only) list += (list.empty() ? "" : ",") + name;
    environment.emplace_back(env::kOnly, list);
  }
  if (!options.max_size.empty()) environment.emplace_back(env::kMaxSize, options.max_size);
  if (!options.sample.empty()) environment.emplace_back(env::kSample, options.sample);
  if (!options.overhead_budget.empty()) {
    environment.emplace_back(env::kOverheadBudget, options.overhead_budget);
  }
  if (options.events > 0) environment.emplace_back(env::kEvents, std::to_string(options.events));
  if (options.device_lengths) environment.emplace_back(env::kDeviceLengths, "1");
  if (!options.role.empty()) environment.emplace_back(env::kRole, options.role);
  if (options.common.is_quiet) environment.emplace_back(env::kQuiet, "1");
  return environment;
}

std::string ShellQuote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

int PrintEnvironment(const Environment& environment, const std::string& library) {
  std::printf("export LD_PRELOAD=%s\"${LD_PRELOAD:+:$LD_PRELOAD}\"\n", ShellQuote(library).c_str());
  for (const auto& [name, value] : environment) {
    std::printf("export %s=%s\n", name.c_str(), ShellQuote(value).c_str());
  }
  return std::fflush(stdout) == 0 ? kExitOk : kExitOwnFailure;
}

// Under srun or mpirun every rank is started by a `run` of its own: one of them speaks, and none
// knows when the others are done.
bool IsOneOfMany() {
  for (const char* name : {"SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE"}) {
    if (std::atoi(Getenv(name).c_str()) > 1) return true;
  }
  return false;
}
bool IsFirstOfMany() {
  for (const char* name : {"SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "RANK"}) {
    if (std::atoi(Getenv(name).c_str()) > 0) return false;
  }
  return true;
}

// Relative to where the user is, if that is shorter.
std::string Friendly(const std::string& folder) {
  std::array<char, PATH_MAX> here;
  if (getcwd(here.data(), here.size()) == nullptr) return folder;
  const std::string prefix = std::string(here.data()) + "/";
  return folder.compare(0, prefix.size(), prefix) == 0 ? folder.substr(prefix.size()) : folder;
}

void ExplainNoTrace(const std::vector<std::string>& command, const LaunchResult& launch,
                    const std::string& out_of_reach) {
  Say("no trace was written");
  std::string why;
  if (!out_of_reach.empty()) {
    why = "  Reason: " + out_of_reach + ".";
  } else if (!Getenv(env::kDisable).empty() && Getenv(env::kDisable) != "0") {
    why = std::string("  Reason: ") + env::kDisable + " is set.";
  } else {
    why =
        "  Most likely the program did no GPU work, or links these libraries statically. "
        "Try: mfutrace doctor -- " +
        command.front() + (command.size() > 1 ? " ..." : "");
  }
  std::fprintf(
      stderr,
      "  %s (pid %d) started and ended, but no cuBLAS, cuDNN or NCCL call was intercepted.\n%s\n",
      BaseName(command.front()).c_str(), static_cast<int>(launch.pid), why.c_str());
}

void SayHeadline(const report::RunResult& result) {
  const report::WindowSummary& window = result.steady.has_value() ? *result.steady : result.run;
  const std::optional<double> rate = report::PerSecond(window.flop.model, window.window_ns);
  std::string text = "mfu " + report::Percent(window.mfu);
  if (rate.has_value()) {
    text += "  (" + report::Fixed(*rate / 1e12, 1) + " TFLOP/s per GPU";
    if (window.peak_flop_per_s.has_value() && window.peak_rate.has_value()) {
      text += ", " + std::string(shapes::NameOf(*window.peak_rate)) + " peak " +
              report::Fixed(static_cast<double>(*window.peak_flop_per_s) / 1e12, 1);
    } else if (!result.gpu.empty()) {
      text += ", peak of \"" + result.gpu + "\" unknown";
    }
    text += ")";
  }
  if (window.split.exposed_ns.has_value()) {
    text += "   exposed comm " +
            report::Percent(report::Ratio(window.split.exposed_ns, window.split.window_ns));
  }
  Say(text);
}

std::string Count(size_t count, const std::string& noun, const std::string& plural) {
  return std::to_string(count) + " " + (count == 1 ? noun : plural);
}

void Summarize(const RunOptions& options, const std::string& folder,
               const std::vector<std::string>& files) {
  uint64_t bytes = 0;
  for (const std::string& file : files) {
    struct stat info;
    if (stat(file.c_str(), &info) == 0) bytes += static_cast<uint64_t>(info.st_size);
  }
  const std::string friendly = Friendly(folder);
  const std::string size = report::Si(static_cast<double>(bytes), "B") + " in " + friendly + "/";
  if (IsOneOfMany()) {
    Say(size + " so far; when all ranks have ended: mfutrace report " + friendly);
    return;
  }
  report::AnalyzeOptions load;
  const absl::Status peaks = LoadPeaks(options.peaks_file, {}, load);
  const absl::StatusOr<report::RunResult> result =
      peaks.ok() ? LoadRun(files, load) : absl::StatusOr<report::RunResult>(peaks);
  std::string counts = Count(files.size(), "process", "processes") + ", ";
  if (result.ok()) {
    const auto steps = report::SummarizeSteps(result->steps, 0, UINT32_MAX);
    if (steps.has_value()) counts += Count(steps->step_count, "step", "steps") + ", ";
  }
  Say(counts + size);
  if (result.ok()) {
    SayHeadline(*result);
  } else {
    Say(std::string(result.status().message()));
  }
  Say("next: mfutrace report " + friendly +
      (options.peaks_file.empty() ? "" : " --peaks " + options.peaks_file));
}

// The command behind the options; an exit code if there is none or an option was not understood.
int TakeCommand(const CLI::App& app, int argc, char** argv, std::vector<std::string>& command) {
  command = app.remaining();
  const bool is_separated = !command.empty() && command.front() == "--";
  if (is_separated) command.erase(command.begin());
  if (command.empty() || is_separated || command.front().front() != '-') return kExitOk;
  // A command may begin with a dash only behind "--": here it is a mistyped option.
  for (int i = 1; i + static_cast<int>(command.size()) <= argc; ++i) {
    if (std::strcmp(argv[i], "--") == 0) return kExitOk;
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string word = command.front().substr(0, command.front().find('='));
  Say("run: unexpected option " + word + Suggestion(word, names));
  std::fputs("  Try: mfutrace run --help\n", stderr);
  return kExitOwnFailure;
}

}  // namespace

int RunVerb(int argc, char** argv) {
  CLI::App app("Run a command and record every process it starts.", "run");
  RunOptions options;
  Declare(app, options);
  if (const auto code = ParseArguments(app, argc, argv, kExitOwnFailure)) return *code;
  std::vector<std::string> command;
  if (const int code = TakeCommand(app, argc, argv, command); code != kExitOk) return code;
  if (!options.max_size.empty() && !ParseByteCount(options.max_size).has_value()) {
    Say("--max-size: expected bytes like 256M, got " + options.max_size);
    return kExitOwnFailure;
  }
  if (!options.sample.empty() && !IsSample(options.sample)) {
    Say("--sample: expected all, none or ON/PERIOD like 10s/60s, got " + options.sample);
    return kExitOwnFailure;
  }
  if (!options.overhead_budget.empty() && !IsPercent(options.overhead_budget)) {
    Say("--overhead-budget: expected a percentage like 0.5, or off, got " +
        options.overhead_budget);
    return kExitOwnFailure;
  }
  LiveOptions live_options;
  live_options.prom_path = Getenv(env::kProm);
  if (!options.status.empty()) {
    const std::optional<int64_t> interval_ms = ParseInterval(options.status);
    if (!interval_ms.has_value()) {
      Say("--status: expected a time like 10s, got " + options.status);
      return kExitOwnFailure;
    }
    live_options.status_ms = *interval_ms;
  }
  if (command.empty() && !options.print_env) {
    Say("run: no command; for example: mfutrace run -- python train.py");
    return kExitOwnFailure;
  }
  const absl::StatusOr<std::string> library = FindPreloadLibrary();
  if (!library.ok()) {
    Say(std::string(library.status().message()));
    return kExitOwnFailure;
  }
  const std::string folder = OutputFolder(options, command);
  Environment environment = JobEnvironment(options, folder, *library);
  if (options.print_env) return PrintEnvironment(environment, *library);

  if (const std::string why = WhyTooOld(InstalledGlibc()); !why.empty()) {
    Say(why);
    return kExitOwnFailure;
  }
  const CommandPath found = FindCommand(command.front());
  if (found.exit_code != 0) {
    Say(command.front() + ": " + found.error);
    return found.exit_code;
  }
  const std::string out_of_reach = WhyOutOfReach(found.path);
  if (!out_of_reach.empty() && !options.common.is_quiet) {
    Say("warning: nothing of " + command.front() + " will be seen: " + out_of_reach);
  }
  if (const int error = MakeFolders(folder); error != 0) {
    Say("cannot write traces to " + folder + ": " + std::strerror(error) + "; choose with -o");
    return kExitOwnFailure;
  }
  const std::set<std::string> before = TraceFiles(folder);
  environment.emplace_back("LD_PRELOAD", PrependPreload(*library, Getenv("LD_PRELOAD")));

  report::AnalyzeOptions analyze;
  if (absl::Status status = LoadPeaks(options.peaks_file, {}, analyze); !status.ok()) {
    // Also that of a peaks file which the job writes itself: the summary says it, at the end.
    analyze = report::AnalyzeOptions();
  }
  Live live(live_options, std::move(analyze), [&] { return NewFiles(folder, before); });
  WhileRunning while_running;
  if (live.is_wanted()) while_running = [&live] { return live.Tick(); };
  const LaunchResult launch = Launch(found.path, command, environment, while_running);
  live.Finish();
  if (!launch.error.empty()) {
    Say(command.front() + ": " + launch.error);
    rmdir(folder.c_str());  // only if empty
    return launch.exit_code;
  }
  const std::set<std::string> written = NewFiles(folder, before);
  const std::vector<std::string> files(written.begin(), written.end());
  if (before.empty() && files.empty()) rmdir(folder.c_str());
  if (options.common.is_quiet || !IsFirstOfMany()) return launch.exit_code;
  if (launch.signal != 0) {
    Say(command.front() + " was killed by signal " + std::to_string(launch.signal) + " (" +
        strsignal(launch.signal) + ")" +
        (files.empty() ? "" : "; the traces hold everything up to the last flush"));
  }
  if (files.empty()) {
    ExplainNoTrace(command, launch, out_of_reach);
  } else {
    if (!before.empty() && !IsOneOfMany()) {
      Say("note: " + Friendly(folder) + " held " + std::to_string(before.size()) +
          " older traces; report reads all of them");
    }
    Summarize(options, folder, files);
  }
  return launch.exit_code;
}

}  // namespace mfutrace::cli
