// `mfutrace peaks --measure`: starts mfutrace-probe and keeps what it measured in the user's peaks
// file.
#pragma once

#include <string>
#include <vector>

namespace mfutrace::cli {

struct MeasureOptions {
  int device = 0;
  std::string rates;        // comma list; empty: all
  double most_seconds = 5;  // a format
  std::string peaks_file;   // to append to
};

// An exit code; prints a line a format as it is measured.
int MeasurePeaks(const MeasureOptions& options);

}  // namespace mfutrace::cli
