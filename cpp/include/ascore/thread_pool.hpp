/// Threads that run one task together and block between tasks.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace ascore {

/// A fixed crew: the calling thread is worker 0, the others wait on a condition variable. Nobody
/// spins, since on a busy machine a spinning barrier costs whole scheduler slices.
class ThreadPool {
 public:
  /// Starts num_threads - 1 threads; num_threads >= 1.
  explicit ThreadPool(std::size_t num_threads) {
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

  std::size_t num_threads() const noexcept { return threads_.size() + 1; }

  /// Calls task(worker) once for every worker and returns when all have finished. The task must not
  /// throw. One caller at a time.
  template <class Task>
  void run(Task& task) noexcept {
    static_assert(noexcept(task(std::size_t{0})), "a task runs on threads that cannot throw");
    if (threads_.empty()) {
      task(0);
      return;
    }
    {
      const std::scoped_lock lock(mutex_);
      task_ = &task;
      call_ = [](void* erased, std::size_t worker) noexcept {
        (*static_cast<Task*>(erased))(worker);
      };
      running_ = threads_.size();
      ++generation_;
    }
    start_.notify_all();
    task(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void work(std::size_t worker) noexcept {
    std::uint64_t seen = 0;
    for (;;) {
      void* task = nullptr;
      Call call = nullptr;
      {
        std::unique_lock lock(mutex_);
        start_.wait(lock, [&] { return stopping_ || generation_ != seen; });
        if (stopping_) return;
        seen = generation_;
        task = task_;
        call = call_;
      }
      call(task, worker);
      const std::scoped_lock lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  void stop() noexcept {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    start_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  using Call = void (*)(void*, std::size_t) noexcept;

  std::mutex mutex_;
  std::condition_variable start_, done_;
  void* task_ = nullptr;
  Call call_ = nullptr;
  std::uint64_t generation_ = 0;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ascore
