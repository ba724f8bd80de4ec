// policy FILE VIEWS f32|u8: reads observations [B, V, O], numbers f32 [B, N] and legal actions u8
// [B, N, A] or nothing from standard input, each behind its count as u64; prints log-probabilities
// f32, greedy actions and drawn ones i32.
#include "ascore/policy.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <span>
#include <vector>

namespace {

template <class T>
std::vector<T> take() {
  std::uint64_t count = 0;
  if (std::fread(&count, sizeof(count), 1, stdin) != 1) std::exit(1);
  std::vector<T> values(count);
  if (count > 0 && std::fread(values.data(), sizeof(T), count, stdin) != count) std::exit(1);
  return values;
}

template <class T>
void put(const std::vector<T>& values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

template <class Obs>
void run(const ascore::Policy& policy, std::size_t views) {
  const std::vector<Obs> obs = take<Obs>();
  const std::vector<float> uniform = take<float>();
  const std::vector<std::uint8_t> legal = take<std::uint8_t>();
  std::vector<float> log_probs(uniform.size() / policy.num_agents() * policy.num_log_probs());
  std::vector<std::int32_t> action(uniform.size());
  policy.log_probs(std::span<const Obs>(obs), views, log_probs, legal);
  put(log_probs);
  policy.act(std::span<const Obs>(obs), views, {}, action, legal);
  put(action);
  policy.act(std::span<const Obs>(obs), views, uniform, action, legal);
  put(action);
}

}  // namespace

int main(int, char** argv) try {
  const ascore::Policy policy = ascore::Policy::load(argv[1]);
  const auto views = static_cast<std::size_t>(std::atoi(argv[2]));
  if (std::strcmp(argv[3], "f32") == 0) {
    run<float>(policy, views);
  } else {
    run<std::uint8_t>(policy, views);
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
