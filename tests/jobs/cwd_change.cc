// Changes its working directory around its calls, and prints it.
//
// usage: cwd_change FIRST SECOND; products before FIRST, between, and after SECOND.
#include <unistd.h>

#include <climits>
#include <cstdio>

#include "blas.h"

int main(int argc, char** argv) {
  jobs::Blas blas;
  blas.MultiplyTimes(10, 64, 32, 16);
  for (int i = 1; i < argc; ++i) {
    char now[PATH_MAX];
    if (chdir(argv[i]) != 0) return 1;
    blas.MultiplyTimes(10, 64, 32, 16);
    std::printf("%s\n", getcwd(now, sizeof now) == nullptr ? "?" : now);
  }
  return 0;
}
