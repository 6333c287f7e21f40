// What `report` writes beside its text: one option a format, all from one read of the traces. "-"
// is stdout; an existing file is left alone unless --force says otherwise.
#pragma once

#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "report/analyze/analyze.h"
#include "report/analyze/results.h"
#include "report/render/sqlite.h"

namespace mfutrace::cli {

struct OutputOptions {
  std::string json;
  std::string html;
  std::string perfetto;
  std::string chrome;
  std::string csv;  // a folder
  std::string sqlite;
  std::string prom;
  std::string markdown;
  bool force = false;
};

void AddOutputOptions(CLI::App& app, OutputOptions& options);

// Before anything is read: an exit code and a message where two outputs want stdout, or where a
// file exists that may not be overwritten.
int CheckOutputs(const OutputOptions& options);

// True if one of them is stdout: nothing else may be printed there.
bool WritesToStdout(const OutputOptions& options);

// What the analysis must keep for them.
report::SampleRequest SampleFor(const OutputOptions& options);

// Where calls go while they are read; nullptr if nobody asked for it.
absl::StatusOr<std::unique_ptr<report::SqliteExport>> OpenSqlite(const OutputOptions& options);

// `json` is the finished object of --json (it may hold more than the run).
int WriteOutputs(const OutputOptions& options, const report::RunResult& result,
                 const std::string& json);

}  // namespace mfutrace::cli
