// Option parsing and messages shared by the verbs.
#include "cli/args.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>

#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"

namespace mfutrace::cli {
namespace {

// Damerau-Levenshtein with adjacent swaps ("reprot"), case-insensitive.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  const auto same = [&](size_t i, size_t j) {
    return std::tolower(static_cast<unsigned char>(a[i])) ==
           std::tolower(static_cast<unsigned char>(b[j]));
  };
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (same(i - 1, j - 1) ? 0 : 1)});
      if (i > 1 && j > 1 && same(i - 1, j - 2) && same(i - 2, j - 1)) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::vector<std::string> LongOptions(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// CLI11's own usage line knows neither the program's name nor a command behind the options.
class Formatter final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string) const override {
    std::string usage = "Usage: mfutrace " + app->get_name() + " [options]";
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_positional()) usage += " [" + option->get_name(true) + "]";
    }
    if (app->get_prefix_command()) usage += " [--] CMD...";
    return usage + "\n";
  }
};

}  // namespace

void AddCommonOptions(CLI::App& app, CommonOptions& options) {
  app.add_flag("-q,--quiet", options.is_quiet, "say only what went wrong");
  app.add_flag("-v,--verbose", options.is_verbose, "leave nothing out");
  app.add_option("--color", options.color, "auto, never or always (NO_COLOR is respected)")
      ->check(CLI::IsMember({"auto", "never", "always"}));
}

std::optional<int> ParseArguments(CLI::App& app, int argc, char** argv, int bad_use) {
  const auto formatter = std::make_shared<Formatter>();
  formatter->column_width(30);
  app.formatter(formatter);
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kExitOk;
  } catch (const CLI::ExtrasError&) {
    const std::vector<std::string> extras = app.remaining();
    const std::string word = extras.empty() ? "" : extras.front();
    const bool is_option = word.size() > 1 && word.front() == '-';
    const std::string name = word.substr(0, word.find('='));
    Say(app.get_name() + ": unexpected " + (is_option ? "option " : "argument ") + name +
        (is_option ? Suggestion(name, LongOptions(app)) : ""));
  } catch (const CLI::ParseError& error) {
    Say(app.get_name() + ": " + error.what());
  }
  std::cerr << "  Try: mfutrace " << app.get_name() << " --help\n";
  return bad_use;
}

void Say(const std::string& text) {
  const std::string line = "mfutrace: " + text + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kUnimplemented:  // a newer format
    case absl::StatusCode::kDataLoss:       // damaged before the first block
      return kExitUnreadable;
    default:
      return kExitBadUse;
  }
}

int SayStatus(const absl::Status& status) {
  Say(std::string(status.message()));
  return ExitCodeOf(status);
}

std::string Nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(word.size() / 3, 2) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string nearest = Nearest(word, candidates);
  return nearest.empty() ? "" : " (did you mean " + nearest + "?)";
}

bool UseColor(const CommonOptions& options, FILE* stream) {
  if (options.color == "always") return true;
  if (options.color == "never") return false;
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  return isatty(fileno(stream)) == 1;
}

std::optional<uint64_t> ParseByteCount(const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr == text.data()) return std::nullopt;
  const std::string suffix(result.ptr, end);
  const uint64_t shift = suffix.empty()                   ? 0
                         : suffix == "K" || suffix == "k" ? 10
                         : suffix == "M" || suffix == "m" ? 20
                         : suffix == "G" || suffix == "g" ? 30
                                                          : 64;
  if (shift == 64 || value > (UINT64_MAX >> shift)) return std::nullopt;
  return value << shift;
}

int WriteOutput(const std::string& path, const std::string& text, bool force) {
  struct stat info;
  if (!force && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
    Say("refusing to overwrite " + path + " (use --force)");
    return kExitBadUse;
  }
  FILE* file = std::fopen(path.c_str(), "w");
  const bool is_written =
      file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int write_errno = errno;
  if (file != nullptr && std::fclose(file) == 0 && is_written) return kExitOk;
  Say("cannot write " + path + ": " + std::strerror(is_written ? errno : write_errno));
  return kExitBadUse;
}

}  // namespace mfutrace::cli
