// Prepared statements in one transaction.
#include "report/render/sqlite.h"

#include <sqlite3.h>
#include <unistd.h>

#include <limits>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/render/data_table.h"
#include "shapes/label.h"

namespace mfutrace::report {
namespace {

// device_id numbers the (process, device) pairs; ranks tells who they are.
constexpr char kSchema[] = R"(
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA user_version = 1;
CREATE TABLE signatures (
  id INTEGER PRIMARY KEY, label TEXT NOT NULL, kind TEXT NOT NULL, dtype TEXT, provenance TEXT NOT NULL,
  flop_executed INTEGER, flop_model INTEGER, bytes_least INTEGER);
CREATE TABLE calls (
  device_id INTEGER NOT NULL, signature_id INTEGER NOT NULL REFERENCES signatures(id), stream INTEGER,
  host_begin_ns INTEGER, host_end_ns INTEGER, gpu_begin_ns INTEGER, gpu_end_ns INTEGER,
  is_captured INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE TABLE collectives (
  device_id INTEGER NOT NULL, communicator_id TEXT, sequence INTEGER, kind TEXT NOT NULL,
  bytes INTEGER, bus_bytes INTEGER, host_begin_ns INTEGER, gpu_begin_ns INTEGER, gpu_end_ns INTEGER);
)";

class Statement {
 public:
  Statement(sqlite3* database, const std::string& sql, absl::Status& status)
      : database_(database), status_(status) {
    Check(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement_, nullptr));
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Null() { return Check(sqlite3_bind_null(statement_, ++at_)), *this; }
  Statement& Integer(int64_t value) {
    return Check(sqlite3_bind_int64(statement_, ++at_, value)), *this;
  }
  // Beyond 64 bits SQLite has no integers: such a sum becomes a real number.
  Statement& Integer(absl::uint128 value) {
    if (value <= absl::uint128(std::numeric_limits<int64_t>::max())) {
      return Integer(static_cast<int64_t>(value));
    }
    return Real(static_cast<double>(value));
  }
  Statement& Real(double value) {
    return Check(sqlite3_bind_double(statement_, ++at_, value)), *this;
  }
  Statement& Text(const std::string& text) {
    Check(sqlite3_bind_text(statement_, ++at_, text.data(), static_cast<int>(text.size()),
                            SQLITE_TRANSIENT));
    return *this;
  }
  Statement& TextOrNull(const std::string& text) { return text.empty() ? Null() : Text(text); }
  Statement& TimeOrNull(int64_t ns) { return ns == 0 ? Null() : Integer(ns); }
  template <typename T>
  Statement& Maybe(const std::optional<T>& value) {
    return value.has_value() ? Integer(absl::uint128(*value)) : Null();
  }
  Statement& Any(const Cell& cell) {
    if (const auto* integer = std::get_if<int64_t>(&cell)) return Integer(*integer);
    if (const auto* wide = std::get_if<absl::uint128>(&cell)) return Integer(*wide);
    if (const auto* real = std::get_if<double>(&cell)) return Real(*real);
    if (const auto* text = std::get_if<std::string>(&cell)) return Text(*text);
    return Null();
  }
  void Run() {
    Check(sqlite3_step(statement_) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(database_));
    sqlite3_reset(statement_);
    at_ = 0;
  }

 private:
  void Check(int code) {
    if (code != SQLITE_OK && status_.ok()) status_ = absl::InternalError(sqlite3_errmsg(database_));
  }
  sqlite3* database_;
  absl::Status& status_;
  sqlite3_stmt* statement_ = nullptr;
  int at_ = 0;
};

using SignatureKey = std::tuple<std::string, int, std::string, int, uint64_t, uint64_t, uint64_t>;

}  // namespace

struct SqliteExport::State {
  std::string path;
  sqlite3* database = nullptr;
  absl::Status status;
  std::map<SignatureKey, int64_t> signatures;
  std::vector<std::pair<std::string, int32_t>> devices;  // path and ordinal, by device_id
  std::unique_ptr<Statement> insert_signature;
  std::unique_ptr<Statement> insert_call;
  std::unique_ptr<Statement> insert_collective;

  void Execute(const std::string& sql) {
    if (!status.ok()) return;
    if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      status = absl::InternalError(sqlite3_errmsg(database));
    }
  }
  int64_t SignatureOf(const Op& op);
  void WriteTable(const DataTable& table, const std::vector<Cell>* first_column);
};

SqliteExport::SqliteExport(std::unique_ptr<State> state) : state_(std::move(state)) {}

SqliteExport::~SqliteExport() {
  state_->insert_signature.reset();
  state_->insert_call.reset();
  state_->insert_collective.reset();
  sqlite3_close(state_->database);
}

absl::StatusOr<std::unique_ptr<SqliteExport>> SqliteExport::Create(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  unlink(path.c_str());
  if (sqlite3_open(path.c_str(), &state->database) != SQLITE_OK) {
    const std::string why =
        state->database != nullptr ? sqlite3_errmsg(state->database) : "no memory";
    sqlite3_close(state->database);
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", why));
  }
  state->Execute(kSchema);
  state->Execute("BEGIN");
  const auto prepare = [&](const char* sql) {
    return std::make_unique<Statement>(state->database, sql, state->status);
  };
  state->insert_signature = prepare("INSERT INTO signatures VALUES (?,?,?,?,?,?,?,?)");
  state->insert_call = prepare("INSERT INTO calls VALUES (?,?,?,?,?,?,?,?,?)");
  state->insert_collective = prepare("INSERT INTO collectives VALUES (?,?,?,?,?,?,?,?,?)");
  if (!state->status.ok()) {
    const std::string why(state->status.message());
    SqliteExport closes_it(std::move(state));
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", why));
  }
  return std::unique_ptr<SqliteExport>(new SqliteExport(std::move(state)));
}

int64_t SqliteExport::State::SignatureOf(const Op& op) {
  const SignatureKey key = {op.label,
                            static_cast<int>(op.kind),
                            op.dtype,
                            static_cast<int>(op.provenance),
                            op.flop_executed.value_or(UINT64_MAX),
                            op.flop_model.value_or(UINT64_MAX),
                            op.bytes_least.value_or(UINT64_MAX)};
  const auto [found, is_new] =
      signatures.try_emplace(key, static_cast<int64_t>(signatures.size()) + 1);
  if (is_new) {
    insert_signature->Integer(found->second)
        .Text(op.label)
        .Text(std::string(shapes::NameOf(op.kind)))
        .TextOrNull(op.dtype)
        .Text(std::string(shapes::NameOf(op.provenance)))
        .Maybe(op.flop_executed)
        .Maybe(op.flop_model)
        .Maybe(op.bytes_least)
        .Run();
  }
  return found->second;
}

void SqliteExport::Add(const Timeline& timeline) {
  const auto device = static_cast<int64_t>(state_->devices.size());
  state_->devices.emplace_back(timeline.path, timeline.device.ordinal);
  std::vector<int64_t> signature_of;
  for (const Op& op : timeline.ops) signature_of.push_back(state_->SignatureOf(op));
  for (const OpCall& call : timeline.calls) {
    if (call.op >= signature_of.size()) continue;
    const Op& op = timeline.ops[call.op];
    const Work* work = call.work < timeline.works.size() ? &timeline.works[call.work] : nullptr;
    Statement& insert = *state_->insert_call;
    insert.Integer(device).Integer(signature_of[call.op]);
    if (work != nullptr) {
      insert.Integer(int64_t{work->stream});
    } else {
      insert.Null();
    }
    insert.TimeOrNull(call.host_begin_ns).TimeOrNull(call.host_end_ns);
    const auto gpu_times = [work](Statement& statement) {
      if (work != nullptr) {
        statement.Integer(work->time.begin_ns).Integer(work->time.end_ns);
      } else {
        statement.Null().Null();
      }
    };
    gpu_times(insert);
    insert.Integer(int64_t{call.is_captured}).Integer(int64_t{1}).Run();
    if (op.kind != shapes::OpKind::kCollective || call.is_captured) continue;
    Statement& collective = *state_->insert_collective;
    collective.Integer(device).TextOrNull(op.communicator < timeline.communicators.size()
                                              ? timeline.communicators[op.communicator].id
                                              : std::string());
    if (call.sequence > 0) {
      collective.Integer(int64_t{call.sequence});
    } else {
      collective.Null();
    }
    collective.Text(op.label.substr(0, op.label.find(' ')))
        .Maybe(op.algorithm_bytes)
        .Maybe(op.bus_bytes)
        .TimeOrNull(call.host_begin_ns);
    gpu_times(collective);
    collective.Run();
  }
  // Calls without a record of their own: one row for all of them.
  for (const CountedCalls& counted : timeline.counted) {
    if (counted.op >= signature_of.size()) continue;
    state_->insert_call->Integer(device)
        .Integer(signature_of[counted.op])
        .Null()
        .TimeOrNull(counted.host_time.begin_ns)
        .TimeOrNull(counted.host_time.end_ns)
        .Null()
        .Null()
        .Integer(int64_t{0})
        .Integer(absl::uint128(counted.calls))
        .Run();
  }
}

void SqliteExport::State::WriteTable(const DataTable& table,
                                     const std::vector<Cell>* first_column) {
  std::string columns = first_column == nullptr ? "" : "device_id INTEGER";
  std::string marks = first_column == nullptr ? "" : "?";
  for (const DataTable::Column& column : table.columns) {
    const char* type = column.type == DataTable::Type::kText   ? " TEXT"
                       : column.type == DataTable::Type::kReal ? " REAL"
                                                               : " INTEGER";
    absl::StrAppend(&columns, columns.empty() ? "" : ", ", "\"", column.name, "\"", type);
    absl::StrAppend(&marks, marks.empty() ? "?" : ",?");
  }
  Execute(absl::StrCat("CREATE TABLE ", table.name, " (", columns, ")"));
  Statement insert(database, absl::StrCat("INSERT INTO ", table.name, " VALUES (", marks, ")"),
                   status);
  for (size_t i = 0; i < table.rows.size() && status.ok(); ++i) {
    if (first_column != nullptr) insert.Any((*first_column)[i]);
    for (const Cell& cell : table.rows[i]) insert.Any(cell);
    insert.Run();
  }
}

absl::Status SqliteExport::Finish(const RunResult& result) {
  std::vector<Cell> ids;
  std::string list;
  for (const RankResult& rank : result.ranks) {
    Cell id;
    for (size_t i = 0; i < state_->devices.size(); ++i) {
      if (state_->devices[i] == std::pair(rank.path, rank.device)) {
        id = static_cast<int64_t>(i);
        absl::StrAppend(&list, list.empty() ? "" : ",", i);
      }
    }
    ids.push_back(id);
  }
  state_->Execute("DELETE FROM calls WHERE device_id NOT IN (" + list + ")");
  state_->Execute("DELETE FROM collectives WHERE device_id NOT IN (" + list + ")");
  for (const DataTable& table : AllTables(result)) {
    state_->WriteTable(table, table.name == "ranks" ? &ids : nullptr);
  }
  state_->Execute("CREATE INDEX calls_by_signature ON calls(signature_id)");
  state_->Execute("CREATE INDEX collectives_by_call ON collectives(communicator_id, sequence)");
  state_->Execute("COMMIT");
  if (state_->status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write ", state_->path, ": ", std::string(state_->status.message())));
}

}  // namespace mfutrace::report
