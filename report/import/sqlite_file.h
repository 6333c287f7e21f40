// An SQLite file, opened to read tables of it: the few calls of libsqlite3 that importers need.
//
// Used by nsys_reader.cc. Nothing is ever written, not even a lock: the file is taken as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mfutrace::report {

// True for the first 16 bytes of every SQLite 3 database.
bool IsSqlite(absl::string_view first_bytes);

class SqliteRow {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  bool IsNull(int column) const;
  int64_t Integer(int column) const;  // 0 for null
  // Valid until the next row; empty for null.
  absl::string_view Text(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class SqliteFile {
 public:
  static absl::StatusOr<SqliteFile> Open(const std::string& path);

  bool HasTable(absl::string_view table) const;
  bool HasColumn(absl::string_view table, absl::string_view column) const;
  // kDataLoss if the file is damaged; what was handed out before is the caller's to drop.
  absl::Status ForEach(const std::string& sql,
                       const std::function<void(const SqliteRow&)>& take) const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  explicit SqliteFile(sqlite3* database) : database_(database) {}

  std::unique_ptr<sqlite3, Closer> database_;
};

}  // namespace mfutrace::report
