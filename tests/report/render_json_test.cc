// The JSON object read back with another library and held against the results it was made from, and
// against the list of keys that is promised.
#include "report/render/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "report/render/units.h"
#include "tests/report/render_results.h"

namespace mfutrace::report {
namespace {

using nlohmann::json;

const std::set<std::string> kWindowKeys = {"gpu",
                                           "world_size",
                                           "devices",
                                           "window_ns",
                                           "flop_executed",
                                           "flop_model",
                                           "flop_by_kind",
                                           "peak_flop_per_s",
                                           "mfu",
                                           "hfu",
                                           "mfu_of_measured",
                                           "measured_flop_per_s",
                                           "timing",
                                           "sampling",
                                           "own_cost",
                                           "coverage",
                                           "flop_full_attention",
                                           "flop_bound"};
const std::set<std::string> kTimeKeys = {"window_ns",       "compute_ns",    "comm_ns",
                                         "compute_only_ns", "overlapped_ns", "exposed_ns",
                                         "mem_only_ns",     "idle_ns",       "unattributed_ns"};

const std::set<std::string> kRankWaitKeys = {"run_ns",     "wait_ns",        "transfer_ns",
                                             "times_last", "caused_wait_ns", "budget"};
const std::set<std::string> kRunKeys = {"steps_found_by", "clock", "budget", "what_if"};
const std::set<std::string> kCommunicatorWaitKeys = {
    "strategy",         "runner_up",         "evidence",
    "is_ambiguous",     "exposed_shared_ns", "exposed_exclusive_ns",
    "exposed_touch_ns", "exposed_wait_ns",   "wait_ns",
    "transfer_ns",      "times_last",        "transfer_bus_bytes"};

std::set<std::string> With(std::set<std::string> keys, const std::set<std::string>& more) {
  keys.insert(more.begin(), more.end());
  return keys;
}

std::set<std::string> Keys(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

template <typename T>
void ExpectInteger(const json& value, const std::optional<T>& expected) {
  if (!expected.has_value()) {
    EXPECT_TRUE(value.is_null()) << value;
    return;
  }
  ASSERT_TRUE(value.is_number_integer()) << value;
  EXPECT_EQ(value.dump(), Decimal(static_cast<absl::uint128>(*expected)));
}

void ExpectTimes(const json& object, const TimeSplit& split) {
  ExpectInteger(object["window_ns"], std::optional<int64_t>(split.window_ns));
  ExpectInteger(object["compute_ns"], split.compute_ns);
  ExpectInteger(object["comm_ns"], split.comm_ns);
  ExpectInteger(object["compute_only_ns"], split.compute_only_ns);
  ExpectInteger(object["overlapped_ns"], split.overlapped_ns);
  ExpectInteger(object["exposed_ns"], split.exposed_ns);
  ExpectInteger(object["mem_only_ns"], split.mem_only_ns);
  ExpectInteger(object["idle_ns"], split.idle_ns);
  ExpectInteger(object["unattributed_ns"], split.unattributed_ns);
}

void ExpectWindow(const json& object, const RunResult& result, const WindowSummary& window) {
  EXPECT_EQ(Keys(object), With(kWindowKeys, kRunKeys));
  EXPECT_EQ(object["gpu"], result.gpu);
  EXPECT_EQ(object["devices"], result.devices);
  EXPECT_EQ(object["timing"], result.timing);
  ExpectInteger(object["window_ns"], std::optional<int64_t>(window.window_ns));
  ExpectInteger(object["flop_executed"], window.flop.executed);
  ExpectInteger(object["flop_model"], window.flop.model);
  ExpectInteger(object["flop_full_attention"], window.flop.full_attention);
  ExpectInteger(object["peak_flop_per_s"], window.peak_flop_per_s);
  EXPECT_EQ(Keys(object["flop_by_kind"]),
            (std::set<std::string>{"gemm", "attention", "convolution", "rnn", "other"}));
  for (const auto& [key, expected] : {std::pair{"mfu", window.mfu}, std::pair{"hfu", window.hfu}}) {
    if (expected.has_value()) {
      EXPECT_EQ(object[key].get<double>(), *expected);
    } else {
      EXPECT_TRUE(object[key].is_null());
    }
  }
}

TEST(RenderJson, EveryFieldIsThatOfTheResult) {
  const RunResult result = test::TrainingRun();
  const json object = json::parse(RenderJson(result));
  EXPECT_EQ(Keys(object),
            (std::set<std::string>{"schema", "run", "steady", "course", "lateness", "ranks",
                                   "steps", "ops", "communicators", "stragglers", "serving",
                                   "experts", "other_kernels", "attention_recompute"}));
  EXPECT_TRUE(object["schema"].is_number_integer());
  EXPECT_EQ(object["schema"], 1);
  ExpectWindow(object["run"], result, result.run);
  ExpectWindow(object["steady"], result, *result.steady);
  EXPECT_EQ(object["run"]["world_size"], 4);

  ASSERT_EQ(object["ranks"].size(), result.ranks.size());
  for (size_t i = 0; i < result.ranks.size(); ++i) {
    const json& rank = object["ranks"][i];
    EXPECT_EQ(Keys(rank),
              With(With(kTimeKeys, {"rank", "device", "flop_executed", "dropped", "untimed"}),
                   kRankWaitKeys));
    EXPECT_EQ(rank["rank"], result.ranks[i].rank);
    EXPECT_EQ(rank["device"], result.ranks[i].device);
    EXPECT_EQ(rank["dropped"], result.ranks[i].dropped);
    EXPECT_EQ(rank["untimed"], result.ranks[i].untimed);
    ExpectInteger(rank["flop_executed"], result.ranks[i].flop_executed);
    ExpectTimes(rank, result.ranks[i].split);
  }
  ASSERT_EQ(object["steps"].size(), result.steps.size());
  for (size_t i = 0; i < result.steps.size(); ++i) {
    const json& step = object["steps"][i];
    EXPECT_EQ(Keys(step), With(kTimeKeys, {"rank", "index", "name", "budget"}));
    EXPECT_EQ(step["index"], result.steps[i].index);
    EXPECT_TRUE(step["name"].is_null());
    ExpectTimes(step, result.steps[i].split);
  }
  ASSERT_EQ(object["ops"].size(), result.ops.size());
  for (size_t i = 0; i < result.ops.size(); ++i) {
    const json& op = object["ops"][i];
    EXPECT_EQ(Keys(op), (std::set<std::string>{
                            "label", "kind", "dtype", "calls", "flop_executed", "flop_model",
                            "bytes_least", "flop_per_byte", "time_ns", "timed_calls",
                            "peak_flop_per_s", "memory_bytes_per_s", "of_peak", "bound",
                            "roofline_ns_per_call", "of_roofline", "provenance"}));
    EXPECT_EQ(op["label"], result.ops[i].label);
    EXPECT_EQ(op["kind"], result.ops[i].kind);
    EXPECT_EQ(op["calls"], result.ops[i].calls);
    EXPECT_EQ(op["provenance"], result.ops[i].provenance);
    ExpectInteger(op["flop_executed"], result.ops[i].flop_executed);
    ExpectInteger(op["flop_model"], result.ops[i].flop_model);
    ExpectInteger(op["bytes_least"], result.ops[i].bytes_least);
    ExpectInteger(op["timed_calls"], std::optional<uint64_t>(result.ops[i].timed_calls));
    ExpectInteger(op["peak_flop_per_s"], result.ops[i].peak_flop_per_s);
    ExpectInteger(op["memory_bytes_per_s"], result.ops[i].memory_bytes_per_s);
    ExpectInteger(op["time_ns"], result.ops[i].time_ns);
  }
  ASSERT_EQ(object["communicators"].size(), result.communicators.size());
  for (size_t i = 0; i < result.communicators.size(); ++i) {
    const json& communicator = object["communicators"][i];
    const CommunicatorResult& expected = result.communicators[i];
    EXPECT_EQ(Keys(communicator),
              With({"id", "name", "size", "ranks", "ops", "bytes", "time_ns", "exposed_ns"},
                   kCommunicatorWaitKeys));
    EXPECT_EQ(communicator["id"], expected.id);
    EXPECT_EQ(communicator["size"], expected.size);
    EXPECT_EQ(communicator["ranks"].get<std::vector<int32_t>>(), expected.ranks);
    EXPECT_EQ((communicator["ops"].get<std::map<std::string, uint64_t>>()), expected.ops);
    ExpectInteger(communicator["bytes"], expected.bytes);
    ExpectInteger(communicator["time_ns"], expected.time_ns);
    ExpectInteger(communicator["exposed_ns"], expected.exposed_ns);
    ExpectInteger(communicator["exposed_shared_ns"], expected.exposed_ns);
    ExpectInteger(communicator["exposed_exclusive_ns"], expected.exposed_exclusive_ns);
    ExpectInteger(communicator["exposed_touch_ns"], expected.exposed_touch_ns);
    ExpectInteger(communicator["wait_ns"], expected.wait_ns);
    ExpectInteger(communicator["transfer_ns"], expected.transfer_ns);
  }
}

TEST(RenderJson, QuotientsOfAnOperationFollowFromItsFigures) {
  const json object = json::parse(RenderJson(test::MixedOpsRun()));
  const json& gemm = object["ops"][0];
  // 137.439 TFLOP and 100.663 GB in 198 ms; 138.911 us a call at 989.4 TFLOP/s.
  EXPECT_NEAR(gemm["flop_per_byte"].get<double>(), 1365.34, 0.01);
  EXPECT_NEAR(gemm["of_peak"].get<double>(), 0.70158, 1e-5);
  EXPECT_NEAR(gemm["of_roofline"].get<double>(), 0.70157, 1e-5);
  EXPECT_EQ(gemm["bound"], "compute");
  EXPECT_EQ(object["ops"][1]["bound"], "memory");
  EXPECT_EQ(object["ops"][2]["bound"], "latency");
  const json& bound = object["ops"][3];
  EXPECT_EQ(bound["provenance"], "bound");
  EXPECT_EQ(object["steady"]["flop_bound"].get<uint64_t>() * 16,
            object["steady"]["flop_executed"].get<uint64_t>());
  EXPECT_EQ(object["run"]["flop_bound"], 0);
  const json& opaque = object["ops"][6];
  for (const char* key :
       {"flop_executed", "flop_model", "bytes_least", "flop_per_byte", "time_ns", "peak_flop_per_s",
        "memory_bytes_per_s", "of_peak", "of_roofline", "bound", "roofline_ns_per_call", "dtype"}) {
    EXPECT_TRUE(opaque[key].is_null()) << key;
  }
}

TEST(RenderJson, UnknownIsNullAndNeverZero) {
  const RunResult result = test::ImportWithoutShapes();
  const json object = json::parse(RenderJson(result));
  const json& run = object["run"];
  for (const char* key : {"flop_executed", "flop_model", "flop_full_attention", "flop_bound",
                          "peak_flop_per_s", "mfu", "hfu", "world_size", "coverage"}) {
    EXPECT_TRUE(run[key].is_null()) << key;
  }
  for (const auto& [kind, flop] : run["flop_by_kind"].items()) EXPECT_TRUE(flop.is_null()) << kind;
  EXPECT_TRUE(object["steady"].is_null());
  EXPECT_TRUE(object["ranks"][0]["unattributed_ns"].is_null());
  EXPECT_EQ(object["ranks"][0]["idle_ns"], 15'000'000);
  EXPECT_TRUE(object["ops"][0]["flop_executed"].is_null());
  EXPECT_TRUE(object["ops"][0]["dtype"].is_null());
  EXPECT_EQ(object["steps"], json::array());
  EXPECT_EQ(object["compat_hta"][0]["idle_us"], 15'000);

  const json counted = json::parse(RenderJson(test::CountOnlyRun()));
  EXPECT_TRUE(counted["run"]["flop_executed"].is_number_integer());
  EXPECT_TRUE(counted["ranks"][0]["compute_ns"].is_null());
  EXPECT_TRUE(counted["ops"][0]["time_ns"].is_null());
  EXPECT_EQ(counted["ranks"][0]["unattributed_ns"], counted["ranks"][0]["window_ns"]);
}

TEST(RenderJson, IntegersBeyond64BitsKeepTheirDigits) {
  const std::string text = RenderJson(test::ExtremeRun());
  EXPECT_NE(text.find("\"flop_executed\": 1000000000000000000007,"), std::string::npos);
  EXPECT_NE(text.find("\"gemm\": 1000000000000000000006,"), std::string::npos);
  EXPECT_NE(text.find("\"bytes_least\": 1000000000000000000007,"), std::string::npos);
  const json object = json::parse(text);
  EXPECT_EQ(object["run"]["coverage"], (json{{"exact", 0.75}, {"none", 0.25}}));
  EXPECT_TRUE(object["ranks"][0]["rank"].is_null());
  EXPECT_TRUE(object["ranks"][0]["device"].is_null());
  EXPECT_TRUE(object["communicators"][0]["size"].is_null());
  EXPECT_TRUE(object["communicators"][0]["ranks"].is_null());
}

TEST(RenderJson, TextOfAnyKindIsValidJson) {
  const json object = json::parse(RenderJson(test::ExtremeRun()));
  EXPECT_EQ(object["ops"][0]["label"],
            "quote \" backslash \\ tab \t bad \xef\xbf\xbd\xef\xbf\xbd euro \xe2\x82\xac");
}

// RFC 3629: what is not UTF-8. Another library is the judge of what comes out.
TEST(RenderJson, QuotesEveryByteSequence) {
  for (int first = 0; first < 256; ++first) {
    for (const char* rest :
         {"", "\x80", "\xbf\xbf", "\x9f\x80\x80", "\xa0\x80", "\x8f\xbf\xbf", "x"}) {
      const std::string text = std::string(1, static_cast<char>(first)) + rest;
      const std::string quoted = JsonQuote(text);
      ASSERT_TRUE(json::accept(quoted)) << "byte " << first << " then " << quoted;
      const std::string back = json::parse(quoted).get<std::string>();
      bool is_utf8 = true;
      try {
        (void)json(text).dump();  // throws for what is not UTF-8
      } catch (const json::type_error&) {
        is_utf8 = false;
      }
      EXPECT_EQ(back == text, is_utf8) << "byte " << first << " then " << quoted;
      EXPECT_EQ(back.find("\xef\xbf\xbd") != std::string::npos, !is_utf8) << quoted;
    }
  }
}

}  // namespace
}  // namespace mfutrace::report
