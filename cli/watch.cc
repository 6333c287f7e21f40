// See watch.h. The command gets a session of its own. Its processes are found in /proc: those of
// that session, their children, and those of the sessions that children make (launchers of ranks
// do). One that leaves both its session and its parent at once is not followed.
#include "cli/watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "cli/elf_file.h"

namespace mfutrace::cli {
namespace {

const std::vector<std::string_view> kVendorNames = {"cublas", "cudnn", "nccl"};

double Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string Name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool IsVendors(const std::string& path) {
  const std::string name = Name(path);
  for (const char* prefix : {"libcublas", "libcudnn", "libnccl", "libcu", "libnv", "libmfutrace"}) {
    if (name.compare(0, std::strlen(prefix), prefix) == 0) return true;
  }
  return false;
}

// The processes of a command, as far as they are alive; remembers sessions that it has seen.
class Family {
 public:
  explicit Family(pid_t child) { sessions_.insert(child); }

  std::vector<pid_t> Members() {
    struct Process {
      pid_t pid;
      pid_t parent;
      pid_t session;
      bool is_ours;
    };
    std::vector<Process> all;
    DIR* directory = opendir("/proc");
    while (const dirent* entry = directory != nullptr ? readdir(directory) : nullptr) {
      Process process = {std::atoi(entry->d_name), 0, 0, false};
      if (process.pid <= 0) continue;
      FILE* file = std::fopen(("/proc/" + std::to_string(process.pid) + "/stat").c_str(), "re");
      char text[1024] = {};
      const size_t size = file != nullptr ? std::fread(text, 1, sizeof text - 1, file) : 0;
      if (file != nullptr) std::fclose(file);
      // The name stands in brackets and may hold anything (proc(5)).
      const char* rest = size != 0 ? std::strrchr(text, ')') : nullptr;
      char state = 0;
      int group = 0;
      if (rest == nullptr || std::sscanf(rest + 1, " %c %d %d %d", &state, &process.parent, &group,
                                         &process.session) != 4) {
        continue;
      }
      if (state != 'Z') all.push_back(process);
    }
    if (directory != nullptr) closedir(directory);
    std::set<pid_t> ours;
    for (bool is_new = true; is_new;) {
      is_new = false;
      for (Process& process : all) {
        if (process.is_ours ||
            (sessions_.count(process.session) == 0 && ours.count(process.parent) == 0)) {
          continue;
        }
        process.is_ours = is_new = true;
        ours.insert(process.pid);
        sessions_.insert(process.session);
      }
    }
    return {ours.begin(), ours.end()};
  }

 private:
  std::set<pid_t> sessions_;
};

struct Mapping {
  uint64_t begin;
  uint64_t end;
  std::string path;
};

std::vector<Mapping> MappingsOf(pid_t pid) {
  std::vector<Mapping> mappings;
  FILE* file = std::fopen(("/proc/" + std::to_string(pid) + "/maps").c_str(), "re");
  char line[4600];
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    uint64_t begin = 0;
    uint64_t end = 0;
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) != 2) continue;
    const char* slash = std::strchr(line, '/');
    if (slash == nullptr) continue;
    std::string path = slash;
    while (!path.empty() && path.back() == '\n') path.pop_back();
    mappings.push_back({begin, end, path});
  }
  if (file != nullptr) std::fclose(file);
  return mappings;
}

class Watcher {
 public:
  Watcher(Watched& result, const std::string& preload) : result_(result), preload_(preload) {}

  void Look(Family& family) {
    for (const pid_t pid : family.Members()) LookAt(pid);
    result_.processes = seen_.size();
  }

 private:
  void LookAt(pid_t pid) {
    const std::vector<Mapping> mappings = MappingsOf(pid);
    if (mappings.empty()) return;  // gone, or about to become another program
    char program[4096];
    const std::string link = "/proc/" + std::to_string(pid) + "/exe";
    const ssize_t length = readlink(link.c_str(), program, sizeof program);
    if (length <= 0) return;
    const std::string path(program, static_cast<size_t>(length));
    bool has_preload = false;
    bool has_vendor = false;
    for (const Mapping& mapping : mappings) {
      has_preload |= mapping.path == preload_;
      has_vendor |= IsVendors(mapping.path) && mapping.path != preload_;
      result_.files.insert(mapping.path);
    }
    seen_.insert(pid);
    if (has_vendor && !has_preload) result_.programs_without_preload.insert(path);
    if (has_vendor && has_preload) LookAtBindings(pid, mappings);
  }

  // Of each file that refers to the vendors: where do its references lead?
  void LookAtBindings(pid_t pid, const std::vector<Mapping>& mappings) {
    const int memory =
        open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
    if (memory < 0) return;
    std::set<std::string> done;
    for (const Mapping& mapping : mappings) {
      if (IsVendors(mapping.path) || !done.insert(mapping.path).second) continue;
      // The first mapping of a file is its beginning. Programs at fixed addresses (ET_EXEC) have
      // offsets from zero; they cannot be bound past a preload, so it does not matter.
      for (const ElfFile::Reference& reference : ReferencesOf(mapping.path)) {
        uint64_t address = 0;
        const auto place = static_cast<off_t>(mapping.begin + reference.offset);
        if (pread(memory, &address, sizeof address, place) != sizeof address) continue;
        for (const Mapping& target : mappings) {
          if (address < target.begin || address >= target.end) continue;
          const std::string name = Name(target.path);
          if (IsVendors(target.path) && name.compare(0, 11, "libmfutrace") != 0) {
            result_.bound_past[mapping.path].insert(reference.name);
          }
          break;
        }
      }
    }
    close(memory);
  }

  const std::vector<ElfFile::Reference>& ReferencesOf(const std::string& path) {
    const auto known = references_.find(path);
    if (known != references_.end()) return known->second;
    std::vector<ElfFile::Reference> followed;
    for (ElfFile::Reference& reference : ElfFile(path).References(kVendorNames)) {
      if (IsFollowed(reference.name)) followed.push_back(std::move(reference));
    }
    return references_[path] = std::move(followed);
  }

  // The preload exports what it intercepts; what it leaves to the vendor is bound there rightly.
  bool IsFollowed(const std::string& name) {
    const auto known = followed_.find(name);
    if (known != followed_.end()) return known->second;
    return followed_[name] = preload_file_.Defines(name);
  }

  Watched& result_;
  const std::string preload_;
  const ElfFile preload_file_{preload_};
  std::set<pid_t> seen_;
  std::map<std::string, std::vector<ElfFile::Reference>> references_;
  std::map<std::string, bool> followed_;
};

[[noreturn]] void Become(const std::string& path, const std::vector<std::string>& command,
                         const std::vector<std::pair<std::string, std::string>>& environment,
                         bool is_verbose, int failed) {
  setsid();
  const int nothing = open("/dev/null", O_RDWR);
  dup2(nothing, STDIN_FILENO);
  dup2(is_verbose ? STDERR_FILENO : nothing, STDOUT_FILENO);
  if (!is_verbose) dup2(nothing, STDERR_FILENO);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execv(path.c_str(), words.data());
  const int error = errno;
  if (write(failed, &error, sizeof error) != sizeof error) _exit(127);
  _exit(126);
}

}  // namespace

Watched Watch(const std::string& path, const std::vector<std::string>& command,
              const std::vector<std::pair<std::string, std::string>>& environment,
              const std::string& preload, double limit_s, bool is_verbose) {
  Watched result;
  int failed[2];
  if (pipe2(failed, O_CLOEXEC) != 0) {
    result.error = std::strerror(errno);
    return result;
  }
  const pid_t child = fork();
  if (child == 0) Become(path, command, environment, is_verbose, failed[1]);
  close(failed[1]);
  int error = child < 0 ? errno : 0;
  if (child > 0 && read(failed[0], &error, sizeof error) != sizeof error) error = 0;
  close(failed[0]);
  if (error != 0) {
    if (child > 0) waitpid(child, nullptr, 0);
    result.error = std::strerror(error);
    return result;
  }

  Watcher watcher(result, preload);
  Family family(child);
  const double begin = Now();
  int status = 0;
  bool has_ended = false;
  // Often: children may be short. Most often at first, when programs load their libraries.
  for (double pause_s = 0.002; !has_ended; pause_s = std::min(pause_s * 1.3, 0.05)) {
    watcher.Look(family);
    if (Now() - begin > limit_s) break;
    usleep(static_cast<useconds_t>(pause_s * 1e6));
    has_ended = waitpid(child, &status, WNOHANG) == child;
  }
  if (has_ended) {
    result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  result.is_stopped = !has_ended;
  // All that is left of it: politely, so that traces are ended in order, then not.
  for (const int signal : {SIGTERM, SIGKILL}) {
    for (const pid_t pid : family.Members()) kill(pid, signal);
    for (int i = 0; i < 20 && !family.Members().empty(); ++i) {
      if (!has_ended) has_ended = waitpid(child, &status, WNOHANG) == child;
      usleep(50'000);
    }
  }
  if (!has_ended) waitpid(child, &status, 0);
  return result;
}

}  // namespace mfutrace::cli
