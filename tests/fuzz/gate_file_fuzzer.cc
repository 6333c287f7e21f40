// libFuzzer target: any text is a gate file or is refused in one line that names line and column;
// the same for baselines, which come back as they were written.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "gate/baseline.h"
#include "gate/gate_file.h"

namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "gate_file_fuzzer: %s\n", what);
  std::abort();
}

void RequireLocated(absl::string_view message) {
  Require(message.substr(0, 2) == "f:", "an error that does not name the file");
  Require(message.size() > 2 && message[2] >= '0' && message[2] <= '9', "an error without a line");
  Require(std::none_of(message.begin(), message.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20; }),
          "an error of more than one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<mfutrace::gate::GateFile> file = mfutrace::gate::ParseGateFile(text, "f");
  if (!file.ok()) {
    RequireLocated(file.status().message());
  } else {
    Require(!file->gates.empty(), "a gate file that checks nothing");
  }
  const auto baseline = mfutrace::gate::ParseBaseline(text, "f");
  if (!baseline.ok()) {
    RequireLocated(baseline.status().message());
    return 0;
  }
  const auto again = mfutrace::gate::ParseBaseline(mfutrace::gate::WriteBaseline(*baseline), "f");
  Require(again.ok(), "a baseline that cannot be read back");
  Require(again->size() == baseline->size(), "a baseline that lost runs");
  return 0;
}
