// Writes bytes of every value to both outputs, buffered and not, between its calls: what arrives
// must be the same whoever listens. Ends with a status of its own.
#include <unistd.h>

#include <cstdio>

#include "blas.h"

int main() {
  jobs::Blas blas;
  for (int round = 0; round < 4; ++round) {
    for (int byte = 0; byte < 256; ++byte) std::putchar(byte);
    blas.MultiplyTimes(25, 64, 32, 16);
    for (int byte = 255; byte >= 0; --byte) std::fputc(byte, stderr);
    std::fflush(stdout);
    if (write(STDOUT_FILENO, "raw", 3) != 3) return 1;
  }
  std::printf("no line end");
  return 42;
}
