// Attention whose sequence lengths lie in device memory: exact where asked for, else a bound. The
// fake driver's copies arrive only when an event behind them is seen complete.
#include "interpose/device_lengths.h"

#include <unistd.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fake_driver.h"
#include "session_fixture.h"

namespace mfutrace::interpose {
namespace {

using Pairs = std::vector<std::pair<uint32_t, uint32_t>>;  // queries and keys of each sequence

void* Stream(uintptr_t number) { return reinterpret_cast<void*>(number); }

shapes::Attention Shape() {
  shapes::Attention attention;
  attention.batch = 4;
  attention.heads_q = attention.heads_kv = 8;
  attention.seq_q = 100;
  attention.seq_k = 200;
  attention.head_dim_qk = attention.head_dim_v = 64;
  attention.dtype = shapes::Dtype::kBf16;
  attention.mask = shapes::Mask::kNone;
  return attention;
}

Pairs PairsOf(const std::vector<trace::SequenceLengths>& runs) {
  Pairs pairs;
  for (const trace::SequenceLengths& run : runs) {
    pairs.insert(pairs.end(), run.count, {run.seq_q, run.seq_k});
  }
  return pairs;
}

class DeviceLengthsTest : public SessionTest {
 protected:
  DeviceLengthsTest() {
    Set("MFUTRACE_DEVICE_LENGTHS", "1");
    Set("MFUTRACE_TIMING", "count");
  }
  // Before the driver goes.
  ~DeviceLengthsTest() override { End(); }

  static void Call(const DeviceLengths& lengths, void* stream = nullptr, bool succeeds = true,
                   const shapes::Attention& shape = Shape()) {
    ASSERT_TRUE(Observing());
    OpenCall call = BeginAttention(shape, lengths, Entry::k_cudnnBackendExecute, stream);
    EndCall(call, stream, succeeds);
  }
  static DeviceLengths Lengths(const std::vector<int32_t>& q, const std::vector<int32_t>& k) {
    DeviceLengths lengths;
    lengths.q.data = q.data();
    lengths.k.data = k.data();
    lengths.sequences = static_cast<uint32_t>(q.size());
    return lengths;
  }
  static const trace::AttentionSignature& SignatureOf(const ReadBack& read, size_t call) {
    return read.attentions.at(read.calls.at(call).signature);
  }
  static Pairs LengthsOf(const ReadBack& read, size_t call) {
    const uint32_t list = SignatureOf(read, call).lengths;
    return list == 0 ? Pairs{} : PairsOf(read.lengths.at(list));
  }
  static void ExpectBound(const ReadBack& read, size_t call) {
    const trace::AttentionSignature& signature = SignatureOf(read, call);
    EXPECT_EQ(signature.lengths, 0u);
    EXPECT_EQ(signature.flags & trace::kLengthsOnDevice, trace::kLengthsOnDevice);
    EXPECT_EQ(signature.provenance, static_cast<uint8_t>(shapes::Provenance::kBound));
    EXPECT_EQ(signature.seq_q, 100u);
    EXPECT_EQ(signature.seq_k, 200u);
  }

  FakeDriver driver_{[this] { return now_ns_ += 1000; }};
  int64_t now_ns_ = 0;
};

TEST_F(DeviceLengthsTest, WithoutTheOptionNothingIsCopied) {
  Set("MFUTRACE_DEVICE_LENGTHS", "0");
  const std::vector<int32_t> q = {1, 2, 3, 4};
  Call(Lengths(q, q));
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 1u);
  ExpectBound(read, 0);
  EXPECT_EQ(driver_.copies(), 0u);
  EXPECT_EQ(read.CounterOf("device_lengths_not_copied"), 0u);
}

TEST_F(DeviceLengthsTest, LengthsTakeTheBoundsPlace) {
  const std::vector<int32_t> q = {100, 7, 7, 0};
  const std::vector<int32_t> k = {200, 9, 9, 1};
  Call(Lengths(q, k), Stream(5));
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 1u);
  EXPECT_EQ(read.calls[0].sequence, 0u);
  EXPECT_EQ(read.calls[0].flags, 0u);
  const trace::AttentionSignature& signature = SignatureOf(read, 0);
  EXPECT_EQ(signature.provenance, static_cast<uint8_t>(shapes::Provenance::kExact));
  EXPECT_EQ(signature.flags & trace::kLengthsOnDevice, 0);
  EXPECT_EQ(signature.heads_q, 8u);
  EXPECT_EQ(LengthsOf(read, 0), (Pairs{{100, 200}, {7, 9}, {7, 9}, {0, 1}}));
  // Equal neighbours are one run.
  EXPECT_EQ(read.lengths.at(signature.lengths).size(), 3u);
  EXPECT_EQ(driver_.queries_outside_relaxed_mode(), 0u);
}

TEST_F(DeviceLengthsTest, OffsetsAreReadInTheirUnit) {
  // Ragged offsets count elements: 8 heads of 64.
  const std::vector<int64_t> q = {0, 512 * 10, 512 * 10, 512 * 100};
  const std::vector<int32_t> k = {0, 200, 203, 204};
  DeviceLengths lengths;
  lengths.q = {q.data(), true, true, 512};
  lengths.k = {k.data(), false, true, 1};
  lengths.sequences = 3;
  Call(lengths);
  // Keys all as long as the shape says; queries through the same array as the keys next.
  lengths.k = {};
  Call(lengths);
  lengths.q = lengths.k = {k.data(), false, true, 1};
  shapes::Attention shape = Shape();
  shape.seq_q = 200;
  Call(lengths, nullptr, true, shape);
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 3u);
  EXPECT_EQ(LengthsOf(read, 0), (Pairs{{10, 200}, {0, 3}, {90, 1}}));
  EXPECT_EQ(LengthsOf(read, 1), (Pairs{{10, 200}, {0, 200}, {90, 200}}));
  EXPECT_EQ(LengthsOf(read, 2), (Pairs{{200, 200}, {3, 3}, {1, 1}}));
  EXPECT_EQ(driver_.copies(), 4u);  // two, one, and one for both sides
}

TEST_F(DeviceLengthsTest, LengthsThatCannotBeLeaveTheBound) {
  const std::vector<int32_t> good = {1, 2};
  const std::vector<int32_t> too_long = {1, 101};
  const std::vector<int32_t> negative = {-1, 2};
  const std::vector<int32_t> falling = {5, 4, 6};
  const std::vector<int32_t> odd = {0, 3, 8};
  Call(Lengths(too_long, good));
  Call(Lengths(negative, good));
  DeviceLengths lengths = Lengths(falling, good);
  lengths.sequences = 2;
  lengths.q.is_offsets = true;
  Call(lengths);
  lengths.q = {odd.data(), false, true, 4};
  Call(lengths);
  Call(Lengths(good, good));
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 5u);
  for (size_t i = 0; i < 4; ++i) ExpectBound(read, i);
  EXPECT_EQ(LengthsOf(read, 4), (Pairs{{1, 1}, {2, 2}}));
  EXPECT_EQ(read.CounterOf("device_lengths_unusable"), 4u);
}

TEST_F(DeviceLengthsTest, ACaptureIsLeftAlone) {
  const std::vector<int32_t> q = {1, 2};
  driver_.Capture(5);
  Call(Lengths(q, q), Stream(5));
  Call(Lengths(q, q), Stream(6));
  driver_.Capture(0);
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 2u);
  ExpectBound(read, 0);
  EXPECT_EQ(read.calls[0].flags, trace::kCaptured);
  EXPECT_EQ(LengthsOf(read, 1), (Pairs{{1, 1}, {2, 2}}));
  EXPECT_EQ(driver_.copies_into_capture(), 0u);
  EXPECT_EQ(driver_.records_into_capture(), 0u);
}

TEST_F(DeviceLengthsTest, ADriverThatRefusesCostsTheCallNothing) {
  const std::vector<int32_t> q = {1, 2};
  driver_.FailCopies(true);
  for (int i = 0; i < 10'000; ++i) Call(Lengths(q, q));
  driver_.FailCopies(false);
  usleep(50'000);  // refused copies are given back
  Call(Lengths(q, q));
  End();
  const ReadBack read = ReadOnly();
  EXPECT_EQ(read.Total(), 10'001u);
  EXPECT_EQ(read.CounterOf("device_lengths_not_copied"), 10'000u);
  EXPECT_EQ(LengthsOf(read, read.calls.size() - 1), (Pairs{{1, 1}, {2, 2}}));
}

TEST_F(DeviceLengthsTest, UnfinishedCopiesHoldNothingUpAtTheEnd) {
  const std::vector<int32_t> q = {1, 2};
  driver_.HoldCompletion(true);
  Call(Lengths(q, q));
  Gemm(7);
  usleep(30'000);
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 2u);
  ExpectBound(read, 0);
  EXPECT_EQ(read.CounterOf("device_lengths_not_copied"), 1u);
  driver_.HoldCompletion(false);
}

TEST_F(DeviceLengthsTest, FailedCallsGiveTheirCopiesBack) {
  const std::vector<int32_t> q = {1, 2};
  for (int i = 0; i < 3; ++i) {
    // More than the ring has, with time for the flusher in between.
    for (int j = 0; j < 3000; ++j) Call(Lengths(q, q), nullptr, false);
    usleep(50'000);
  }
  Call(Lengths(q, q));
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), 1u);
  EXPECT_EQ(LengthsOf(read, 0), (Pairs{{1, 1}, {2, 2}}));
  EXPECT_EQ(read.CounterOf("failed_calls_not_counted"), 9000u);
}

// Long rows of random lists through the ring many times over, in both timing modes.
class Many : public DeviceLengthsTest, public testing::WithParamInterface<const char*> {};

TEST_P(Many, EveryCallHasItsOwnLengths) {
  Set("MFUTRACE_TIMING", GetParam());
  Set("MFUTRACE_RING", "65536");
  constexpr int kCalls = 20'000;
  std::mt19937 random(42);
  std::vector<Pairs> expected;
  for (int i = 0; i < kCalls; ++i) {
    const size_t sequences = 1 + random() % 300;
    std::vector<int32_t> q(sequences);
    std::vector<int32_t> k(sequences);
    Pairs pairs;
    // Few different ones, so that some lists are equal.
    const bool is_common = random() % 2 == 0;
    for (size_t j = 0; j < sequences; ++j) {
      q[j] = static_cast<int32_t>(is_common ? sequences % 3 : random() % 101);
      k[j] = static_cast<int32_t>(is_common ? sequences % 5 : random() % 201);
      pairs.emplace_back(q[j], k[j]);
    }
    Call(Lengths(q, k), Stream(i % 3));
    expected.push_back(std::move(pairs));
    if (i % 500 == 499) usleep(20'000);
  }
  End();
  const ReadBack read = ReadOnly();
  ASSERT_EQ(read.calls.size(), expected.size());
  size_t exact = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (SignatureOf(read, i).lengths == 0) continue;
    ++exact;
    ASSERT_EQ(LengthsOf(read, i), expected[i]) << i;
  }
  EXPECT_EQ(exact + read.CounterOf("device_lengths_not_copied"), expected.size());
  EXPECT_GT(exact, expected.size() / 2);
  // Equal lists are one.
  std::map<Pairs, uint32_t> lists;
  for (const auto& [list, runs] : read.lengths) {
    EXPECT_TRUE(lists.emplace(PairsOf(runs), list).second) << "list " << list << " twice";
  }
}

INSTANTIATE_TEST_SUITE_P(Timing, Many, testing::Values("count", "events"));

}  // namespace
}  // namespace mfutrace::interpose
