// Makes products, becomes another program image under the same process id, and makes others there.
//
// usage: exec_after_gemm; the first image makes 40 products of 64x32x16, the second 60 of
// 128x32x16.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "blas.h"

int main(int argc, char** argv) {
  jobs::Blas blas;
  if (argc > 1 && std::strcmp(argv[1], "again") == 0) {
    blas.MultiplyTimes(60, 128, 32, 16);
    std::printf("second image done\n");
    return 0;
  }
  blas.MultiplyTimes(40, 64, 32, 16);
  usleep(1500 * 1000);  // nothing of a process survives exec but what it has written
  execl("/proc/self/exe", argv[0], "again", static_cast<char*>(nullptr));
  std::perror("exec");
  return 1;
}
