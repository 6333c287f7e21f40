// `report --sqlite`: every call of a run in one SQLite file, for queries of one's own
// (docs/EXPORTS.md has the tables and examples). Timelines are written as they are read, so memory
// does not grow.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "report/analyze/results.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

class SqliteExport {
 public:
  // A new file; what was at `path` is gone.
  static absl::StatusOr<std::unique_ptr<SqliteExport>> Create(const std::string& path);
  ~SqliteExport();
  SqliteExport(const SqliteExport&) = delete;
  SqliteExport& operator=(const SqliteExport&) = delete;

  void Add(const Timeline& timeline);
  // Ranks, steps, operations, communicators and the budget; rows of timelines that the run does not
  // have (earlier attempts) go. The first error of all of it.
  absl::Status Finish(const RunResult& result);

 private:
  struct State;
  explicit SqliteExport(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mfutrace::report
