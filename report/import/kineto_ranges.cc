// See kineto_ranges.h.
#include "report/import/kineto_ranges.h"

#include <algorithm>
#include <utility>

namespace mfutrace::report {

RangesByThread::RangesByThread(std::vector<RawOp> ops) : ops_(std::move(ops)) {
  std::sort(ops_.begin(), ops_.end(), [](const RawOp& a, const RawOp& b) {
    if (a.thread != b.thread) return a.thread < b.thread;
    if (a.time.begin_ns != b.time.begin_ns) return a.time.begin_ns < b.time.begin_ns;
    return a.time.end_ns > b.time.end_ns;
  });
  // On one thread a range that begins before another's end lies inside it, whatever the ends say:
  // old traces round both to microseconds.
  size_t kept = 0;
  for (const RawOp& op : ops_) {
    const bool is_nested = kept > 0 && ops_[kept - 1].thread == op.thread &&
                           op.time.begin_ns < ops_[kept - 1].time.end_ns;
    if (op.external_id != kNoId) {
      by_external_id_.try_emplace(op.external_id,
                                  static_cast<uint32_t>(is_nested ? kept - 1 : kept));
    }
    if (!is_nested) ops_[kept++] = op;
  }
  ops_.resize(kept);
}

uint32_t RangesByThread::Enclosing(uint32_t thread, int64_t time_ns) const {
  auto after = std::upper_bound(ops_.begin(), ops_.end(), std::make_pair(thread, time_ns),
                                [](const std::pair<uint32_t, int64_t>& key, const RawOp& op) {
                                  return key < std::make_pair(op.thread, op.time.begin_ns);
                                });
  if (after == ops_.begin()) return kNoIndex;
  const RawOp& op = *--after;
  if (op.thread != thread || time_ns > op.time.end_ns) return kNoIndex;
  return static_cast<uint32_t>(after - ops_.begin());
}

uint32_t RangesByThread::WithExternalId(int64_t external_id) const {
  const auto found = by_external_id_.find(external_id);
  return found == by_external_id_.end() ? kNoIndex : found->second;
}

}  // namespace mfutrace::report
