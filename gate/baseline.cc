// Observations as TOML and back.
#include "gate/baseline.h"

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gate/toml_text.h"
#include "toml++/toml.h"

namespace mfutrace::gate {
namespace {

constexpr size_t kValuesInLine = 8;

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += code < 0x20 || code == 0x7f ? ' ' : letter;
  }
  return quoted + "\"";
}

// The shortest text that reads back as the same double.
std::string Number(double value) {
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string Integer(absl::uint128 value) {
  std::ostringstream text;
  text << '"' << value << '"';
  return text.str();
}

void Write(const Observation& run, std::string& text) {
  absl::StrAppend(&text, "\n[[run]]\ntitle = ", Quote(run.title), "\nsteps = ", run.steps,
                  "\nclear_steps = ", run.clear_steps, "\ndropped = ", run.dropped, "\n");
  if (run.mfu.has_value()) absl::StrAppend(&text, "mfu = ", Number(*run.mfu), "\n");
  if (run.sm_clock_mhz.has_value()) {
    absl::StrAppend(&text, "sm_clock_mhz = ", Number(*run.sm_clock_mhz), "\n");
  }
  if (run.covered_share.has_value()) {
    absl::StrAppend(&text, "covered_share = ", Number(*run.covered_share), "\n");
  }
  text += "budget = [  # nanoseconds of a step of a device\n";
  for (const Part& part : run.budget) {
    absl::StrAppend(&text, "  [", Quote(part.name), ", ", Number(part.ns_per_step), "],\n");
  }
  text += "]\nops = [  # calls and nanoseconds of a step of a device\n";
  for (const OpLoad& op : run.ops) {
    absl::StrAppend(&text, "  [", Quote(op.name), ", ", Number(op.calls_per_step), ", ",
                    Number(op.ns_per_step), "],\n");
  }
  text += "]\n[run.facts]\n";
  for (const auto& [key, value] : run.facts)
    absl::StrAppend(&text, Quote(key), " = ", Quote(value), "\n");
  for (const auto& [key, value] : run.exact) {
    absl::StrAppend(&text, "[[run.exact]]\nmetric = ", Quote(key),
                    "\nleast = ", Integer(value.least), "\nmedian = ", Integer(value.median),
                    "\nmost = ", Integer(value.most), "\n");
  }
  for (const auto& [key, samples] : run.samples) {
    absl::StrAppend(&text, "[[run.samples]]\nmetric = ", Quote(key), "\nsteps = [");
    for (size_t i = 0; i < samples.size(); ++i) {
      absl::StrAppend(&text, i % kValuesInLine == 0 ? "\n  " : " ", Number(samples[i]), ",");
    }
    text += "\n]\n";
  }
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  absl::StatusOr<std::vector<Observation>> Read(const toml::table& root) {
    std::vector<Observation> runs;
    if (root["version"].value<int64_t>() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_,
                       ":1:1: not a baseline of this version; write one with mfutrace gate "
                       "--update"));
    }
    const toml::array* list = root["run"].as_array();
    if (list == nullptr || list->empty()) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ":1:1: a baseline without a [[run]]"));
    }
    for (const toml::node& node : *list) {
      const toml::table* table = node.as_table();
      if (table == nullptr) return Error(node, "run: expected a table");
      Observation run;
      if (absl::Status status = ReadRun(*table, run); !status.ok()) return status;
      runs.push_back(std::move(run));
    }
    return runs;
  }

  absl::Status Error(const toml::source_region& at, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ":", at.begin.line, ":", at.begin.column, ": ", what));
  }
  absl::Status Error(const toml::node& node, absl::string_view what) const {
    return Error(node.source(), what);
  }

 private:
  absl::Status ReadRun(const toml::table& table, Observation& run) const {
    run.title = table["title"].value_or<std::string>("");
    run.steps = static_cast<uint32_t>(table["steps"].value_or<int64_t>(0));
    run.clear_steps = static_cast<uint32_t>(table["clear_steps"].value_or<int64_t>(0));
    run.dropped = static_cast<uint64_t>(table["dropped"].value_or<int64_t>(0));
    run.mfu = table["mfu"].value<double>();
    run.sm_clock_mhz = table["sm_clock_mhz"].value<double>();
    run.covered_share = table["covered_share"].value<double>();
    if (const toml::table* facts = table["facts"].as_table()) {
      for (const auto& [key, node] : *facts) {
        run.facts[std::string(key.str())] = node.value_or<std::string>("");
      }
    }
    if (const toml::array* parts = table["budget"].as_array()) {
      for (const toml::node& node : *parts) {
        const toml::array* row = node.as_array();
        if (row == nullptr || row->size() != 2) return Error(node, "budget: expected [name, ns]");
        run.budget.push_back(
            {row->get(0)->value_or<std::string>(""), row->get(1)->value_or<double>(0)});
      }
    }
    if (const toml::array* ops = table["ops"].as_array()) {
      for (const toml::node& node : *ops) {
        const toml::array* row = node.as_array();
        if (row == nullptr || row->size() != 3)
          return Error(node, "ops: expected [name, calls, ns]");
        run.ops.push_back({row->get(0)->value_or<std::string>(""), row->get(1)->value_or<double>(0),
                           row->get(2)->value_or<double>(0)});
      }
    }
    if (const toml::array* values = table["exact"].as_array()) {
      for (const toml::node& node : *values) {
        const toml::table* value = node.as_table();
        Exact exact;
        if (value == nullptr || !ReadInteger(*value, "least", exact.least) ||
            !ReadInteger(*value, "median", exact.median) ||
            !ReadInteger(*value, "most", exact.most)) {
          return Error(node, "exact: expected metric, least, median and most, digits in quotes");
        }
        run.exact[(*value)["metric"].value_or<std::string>("")] = exact;
      }
    }
    if (const toml::array* list = table["samples"].as_array()) {
      for (const toml::node& node : *list) {
        const toml::table* value = node.as_table();
        const toml::array* steps = value == nullptr ? nullptr : (*value)["steps"].as_array();
        if (steps == nullptr) return Error(node, "samples: expected metric and steps");
        std::vector<double> samples;
        for (const toml::node& step : *steps) {
          const std::optional<double> sample = step.value<double>();
          if (!sample.has_value() || !std::isfinite(*sample)) {
            return Error(step, "samples: expected a number");
          }
          samples.push_back(*sample);
        }
        run.samples[(*value)["metric"].value_or<std::string>("")] = std::move(samples);
      }
    }
    return absl::OkStatus();
  }

  static bool ReadInteger(const toml::table& table, std::string_view key, absl::uint128& value) {
    const std::string text = table[key].value_or<std::string>("");
    return absl::SimpleAtoi(text, &value);
  }

  std::string path_;
};

}  // namespace

std::string WriteBaseline(const std::vector<Observation>& runs) {
  std::string text =
      "# Written by mfutrace gate --update; what later runs are held against. Commit it.\n"
      "version = 1\n";
  for (const Observation& run : runs) Write(run, text);
  return text;
}

absl::StatusOr<std::vector<Observation>> ParseBaseline(const std::string& text,
                                                       const std::string& path) {
  if (absl::Status status = CheckTomlText(text, path); !status.ok()) return status;
  try {
    const toml::table root = toml::parse(text, path);
    return Reader(path).Read(root);
  } catch (const toml::parse_error& error) {
    std::string what(error.description());
    for (char& letter : what) {
      if (static_cast<unsigned char>(letter) < 0x20) letter = ' ';
    }
    return Reader(path).Error(error.source(), what);
  }
}

absl::StatusOr<std::vector<Observation>> LoadBaseline(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.is_open()) text << file.rdbuf();
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat(
        path, ": no baseline; write it from a run that is good: mfutrace gate --update RUN"));
  }
  return ParseBaseline(text.str(), path);
}

}  // namespace mfutrace::gate
