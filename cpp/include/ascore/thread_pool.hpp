/// @file
/// Threads that run one task together and block between tasks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#include "ascore/cache_lines.hpp"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace ascore {

/// Processors this process may use, at least 1.
inline std::size_t usable_processors() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return static_cast<std::size_t>(count);
  }
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count > 0 ? count : 1;
}

/// A fixed crew: the calling thread is worker 0, the others sleep in the kernel between tasks.
///
/// Waking a sleeper takes tens of microseconds, a third of a step of a thousand small environments.
/// So whoever waits looks again for a few microseconds before it goes to sleep, but only while that
/// pays: not where threads outnumber processors, since a spinning thread would then keep another
/// from its work, and hardly ever once a few looks in a row were in vain.
class ThreadPool {
 public:
  /// Starts num_threads - 1 threads; num_threads >= 1.
  explicit ThreadPool(std::size_t num_threads)
      : may_spin_(num_threads > 1 && num_threads <= usable_processors()) {
    threads_.reserve(num_threads - 1);
    try {
      for (std::size_t worker = 1; worker < num_threads; ++worker) {
        threads_.emplace_back([this, worker] { work(worker); });
      }
    } catch (...) {
      stop();
      throw;
    }
  }

  ~ThreadPool() { stop(); }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Workers, the calling thread among them.
  std::size_t num_threads() const noexcept { return threads_.size() + 1; }

  /// Calls task(worker) once for every worker and returns when all have finished. The task must not
  /// throw. One caller at a time. Every other thread works with a copy of the task: the original
  /// lies on the caller's stack, in lines that the caller writes to all the time.
  template <class Task>
  void run(Task& task) noexcept {
    static_assert(noexcept(task(std::size_t{0})) && std::is_nothrow_copy_constructible_v<Task>,
                  "a task runs on threads that cannot throw");
    if (threads_.empty()) {
      task(0);
      return;
    }
    task_ = &task;
    call_ = [](void* erased, std::size_t worker) noexcept {
      Task own(*static_cast<const Task*>(erased));
      own(worker);
    };
    running_.store(static_cast<Count>(threads_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();  // costs a look at a counter where nobody sleeps
    task(0);
    wait(running_, caller_, [](Count running) { return running == 0; });
  }

 private:
  using Call = void (*)(void*, std::size_t) noexcept;
  using Count = std::uint32_t;

  /// How often one thread looked in vain before it slept, in a row.
  struct Patience {
    unsigned failures = 0, skipped = 0;
  };

  /// Longest time to look before sleeping: about what being woken would take.
  static constexpr std::chrono::microseconds kSpin{40};
  /// Failures in a row after which looking is given up, but for one wait in kProbe.
  static constexpr unsigned kFailures = 4, kProbe = 64;
  /// Looks between two readings of the clock.
  static constexpr int kLooks = 32;

  void work(std::size_t worker) noexcept {
    Count seen = 0;
    Patience patience;
    for (;;) {
      wait(generation_, patience, [seen](Count generation) { return generation != seen; });
      if (stopping_.load(std::memory_order_relaxed)) return;
      ++seen;  // no generation is missed: the next begins when all have finished this one
      call_(task_, worker);
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
    }
  }

  /// Returns when done(value): looks for a while, then sleeps.
  template <class Done>
  void wait(std::atomic<Count>& value, Patience& patience, Done&& done) noexcept {
    if (spin(value, patience, done)) return;
    for (;;) {
      const Count now = value.load(std::memory_order_acquire);
      if (done(now)) return;
      value.wait(now, std::memory_order_acquire);
    }
  }

  template <class Done>
  bool spin(const std::atomic<Count>& value, Patience& patience, Done&& done) noexcept {
    if (done(value.load(std::memory_order_acquire))) return true;
    if (!may_spin_) return false;
    if (patience.failures >= kFailures && ++patience.skipped % kProbe != 0) return false;
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int look = 0; look < kLooks; ++look) {
        if (done(value.load(std::memory_order_acquire))) {
          patience = {};
          return true;
        }
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    ++patience.failures;
    return false;
  }

  /// Tells the processor that this is a loop that waits.
  static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  void stop() noexcept {
    stopping_.store(true, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  alignas(kCacheLine) std::atomic<Count> generation_{0};
  std::atomic<bool> stopping_{false};
  void* task_ = nullptr;
  Call call_ = nullptr;
  alignas(kCacheLine) std::atomic<Count> running_{0};
  alignas(kCacheLine) Patience caller_;
  bool may_spin_;
  std::vector<std::thread> threads_;
};

}  // namespace ascore
