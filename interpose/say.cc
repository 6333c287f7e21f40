// See say.h.
#include "interpose/say.h"

#include <atomic>
#include <cerrno>

#include <unistd.h>

#include "interpose/memory.h"
#include "interpose/text.h"

namespace mfutrace::interpose {
namespace {

constinit std::atomic<bool> g_is_quiet{false};
constinit std::atomic<uint32_t> g_said{0};

}  // namespace

void SayNothing(bool quiet) { g_is_quiet.store(quiet, std::memory_order_relaxed); }

void ResetSayings() { g_said.store(0, std::memory_order_relaxed); }

void Say(Saying saying, const char* what, const char* which, const char* detail) {
  if (g_is_quiet.load(std::memory_order_relaxed)) return;
  const uint32_t bit = 1u << static_cast<uint32_t>(saying);
  if ((g_said.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return;
  const ErrnoGuard keep_errno;
  char buffer[1024];
  Text line(buffer, sizeof buffer - 1);
  line.Add("mfutrace[").Add(int64_t{getpid()}).Add("]: ").Add(what);
  if (which != nullptr) line.Add(" ").Add(which);
  if (detail != nullptr) line.Add(detail);
  size_t bytes = line.size();
  buffer[bytes++] = '\n';
  // One attempt: a closed or full stderr is the job's affair.
  if (write(STDERR_FILENO, buffer, bytes) < 0) return;
}

const char* ReasonOf(int error, char* buffer, uint32_t buffer_bytes) {
  switch (error) {
    case ENOSPC:
      return "no space left on device";
    case EDQUOT:
      return "disk quota exceeded";
    case EFBIG:
      return "file size limit (ulimit -f) reached";
    case EACCES:
      return "permission denied";
    case EROFS:
      return "read-only file system";
    case ENOENT:
      return "no such directory";
    case ENOTDIR:
      return "a part of the path is not a directory";
    case EMFILE:
      return "too many open files";
    case ENAMETOOLONG:
      return "the path is too long";
    case EIO:
      return "input/output error";
    default:
      break;
  }
  return Text(buffer, buffer_bytes).Add("errno ").Add(int64_t{error}).c_str();
}

}  // namespace mfutrace::interpose
