// See parallel.h.
#include "cli/parallel.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace mfutrace::cli {
namespace {

constexpr int64_t kQuietMs = 2000;
constexpr auto kTick = std::chrono::milliseconds(200);
constexpr size_t kBarWidth = 30;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void ForEachInParallel(size_t count, size_t threads, const std::function<void(size_t)>& work,
                       const std::function<void(size_t done)>& tick) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::condition_variable changed;
  size_t done = 0;
  const auto run = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;) {
      work(i);
      const std::lock_guard<std::mutex> lock(mutex);
      ++done;
      changed.notify_one();
    }
  };
  std::vector<std::thread> pool;
  for (size_t i = 0; i < std::min(count, std::max<size_t>(threads, 1)); ++i) pool.emplace_back(run);
  for (std::unique_lock<std::mutex> lock(mutex); done < count;) {
    changed.wait_for(lock, kTick);
    const size_t seen = done;
    lock.unlock();
    tick(seen);
    lock.lock();
  }
  for (std::thread& thread : pool) thread.join();
}

ProgressBar::ProgressBar(std::string what, size_t total, bool is_quiet)
    : what_(std::move(what)),
      total_(total),
      is_shown_(!is_quiet && isatty(STDERR_FILENO) == 1),
      begin_ms_(NowMs()) {}

ProgressBar::~ProgressBar() {
  if (is_drawn_) std::fputs("\r\x1b[K", stderr);
}

int64_t ProgressBar::ElapsedMs() const { return NowMs() - begin_ms_; }

void ProgressBar::Show(size_t done) {
  if (!is_shown_) return;
  const std::string line = Line(what_, done, total_, ElapsedMs());
  if (line.empty()) return;
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  std::fflush(stderr);
  is_drawn_ = true;
}

std::string ProgressBar::Line(const std::string& what, size_t done, size_t total,
                              int64_t elapsed_ms) {
  if (elapsed_ms < kQuietMs || total == 0) return "";
  const size_t filled = kBarWidth * std::min(done, total) / total;
  std::string line = what + " [" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') +
                     "] " + std::to_string(done) + " of " + std::to_string(total) + " files, " +
                     std::to_string(elapsed_ms / 1000) + " s";
  return line;
}

}  // namespace mfutrace::cli
