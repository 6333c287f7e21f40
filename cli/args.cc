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
#include <regex>

#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "gate/nearest.h"

namespace mfutrace::cli {
namespace {

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

VerbText* describe_into = nullptr;

// "TEXT:{auto,never}" -> auto, never.
std::vector<std::string> ChoicesOf(const std::string& type) {
  std::vector<std::string> choices;
  const size_t begin = type.find('{');
  const size_t end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return choices;
  std::string word;
  for (size_t i = begin + 1; i <= end; ++i) {
    if (type[i] == ',' || i == end) {
      choices.push_back(std::move(word));
      word.clear();
    } else {
      word += type[i];
    }
  }
  return choices;
}

void Describe(const CLI::App& app, VerbText& text) {
  text.description = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    OptionText one;
    one.text = option->get_description();
    one.choices = ChoicesOf(option->get_type_name());
    for (const std::string& name : option->get_snames()) one.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) one.names.push_back("--" + name);
    if (one.names.empty()) {
      one.names.push_back(option->get_name(true));
      text.positionals.push_back(std::move(one));
      continue;
    }
    one.takes_value = option->get_items_expected_max() > 0;
    text.options.push_back(std::move(one));
  }
}

}  // namespace

void DescribeInto(VerbText* text) { describe_into = text; }

void AddCommonOptions(CLI::App& app, CommonOptions& options) {
  app.add_flag("-q,--quiet", options.is_quiet, "say only what went wrong");
  app.add_flag("-v,--verbose", options.is_verbose, "leave nothing out");
  app.add_option("--color", options.color, "auto, never or always (NO_COLOR is respected)")
      ->check(CLI::IsMember({"auto", "never", "always"}));
}

std::optional<int> ParseArguments(CLI::App& app, int argc, char** argv, int bad_use) {
  if (describe_into != nullptr) {
    Describe(app, *describe_into);
    return kExitOk;
  }
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
  return gate::Nearest(word, candidates);
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& candidates) {
  return gate::DidYouMean(word, candidates);
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

bool IsSample(const std::string& text) {
  if (text == "all" || text == "none" || text == "default") return true;
  static const std::regex kTimes("([1-9][0-9]{0,8})(ms|s|m|h)/([1-9][0-9]{0,8})(ms|s|m|h)");
  std::smatch match;
  if (!std::regex_match(text, match, kTimes)) return false;
  const auto ms = [&match](size_t at) {
    const std::string unit = match[at + 1];
    const int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 3'600'000;
    return std::stoll(match[at]) * factor;
  };
  return ms(1) <= ms(3);
}

bool IsPercent(const std::string& text) {
  static const std::regex kNumber("([0-9]{1,2}|100)(\\.[0-9]{1,4})?%?");
  return text == "off" || std::regex_match(text, kNumber);
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

bool WriteByRename(const std::string& path, const std::string& text) {
  const std::string beside = path + ".tmp" + std::to_string(getpid());
  FILE* file = std::fopen(beside.c_str(), "w");
  if (file == nullptr) return false;
  const bool is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) == 0 && is_written && std::rename(beside.c_str(), path.c_str()) == 0) {
    return true;
  }
  const int saved_errno = errno;
  unlink(beside.c_str());
  errno = saved_errno;
  return false;
}

}  // namespace mfutrace::cli
