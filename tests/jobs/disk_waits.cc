// Makes many calls, and only then the file that held_writes.c waits for: if one of the calls waited
// for a write, the job would never end.
//
// Usage: disk_waits CALLS FILE
#include <cstdio>
#include <cstdlib>

#include "blas.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: disk_waits CALLS FILE\n");
    return 2;
  }
  jobs::Blas blas;
  const long calls = std::atol(argv[1]);
  for (long i = 0; i < calls; ++i) blas.Multiply(64, 32, 16);
  std::FILE* file = std::fopen(argv[2], "w");
  if (file == nullptr) return 1;
  std::fclose(file);
  std::printf("%ld calls\n", calls);
  return 0;
}
