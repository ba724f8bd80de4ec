/// @file
/// What an environment is: a class with `Params`, `State`, `reset` and `step`. It inherits nothing
/// and owns no buffer; it writes into the slices of a `StepView`.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ascore/rng.hpp"

namespace ascore {

/// Most agents that arrays of a fixed size have room for, so that a step never allocates.
inline constexpr int kMaxAgents = 64;

/// Most agents of an environment that keeps more than kMaxAgents of them on the heap: see
/// `PerAgent`.
inline constexpr int kMaxCrowd = 65'536;

/// Calls f(n); a small n comes as a constant, so that loops over agents unroll.
template <class F>
decltype(auto) with_count(std::size_t n, F&& f) {
  switch (n) {
    case 1:
      return f(std::integral_constant<std::size_t, 1>{});
    case 2:
      return f(std::integral_constant<std::size_t, 2>{});
    case 3:
      return f(std::integral_constant<std::size_t, 3>{});
    case 4:
      return f(std::integral_constant<std::size_t, 4>{});
    case 5:
      return f(std::integral_constant<std::size_t, 5>{});
    case 6:
      return f(std::integral_constant<std::size_t, 6>{});
    case 7:
      return f(std::integral_constant<std::size_t, 7>{});
    case 8:
      return f(std::integral_constant<std::size_t, 8>{});
    default:
      return f(n);
  }
}

/// The sizes and names of one environment, fixed at construction.
struct Spec {
  std::string_view name;                           ///< e.g. "exchange-v1"
  std::span<const std::string_view> action_names;  ///< one per action, in order
  int num_agents;                                  ///< N
  int views;                                       ///< V: 1 when all agents see one state, else N
  int obs_size;                                    ///< O: entries of one view
  int horizon;                                     ///< steps after which an episode is truncated
  double step_ns;        ///< rough cost of a step in nanoseconds; only decides how many threads pay
  double obs_scale = 1;  ///< a network sees observations times this; 1/255 for colours in bytes

  /// A, the number of actions.
  int num_actions() const noexcept { return static_cast<int>(action_names.size()); }
};

/// The slices of the batch buffers that belong to one environment.
template <class Obs>
struct StepView {
  std::span<const std::int32_t> action;  ///< [N], each in 0..A-1; empty in a reset
  std::span<float> reward;               ///< [N], written by step only
  std::span<Obs> obs;                    ///< [V * O]
  /// [N * N], entry i*N+j is 1 if i hears j; diagonal 0. An environment with a constant
  /// `kNeighboursOnRequest` that is true gets an empty span where nobody asks about many agents.
  std::span<std::uint8_t> neighbours;
};

/// One value per agent, zero at first: of up to kMaxAgents agents within the object, of more on the
/// heap, where they stay. Loops should run over a pointer or a span taken before them.
template <class T>
class PerAgent {
 public:
  PerAgent() = default;  ///< room for kMaxAgents

  /// Room for so many, and for kMaxAgents at least. Throws std::bad_alloc.
  explicit PerAgent(std::size_t num_agents) : many_(num_agents > kMaxAgents ? num_agents : 0) {}

  /// All there is room for: kMaxAgents values, or as many as there are agents.
  std::span<T> all() noexcept { return many_.empty() ? std::span<T>(few_) : std::span<T>(many_); }
  /// The same, to read.
  std::span<const T> all() const noexcept {
    return many_.empty() ? std::span<const T>(few_) : std::span<const T>(many_);
  }

  /// The values of at most kMaxAgents agents.
  T* few() noexcept { return few_.data(); }
  /// The same, to read.
  const T* few() const noexcept { return few_.data(); }

  /// The value of one agent.
  T& operator[](std::size_t agent) noexcept { return all()[agent]; }
  /// The same, to read.
  const T& operator[](std::size_t agent) const noexcept { return all()[agent]; }

 private:
  std::array<T, kMaxAgents> few_{};
  std::vector<T> many_;
};

/// Whether a state consists of its own bytes, or has a static template `visit(state, part)` that
/// calls `part(span)` for all that it consists of, in an order that is always the same. The spans
/// are of trivially copyable values; equal parameters give spans of equal lengths.
template <class State>
concept Saved = std::is_trivially_copyable_v<State> || requires(State& s) {
  State::visit(s, [](auto span) {
    static_assert(std::is_trivially_copyable_v<typename decltype(span)::element_type>);
  });
};

/// Calls `part(span)` for all that a state consists of.
template <class State, class Part>
void for_each_part(State& state, Part&& part) {
  if constexpr (std::is_trivially_copyable_v<State>) {
    part(std::span(&state, 1));
  } else {
    std::remove_const_t<State>::visit(state, part);
  }
}

/// Bytes of all that a state consists of.
template <Saved State>
std::size_t saved_size(const State& state) {
  std::size_t bytes = 0;
  for_each_part(state, [&bytes](auto span) { bytes += span.size_bytes(); });
  return bytes;
}

/// An environment of N agents with private rewards.
///
/// `reset` and `step` leave `obs` and `neighbours` describing the state they end in; a step finds
/// in them what the call before it left there, so it may write changes alone. `step` also writes
/// every reward and returns whether the episode has terminated. Time limits are not its business.
/// Neither may allocate, lock or throw. All of the changing state is in `State`, which `Saved`
/// describes; `admits` says whether a state read from outside can be one of this environment.
template <class E>
concept MultiAgentEnv = std::constructible_from<E, const typename E::Params&> &&
                        Saved<typename E::State> && std::is_arithmetic_v<typename E::Obs> &&
                        requires(E env, const E cenv, StepView<typename E::Obs> io, Rng rng,
                                 const typename E::State& state) {
                          { cenv.spec() } noexcept -> std::same_as<Spec>;
                          { env.reset(rng, io) } noexcept -> std::same_as<void>;
                          { env.step(rng, io) } noexcept -> std::same_as<bool>;
                          { env.state() } noexcept -> std::same_as<typename E::State&>;
                          { cenv.state() } noexcept -> std::same_as<const typename E::State&>;
                          { cenv.admits(state) } noexcept -> std::same_as<bool>;
                        };

// ---- inspection ------------------------------------------------------------------------------

/// Extents of an array, outermost first.
using Shape = std::vector<std::size_t>;

/// Accepts what `inspect` hands out and does nothing with it.
struct IgnoredRow {
  /// Whole numbers.
  void operator()(std::string_view, const Shape&, std::span<const std::int32_t>) const {}
  /// Numbers.
  void operator()(std::string_view, const Shape&, std::span<const double>) const {}
  /// Flags.
  void operator()(std::string_view, const Shape&, std::span<const std::uint8_t>) const {}
};

/// The optional part of an environment: it can say what it holds, for people and pictures.
///
///     template <class Row> void inspect(Row&& row) const;
///
/// calls `row(name, shape, values)` once per kind of thing, always in the same order: a
/// std::string_view, a Shape and a std::span<const T> in C order, where T is std::int32_t, double
/// or std::uint8_t (for flags). Cells are (row, column), row 0 at the top. Names are the same in
/// all environments for the same thing: "agents" is there always. It may allocate; no step calls
/// it. The spans need only live as long as the call.
template <class E>
concept Inspectable =
    MultiAgentEnv<E> && requires(const E env, IgnoredRow row) { env.inspect(row); };

/// The optional part of an environment in which returns do not show what agents did: a step that
/// also tells it.
///
///     template <class Row> bool step_and_tell(Rng& rng, StepView<Obs> io, Row&& row);
///
/// does what `step` does, then calls `row` as `inspect` does, once per kind of deed, with a
/// std::int32_t per agent: how often it did that, or was it done to, in this step. It may allocate;
/// no step calls it.
template <class E>
concept Telling =
    MultiAgentEnv<E> && requires(E env, StepView<typename E::Obs> io, Rng rng, IgnoredRow row) {
      { env.step_and_tell(rng, io, row) } -> std::same_as<bool>;
    };

// ---- parameters ------------------------------------------------------------------------------
//
// A `Params` struct has one static function `visit(params, row)` that calls
// `row(name, member, allowed, doc, source)` for each parameter, and a member function `check()`
// that throws std::invalid_argument when values that are allowed one by one do not go together.

/// Allowed values of a number: low <= value <= high. NaN is never inside.
template <class T>
struct Range {
  T low;   ///< smallest allowed value
  T high;  ///< largest allowed value

  /// Whether the value lies within.
  bool admits(T value) const noexcept { return low <= value && value <= high; }
};

/// @cond
template <class T>
Range(T, T) -> Range<T>;  // for compilers that do not deduce aggregates, such as Clang 14
/// @endcond

/// Allowed values of an enumeration, by name; the enumerators count up from 0 in this order.
template <std::size_t kCount>
struct OneOf {
  std::array<std::string_view, kCount> names;  ///< of the enumerators, in order

  /// Whether the value is one of the enumerators.
  template <class Enum>
  bool admits(Enum value) const noexcept {
    return static_cast<std::size_t>(value) < kCount;
  }
};

/// The allowed values of an enumeration from the names of its enumerators.
template <class... Names>
constexpr OneOf<sizeof...(Names)> one_of(Names... names) {
  return {{std::string_view(names)...}};
}

/// Allowed values of a flag: both.
struct Either {
  /// Always true.
  bool admits(bool) const noexcept { return true; }
};

/// Allowed values of a text: whatever `check()` can make sense of.
struct Text {
  std::string_view meaning;  ///< what the text stands for

  /// Always true.
  bool admits(const std::string&) const noexcept { return true; }
};

/// `value` so that reading it back gives the same number; without an exponent where possible.
inline std::string to_text(double value) {
  std::array<char, 32> text{};
  for (int digits = 6; digits <= 17; ++digits) {
    std::snprintf(text.data(), text.size(), "%.*g", digits, value);
    if (std::strtod(text.data(), nullptr) == value) break;  // std::stod throws for subnormals
  }
  return text.data();
}

/// A whole number in decimals.
inline std::string to_text(int value) { return std::to_string(value); }

/// The text on one line; of a long one only its beginning, size and FNV-1a checksum, which is
/// enough to tell two apart.
inline std::string to_text(const std::string& value) {
  constexpr std::size_t kLongest = 40;
  std::string line = "\"";
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : value) {
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3;
    if (line.size() <= kLongest) line += c < ' ' ? '/' : c;
  }
  const bool plain = value.size() <= kLongest && value.find('\n') == std::string::npos;
  line += plain ? "\"" : "...\" (" + std::to_string(value.size()) + " characters, checksum ";
  return plain ? line : line + std::to_string(hash) + ")";
}

/// What is allowed, for messages and documentation: "0..1".
template <class T>
std::string describe(const Range<T>& range) {
  return to_text(range.low) + ".." + to_text(range.high);
}

/// The names, quoted: "a", "b".
template <std::size_t kCount>
std::string describe(const OneOf<kCount>& choices) {
  std::string text;
  for (const std::string_view name : choices.names) {
    if (!text.empty()) text += ", ";
    text += '"';
    text += name;
    text += '"';
  }
  return text;
}

/// The two flags.
inline std::string describe(const Either&) { return "false, true"; }

/// What the text stands for.
inline std::string describe(const Text& text) { return std::string(text.meaning); }

/// The value of a parameter as text, enumerations by name.
template <class T, class Allowed>
std::string describe_value(const T& value, const Allowed& allowed) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return allowed.admits(value) ? std::string(allowed.names[static_cast<std::size_t>(value)])
                                 : "enumerator " + std::to_string(static_cast<std::size_t>(value));
  } else {
    return to_text(value);
  }
}

/// Throws std::invalid_argument for the first parameter outside its range, then for values that do
/// not go together; the message names parameter, value and what is allowed.
template <class Params>
void validate(const Params& params) {
  Params::visit(params, [](std::string_view name, const auto& value, const auto& allowed,
                           std::string_view, std::string_view) {
    if (!allowed.admits(value)) {
      throw std::invalid_argument(std::string(name) + " = " + describe_value(value, allowed) +
                                  " is outside " + describe(allowed));
    }
  });
  params.check();
}

}  // namespace ascore
