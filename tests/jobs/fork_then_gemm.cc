// Processes that fork: data-loader workers of a process that uses the GPU, and a process that forks
// before anyone has used it, so that parent and child each do.
//
// usage: fork_then_gemm worker|before exit|_exit
// `worker`: the parent makes 50 products before the fork and 50 after it, the child none (CUDA does
// not work in it). `before`: the child makes 30 of another shape, the parent 70. The child waits
// long enough that a background thread would have had its turn.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "blas.h"

namespace {

[[noreturn]] void End(bool at_once, int status) {
  if (at_once) _exit(status);
  std::exit(status);
}

int Await(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int Worker(bool at_once) {
  jobs::Blas blas;
  blas.MultiplyTimes(50, 64, 32, 16);
  const pid_t child = fork();
  if (child == 0) {
    usleep(400 * 1000);
    End(at_once, 7);
  }
  blas.MultiplyTimes(50, 64, 32, 16);
  return Await(child) == 7 ? 0 : 1;
}

int Before(bool at_once) {
  const pid_t child = fork();
  jobs::Blas blas;
  if (child == 0) {
    blas.MultiplyTimes(30, 128, 32, 16);
    usleep(1500 * 1000);
    End(at_once, 7);
  }
  blas.MultiplyTimes(70, 64, 32, 16);
  return Await(child) == 7 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const bool at_once = argc > 2 && std::string(argv[2]) == "_exit";
  const int status =
      argc > 1 && std::string(argv[1]) == "before" ? Before(at_once) : Worker(at_once);
  std::printf("status %d\n", status);
  return status;
}
