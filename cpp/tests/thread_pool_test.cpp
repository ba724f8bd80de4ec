#include "ascore/thread_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace ascore {
namespace {

TEST_CASE("every worker runs every task exactly once") {
  for (const std::size_t threads : {1U, 2U, 3U, 16U}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    CHECK(pool.num_threads() == threads);
    std::vector<int> calls(threads);  // no atomics: each worker writes its own entry
    constexpr int kRuns = 200;
    for (int run = 1; run <= kRuns; ++run) {
      auto task = [&calls](std::size_t worker) noexcept { ++calls[worker]; };
      pool.run(task);
      CHECK(std::ranges::count(calls, run) == static_cast<std::ptrdiff_t>(threads));
    }
  }
}

TEST_CASE("a crew of one uses the calling thread") {
  ThreadPool pool(1);
  std::thread::id id;
  auto task = [&id](std::size_t) noexcept { id = std::this_thread::get_id(); };
  pool.run(task);
  CHECK(id == std::this_thread::get_id());
}

TEST_CASE("what one task wrote is seen by the next, whoever runs it") {
  constexpr std::size_t kThreads = 4;
  ThreadPool pool(kThreads);
  std::vector<std::size_t> ring(kThreads, 0), next(kThreads, 0);
  for (std::size_t round = 0; round < 100; ++round) {
    auto pass = [&](std::size_t worker) noexcept {
      next[worker] = ring[(worker + 1) % kThreads] + 1;
    };
    pool.run(pass);
    std::swap(ring, next);
  }
  CHECK(ring == std::vector<std::size_t>(kThreads, 100));
}

TEST_CASE("threads that went to sleep are woken, and those that look are found") {
  // Up to many times the processors of any machine, where nobody may spin.
  for (const std::size_t threads : {2U, 4U, 4 * static_cast<unsigned>(usable_processors()) + 1}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    std::vector<int> calls(threads);
    auto task = [&calls](std::size_t worker) noexcept { ++calls[worker]; };
    auto late = [&calls](std::size_t worker) noexcept {
      // Worker 0 or another one is last, long after all others have gone to sleep.
      if (worker == static_cast<std::size_t>(calls[worker] % 2)) {
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
      ++calls[worker];
    };
    constexpr int kRuns = 40;
    for (int run = 0; run < kRuns; ++run) {
      pool.run(task);
      pool.run(task);
      if (run % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
      pool.run(late);
    }
    CHECK(std::ranges::count(calls, 3 * kRuns) == static_cast<std::ptrdiff_t>(threads));
  }
}

TEST_CASE("a crew that never worked ends") {
  for (int k = 0; k < 20; ++k) ThreadPool pool(8);
}

}  // namespace
}  // namespace ascore
