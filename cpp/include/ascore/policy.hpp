/// @file
/// A trained policy out of one file, as `ascore export` writes it, that acts without Python.
///
/// Products are summed in double precision and rounded once, as the policy in Python does: the same
/// log-probabilities on every machine, whatever the order of the sums. Inputs and hidden units that
/// are 0 cost nothing.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/legal.hpp"
#include "ascore/parameters.hpp"
#include "ascore/safetensors.hpp"

namespace ascore {

/// The own policies of N agents, or the one policy of a centre that draws joint actions for all.
///
/// K networks, K = N or 1; B environments, V views, O observation entries, A_i actions of agent i,
/// A the largest of them, J their product. Calls that are const may run at the same time.
class Policy {
 public:
  /// Version of the file format that this class reads.
  static constexpr int kFormat = 1;
  /// Agents of a policy, at most.
  static constexpr std::size_t kMostAgents = 65536;

  /// Reads a file. Throws FileError, naming the file, if it holds no such policy.
  static Policy load(const std::string& path) {
    TensorFile file = read_safetensors(path);
    try {
      return Policy(file);
    } catch (const FileError& error) {
      throw FileError(path + ": " + error.what());
    }
  }

  /// Takes what a file holds. Throws FileError if it is no policy.
  explicit Policy(const TensorFile& file) {
    if (text(file, "format") != "ascore.policy") {
      throw FileError("format = \"" + text(file, "format") +
                      "\", want \"ascore.policy\"; write the file with ascore export");
    }
    const std::uint64_t version = whole(file, "version", 1'000'000);
    if (version != kFormat) {
      throw FileError("policy format " + std::to_string(version) + ", this version reads " +
                      std::to_string(kFormat) + "; export it with the same version of ascore");
    }
    env_ = text(file, "env");
    agents_ = whole(file, "num_agents", kMostAgents);
    actions_ = whole(file, "num_actions", 1U << 20);
    read_action_counts(file);
    const std::string scale = text(file, "obs_scale");
    double read = 0;
    if (scale.find_first_not_of("0123456789+-.eE") != scale.npos ||
        !detail::read_value(scale, 0, read)) {
      throw FileError("obs_scale = \"" + scale + "\" is not a number");
    }
    if (!(read > 0 && read <= static_cast<double>(std::numeric_limits<float>::max()) &&
          static_cast<float>(read) > 0)) {
      throw FileError("obs_scale = " + scale + " is not a number above 0");
    }
    scale_ = static_cast<float>(read);
    static constexpr std::string_view kPrefix = "env_param.";
    for (const auto& [key, value] : file.metadata) {
      if (key.starts_with(kPrefix)) env_params_.emplace_back(key.substr(kPrefix.size()), value);
    }
    read_layers(file);
  }

  const std::string& env() const noexcept { return env_; }  ///< such as "harvest-v1"
  /// What differs from the defaults of that environment; see `parameters_from`.
  const std::vector<NamedText>& env_params() const noexcept { return env_params_; }
  std::size_t num_agents() const noexcept { return agents_; }    ///< N
  std::size_t num_actions() const noexcept { return actions_; }  ///< A
  /// A_i of every agent; what an agent lacks has probability 0.
  const std::vector<std::size_t>& action_counts() const noexcept { return action_counts_; }
  /// Entries that each network reads.
  std::size_t obs_size() const noexcept { return layers_.front().in; }
  /// The first layer sees observations times this.
  float obs_scale() const noexcept { return scale_; }
  /// Whether one network draws joint actions for all.
  bool centralised() const noexcept { return networks_ < agents_; }
  /// Log-probabilities per environment: N * A, or J of a centre.
  std::size_t num_log_probs() const noexcept { return networks_ * layers_.back().out; }

  /// Throws std::invalid_argument unless the policy can act in an environment of these sizes.
  void require(const Spec& spec) const {
    const auto entries = static_cast<std::size_t>(spec.obs_size) *
                         static_cast<std::size_t>(centralised() ? spec.views : 1);
    if (static_cast<std::size_t>(spec.num_agents) != agents_ || entries != obs_size() ||
        static_cast<std::size_t>(spec.num_actions()) != *std::ranges::min_element(action_counts_) ||
        static_cast<std::size_t>(spec.num_actions()) != actions_) {
      throw std::invalid_argument("the policy is for " + std::to_string(agents_) + " agents, " +
                                  std::to_string(obs_size()) + " observation entries and " +
                                  std::to_string(actions_) + " actions (it was trained in " + env_ +
                                  "); " + std::string(spec.name) + " has " +
                                  std::to_string(spec.num_agents) + ", " + std::to_string(entries) +
                                  " and " + std::to_string(spec.num_actions()));
    }
  }

  /// Log-probabilities of own actions, out [B, N, A]; a centre's are those of joint actions
  /// [B, 1, J], agent 0 the leading digit. obs is [B, V, O]. `legal` [B, N, A] holds 0 for actions
  /// that are not legal, whose log-probability is about -1e9; empty: all are. Throws
  /// std::invalid_argument for sizes that do not fit, and where nothing is legal.
  template <class Obs>
  void log_probs(std::span<const Obs> obs, std::size_t views, std::span<float> out,
                 std::span<const std::uint8_t> legal = {}) const {
    const std::size_t rows = rows_of(obs.size(), views);
    require_size("out", out.size(), rows * num_log_probs());
    require_legal(legal, rows);
    Scratch memory(*this);
    for (std::size_t b = 0; b < rows; ++b) {
      for (std::size_t k = 0; k < networks_; ++k) {
        run(k, input(obs, views, b, k), memory);
        forbid(legal, b, k, memory.from);
        const std::size_t width = layers_.back().out;
        normalise(memory.from, out.subspan((b * networks_ + k) * width, width));
      }
    }
  }

  /// Actions [B, N]: drawn with numbers uniform [B, N] in [0, 1), such as `VecEnv::uniforms` gives,
  /// or the most probable where `uniform` is empty. obs is [B, V, O], `legal` as in `log_probs`: an
  /// action that is not legal is never taken. Throws std::invalid_argument as `log_probs` does.
  template <class Obs>
  void act(std::span<const Obs> obs, std::size_t views, std::span<const float> uniform,
           std::span<std::int32_t> action, std::span<const std::uint8_t> legal = {}) const {
    const std::size_t rows = rows_of(obs.size(), views);
    require_size("action", action.size(), rows * agents_);
    if (!uniform.empty()) require_size("uniform", uniform.size(), rows * agents_);
    require_legal(legal, rows);
    Scratch memory(*this);
    std::vector<float> log_prob(layers_.back().out);
    for (std::size_t b = 0; b < rows; ++b) {
      for (std::size_t k = 0; k < networks_; ++k) {
        run(k, input(obs, views, b, k), memory);
        forbid(legal, b, k, memory.from);
        normalise(memory.from, log_prob);
        std::size_t chosen =
            uniform.empty() ? most_probable(log_prob) : drawn(log_prob, uniform[b * agents_ + k]);
        if (!centralised()) {
          action[b * agents_ + k] = static_cast<std::int32_t>(chosen);
          continue;
        }
        for (std::size_t i = agents_; i-- > 0; chosen /= action_counts_[i]) {
          action[b * agents_ + i] = static_cast<std::int32_t>(chosen % action_counts_[i]);
        }
      }
    }
  }

 private:
  /// One layer of all networks.
  struct Layer {
    std::size_t in, out;
    std::vector<float> weight;  ///< [K, in, out]
    std::vector<float> bias;    ///< [K, out]
  };

  /// What one layer reads and what it writes.
  struct Scratch {
    explicit Scratch(const Policy& policy) {
      std::size_t widest = policy.obs_size();
      for (const Layer& layer : policy.layers_) widest = std::max(widest, layer.out);
      from.reserve(widest);
      to.reserve(widest);
    }

    std::vector<double> from, to;
  };

  static std::string text(const TensorFile& file, const std::string& key) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) throw FileError("its metadata lack \"" + key + "\"");
    return found->second;
  }

  static std::size_t whole(const TensorFile& file, const std::string& key, std::uint64_t most) {
    return whole_of(key, text(file, key), most);
  }

  static std::size_t whole_of(const std::string& key, const std::string& value,
                              std::uint64_t most) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || number < 1 || number > most) {
      throw FileError(key + " = \"" + value + "\" is not in 1.." + std::to_string(most));
    }
    return static_cast<std::size_t>(number);
  }

  /// Numbers with commas between them, where agents have different numbers of actions.
  void read_action_counts(const TensorFile& file) {
    static constexpr const char* kKey = "action_counts";
    action_counts_.assign(agents_, actions_);
    if (!file.metadata.contains(kKey)) return;
    const std::string all = text(file, kKey);
    action_counts_.clear();
    for (std::size_t at = 0; at <= all.size();) {
      const std::size_t end = std::min(all.find(',', at), all.size());
      action_counts_.push_back(whole_of(kKey, all.substr(at, end - at), 1U << 20));
      at = end + 1;
    }
    if (action_counts_.size() != agents_ || std::ranges::max(action_counts_) != actions_) {
      throw FileError("action_counts = " + all + " is not of " + std::to_string(agents_) +
                      " agents, one with " + std::to_string(actions_) + " actions");
    }
  }

  static std::string shape_text(const std::vector<std::size_t>& shape) {
    std::string all;
    for (const std::size_t extent : shape) {
      all += (all.empty() ? "" : ", ") + std::to_string(extent);
    }
    return "[" + all + "]";
  }

  void read_layers(const TensorFile& file) {
    const std::size_t count = file.tensors.size() / 2;
    for (std::size_t l = 0; l < count; ++l) {
      const std::string prefix = "layers." + std::to_string(l);
      const auto weight = file.tensors.find(prefix + ".weight");
      const auto bias = file.tensors.find(prefix + ".bias");
      if (weight == file.tensors.end() || bias == file.tensors.end()) {
        throw FileError("it lacks " + prefix + ".weight or " + prefix + ".bias");
      }
      const auto& shape = weight->second.shape;
      const bool fits = shape.size() == 3 && shape[0] > 0 && shape[1] > 0 && shape[2] > 0 &&
                        bias->second.shape == std::vector{shape[0], shape[2]} &&
                        (l == 0 || (shape[0] == networks_ && shape[1] == layers_.back().out));
      if (!fits) {
        throw FileError(prefix + " has weight " + shape_text(shape) + " and bias " +
                        shape_text(bias->second.shape) + ", which do not fit together" +
                        (l == 0 ? "" : " or not the layer before"));
      }
      networks_ = shape[0];
      for (const Tensor* tensor : {&weight->second, &bias->second}) {
        if (!std::ranges::all_of(tensor->values, [](float x) { return std::isfinite(x); })) {
          throw FileError(prefix + " holds a number that is not finite; train again");
        }
      }
      layers_.push_back({shape[1], shape[2], weight->second.values, bias->second.values});
    }
    if (count == 0 || file.tensors.size() != 2 * count) {
      throw FileError("it holds " + std::to_string(file.tensors.size()) +
                      " tensors, want a weight and a bias per layer");
    }
    std::size_t outputs = actions_;
    if (networks_ == 1) {
      outputs = 1;
      for (std::size_t i = 0; i < agents_ && outputs <= layers_.back().out; ++i) {
        outputs *= action_counts_[i];
      }
    }
    if ((networks_ != agents_ && networks_ != 1) || layers_.back().out != outputs) {
      throw FileError(std::to_string(networks_) + " networks of " +
                      std::to_string(layers_.back().out) + " outputs do not serve " +
                      std::to_string(agents_) + " agents of " + std::to_string(actions_) +
                      " actions");
    }
  }

  static void require_size(const char* name, std::size_t got, std::size_t wanted) {
    if (got != wanted) {
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(got) +
                                  " entries, want " + std::to_string(wanted));
    }
  }

  std::size_t rows_of(std::size_t entries, std::size_t views) const {
    const std::size_t size = centralised() ? obs_size() : views * obs_size();
    if (views < 1 || views > kMostAgents || (!centralised() && views != 1 && views != agents_) ||
        (centralised() && obs_size() % views != 0) || entries % size != 0) {
      throw std::invalid_argument("obs of " + std::to_string(entries) + " entries in " +
                                  std::to_string(views) + " views does not fit a policy of " +
                                  std::to_string(agents_) + " agents that reads " +
                                  std::to_string(obs_size()) + " entries");
    }
    return entries / size;
  }

  /// What network k reads in environment b.
  template <class Obs>
  std::span<const Obs> input(std::span<const Obs> obs, std::size_t views, std::size_t b,
                             std::size_t k) const noexcept {
    const std::size_t each = centralised() ? 1 : views;
    return obs.subspan((b * each + (each > 1 ? k : 0)) * obs_size(), obs_size());
  }

  /// Leaves the outputs of network k in `memory.from`.
  template <class Obs>
  void run(std::size_t k, std::span<const Obs> obs, Scratch& memory) const {
    memory.from.clear();
    for (const Obs x : obs) {
      memory.from.push_back(static_cast<double>(static_cast<float>(x) * scale_));
    }
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Layer& layer = layers_[l];
      const float* row = layer.weight.data() + k * layer.in * layer.out;
      const float* const bias = layer.bias.data() + k * layer.out;
      memory.to.assign(bias, bias + layer.out);
      double* const to = memory.to.data();
      for (std::size_t i = 0; i < layer.in; ++i, row += layer.out) {
        const double x = memory.from[i];
        if (x == 0) continue;
        for (std::size_t j = 0; j < layer.out; ++j) to[j] += x * static_cast<double>(row[j]);
      }
      if (l + 1 < layers_.size()) {
        for (double& x : memory.to) x = std::max(x, 0.0);
      }
      std::swap(memory.from, memory.to);
    }
  }

  /// Throws unless `legal` is empty or leaves every agent an action in every row.
  void require_legal(std::span<const std::uint8_t> legal, std::size_t rows) const {
    if (legal.empty()) return;
    require_size("legal", legal.size(), rows * agents_ * actions_);
    for (std::size_t k = 0; k < rows * agents_; ++k) {
      const auto own = legal.subspan(k * actions_, action_counts_[k % agents_]);
      if (std::ranges::any_of(own, [](std::uint8_t x) { return x != 0; })) continue;
      throw std::invalid_argument("legal leaves agent " + std::to_string(k % agents_) + " in row " +
                                  std::to_string(k / agents_) +
                                  " no action; leave it at least one");
    }
  }

  /// Sets the outputs of network k for what is not legal in environment b.
  void forbid(std::span<const std::uint8_t> legal, std::size_t b, std::size_t k,
              std::span<double> outputs) const noexcept {
    if (legal.empty()) return;
    const auto illegal = static_cast<double>(kIllegal);
    const auto of_agent = [&](std::size_t i) {
      return legal.subspan((b * agents_ + i) * actions_, action_counts_[i]);
    };
    if (!centralised()) {
      const auto own = of_agent(k);
      for (std::size_t a = 0; a < actions_; ++a) {
        if (a >= own.size() || own[a] == 0) outputs[a] = illegal;
      }
      return;
    }
    for (std::size_t a = 0; a < outputs.size(); ++a) {
      std::size_t rest = a;
      for (std::size_t i = agents_; i-- > 0; rest /= action_counts_[i]) {
        if (of_agent(i)[rest % action_counts_[i]] == 0) outputs[a] = illegal;
      }
    }
  }

  static void normalise(std::span<const double> logits, std::span<float> out) noexcept {
    const double most = *std::ranges::max_element(logits);
    double sum = 0;
    for (const double x : logits) sum += std::exp(x - most);
    const double log_sum = std::log(sum);
    for (std::size_t a = 0; a < out.size(); ++a) {
      out[a] = static_cast<float>((logits[a] - most) - log_sum);
    }
  }

  static std::size_t most_probable(std::span<const float> log_prob) noexcept {
    return static_cast<std::size_t>(std::ranges::max_element(log_prob) - log_prob.begin());
  }

  /// Inverse transform, in single precision as in Python.
  static std::size_t drawn(std::span<float> log_prob, float uniform) noexcept {
    float sum = 0;
    for (float& x : log_prob) x = sum += std::exp(x);
    const float threshold = uniform * sum;
    std::size_t action = 0;
    while (action + 1 < log_prob.size() && log_prob[action] <= threshold) ++action;
    return action;
  }

  std::string env_;
  std::vector<NamedText> env_params_;
  std::size_t agents_ = 0, actions_ = 0, networks_ = 0;
  std::vector<std::size_t> action_counts_;
  float scale_ = 1;
  std::vector<Layer> layers_;
};

}  // namespace ascore
