// Work on many files at once, and a bar on the terminal while it lasts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace mfutrace::cli {

// Calls `work(i)` for every i below `count`, on up to `threads` threads; in order where there is
// one. `tick` is called on the caller's thread every now and then with how many are done, while it
// lasts.
void ForEachInParallel(size_t count, size_t threads, const std::function<void(size_t)>& work,
                       const std::function<void(size_t done)>& tick);

// A line on stderr that is drawn over and over, and wiped in the end. Nothing is drawn unless
// stderr is a terminal, nor before two seconds have passed: what is quick needs no bar.
class ProgressBar {
 public:
  ProgressBar(std::string what, size_t total, bool is_quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Show(size_t done);
  // The line at a moment; empty while it is too early. Exposed for tests.
  static std::string Line(const std::string& what, size_t done, size_t total, int64_t elapsed_ms);

 private:
  int64_t ElapsedMs() const;

  const std::string what_;
  const size_t total_;
  const bool is_shown_;
  const int64_t begin_ms_;
  bool is_drawn_ = false;
};

}  // namespace mfutrace::cli
