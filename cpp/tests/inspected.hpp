/// What an environment shows, as rows that can be compared.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/vec_env.hpp"

namespace ascore {

struct Row {
  Shape shape;
  std::vector<double> values;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<std::string, Row>;

template <class Inspected>
Rows rows_of(Inspected&& inspected) {
  Rows rows;
  inspected([&rows]<class T>(std::string_view name, const Shape& shape, std::span<const T> values) {
    std::size_t entries = 1;
    for (const std::size_t extent : shape) entries *= extent;
    CHECK(values.size() == entries);
    CHECK(rows.emplace(name, Row{shape, {values.begin(), values.end()}}).second);
  });
  return rows;
}

template <class Env>
Rows inspect(const Env& env) {
  return rows_of([&env](auto&& row) { env.inspect(row); });
}

template <class Env>
Rows inspect(const VecEnv<Env>& batch, std::size_t b) {
  return rows_of([&](auto&& row) { batch.inspect(b, row); });
}

}  // namespace ascore
