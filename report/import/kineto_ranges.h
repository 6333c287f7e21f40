// Which operator was running on a thread at a given time. Used by kineto_join.cc only.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "report/import/kineto_reader.h"

namespace mfutrace::report {

// Ranges of one kind, each thread's in order and side by side: of nested ones only the outermost
// stays, so that an operator that works through another is counted once.
class RangesByThread {
 public:
  explicit RangesByThread(std::vector<RawOp> ops);

  const std::vector<RawOp>& ops() const { return ops_; }

  // Indices into ops(), or kNoIndex.
  uint32_t Enclosing(uint32_t thread, int64_t time_ns) const;
  uint32_t WithExternalId(int64_t external_id) const;  // nested ones lead to what is around them

 private:
  std::vector<RawOp> ops_;
  absl::flat_hash_map<int64_t, uint32_t> by_external_id_;
};

}  // namespace mfutrace::report
