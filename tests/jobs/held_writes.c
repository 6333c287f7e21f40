// A disk that does not answer: preloaded before libmfutrace.so, it holds every write to a trace
// until the file named by HELD_WRITES_UNTIL exists.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

ssize_t write(int fd, const void* data, size_t bytes) {
  char link[32];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  const char* until = getenv("HELD_WRITES_UNTIL");
  if (until != NULL && length > 5 && memcmp(path + length - 5, ".mfut", 5) == 0) {
    const struct timespec moment = {0, 1000000};
    while (access(until, F_OK) != 0) nanosleep(&moment, NULL);
  }
  return syscall(SYS_write, fd, data, bytes);
}
