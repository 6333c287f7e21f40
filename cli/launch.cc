// fork, exec, forwarding of signals, wait.
//
// Signals are blocked from before the fork until the child's pid is known to the handler, so that
// none is lost between; the child gets the mask and the dispositions that mfutrace was started
// with.
#include "cli/launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "cli/args.h"

namespace mfutrace::cli {
namespace {

constexpr std::array kForwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT};

volatile pid_t child_pid = 0;

// On whichever thread the signal arrives; async-signal-safe.
void Forward(int signal, siginfo_t* info, void*) {
  // From the kernel means from the terminal, which sends to the child as well.
  if (info->si_code == SI_KERNEL) return;
  const int saved_errno = errno;
  if (child_pid > 0) kill(child_pid, signal);
  errno = saved_errno;
}

CommandPath Check(const std::string& path) {
  struct stat info;
  CommandPath found;
  found.path = path;
  if (stat(path.c_str(), &info) != 0) {
    found.exit_code =
        errno == ENOENT || errno == ENOTDIR ? kExitCommandNotFound : kExitCannotExecute;
    found.error = std::strerror(errno);
  } else if (S_ISDIR(info.st_mode)) {
    found.exit_code = kExitCannotExecute;
    found.error = "Is a directory";
  } else if (access(path.c_str(), X_OK) != 0) {
    found.exit_code = kExitCannotExecute;
    found.error = std::strerror(errno);
  }
  return found;
}

// Waits in naps; false if the child cannot be waited for.
bool WaitWhile(pid_t pid, int& status, const WhileRunning& while_running) {
  constexpr int64_t kNapMs = 20;
  int64_t left_ms = 0;
  for (;;) {
    const pid_t got = waitpid(pid, &status, WNOHANG);
    if (got != 0) return got == pid;
    if (left_ms <= 0) left_ms = while_running();
    const timespec nap = {0, kNapMs * 1'000'000};
    nanosleep(&nap, nullptr);
    left_ms -= kNapMs;
  }
}

}  // namespace

CommandPath FindCommand(const std::string& name) {
  if (name.find('/') != std::string::npos) return Check(name);
  const char* variable = std::getenv("PATH");
  const std::string path = variable != nullptr ? variable : "/bin:/usr/bin";
  CommandPath refused;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string folder = path.substr(begin, end - begin);
    CommandPath found = Check(folder.empty() ? name : folder + "/" + name);
    if (found.exit_code == 0) return found;
    if (found.exit_code == kExitCannotExecute && refused.exit_code == 0 &&
        found.error != "Is a directory") {
      refused = found;
    }
    begin = end + 1;
  }
  if (refused.exit_code != 0) return refused;
  CommandPath missing;
  missing.path = name;
  missing.exit_code = kExitCommandNotFound;
  missing.error = "no such command in PATH";
  return missing;
}

LaunchResult Launch(const std::string& path, const std::vector<std::string>& command,
                    const std::vector<std::pair<std::string, std::string>>& environment,
                    const WhileRunning& while_running) {
  LaunchResult result;
  std::array<int, 2> error_pipe;
  if (pipe2(error_pipe.data(), O_CLOEXEC) != 0) {
    result.exit_code = kExitOwnFailure;
    result.error = std::string("pipe: ") + std::strerror(errno);
    return result;
  }
  sigset_t forwarded;
  sigset_t original;
  sigemptyset(&forwarded);
  for (const int signal : kForwarded) sigaddset(&forwarded, signal);
  sigprocmask(SIG_BLOCK, &forwarded, &original);

  // A caller that ignores SIGCHLD would make the child's status unobtainable; the child still
  // inherits the caller's choice.
  struct sigaction reaped = {};
  struct sigaction reaped_before = {};
  reaped.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &reaped, &reaped_before);

  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

  const pid_t pid = fork();
  if (pid == 0) {
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    sigaction(SIGCHLD, &reaped_before, nullptr);
    sigprocmask(SIG_SETMASK, &original, nullptr);
    execv(path.c_str(), arguments.data());
    int exec_errno = errno;
    if (exec_errno == ENOEXEC) {
      // A script without a first line naming its interpreter: as execvp does.
      std::vector<char*> script = {const_cast<char*>("/bin/sh"), const_cast<char*>(path.c_str())};
      script.insert(script.end(), arguments.begin() + 1, arguments.end());
      execv("/bin/sh", script.data());
      exec_errno = errno;
    }
    // Reaches the parent, which is waiting for it or for the end of file that a good exec makes.
    const ssize_t written = write(error_pipe[1], &exec_errno, sizeof exec_errno);
    _exit(written == sizeof exec_errno ? kExitCannotExecute : kExitOwnFailure);
  }
  close(error_pipe[1]);
  if (pid < 0) {
    result.exit_code = kExitOwnFailure;
    result.error = std::string("fork: ") + std::strerror(errno);
    close(error_pipe[0]);
    sigprocmask(SIG_SETMASK, &original, nullptr);
    return result;
  }
  child_pid = pid;
  struct sigaction action = {};
  action.sa_sigaction = Forward;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  for (const int signal : kForwarded) {
    struct sigaction before;
    // What the caller ignores (nohup), the child ignores too: nothing to pass on.
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
  sigprocmask(SIG_SETMASK, &original, nullptr);

  int exec_errno = 0;
  ssize_t got = 0;
  do {
    got = read(error_pipe[0], &exec_errno, sizeof exec_errno);
  } while (got < 0 && errno == EINTR);
  close(error_pipe[0]);

  int status = 0;
  const bool is_gone = while_running != nullptr && WaitWhile(pid, status, while_running);
  while (!is_gone && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  child_pid = 0;
  result.pid = pid;
  if (got == sizeof exec_errno) {
    result.exit_code = exec_errno == ENOENT ? kExitCommandNotFound : kExitCannotExecute;
    result.error = std::strerror(exec_errno);
  } else if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
    result.exit_code = 128 + result.signal;
  } else {
    result.exit_code = WEXITSTATUS(status);
  }
  return result;
}

}  // namespace mfutrace::cli
