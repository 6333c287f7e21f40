// See truth_log.h; the grammar of a line is in README.md.
#include "engine/truth_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "engine/engine.h"

namespace simgpu {
namespace {

constexpr char kHeader[] =
    "# simgpu truth log 1\n"
    "# "
    "seq\tpid\trank\tdevice\tstream\tstart_ns\tend_ns\tkind\tfunction\tdims\tflop\tbytes\tqueued\t"
    "graph\tenqueue_ns\n";

const char* NameOf(OpKind kind) {
  switch (kind) {
    case OpKind::kGemm:
      return "gemm";
    case OpKind::kCollective:
      return "collective";
    case OpKind::kMemcpy:
      return "memcpy";
    case OpKind::kMemset:
      return "memset";
    case OpKind::kKernel:
      return "kernel";
    case OpKind::kEvent:
      return "event";
    case OpKind::kHost:
      return "host";
    case OpKind::kConvolution:
      return "conv";
    case OpKind::kAttention:
      return "attention";
    case OpKind::kRnn:
      return "rnn";
    case OpKind::kGraph:
      return "graph";
    case OpKind::kMarker:
      break;
  }
  return "marker";
}

void WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    data += written;
    size -= static_cast<size_t>(written);
  }
}

// Ranks share the folder and write the same text: a rename leaves one whole file.
void WritePeaks(const std::string& folder) {
  const std::string text = PeaksToml(GetSettings());
  const std::string temporary = folder + "/.peaks." + std::to_string(getpid());
  const int fd = open(temporary.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  WriteAll(fd, text.data(), text.size());
  close(fd);
  if (rename(temporary.c_str(), (folder + "/peaks.toml").c_str()) != 0) unlink(temporary.c_str());
}

}  // namespace

bool TruthLog::Open() {
  if (fd_ >= 0) return true;
  const std::string& folder = GetSettings().log_dir;
  if (failed_ || folder.empty()) return false;
  mkdir(folder.c_str(), 0755);
  const std::string path =
      folder + "/truth." + std::to_string(getpid()) + "." + std::to_string(NowNs()) + ".tsv";
  fd_ = open(path.c_str(), O_CREAT | O_WRONLY | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) {
    std::fprintf(stderr, "simgpu: no truth log: %s: %s\n", path.c_str(), std::strerror(errno));
    failed_ = true;
    return false;
  }
  buffer_ = kHeader;
  WritePeaks(folder);
  return true;
}

void TruthLog::Add(const Op& op) {
  if (op.work.kind == OpKind::kMarker || !Open()) return;
  const auto line = [&](CUstream stream, const char* function, const std::string& dims,
                        uint64_t flop, uint64_t bytes) {
    char head[256];
    std::snprintf(head, sizeof head,
                  "%" PRIu64 "\t%d\t%d\t%d\t0x%" PRIxPTR "\t%" PRId64 "\t%" PRId64 "\t%s\t",
                  sequence_++, static_cast<int>(getpid()), GetSettings().rank, op.device,
                  reinterpret_cast<uintptr_t>(stream), op.start_ns, op.end_ns,
                  NameOf(op.work.kind));
    buffer_ += head;
    buffer_ += function;
    buffer_ += '\t';
    buffer_ += dims.empty() ? "-" : dims;
    std::snprintf(head, sizeof head, "\t%" PRIu64 "\t%" PRIu64 "\t%d\t%d\t%" PRId64 "\n", flop,
                  bytes, op.start_ns > op.enqueue_ns ? 1 : 0, op.graph ? 1 : 0, op.enqueue_ns);
    buffer_ += head;
  };
  if (op.work.peers == nullptr) {
    line(op.stream, op.work.function, op.work.dims, op.work.flop, op.work.bytes);
  } else {
    for (const LogEntry& entry : op.work.peers->Entries()) {
      line(entry.stream, entry.function, entry.dims, entry.flop, entry.bytes);
    }
  }
}

void TruthLog::Flush() {
  if (fd_ < 0 || buffer_.empty()) return;
  WriteAll(fd_, buffer_.data(), buffer_.size());
  buffer_.clear();
}

}  // namespace simgpu
