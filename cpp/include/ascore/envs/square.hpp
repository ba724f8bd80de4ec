/// What Exchange and C. Navigation share: an open square grid on which agents take single steps.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/envs/nearest.hpp"
#include "ascore/rng.hpp"

namespace ascore::square {

/// (x, y) = (column, row), row 0 at the top.
struct Cell {
  std::uint8_t x, y;
  bool operator==(const Cell&) const = default;
};
using Cells = PerAgent<Cell>;

enum class Metric : std::uint8_t { kChebyshev, kManhattan };

inline int manhattan(Cell a, Cell b) noexcept { return std::abs(a.x - b.x) + std::abs(a.y - b.y); }

/// Actions of both environments begin with these.
enum Step : std::int32_t { kStay, kLeft, kRight, kDown, kUp };

/// The grid and how many agents are on it.
///
/// What takes time is a template of how many agents it has room for: kMaxAgents, which compares all
/// pairs of them, or kMaxCells, which looks at cells and takes as long as there are agents.
class Square {
 public:
  static constexpr int kMaxSize = 32;
  static constexpr int kMaxCells = kMaxSize * kMaxSize;
  static constexpr int kMaxActions = 6;

  /// Calls f with a constant: how many agents to have room for.
  template <class F>
  static decltype(auto) with_room(std::size_t num_agents, F&& f) {
    if (num_agents <= kMaxAgents) return f(std::integral_constant<std::size_t, kMaxAgents>{});
    return f(std::integral_constant<std::size_t, kMaxCells>{});
  }

  Square(int size, int num_agents) : size_(size), n_(static_cast<std::size_t>(num_agents)) {
    for (int i = 0; i < size; ++i) {
      scaled_[static_cast<std::size_t>(i)] =
          static_cast<float>(static_cast<double>(i) / static_cast<double>(size - 1));
    }
  }

  /// The numbers of all cells, row by row.
  class Numbers {
   public:
    explicit Numbers(const Square& square)
        : numbers_(storage_.data(), static_cast<std::size_t>(square.size_ * square.size_)) {
      std::iota(numbers_.begin(), numbers_.end(), std::uint16_t{0});
    }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;

    /// The first `count`, brought there at random: see Rng::choose.
    std::span<const std::uint16_t> choose(Rng& rng, std::size_t count) noexcept {
      rng.choose(numbers_, count);
      return numbers_.first(count);
    }

   private:
    std::array<std::uint16_t, kMaxCells> storage_;
    std::span<std::uint16_t> numbers_;
  };

  /// Cell i of `to` is the one numbered numbers[i].
  void place(std::span<const std::uint16_t> numbers, Cells& cells) const noexcept {
    Cell* const to = cells.all().data();
    for (std::size_t i = 0; i < n_; ++i) {
      to[i] = {static_cast<std::uint8_t>(numbers[i] % size_),
               static_cast<std::uint8_t>(numbers[i] / size_)};
    }
  }

  /// Everybody takes its step, clipped at the border; other actions stay. With `block`, a step into
  /// an occupied cell fails, in a random order that takes n - 1 words.
  template <std::size_t kRoom>
  void move(Rng& rng, std::span<const std::int32_t> action, bool block,
            Cell* agents) const noexcept {
    if (!block) {
      for (std::size_t i = 0; i < n_; ++i) agents[i] = target(agents[i], action[i]);
      return;
    }
    Order<kRoom> order;
    rng.perm(std::span(order.data(), n_));
    if constexpr (kRoom > kMaxAgents) {
      Flags taken{};
      for (std::size_t i = 0; i < n_; ++i) taken[number(agents[i])] = true;
      for (std::size_t k = 0; k < n_; ++k) {
        Cell& at = agents[order[k]];
        const Cell to = target(at, action[order[k]]);
        if (taken[number(to)]) continue;
        taken[number(at)] = false;
        taken[number(to)] = true;
        at = to;
      }
      return;
    }
    const std::span present(agents, n_);
    for (std::size_t k = 0; k < n_; ++k) {
      const std::size_t i = order[k];
      const Cell to = target(agents[i], action[i]);
      if (std::ranges::find(present, to) == present.end()) agents[i] = to;
    }
  }

  /// Who of at most kMaxAgents hears whom, and `pair(i, j, together)` for every two agents: whether
  /// they share a cell.
  template <class Pair>
  void meet(const Cell* agents, int radius, Metric metric, std::span<std::uint8_t> neighbours,
            Pair&& pair) const noexcept {
    // Bytes may alias anything: read from copies, or every store would force all back in.
    const std::size_t n = n_;
    const bool cheb = metric == Metric::kChebyshev;
    std::array<Cell, kMaxAgents> at;
    std::copy_n(agents, n, at.begin());
    std::uint8_t* const hears = neighbours.data();
    for (std::size_t i = 0; i < n; ++i) {
      hears[i * n + i] = 0;
      for (std::size_t j = 0; j < i; ++j) {
        const int dx = std::abs(at[i].x - at[j].x);
        const int dy = std::abs(at[i].y - at[j].y);
        const bool near = (cheb ? std::max(dx, dy) : dx + dy) <= radius;
        hears[i * n + j] = near;
        hears[j * n + i] = near;
        pair(i, j, dx + dy == 0);
      }
    }
  }

  /// Who of many agents hears whom, row by row; nothing where nobody asks.
  [[gnu::noinline]] void meet_many(const Cell* agents, int radius, Metric metric,
                                   std::span<std::uint8_t> neighbours) const noexcept {
    if (neighbours.empty()) return;
    const std::size_t n = n_;
    const bool cheb = metric == Metric::kChebyshev;
    for (std::size_t i = 0; i < n; ++i) {
      const Cell here = agents[i];
      std::uint8_t* const hears = neighbours.data() + i * n;
      for (std::size_t j = 0; j < n; ++j) {
        const int dx = std::abs(agents[j].x - here.x);
        const int dy = std::abs(agents[j].y - here.y);
        hears[j] = (cheb ? std::max(dx, dy) : dx + dy) <= radius;
      }
      hears[i] = 0;
    }
  }

  /// Column and row from 0 to 1; returns what follows them.
  float* observe(float* to, Cell cell) const noexcept {
    *to++ = scaled_[cell.x];
    *to++ = scaled_[cell.y];
    return to;
  }

  /// Whether cells are on the square, and entries that are not used are zero.
  bool admits(const Cells& cells) const noexcept {
    const std::span<const Cell> all = cells.all();
    return std::ranges::all_of(all.first(n_),
                               [this](Cell c) { return c.x < size_ && c.y < size_; }) &&
           std::ranges::all_of(all.subspan(n_), [](Cell c) { return c == Cell{0, 0}; });
  }

  /// Whether no two share a cell.
  bool distinct(const Cells& cells) const noexcept {
    Flags taken{};
    return std::ranges::all_of(cells.all().first(n_),
                               [&](Cell c) { return !std::exchange(taken[number(c)], true); });
  }

  /// The number of a cell, row by row.
  std::size_t number(Cell cell) const noexcept {
    return static_cast<std::size_t>(cell.y * size_ + cell.x);
  }

  /// Cells along a side.
  int size() const noexcept { return size_; }

  /// How many agents there are.
  std::size_t num_agents() const noexcept { return n_; }

  /// Room for a permutation of the agents.
  template <std::size_t kRoom>
  using Order =
      std::array<std::conditional_t<kRoom <= kMaxAgents, std::uint8_t, std::uint16_t>, kRoom>;

  /// Cells as rows (row, column).
  template <class Row>
  void inspect(std::string_view name, const Cells& cells, Row&& row) const {
    std::vector<std::int32_t> values;
    for (const Cell cell : cells.all().first(n_)) {
      values.push_back(cell.y);
      values.push_back(cell.x);
    }
    row(name, Shape{n_, 2}, std::span<const std::int32_t>(values));
  }

 private:
  using Flags = std::array<bool, kMaxCells>;

  /// Where an action leads from a cell. Looked up and not branched on: the actions of a learning
  /// agent cannot be predicted.
  Cell target(Cell from, std::int32_t action) const noexcept {
    static constexpr std::array<std::int8_t, kMaxActions> kAlongX{0, -1, 1, 0, 0, 0};
    static constexpr std::array<std::int8_t, kMaxActions> kAlongY{0, 0, 0, 1, -1, 0};
    const auto a = static_cast<std::size_t>(action);
    return {static_cast<std::uint8_t>(std::clamp(from.x + kAlongX[a], 0, size_ - 1)),
            static_cast<std::uint8_t>(std::clamp(from.y + kAlongY[a], 0, size_ - 1))};
  }

  int size_;
  std::size_t n_;
  std::array<float, kMaxSize> scaled_{};
};

/// Where agents are, listed by cell, to find those nearest to one of them.
class Crowd {
 public:
  Crowd(const Square& square, const Cell* agents) noexcept : square_(square), agents_(agents) {
    const std::size_t n = square.num_agents();
    for (std::size_t i = 0; i < n; ++i) ++begin_[square.number(agents[i]) + 2];
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    for (std::size_t i = 0; i < n; ++i) {
      by_cell_[begin_[square.number(agents[i]) + 1]++] = static_cast<std::uint16_t>(i);
    }
  }

  /// The k others that are fewest steps away from agent i: cells at one distance after the other.
  Nearest nearest(std::size_t i, std::size_t k) const noexcept {
    const Cell here = agents_[i];
    const int last = square_.size() - 1;
    Nearest chosen;
    for (int distance = 0; chosen.count < k; ++distance) {
      const std::size_t from = chosen.count;
      const int lowest = std::min(here.y + distance, last);
      for (int y = std::max(here.y - distance, 0); y <= lowest; ++y) {
        const int wide = distance - std::abs(y - here.y);
        if (here.x >= wide) add(here.x - wide, y, i, from, k, chosen);
        if (wide > 0 && here.x + wide <= last) add(here.x + wide, y, i, from, k, chosen);
      }
    }
    return chosen;
  }

 private:
  /// Adds the agents on a cell, without agent i.
  void add(int x, int y, std::size_t i, std::size_t from, std::size_t k,
           Nearest& chosen) const noexcept {
    const Cell cell{static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y)};
    const std::uint16_t* const first = by_cell_.data() + begin_[square_.number(cell)];
    const std::uint16_t* const end = by_cell_.data() + begin_[square_.number(cell) + 1];
    const auto index = [](std::uint16_t agent) { return std::uint32_t{agent}; };
    const std::uint16_t* const self = std::find(first, end, i);
    chosen.add(first, self, from, k, index);
    if (self != end) chosen.add(self + 1, end, from, k, index);
  }

  const Square& square_;
  const Cell* agents_;
  std::array<std::uint16_t, Square::kMaxCells + 2> begin_{};  ///< of each cell, in by_cell_
  std::array<std::uint16_t, Square::kMaxCells> by_cell_;      ///< in the order of their indices
};

}  // namespace ascore::square
