// TOML -> GateFile, by toml++.
#include "gate/gate_file.h"

#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gate/nearest.h"
#include "gate/toml_text.h"
#include "toml++/toml.h"

namespace mfutrace::gate {
namespace {

constexpr size_t kMaxGates = 1000;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::vector<std::string> MetricNames() {
  std::vector<std::string> names;
  for (const Metric& metric : Metrics()) names.emplace_back(metric.name);
  return names;
}

// What a file holds may be quoted in a message, which is one line.
std::string OneLine(absl::string_view text) {
  std::string line(text);
  for (char& letter : line) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = ' ';
  }
  return line;
}

bool IsPercentUnit(Unit unit) { return unit == Unit::kShare || unit == Unit::kRatio; }

const std::vector<std::string> kTopKeys = {"version", "run", "baseline", "gate"};
const std::vector<std::string> kRunKeys = {"warmup_steps", "min_steps", "min_runs"};
const std::vector<std::string> kBaselineKeys = {"file", "match"};
const std::vector<std::string> kGateKeys = {
    "name", "metric",   "where",    "equals",     "min",
    "max",  "max_drop", "max_rise", "confidence", "on_inconclusive"};
const std::vector<std::string> kWhereKeys = {"dtype", "op", "kind", "communicator", "rank"};
const std::vector<std::string> kMatchWords = {"gpu_name",   "world_size",   "devices",
                                              "cuda_major", "nccl_version", "timing"};

class Parser {
 public:
  explicit Parser(const std::string& path) : path_(path) {}

  absl::StatusOr<GateFile> Read(const toml::table& root) {
    file_.path = path_;
    if (absl::Status status = CheckKeys(root, kTopKeys, ""); !status.ok()) return status;
    const toml::node* version = root.get("version");
    if (version == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ":1:1: version: missing; write version = 1"));
    }
    if (version->value<int64_t>() != 1) {
      return Error(*version, "version: this mfutrace knows version 1 only");
    }
    for (const auto& [key, node] : root) {
      if (key.str() == "version" || key.str() == "gate") continue;
      const toml::table* table = node.as_table();
      if (table == nullptr) {
        return Error(node, absl::StrCat(View(key.str()), ": expected a table"));
      }
      if (absl::Status status = key.str() == "run" ? ReadRun(*table) : ReadBaseline(*table);
          !status.ok()) {
        return status;
      }
    }
    const toml::node* gates = root.get("gate");
    if (gates == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ":1:1: no [[gate]] in it: nothing would be checked"));
    }
    const toml::array* list = gates->as_array();
    if (list == nullptr) return Error(*gates, "gate: expected tables headed [[gate]]");
    if (list->empty()) return Error(*gates, "gate: empty: nothing would be checked");
    if (list->size() > kMaxGates) return Error(*gates, "gate: more than 1000 gates");
    for (const toml::node& node : *list) {
      const toml::table* table = node.as_table();
      if (table == nullptr) return Error(node, "gate: expected a table");
      if (absl::Status status = ReadGate(*table); !status.ok()) return status;
    }
    return std::move(file_);
  }

  absl::Status Error(const toml::source_region& at, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ":", at.begin.line, ":", at.begin.column, ": ", OneLine(what)));
  }
  absl::Status Error(const toml::node& node, absl::string_view what) const {
    return Error(node.source(), what);
  }

 private:
  absl::Status CheckKeys(const toml::table& table, const std::vector<std::string>& known,
                         absl::string_view of) const {
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      bool is_known = false;
      for (const std::string& one : known) is_known = is_known || one == name;
      if (is_known) continue;
      const std::string meant = DidYouMean(name, known);
      return Error(key.source(),
                   absl::StrCat("unknown key \"", name, "\"", of.empty() ? "" : " in ", of, meant,
                                meant.empty() ? "; known: " + absl::StrJoin(known, ", ") : ""));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint32_t> Count(const toml::node& node, absl::string_view name,
                                 int64_t least) const {
    const auto* integer = node.as_integer();
    if (integer == nullptr || integer->get() < least || integer->get() > 1'000'000'000) {
      return Error(node, absl::StrCat(name, ": expected a whole number, ", least, " or more"));
    }
    return static_cast<uint32_t>(integer->get());
  }

  absl::Status ReadRun(const toml::table& table) {
    if (absl::Status status = CheckKeys(table, kRunKeys, "[run]"); !status.ok()) return status;
    for (const auto& [key, node] : table) {
      const std::string_view name = key.str();
      if (name == "warmup_steps" && node.value<std::string_view>() == "auto") continue;
      const absl::StatusOr<uint32_t> count =
          Count(node, View(name), name == "warmup_steps" ? 0 : 1);
      if (!count.ok()) return count.status();
      if (name == "warmup_steps") file_.warmup_steps = *count;
      if (name == "min_steps") file_.min_steps = *count;
      if (name == "min_runs") file_.min_runs = *count;
    }
    return absl::OkStatus();
  }

  absl::Status ReadBaseline(const toml::table& table) {
    if (absl::Status status = CheckKeys(table, kBaselineKeys, "[baseline]"); !status.ok()) {
      return status;
    }
    for (const auto& [key, node] : table) {
      if (key.str() == "file") {
        const auto* text = node.as_string();
        if (text == nullptr || text->get().empty()) {
          return Error(node, "file: expected the baseline's path");
        }
        file_.baseline_path = text->get();
        continue;
      }
      const toml::array* list = node.as_array();
      if (list == nullptr) return Error(node, "match: expected a list of names");
      file_.match.clear();
      for (const toml::node& entry : *list) {
        const std::string word = entry.value_or<std::string>("");
        bool is_known = false;
        for (const std::string& known : kMatchWords) is_known = is_known || known == word;
        if (!is_known) {
          const std::string meant = DidYouMean(word, kMatchWords);
          return Error(entry, absl::StrCat("match: unknown name \"", word, "\"", meant,
                                           meant.empty() ? "; known: " : "",
                                           meant.empty() ? absl::StrJoin(kMatchWords, ", ") : ""));
        }
        file_.match.push_back(word);
      }
    }
    return absl::OkStatus();
  }

  // A bound on the value itself: a number, or "35%" of a ratio.
  absl::StatusOr<double> Bound(const toml::node& node, absl::string_view name,
                               const Metric& metric) const {
    if (node.is_integer() || node.is_floating_point()) {
      const double value = *node.value<double>();
      if (std::isfinite(value)) return value;
    }
    if (IsPercentUnit(metric.unit) && node.is_string()) {
      const std::optional<Limit> limit = ParseLimit(*node.value<std::string_view>());
      if (limit.has_value() && !limit->is_points) return limit->amount;
    }
    return Error(node, absl::StrCat(name, IsPercentUnit(metric.unit)
                                              ? ": expected a fraction like 0.35, or \"35%\""
                                              : ": expected a number"));
  }

  static std::string Written(const toml::node& node) {
    std::ostringstream text;
    node.visit([&text](const auto& value) {
      if constexpr (toml::is_value<decltype(value)>) text << value;
    });
    return text.str().empty() ? "a list or table" : text.str();
  }

  absl::Status ReadLimit(const toml::node& node, absl::string_view name, const Metric& metric,
                         std::optional<Limit>& limit) const {
    if (const auto* text = node.as_string()) limit = ParseLimit(text->get());
    if (!limit.has_value()) {
      return Error(node, absl::StrCat(name, ": expected a percentage like \"3%\"",
                                      IsPercentUnit(metric.unit) ? " or points like \"2pp\"" : "",
                                      ", got ", Written(node)));
    }
    if (limit->is_points && !IsPercentUnit(metric.unit)) {
      return Error(node, absl::StrCat(name, ": percentage points make no sense of ",
                                      View(metric.name), "; use a percentage like \"3%\""));
    }
    return absl::OkStatus();
  }

  absl::Status ReadWhere(const toml::node& node, Gate& gate) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) return Error(node, "where: expected a table like { dtype = \"fp32\" }");
    if (absl::Status status = CheckKeys(*table, kWhereKeys, "where"); !status.ok()) return status;
    for (const auto& [key, value] : *table) {
      const std::string name(key.str());
      const bool is_rank = name == "rank";
      if (is_rank == gate.metric->is_exact) {
        return Error(key.source(),
                     is_rank ? "where: rank is for timing metrics; counts are of all ranks"
                             : absl::StrCat("where: ", View(gate.metric->name),
                                            " is of whole steps; it can be narrowed by rank only"));
      }
      if (is_rank) {
        const absl::StatusOr<uint32_t> rank = Count(value, "where: rank", 0);
        if (!rank.ok()) return rank.status();
        gate.where[name] = absl::StrCat(*rank);
        continue;
      }
      const auto* text = value.as_string();
      if (text == nullptr || text->get().empty()) {
        return Error(value, absl::StrCat("where: ", name, ": expected a text"));
      }
      gate.where[name] = text->get();
    }
    return absl::OkStatus();
  }

  absl::Status ReadGate(const toml::table& table) {
    Gate gate;
    gate.line = static_cast<uint32_t>(table.source().begin.line);
    if (absl::Status status = CheckKeys(table, kGateKeys, "[[gate]]"); !status.ok()) return status;
    const toml::node* metric = table.get("metric");
    if (metric == nullptr) return Error(table, "gate: metric: missing");
    const std::string metric_name = metric->value_or<std::string>("");
    gate.metric = MetricNamed(metric_name);
    if (gate.metric == nullptr) {
      const std::string meant = DidYouMean(metric_name, MetricNames());
      return Error(*metric, absl::StrCat("metric: unknown name \"", metric_name, "\"", meant,
                                         meant.empty() ? "; known: " : "",
                                         meant.empty() ? absl::StrJoin(MetricNames(), ", ") : ""));
    }
    gate.name = metric_name;
    for (const auto& [key, node] : table) {
      if (absl::Status status = ReadKey(key.str(), node, gate); !status.ok()) return status;
    }
    const bool has_limit = gate.equals_baseline || gate.equals.has_value() ||
                           gate.min.has_value() || gate.max.has_value() ||
                           gate.max_drop.has_value() || gate.max_rise.has_value();
    if (!has_limit) {
      return Error(table, absl::StrCat("gate \"", gate.name,
                                       "\": no limit; write one of equals, min, max, max_drop, "
                                       "max_rise"));
    }
    if (gate.min.has_value() && gate.max.has_value() && *gate.min > *gate.max) {
      return Error(table, absl::StrCat("gate \"", gate.name, "\": min is more than max"));
    }
    for (const Gate& other : file_.gates) {
      if (other.name != gate.name) continue;
      return Error(table, absl::StrCat("gate \"", gate.name, "\": the gate on line ", other.line,
                                       " has this name too; give one of them another"));
    }
    file_.gates.push_back(std::move(gate));
    return absl::OkStatus();
  }

  absl::Status ReadKey(std::string_view name, const toml::node& node, Gate& gate) const {
    if (name == "name") {
      const auto* text = node.as_string();
      if (text == nullptr || text->get().empty()) return Error(node, "name: expected a text");
      gate.name = text->get();
      for (char& letter : gate.name) {
        if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = ' ';
      }
    } else if (name == "where") {
      return ReadWhere(node, gate);
    } else if (name == "equals" && node.is_string()) {
      if (node.value<std::string_view>() != "baseline") {
        return Error(node, "equals: expected \"baseline\" or a number");
      }
      if (!gate.metric->is_exact) return NoEquals(node, *gate.metric);
      gate.equals_baseline = true;
    } else if (name == "equals" || name == "min" || name == "max") {
      if (name == "equals" && !gate.metric->is_exact) return NoEquals(node, *gate.metric);
      const absl::StatusOr<double> bound = Bound(node, View(name), *gate.metric);
      if (!bound.ok()) return bound.status();
      (name == "equals" ? gate.equals : name == "min" ? gate.min : gate.max) = *bound;
    } else if (name == "max_drop" || name == "max_rise") {
      return ReadLimit(node, View(name), *gate.metric,
                       name == "max_drop" ? gate.max_drop : gate.max_rise);
    } else if (name == "confidence") {
      const double value = node.value_or<double>(0);
      if (!node.is_floating_point() || !(value >= 0.5 && value <= 0.9999)) {
        return Error(node, "confidence: expected a number from 0.5 to 0.9999, like 0.99");
      }
      gate.confidence = value;
    } else if (name == "on_inconclusive") {
      const std::string word = node.value_or<std::string>("");
      if (word != "warn" && word != "fail" && word != "pass") {
        return Error(node, absl::StrCat("on_inconclusive: expected warn, fail or pass",
                                        DidYouMean(word, {"warn", "fail", "pass"})));
      }
      gate.on_inconclusive = word == "warn"   ? OnInconclusive::kWarn
                             : word == "fail" ? OnInconclusive::kFail
                                              : OnInconclusive::kPass;
    }
    return absl::OkStatus();
  }

  absl::Status NoEquals(const toml::node& node, const Metric& metric) const {
    return Error(node,
                 absl::StrCat("equals: ", View(metric.name),
                              " is never twice the same; use max_drop, max_rise, min or max"));
  }

  std::string path_;
  GateFile file_;
};

}  // namespace

const std::vector<Metric>& Metrics() {
  static const std::vector<Metric> metrics = {
      {"flop_per_step", Unit::kFlop, true, false, "executed FLOPs of a step, all ranks"},
      {"model_flop_per_step", Unit::kFlop, true, false, "the same without recomputation"},
      {"flop_share", Unit::kShare, true, false, "share of the executed FLOPs that `where` picks"},
      {"calls_per_step", Unit::kCount, true, false, "calls of a step, all ranks"},
      {"comm_calls_per_step", Unit::kCount, true, false, "collectives, sends and receives"},
      {"comm_bytes_per_step", Unit::kBytes, true, false, "their bytes, as nccl-tests count them"},
      {"mfu_ratio", Unit::kRatio, false, true, "model FLOPs over the peak's"},
      {"hfu_ratio", Unit::kRatio, false, true, "executed FLOPs over the peak's"},
      {"flop_per_s", Unit::kFlopPerSecond, false, true, "model FLOPs a second of a GPU"},
      {"step_time_ms", Unit::kMilliseconds, false, false, "duration of a step"},
      {"exposed_comm_ratio", Unit::kRatio, false, false, "communication that nothing hid"},
      {"comm_ratio", Unit::kRatio, false, false, "communication, hidden or not"},
      {"compute_ratio", Unit::kRatio, false, true, "time in kernels that compute"},
      {"idle_ratio", Unit::kRatio, false, false, "idle, where every kernel is known"},
  };
  return metrics;
}

const Metric* MetricNamed(std::string_view name) {
  for (const Metric& metric : Metrics()) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

std::optional<Limit> ParseLimit(std::string_view text) {
  Limit limit;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, limit.amount);
  if (result.ec != std::errc() || !std::isfinite(limit.amount) || limit.amount < 0) {
    return std::nullopt;
  }
  std::string_view suffix(result.ptr, static_cast<size_t>(end - result.ptr));
  while (!suffix.empty() && suffix.front() == ' ') suffix.remove_prefix(1);
  if (suffix != "%" && suffix != "pp") return std::nullopt;
  limit.is_points = suffix == "pp";
  limit.amount /= 100;
  return limit;
}

std::string WhereText(const Gate& gate) {
  std::string text;
  for (const auto& [key, value] : gate.where) {
    absl::StrAppend(&text, text.empty() ? "" : " ", key, "=", value);
  }
  return text;
}

absl::StatusOr<GateFile> ParseGateFile(const std::string& text, const std::string& path) {
  if (absl::Status status = CheckTomlText(text, path); !status.ok()) return status;
  try {
    const toml::table root = toml::parse(text, path);
    return Parser(path).Read(root);
  } catch (const toml::parse_error& error) {
    return Parser(path).Error(error.source(), View(error.description()));
  }
}

absl::StatusOr<GateFile> LoadGateFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.is_open()) text << file.rdbuf();
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat(
        path, ": no gate file; docs/GATES.md has one to start from, --file names another"));
  }
  return ParseGateFile(text.str(), path);
}

}  // namespace mfutrace::gate
