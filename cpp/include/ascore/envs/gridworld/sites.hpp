/// Sites: the cells of one kind on a map, numbered, and sets of them.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ascore/envs/gridmap.hpp"
#include "ascore/envs/gridworld/bytes.hpp"

namespace ascore::grid {

/// Most sites of one kind (apple cells, river cells) on a map.
inline constexpr int kMaxSites = 1024;

/// The site of a cell that is none. No set that is shown contains it, so that looking it up needs
/// no branch: where agents go cannot be predicted.
inline constexpr std::uint16_t kNoSite = kMaxSites;

/// A set of sites, which are numbered row by row, with room for kNoSite.
class SiteSet {
 public:
  static constexpr std::size_t kBits = 64;
  static constexpr std::size_t kWords = kMaxSites / kBits + 1;

  SiteSet() noexcept : words_{} {}

  bool contains(std::size_t site) const noexcept {
    return (words_[site / kBits] >> (site % kBits) & 1) != 0;
  }
  void insert(std::size_t site) noexcept { words_[site / kBits] |= bit(site); }
  void erase(std::size_t site) noexcept { words_[site / kBits] &= ~bit(site); }

  /// Sites 0 to 63, as bits.
  std::uint64_t first_word() const noexcept { return words_[0]; }

  std::size_t size(std::size_t words = kWords) const noexcept {
    const std::size_t first = count(words_[0]);
    return words == 1 ? first : first + size_beyond(words);
  }

  bool within(const SiteSet& all) const noexcept {
    bool outside = false;
    for (std::size_t w = 0; w < kWords; ++w) outside |= (words_[w] & ~all.words_[w]) != 0;
    return !outside;
  }

  /// {0, ..., count - 1}
  static SiteSet first(std::size_t count) noexcept {
    SiteSet all;
    for (std::size_t site = 0; site < count; ++site) all.insert(site);
    return all;
  }

  /// What `all` has and neither `taken` nor `closed`. `words` covers `all`.
  static SiteSet without(const SiteSet& all, const SiteSet& taken, const SiteSet& closed,
                         std::size_t words) noexcept {
    SiteSet rest{Unset{}};
    const auto word = [&](std::size_t w) {
      return all.words_[w] & ~(taken.words_[w] | closed.words_[w]);
    };
    rest.words_[0] = word(0);  // apart: most sets have no other
    for (std::size_t w = 1; w < words; ++w) rest.words_[w] = word(w);
    return rest;
  }

  /// The member that `rank` others precede; needs rank < size().
  std::size_t nth(std::size_t rank) const noexcept {
    const std::uint64_t counts = Bytes::running_counts(words_[0]);
    return rank < counts >> 56 ? nth_bit(words_[0], counts, rank) : nth_beyond(rank);
  }

  template <class Visitor>
  void for_each(std::size_t words, Visitor&& visitor) const noexcept {
    for (std::size_t w = 0; w < words; ++w) {
      for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1) {
        visitor(w * kBits + static_cast<std::size_t>(std::countr_zero(rest)));
      }
    }
  }

 private:
  friend struct Sites;

  // What lies beyond the first word is apart and never inlined: most sets have no other, and
  // compilers would count the bits of all words in advance.

  [[gnu::noinline]] std::size_t size_beyond(std::size_t words) const noexcept {
    std::size_t total = 0;
    for (std::size_t w = 1; w < words; ++w) total += count(words_[w]);
    return total;
  }

  [[gnu::noinline]] std::size_t nth_beyond(std::size_t rank) const noexcept {
    for (std::size_t w = 0;; ++w) {
      const std::uint64_t counts = Bytes::running_counts(words_[w]);
      const std::size_t here = counts >> 56;
      if (rank < here) return w * kBits + nth_bit(words_[w], counts, rank);
      rank -= here;
    }
  }

  static std::size_t count(std::uint64_t word) noexcept {
    return Bytes::running_counts(word) >> 56;
  }

  /// The bit that `rank` lower ones precede: first its byte, then its place there.
  static std::size_t nth_bit(std::uint64_t word, std::uint64_t counts, std::size_t rank) noexcept {
    const std::size_t from = 8 * Bytes::at_most(rank, counts);
    const std::uint64_t left = rank - (counts << 8 >> from & 0xFF);
    const std::uint64_t spread = (word >> from & 0xFF) * Bytes::kOnes & 0x8040201008040201;
    const std::uint64_t ones = (spread + (Bytes::kTops - Bytes::kOnes)) >> 7 & Bytes::kOnes;
    return from + Bytes::at_most(left, ones * Bytes::kOnes);
  }

  static std::uint64_t bit(std::size_t site) noexcept { return std::uint64_t{1} << (site % kBits); }

  /// A set of which only the words in use will be written and read: clearing all would take longer
  /// than all that is done with it.
  struct Unset {};
  explicit SiteSet(Unset) noexcept {}

  std::array<std::uint64_t, kWords> words_;
};

/// The cells of one kind, in row-major order.
struct Sites {
  Sites(const GridMap& map, std::string_view kinds)
      : at(static_cast<std::size_t>(map.size()), kNoSite), bit(at.size()) {
    for (std::size_t c = 0; c < at.size(); ++c) {
      if (kinds.find(map.cells()[c]) == std::string_view::npos) continue;
      at[c] = static_cast<std::uint16_t>(cell.size());
      bit[c] = SiteSet::bit(cell.size());
      cell.push_back(static_cast<std::uint16_t>(c));
    }
    all = SiteSet::first(std::min<std::size_t>(cell.size(), kMaxSites));
    words = (cell.size() + SiteSet::kBits - 1) / SiteSet::kBits;
  }

  /// The sites of n cells, a number or a constant.
  template <class Count>
  SiteSet on(Count n, const std::uint16_t* cells) const noexcept {
    SiteSet set{SiteSet::Unset{}};
    if (words == 1) {
      set.words_[0] = 0;
      for (std::size_t i = 0; i < n; ++i) set.words_[0] |= bit[cells[i]];
      return set;
    }
    set = {};
    for (std::size_t i = 0; i < n; ++i) {
      set.words_[at[cells[i]] / SiteSet::kBits] |= bit[cells[i]];
    }
    return set;
  }

  std::vector<std::uint16_t> at;    ///< site on a cell, or kNoSite
  std::vector<std::uint64_t> bit;   ///< of that site in its word of a set, or 0
  std::vector<std::uint16_t> cell;  ///< cell of a site
  SiteSet all;
  std::size_t words = 0;  ///< of a SiteSet that are in use
};

}  // namespace ascore::grid
