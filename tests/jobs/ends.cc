// Makes some products and then ends in the way it is told: in order, without handlers, or by a
// signal.
//
// usage: ends return|exit|_exit|quick_exit|kill|term|abort|throw|throw_at_exit|late|daemon [CALLS]
// [MILLISECONDS BEFORE THE END]
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

#include <unistd.h>

#include "blas.h"

namespace {

// Calls of a destructor at exit, after everything that was registered later has run.
struct Late {
  jobs::Blas* blas = nullptr;
  ~Late() {
    if (blas != nullptr) blas->MultiplyTimes(10, 64, 32, 16);
  }
};
Late g_late;

}  // namespace

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
  if (how == "term") kill(getpid(), SIGTERM);
  if (how == "throw") throw std::runtime_error("nobody catches this");
  if (how == "throw_at_exit") {
    std::atexit([] { throw std::runtime_error("thrown by a handler"); });
    std::exit(6);
  }
  if (how == "late") {
    g_late.blas = &blas;
    std::exit(7);
  }
  if (how == "daemon") {
    static jobs::Blas daemons_own;
    std::thread([] {
      for (;;) daemons_own.Multiply(64, 32, 16);
    }).detach();
    usleep(50'000);
    std::exit(8);
  }
  return how == "return" ? 0 : 2;
}
