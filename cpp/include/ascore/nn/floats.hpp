/// Scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ascore::nn {

/// Memory on a boundary of cache lines.
class Floats {
 public:
  void resize(std::size_t count) {
    if (count <= count_) return;
    memory_.assign(count + 16, 0.0f);
    count_ = count;
  }
  float* data() noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
    return memory_.data() + (64 - at % 64) % 64 / sizeof(float);
  }

 private:
  std::vector<float> memory_;
  std::size_t count_ = 0;
};

}  // namespace ascore::nn
