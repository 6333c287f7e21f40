// Runs a command for a while and looks at its processes from outside: which files they map, and
// what their references to the vendors' functions are bound to.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace mfutrace::cli {

struct Watched {
  std::string error;        // why the command did not start; the rest is empty then
  bool is_stopped = false;  // it was still running when the time was over
  int exit_code = 0;        // else; 128 + signal
  size_t processes = 0;     // that were seen running the command or its children
  std::set<std::string> programs_without_preload;
  std::set<std::string> files;  // mapped by any process: programs and libraries
  // Files whose reference to a vendor's function is bound past the preload: file -> names.
  std::map<std::string, std::set<std::string>> bound_past;
};

// `preload` is the library whose presence is looked for. What the command says goes nowhere, or to
// stderr with `is_verbose`. After `limit_s` seconds all its processes are ended.
Watched Watch(const std::string& path, const std::vector<std::string>& command,
              const std::vector<std::pair<std::string, std::string>>& environment,
              const std::string& preload, double limit_s, bool is_verbose);

}  // namespace mfutrace::cli
