/// @file
/// Reads safetensors files: eight bytes of header length (little endian), a JSON header
/// {name: {"dtype", "shape", "data_offsets"}, "__metadata__": {text: text}}, raw data.
/// Format: https://github.com/huggingface/safetensors#format. Everything is checked before it is
/// used, since files come from anywhere.
#pragma once

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ascore/compiler.hpp"

namespace ascore {

/// A file that is missing, damaged, or holds something else.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One array of numbers in single precision.
struct Tensor {
  std::vector<std::size_t> shape;  ///< extents, outermost first
  std::vector<float> values;       ///< in C order
};

/// What a file holds.
struct TensorFile {
  std::map<std::string, std::string, std::less<>> metadata;  ///< texts by name
  std::map<std::string, Tensor, std::less<>> tensors;        ///< arrays by name
};

namespace detail {

/// The part of JSON that headers are made of: objects, arrays of whole numbers, texts.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  /// Calls `member(name)` with the reader on each value of an object.
  template <class Member>
  void object(Member&& member) {
    take('{');
    if (taken('}')) return;
    do {
      const std::string name = string();
      take(':');
      member(name);
    } while (taken(','));
    take('}');
  }

  std::vector<std::uint64_t> numbers() {
    std::vector<std::uint64_t> found;
    take('[');
    if (taken(']')) return found;
    do {
      skip();
      std::uint64_t value = 0;
      const char* const begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
      if (error != std::errc{} || (*begin == '0' && end != begin + 1)) fail("a whole number");
      at_ += static_cast<std::size_t>(end - begin);
      found.push_back(value);
    } while (taken(','));
    take(']');
    return found;
  }

  std::string string() {
    take('"');
    std::string found;
    for (;;) {
      const char c = next();
      if (c == '"') return found;
      if (static_cast<unsigned char>(c) < 0x20) fail("text without control characters");
      if (c == '\\') {
        escape(found);
      } else {
        found += c;
      }
    }
  }

  /// Nothing but blanks may follow.
  void end() {
    skip();
    if (at_ != text_.size()) fail("its end");
  }

  [[noreturn]] void fail(const char* wanted) const {
    throw FileError("its header is damaged: want " + std::string(wanted) + " at byte " +
                    std::to_string(at_));
  }

 private:
  void skip() noexcept {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }

  char next() {
    if (at_ == text_.size()) fail("more");
    return text_[at_++];
  }

  bool taken(char c) noexcept {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void take(char c) {
    const char wanted[] = {'\'', c, '\'', '\0'};
    if (!taken(c)) fail(wanted);
  }

  std::uint32_t four_digits() {
    std::uint32_t value = 0;
    if (text_.size() - at_ < 4) fail("four hexadecimal digits");
    const char* const begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, value, 16);
    if (error != std::errc{} || end != begin + 4) fail("four hexadecimal digits");
    at_ += 4;
    return value;
  }

  void escape(std::string& to) {
    const char c = next();
    static constexpr std::string_view kShort = "\"\\/bfnrt", kMeaning = "\"\\/\b\f\n\r\t";
    if (const std::size_t k = kShort.find(c); k != kShort.npos) {
      to += kMeaning[k];
      return;
    }
    if (c != 'u') fail("an escape of JSON");
    std::uint32_t code = four_digits();
    if (code >= 0xDC00 && code < 0xE000) fail("the first half of a surrogate pair");
    if (code >= 0xD800 && code < 0xDC00) {
      if (next() != '\\' || next() != 'u') fail("the second half of a surrogate pair");
      const std::uint32_t low = four_digits();
      if (low < 0xDC00 || low >= 0xE000) fail("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto put = [&to](std::uint32_t byte) { to += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | code >> 6);
      put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | code >> 12);
      put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
      put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Whether a text is UTF-8 as Unicode defines it: no longer form of a character than need be, no
/// half of a surrogate pair, nothing beyond U+10FFFF.
inline bool is_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned first = byte(at++);
    if (first < 0x80) continue;
    const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || text.size() - at < more) return false;
    const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (byte(at) < low || byte(at) > high) return false;
    for (std::size_t k = 1; k < more; ++k) {
      if (byte(at + k) < 0x80 || byte(at + k) > 0xBF) return false;
    }
    at += more;
  }
  return true;
}

struct Entry {
  std::string dtype;
  std::vector<std::uint64_t> shape, offsets;
};

inline std::map<std::string, Entry, std::less<>> read_header(std::string_view text,
                                                             TensorFile& file) {
  std::map<std::string, Entry, std::less<>> entries;
  HeaderReader json(text);
  if (!is_utf8(text)) throw FileError("its header is damaged: want UTF-8");
  bool described = false;
  json.object([&](const std::string& name) {
    if (name == "__metadata__") {
      if (std::exchange(described, true)) json.fail("__metadata__ once");
      json.object([&](const std::string& key) {
        if (!file.metadata.emplace(key, json.string()).second) json.fail("every key once");
      });
      return;
    }
    Entry entry;
    bool dtype = false, shape = false, offsets = false;
    json.object([&](const std::string& key) {
      if (key == "dtype" && !std::exchange(dtype, true)) {
        entry.dtype = json.string();
      } else if (key == "shape" && !std::exchange(shape, true)) {
        entry.shape = json.numbers();
      } else if (key == "data_offsets" && !std::exchange(offsets, true)) {
        entry.offsets = json.numbers();
      } else {
        json.fail("dtype, shape and data_offsets, each once");
      }
    });
    if (!dtype || !shape || !offsets || entry.offsets.size() != 2)
      json.fail("dtype, shape and two data_offsets");
    if (!entries.emplace(name, std::move(entry)).second) json.fail("every tensor once");
  });
  json.end();
  return entries;
}

}  // namespace detail

/// The arrays and the metadata of a file's bytes. Throws FileError for anything but a whole
/// safetensors file of F32 arrays whose data fill it without gap or overlap.
inline TensorFile parse_safetensors(std::span<const std::uint8_t> bytes) {
  static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");
  if (bytes.size() < 8) {
    throw FileError(std::to_string(bytes.size()) + " bytes are too few for a safetensors file");
  }
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof(size));
  if (size > bytes.size() - sizeof(size)) {
    throw FileError("its header asks for " + std::to_string(size) + " bytes, the file has " +
                    std::to_string(bytes.size() - sizeof(size)));
  }
  TensorFile file;
  const auto header = static_cast<std::size_t>(size);
  const auto entries = detail::read_header(
      {reinterpret_cast<const char*>(bytes.data()) + sizeof(size), header}, file);
  const auto data = bytes.subspan(sizeof(size) + header);

  std::map<std::uint64_t, std::uint64_t> pieces;  // from where to where
  for (const auto& [name, entry] : entries) {
    if (entry.dtype != "F32") {
      throw FileError("tensor " + name + " is of dtype " + entry.dtype + ", want F32");
    }
    const std::uint64_t from = entry.offsets[0], to = entry.offsets[1];
    std::uint64_t count = 1;
    for (const std::uint64_t extent : entry.shape) {
      if (extent != 0 && count > data.size() / extent) {
        throw FileError("tensor " + name + " is larger than its file");
      }
      count *= extent;
    }
    if (from > to || to > data.size() || to - from != count * sizeof(float)) {
      throw FileError("tensor " + name + " lies at " + std::to_string(from) + ".." +
                      std::to_string(to) + " of " + std::to_string(data.size()) + " bytes, needs " +
                      std::to_string(count * sizeof(float)));
    }
    if (from != to && !pieces.emplace(from, to).second) {
      throw FileError("tensor " + name + " overlaps another");
    }
    Tensor tensor{{entry.shape.begin(), entry.shape.end()}, {}};
    tensor.values.resize(static_cast<std::size_t>(count));
    if (count != 0) {
      std::memcpy(tensor.values.data(), data.data() + from, tensor.values.size() * sizeof(float));
    }
    file.tensors.emplace(name, std::move(tensor));
  }
  std::uint64_t end = 0;
  for (const auto& [from, to] : pieces) {
    if (from != end) throw FileError("its tensors overlap or leave a gap");
    end = to;
  }
  if (end != data.size()) {
    throw FileError("bytes follow the last tensor");
  }
  return file;
}

/// As `parse_safetensors`; what it throws names the file. Reads regular files alone: a pipe may
/// never end, a device never stop.
inline TensorFile read_safetensors(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    throw FileError("cannot read " + path + "; it is no regular file");
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream stream(path, std::ios::binary);
  if (error || !stream) throw FileError("cannot read " + path + "; does the file exist?");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (stream.gcount() != static_cast<std::streamsize>(size)) {
    throw FileError("cannot read " + path + "; it has become shorter");
  }
  try {
    return parse_safetensors(bytes);
  } catch (const FileError& damage) {
    throw FileError(path + " is damaged or no safetensors file: " + damage.what());
  }
}

}  // namespace ascore
