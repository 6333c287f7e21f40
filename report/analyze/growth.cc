// See growth.h.
#include "report/analyze/growth.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace mfutrace::report {
namespace {

struct Sequence {
  uint32_t queries = 0;
  uint32_t cached = 0;
};

std::vector<Sequence> Expand(std::span<const shapes::SequenceRun> runs) {
  std::vector<Sequence> sequences;
  for (const shapes::SequenceRun& run : runs) {
    const uint32_t cached = run.seq_k > run.seq_q ? run.seq_k - run.seq_q : 0;
    sequences.insert(sequences.end(), run.count, Sequence{run.seq_q, cached});
  }
  return sequences;
}

bool Fits(const Sequence& now, const Sequence& next) {
  return next.cached > now.cached && next.cached - now.cached <= now.queries;
}

// The best that beginnings of both lists can be matched: most matches, and among those the least
// and the most that may have grown.
struct Best {
  uint32_t matched = 0;  // of `next`
  uint32_t least_known = 0, most_known = 0;
  uint64_t least = 0, most = 0;

  void Take(const Best& from, uint32_t matches, uint32_t known, uint32_t growth) {
    const uint32_t total = from.matched + matches;
    if (total < matched) return;
    if (total > matched) {
      *this = {total, std::numeric_limits<uint32_t>::max(), 0, std::numeric_limits<uint64_t>::max(),
               0};
    }
    least_known = std::min(least_known, from.least_known + known);
    most_known = std::max(most_known, from.most_known + known);
    least = std::min(least, from.least + growth);
    most = std::max(most, from.most + growth);
  }
};

using Growths = std::vector<std::optional<uint32_t>>;

// Sequences in their order, some gone and some new in between. False if that explains not all of
// `next`; nothing is known where it does so in two ways.
bool InOrder(const std::vector<Sequence>& now, const std::vector<Sequence>& next,
             const std::vector<uint32_t>& entered, Growths& growths) {
  const size_t columns = next.size() + 1;
  std::vector<Best> best((now.size() + 1) * columns);
  const auto at = [&](size_t i, size_t j) -> Best& { return best[i * columns + j]; };
  const auto is_new = [&](size_t j) {
    return std::binary_search(entered.begin(), entered.end(), next[j].cached);
  };
  for (size_t i = 0; i <= now.size(); ++i) {
    for (size_t j = 0; j <= next.size(); ++j) {
      if (i == 0 && j == 0) continue;
      Best here = {0, std::numeric_limits<uint32_t>::max(), 0, std::numeric_limits<uint64_t>::max(),
                   0};
      if (i > 0) here.Take(at(i - 1, j), 0, 0, 0);
      if (j > 0) here.Take(at(i, j - 1), is_new(j - 1) ? 1 : 0, 0, 0);
      if (i > 0 && j > 0 && Fits(now[i - 1], next[j - 1])) {
        here.Take(at(i - 1, j - 1), 1, 1, next[j - 1].cached - now[i - 1].cached);
      }
      at(i, j) = here;
    }
  }
  const Best& all = at(now.size(), next.size());
  if (all.matched != next.size()) return false;
  if (all.least != all.most || all.least_known != all.most_known) return true;
  for (size_t i = now.size(), j = next.size(); i > 0 && j > 0;) {
    const Best& here = at(i, j);
    if (Fits(now[i - 1], next[j - 1]) && at(i - 1, j - 1).matched + 1 == here.matched) {
      growths[i - 1] = next[j - 1].cached - now[i - 1].cached;
      --i;
      --j;
    } else if (at(i - 1, j).matched == here.matched) {
      --i;
    } else {
      --j;
    }
  }
  return true;
}

// Sequences in any order: each of `next` must have one origin that no other can have.
void InAnyOrder(const std::vector<Sequence>& now, const std::vector<Sequence>& next,
                const std::vector<uint32_t>& entered, Growths& growths) {
  Growths found(now.size());
  std::vector<uint32_t> claims(now.size(), 0);
  for (const Sequence& sequence : next) {
    if (std::binary_search(entered.begin(), entered.end(), sequence.cached)) return;
    size_t origins = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      if (!Fits(now[i], sequence)) continue;
      ++origins;
      ++claims[i];
      found[i] = sequence.cached - now[i].cached;
    }
    if (origins != 1) return;
  }
  if (std::any_of(claims.begin(), claims.end(), [](uint32_t n) { return n > 1; })) return;
  growths = std::move(found);
}

}  // namespace

Growths GrowthOf(std::span<const shapes::SequenceRun> now,
                 std::span<const shapes::SequenceRun> next, std::span<const uint32_t> entered) {
  const std::vector<Sequence> before = Expand(now);
  const std::vector<Sequence> after = Expand(next);
  std::vector<uint32_t> sorted(entered.begin(), entered.end());
  std::sort(sorted.begin(), sorted.end());
  Growths growths(before.size());
  // The usual case: nobody came or went.
  bool all_stay = entered.empty() && before.size() == after.size();
  for (size_t i = 0; all_stay && i < before.size(); ++i) all_stay = Fits(before[i], after[i]);
  if (all_stay) {
    for (size_t i = 0; i < before.size(); ++i) growths[i] = after[i].cached - before[i].cached;
    return growths;
  }
  if (!InOrder(before, after, sorted, growths)) InAnyOrder(before, after, sorted, growths);
  return growths;
}

}  // namespace mfutrace::report
