// Makes some products and then ends in the way it is told: in order, without handlers, or by a
// signal.
//
// usage: ends return|exit|_exit|quick_exit|kill|abort [CALLS] [MILLISECONDS BEFORE THE END]
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include "blas.h"

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "return";
  const long calls = argc > 2 ? std::atol(argv[2]) : 100;
  const useconds_t pause_us = argc > 3 ? static_cast<useconds_t>(std::atoi(argv[3])) * 1000 : 0;
  jobs::Blas blas;
  blas.MultiplyTimes(calls, 64, 32, 16);
  std::printf("%ld calls\n", calls);
  std::fflush(stdout);
  if (pause_us > 0) usleep(pause_us);
  if (how == "exit") std::exit(3);
  if (how == "_exit") _exit(4);
  if (how == "quick_exit") std::quick_exit(5);
  if (how == "kill") kill(getpid(), SIGKILL);
  if (how == "abort") std::abort();
  return how == "return" ? 0 : 2;
}
