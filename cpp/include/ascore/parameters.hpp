/// @file
/// Parameters given as text: from the C interface, the file of a policy, or a command line.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <locale>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ascore/env.hpp"

namespace ascore {

/// A parameter's name and its value as text.
using NamedText = std::pair<std::string, std::string>;

namespace detail {

/// Reads all of `text` as T; false if it is anything else. Without regard to the user's locale.
template <class T, class Allowed>
bool read_value(std::string_view text, const Allowed& allowed, T& to) {
  if constexpr (std::is_same_v<T, bool>) {
    if (text != "true" && text != "false" && text != "1" && text != "0") return false;
    to = text == "true" || text == "1";
    return true;
  } else if constexpr (std::is_enum_v<T>) {
    for (std::size_t k = 0; k < allowed.names.size(); ++k) {
      if (allowed.names[k] != text) continue;
      to = static_cast<T>(k);
      return true;
    }
    return false;
  } else if constexpr (std::is_same_v<T, int>) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    return error == std::errc{} && end == text.data() + text.size();
  } else if constexpr (std::is_same_v<T, std::string>) {
    to = std::string(text);
    return true;
  } else {
    static_assert(std::is_same_v<T, double>);
    // Not from_chars: not every standard library has it for floating point.
    std::istringstream stream{std::string(text)};
    stream.imbue(std::locale::classic());
    return !text.empty() && text.front() > ' ' && (stream >> to) && stream.peek() == EOF &&
           std::isfinite(to);
  }
}

template <class T>
constexpr std::string_view kind_of() {
  if constexpr (std::is_same_v<T, int>) return "a whole number";
  return "a number";
}

}  // namespace detail

/// Sets the parameter called `name` of `env`, whose name stands in messages. Ranges are checked by
/// `validate`, afterwards. Throws std::invalid_argument, leaving the parameter as it was, if there
/// is none of this name or the text is not a value of its kind; names what there is.
template <class Params>
void set_parameter(Params& params, std::string_view env, std::string_view name,
                   std::string_view text) {
  bool found = false;
  std::string known;
  Params::visit(params, [&](std::string_view candidate, auto& value, const auto& allowed,
                            std::string_view, std::string_view) {
    known += (known.empty() ? "" : ", ") + std::string(candidate);
    if (candidate != name) return;
    found = true;
    auto read = value;
    if (!detail::read_value(text, allowed, read)) {
      using T = std::remove_cvref_t<decltype(value)>;
      std::string wanted;
      if constexpr (std::is_enum_v<T> || std::is_same_v<T, bool>) {
        wanted = "one of " + describe(allowed);
      } else {
        wanted = std::string(detail::kind_of<T>()) + " in " + describe(allowed);
      }
      throw std::invalid_argument(std::string(name) + " = " + to_text(std::string(text)) +
                                  " is not " + wanted);
    }
    value = std::move(read);
  });
  if (!found) {
    throw std::invalid_argument(std::string(env) + " has no parameter " +
                                to_text(std::string(name)) + "; its parameters are " + known);
  }
}

/// The parameters of an environment, defaults where nothing is given.
template <class Params>
Params parameters_from(std::string_view env, std::span<const NamedText> given) {
  Params params;
  for (const auto& [name, text] : given) set_parameter(params, env, name, text);
  return params;
}

}  // namespace ascore
