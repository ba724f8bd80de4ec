// No step and no automatic reset may allocate: global new counts. Sanitizers have their own, so
// that these tests are left out of what is built for them.

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "ascore/vec_env.hpp"
#include "variants.hpp"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace ascore {
namespace {

template <class Env>
void check_steps(const typename Env::Params& params) {
  VecEnv<Env> batch(6, 1, 0, 2, params);
  batch.reset();
  std::vector<std::int32_t> action(6 * batch.num_agents());
  const std::size_t before = allocations;
  for (std::int32_t step = 0; step < 200; ++step) {
    for (std::size_t k = 0; k < action.size(); ++k) {
      action[k] = (step + static_cast<std::int32_t>(k)) % batch.spec().num_actions();
    }
    batch.step(action);
  }
  const std::size_t after = allocations;
  CHECK(batch.episode()[0] > 5);
  CHECK(after == before);
}

TEST_CASE("allocations are counted") {
  const std::size_t before = allocations;
  std::vector<int> some(1000);
  some.push_back(1);
  CHECK(allocations > before);
}

TEST_CASE("steps and automatic resets do not allocate") {
  for_each_variant([]<class Env>(const typename Env::Params& params) {
    check_steps<Env>(with_horizon(params, 20));
  });
}

}  // namespace
}  // namespace ascore
