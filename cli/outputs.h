// What `report` writes beside its text: one option a format, all from one read of the traces. "-"
// is stdout; an existing file is left alone unless --force says otherwise.
#pragma once

#include <string>

#include "CLI/App.hpp"
#include "report/analyze/analyze.h"
#include "report/analyze/results.h"

namespace mfutrace::cli {

struct OutputOptions {
  std::string json;
  std::string html;
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

// `json` is the finished object of --json (it may hold more than the run).
int WriteOutputs(const OutputOptions& options, const report::RunResult& result,
                 const std::string& json);

}  // namespace mfutrace::cli
