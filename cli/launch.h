// Starts a command as a child with a changed environment and waits for it, as transparently as
// `env` or `time` do: same stdin, stdout, stderr, terminal and signals.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mfutrace::cli {

struct CommandPath {
  std::string path;   // what execve gets
  int exit_code = 0;  // 126 or 127 if it cannot be executed
  std::string error;  // one clause then
};

// Looks `name` up in PATH as execvp does.
CommandPath FindCommand(const std::string& name);

// Called again and again while the child runs; returns in how many milliseconds to be called next.
using WhileRunning = std::function<int64_t()>;

struct LaunchResult {
  pid_t pid = 0;
  // The child's exit code, 128 + signal if one killed it, 126 or 127 if exec failed, 125 if fork
  // did.
  int exit_code = 0;
  int signal = 0;     // that killed it, 0 if none did
  std::string error;  // why it did not start, empty if it did
};

// While the child runs, signals sent to this process are passed on to it; those that the terminal
// sends to the whole foreground group are not, since the child gets them itself.
LaunchResult Launch(const std::string& path, const std::vector<std::string>& command,
                    const std::vector<std::pair<std::string, std::string>>& environment,
                    const WhileRunning& while_running = nullptr);

}  // namespace mfutrace::cli
