/// Policies and their files for tests: what `ascore export` writes, put together by hand.
#pragma once

#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ascore/rng.hpp"
#include "ascore/safetensors.hpp"

namespace ascore {

/// A file's bytes.
inline std::vector<std::uint8_t> to_bytes(std::string header, const std::vector<float>& data = {}) {
  std::vector<std::uint8_t> bytes(8 + header.size() + data.size() * sizeof(float));
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  if (!data.empty()) {
    std::memcpy(bytes.data() + 8 + header.size(), data.data(), data.size() * sizeof(float));
  }
  return bytes;
}

inline std::vector<std::uint8_t> to_bytes(const TensorFile& file) {
  std::string header = "{\"__metadata__\":{";
  const char* comma = "";
  for (const auto& [key, value] : file.metadata) {
    header += std::exchange(comma, ",");
    header += "\"" + key + "\":\"" + value + "\"";
  }
  header += "}";
  std::vector<float> data;
  for (const auto& [name, tensor] : file.tensors) {
    header += ",\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[";
    comma = "";
    for (const std::size_t extent : tensor.shape) {
      header += std::exchange(comma, ",");
      header += std::to_string(extent);
    }
    const std::size_t from = data.size() * sizeof(float);
    data.insert(data.end(), tensor.values.begin(), tensor.values.end());
    header += "],\"data_offsets\":[" + std::to_string(from) + "," +
              std::to_string(data.size() * sizeof(float)) + "]}";
  }
  return to_bytes(header + "}", data);
}

/// Networks with random weights, one per agent.
inline TensorFile policy_for(const std::string& env, std::size_t agents, std::size_t in,
                             std::size_t actions, std::vector<std::size_t> hidden) {
  TensorFile file;
  file.metadata = {{"format", "ascore.policy"},
                   {"version", "1"},
                   {"env", env},
                   {"env_param.num_agents", std::to_string(agents)},
                   {"obs_scale", "1.0"},
                   {"num_agents", std::to_string(agents)},
                   {"num_actions", std::to_string(actions)}};
  hidden.push_back(actions);
  Rng rng(1, 2, 3, 4, Domain::kAction);
  const auto numbers = [&rng](std::size_t count) {
    std::vector<float> found(count);
    for (float& x : found) x = 2 * rng.u01_single() - 1;
    return found;
  };
  for (std::size_t l = 0; l < hidden.size(); ++l) {
    const std::string prefix = "layers." + std::to_string(l);
    file.tensors[prefix + ".weight"] = {{agents, in, hidden[l]}, numbers(agents * in * hidden[l])};
    file.tensors[prefix + ".bias"] = {{agents, hidden[l]}, numbers(agents * hidden[l])};
    in = hidden[l];
  }
  return file;
}

/// Bytes in a file of their own, which goes with this.
class PolicyFile {
 public:
  explicit PolicyFile(const std::vector<std::uint8_t>& bytes) {
    static int made = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("ascore-" + std::to_string(::getpid()) + "-" + std::to_string(made++)))
                .string();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  explicit PolicyFile(const TensorFile& file) : PolicyFile(to_bytes(file)) {}
  ~PolicyFile() { std::filesystem::remove(path_); }
  PolicyFile(const PolicyFile&) = delete;
  PolicyFile& operator=(const PolicyFile&) = delete;

  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace ascore
