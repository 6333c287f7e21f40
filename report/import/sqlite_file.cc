// See sqlite_file.h.
#include "report/import/sqlite_file.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace mfutrace::report {
namespace {

// The magic text ends in a zero byte, which is part of it.
constexpr char kMagic[] = "SQLite format 3";

// A path as SQLite's URI form wants it; "immutable" keeps SQLite from looking for locks and logs.
std::string ReadOnlyUri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      absl::StrAppend(&uri, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

absl::Status StatusOf(sqlite3* database, int code) {
  const std::string what = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_IOERR:
      return absl::DataLossError(absl::StrCat("the SQLite file is damaged or truncated: ", what));
    case SQLITE_CANTOPEN:
      return absl::NotFoundError(absl::StrCat("cannot be opened: ", what));
    default:
      return absl::InvalidArgumentError(absl::StrCat("cannot be read as SQLite: ", what));
  }
}

}  // namespace

bool IsSqlite(absl::string_view first_bytes) {
  return absl::StartsWith(first_bytes, absl::string_view(kMagic, sizeof kMagic));
}

bool SqliteRow::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int64_t SqliteRow::Integer(int column) const { return sqlite3_column_int64(statement_, column); }

absl::string_view SqliteRow::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

void SqliteFile::Closer::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

absl::StatusOr<SqliteFile> SqliteFile::Open(const std::string& path) {
  sqlite3* database = nullptr;
  const int code =
      sqlite3_open_v2(ReadOnlyUri(path).c_str(), &database,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  SqliteFile file(database);
  if (code != SQLITE_OK) return StatusOf(database, code);
  // Opening reads nothing; this reads the schema.
  const absl::Status status =
      file.ForEach("SELECT count(*) FROM sqlite_master", [](const SqliteRow&) {});
  if (!status.ok()) return status;
  return file;
}

bool SqliteFile::HasTable(absl::string_view table) const {
  bool is_there = false;
  const absl::Status status =
      ForEach(absl::StrCat("SELECT 1 FROM sqlite_master WHERE type IN ('table','view') AND name='",
                           table, "'"),
              [&](const SqliteRow&) { is_there = true; });
  return status.ok() && is_there;
}

bool SqliteFile::HasColumn(absl::string_view table, absl::string_view column) const {
  bool is_there = false;
  const absl::Status status =
      ForEach(absl::StrCat("PRAGMA table_info(\"", table, "\")"),
              [&](const SqliteRow& row) { is_there |= row.Text(1) == column; });
  return status.ok() && is_there;
}

absl::Status SqliteFile::ForEach(const std::string& sql,
                                 const std::function<void(const SqliteRow&)>& take) const {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(database_.get(), sql.c_str(), static_cast<int>(sql.size()),
                                &statement, nullptr);
  if (code != SQLITE_OK) return StatusOf(database_.get(), code);
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) take(SqliteRow(statement));
  const absl::Status status =
      code == SQLITE_DONE ? absl::OkStatus() : StatusOf(database_.get(), code);
  sqlite3_finalize(statement);
  return status;
}

}  // namespace mfutrace::report
