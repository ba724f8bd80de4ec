/// Maps of the grid worlds as rows of characters: by name, as a window of a named one, or as text.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "ascore/compiler.hpp"

namespace ascore {

/// A map with a name of its own.
struct NamedMap {
  std::string_view name;  ///< what follows the prefix and a line: "lio7" of "cleanup_lio7"
  std::span<const std::string_view> rows;
};

/// What maps of one environment are made of.
struct MapKind {
  std::string_view prefix;  ///< of map names: "cleanup" names "cleanup_full" and so on
  std::span<const std::string_view> full;  ///< the published map, row by row
  std::string_view characters;             ///< what a map may hold
  std::pair<int, int> top;                 ///< interior rows that prefix_top keeps
  std::pair<int, int> mid;                 ///< those that prefix_mid keeps; {0, 0} if there is none
  std::span<const NamedMap> others = {};   ///< maps that are no part of the full one
};

/// A map that has been read: rows of equal length, and only characters of its kind.
///
/// Errors are std::invalid_argument and name row and column, counted from 0.
class GridMap {
 public:
  static constexpr int kMaxSide = 64;

  /// `given` is a name (prefix_full; prefix_A_B for the interior rows A to B of the full map
  /// between two rows of wall; prefix_top and prefix_mid for windows of that kind; prefix_NAME for
  /// other maps) or, if it holds a line break, the map itself.
  GridMap(const std::string& given, const MapKind& kind) : given_(given) {
    if (given.find('\n') != std::string::npos) {
      read(given);
    } else {
      look_up(given, kind);
    }
    for (int row = 0; row < height_; ++row) {
      for (int col = 0; col < width_; ++col) {
        if (kind.characters.find(at(row, col)) == std::string_view::npos) {
          throw std::invalid_argument("map row " + std::to_string(row) + ", column " +
                                      std::to_string(col) + " holds " + shown(at(row, col)) +
                                      "; allowed are " + listed(kind.characters));
        }
      }
    }
  }

  int height() const noexcept { return height_; }
  int width() const noexcept { return width_; }
  int size() const noexcept { return height_ * width_; }

  /// Row by row, height() * width() characters.
  std::string_view cells() const noexcept { return cells_; }

  char at(int row, int col) const noexcept {
    return cells_[static_cast<std::size_t>(row * width_ + col)];
  }

  int count(char kind) const noexcept { return static_cast<int>(std::ranges::count(cells_, kind)); }

  /// std::invalid_argument unless low <= count(kind) <= high.
  void require(char kind, std::string_view meaning, int low, int high) const {
    const int have = count(kind);
    if (have >= low && have <= high) return;
    throw std::invalid_argument("map " + given_name() + " has " + std::to_string(have) + " cells " +
                                shown(kind) + " (" + std::string(meaning) + "), want " +
                                std::to_string(low) + ".." + std::to_string(high));
  }

  /// How the map was given: its name, or its size if it was given as text.
  std::string given_name() const {
    if (given_.find('\n') == std::string::npos) return "\"" + given_ + "\"";
    return "of " + std::to_string(height_) + " rows and " + std::to_string(width_) + " columns";
  }

 private:
  void add_row(std::string_view row) {
    if (height_ == 0) width_ = static_cast<int>(std::min<std::size_t>(row.size(), kMaxSide + 1));
    if (width_ > kMaxSide) {
      throw std::invalid_argument("map row 0 has " + std::to_string(row.size()) +
                                  " columns; the most is " + std::to_string(kMaxSide));
    }
    if (row.size() != static_cast<std::size_t>(width_)) {
      const std::size_t end = std::min(row.size(), static_cast<std::size_t>(width_));
      throw std::invalid_argument("map row " + std::to_string(height_) + " has " +
                                  std::to_string(row.size()) + " columns and row 0 has " +
                                  std::to_string(width_) + "; they differ from column " +
                                  std::to_string(end) + " on: pad with blanks or walls");
    }
    if (height_ == kMaxSide) {
      throw std::invalid_argument("map row " + std::to_string(height_) +
                                  " is one too many; the most is " + std::to_string(kMaxSide) +
                                  " rows");
    }
    cells_ += row;
    ++height_;
  }

  /// A line break before the first row and any after the last come with quoting a map in a file.
  void read(std::string_view text) {
    if (text.starts_with('\n')) text.remove_prefix(1);
    while (text.ends_with('\n')) text.remove_suffix(1);
    if (text.empty()) throw std::invalid_argument("map is empty; want rows of characters");
    while (true) {
      const std::size_t end = text.find('\n');
      add_row(text.substr(0, end));
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

  void look_up(std::string_view name, const MapKind& kind) {
    const auto rest = [&]() -> std::string_view {
      const bool ours = name.starts_with(kind.prefix) && name.size() > kind.prefix.size() + 1 &&
                        name[kind.prefix.size()] == '_';
      return ours ? name.substr(kind.prefix.size() + 1) : std::string_view{};
    }();
    if (rest == "full") {
      for (const std::string_view row : kind.full) add_row(row);
      return;
    }
    for (const NamedMap& other : kind.others) {
      if (rest != other.name) continue;
      for (const std::string_view row : other.rows) add_row(row);
      return;
    }
    std::pair<int, int> rows{0, 0};
    if (rest == "top") {
      rows = kind.top;
    } else if (rest == "mid") {
      rows = kind.mid;
    } else {
      rows = window(rest);
    }
    const int last = static_cast<int>(kind.full.size()) - 2;
    if (rows.first < 1 || rows.second < rows.first || rows.second > last) {
      const std::string prefix(kind.prefix);
      std::string others;
      for (const NamedMap& other : kind.others)
        others += prefix + "_" + std::string(other.name) + ", ";
      throw std::invalid_argument(
          "map = \"" + std::string(name) + "\" is no map; want " + prefix + "_top, " +
          (kind.mid.first > 0 ? prefix + "_mid, " : "") + prefix + "_full, " + others + prefix +
          "_A_B (rows A to B of the full map, 1 <= A <= B <= " + std::to_string(last) +
          ") or rows of characters with line breaks between them");
    }
    const std::string wall(kind.full.front().size(), '@');
    add_row(wall);
    for (int row = rows.first; row <= rows.second; ++row) {
      add_row(kind.full[static_cast<std::size_t>(row)]);
    }
    add_row(wall);
  }

  /// "3_11" -> {3, 11}; {0, 0} for anything else, leading zeros included: a map has one name.
  static std::pair<int, int> window(std::string_view text) noexcept {
    std::pair<int, int> rows{0, 0};
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, rows.first);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '_') return {0, 0};
    const auto second = std::from_chars(first.ptr + 1, end, rows.second);
    const bool plain = text.front() != '0' && first.ptr + 1 != end && first.ptr[1] != '0';
    return plain && second.ec == std::errc{} && second.ptr == end ? rows : std::pair{0, 0};
  }

  static std::string shown(char c) {
    if (c >= ' ' && c <= '~') return std::string("'") + c + "'";
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    return std::string("the byte 0x") + kDigits[byte / 16] + kDigits[byte % 16];
  }

  static std::string listed(std::string_view characters) {
    std::string text;
    for (const char c : characters) {
      if (!text.empty()) text += ' ';
      text += shown(c);
    }
    return text;
  }

  std::string given_;
  std::string cells_;
  int height_ = 0;
  int width_ = 0;
};

}  // namespace ascore
