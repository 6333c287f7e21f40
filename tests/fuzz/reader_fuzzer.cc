// libFuzzer target: any bytes are read or refused, with what was read accounted for and one line
// said.
//
// Checksums would stop nearly every mutation at the door, so the mutator seals most of its inputs
// again (Reseal): the reader then meets blocks whose contents are wrong and whose checksums hold.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/trace/encoder.h"
#include "trace/dump.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using mfutrace::trace::Dump;
using mfutrace::trace::Outcome;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "reader_fuzzer: %s\n", what);
  std::abort();
}

bool IsOneLine(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (size < 64) {
    const std::string start = mfutrace::trace_test::WholeFile() +
                              mfutrace::trace_test::OtherSignatureBlocks() +
                              mfutrace::trace_test::GrownSignatureBlocks();
    size = std::min(start.size(), max_size);
    std::memcpy(data, start.data(), size);
  }
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 == 0) return size;
  std::string file(reinterpret_cast<const char*>(data), size);
  mfutrace::trace_test::Reseal(&file);
  std::memcpy(data, file.data(), size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("reader_fuzzer", MFD_CLOEXEC);
  Require(
      fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == static_cast<ssize_t>(size),
      "cannot write the file in memory");

  uint64_t lines = 0;
  const absl::StatusOr<Outcome> outcome =
      Dump("/proc/self/fd/" + std::to_string(fd), [&lines](absl::string_view line) {
        Require(IsOneLine(line), "a record of more than one line");
        ++lines;
      });
  if (!outcome.ok()) {
    Require(!outcome.status().message().empty(), "an error without words");
    Require(IsOneLine(outcome.status().message()), "an error of more than one line");
    return 0;
  }
  Require(lines > 0, "a readable file without a header");
  Require(outcome->bytes_read + outcome->bytes_lost == size,
          "bytes that are neither read nor lost");
  Require(outcome->damage.empty() == (outcome->bytes_lost == 0), "loss and damage disagree");
  Require(IsOneLine(outcome->damage), "damage of more than one line");
  return 0;
}
