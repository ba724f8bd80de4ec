#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "acting.hpp"
#include "arrays.hpp"
#include "ascore/nn/engine.hpp"
#include "register.hpp"

namespace ascore::python {
namespace {

using nn::Actors;
using nn::Layers;

Layers layers_of(const char* name, const std::vector<int>& sizes) {
  if (sizes.size() < 2 || sizes.size() > nn::kMaxLayers + 1) {
    throw py::value_error(std::string(name) + " has " + std::to_string(sizes.size()) +
                          " sizes, want 2 to " + std::to_string(nn::kMaxLayers + 1));
  }
  Layers layers{.count = static_cast<int>(sizes.size()) - 1};
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (sizes[k] < 1) {
      throw py::value_error(std::string(name) + " holds the size " + std::to_string(sizes[k]) +
                            ", want at least 1");
    }
    layers.sizes[k] = sizes[k];
  }
  return layers;
}

std::size_t parameters_of(const Layers& layers) {
  std::size_t total = 0;
  for (int l = 0; l < layers.count; ++l) {
    total += static_cast<std::size_t>(layers.sizes[l] + 1) *
             static_cast<std::size_t>(layers.sizes[l + 1]);
  }
  return total;
}

/// Buffers that NumPy owns and the engine writes.
struct Held {
  std::vector<py::array> arrays;

  float* floats(const char* name, py::handle object, std::initializer_list<std::size_t> shape) {
    py::array array = require_array<float>(name, object, Use::kOutput);
    require_shape(name, array, shape);
    arrays.push_back(array);
    return write<float>(name, arrays.back()).data();
  }
};

nn::Stack stack_of(const char* name, const Layers& layers, std::size_t networks, std::size_t agents,
                   const py::dict& values, Held& held) {
  const std::size_t size = parameters_of(layers);
  const auto at = [&](const char* key) -> py::object {
    if (!values.contains(key)) throw py::value_error(std::string(name) + " lacks " + key);
    return values[key];
  };
  return {.layers = layers,
          .networks = static_cast<int>(networks),
          .size = static_cast<std::ptrdiff_t>(size),
          .parameter = held.floats("parameter", at("parameter"), {networks, size}),
          .gradient = held.floats("gradient", at("gradient"), {networks, size}),
          .first = held.floats("first", at("first"), {networks, size}),
          .second = held.floats("second", at("second"), {networks, size}),
          .steps = held.floats("steps", at("steps"), {agents}),
          .lr = py::cast<float>(at("lr")),
          .eps = py::cast<float>(at("eps")),
          .max_norm = py::cast<float>(at("max_norm"))};
}

/// The engine and the arrays of the batch it is working on.
class PythonEngine {
 public:
  PythonEngine(int agents, int trunks, int heads, int actions, const std::vector<int>& actor_sizes,
               const std::vector<int>& critic_sizes, const py::dict& actor, const py::dict& critic,
               std::size_t threads, const std::string& instruction_set, py::handle subjects) {
    const Layers a = layers_of("actor_sizes", actor_sizes);
    const Layers c = layers_of("critic_sizes", critic_sizes);
    if (agents < 1 || agents > kMostAgents) {
      throw py::value_error("agents = " + std::to_string(agents) + ", want 1 to " +
                            std::to_string(kMostAgents));
    }
    const bool listed = !subjects.is_none();
    if (heads < 1 || (!listed && heads != 1 && heads != agents) ||
        (trunks != 1 && trunks != heads) || actions < 1 ||
        a.sizes[a.count] != heads / trunks * actions || c.sizes[c.count] != 1 ||
        a.sizes[0] != c.sizes[0]) {
      throw py::value_error("networks do not fit " + std::to_string(heads) + " heads of " +
                            std::to_string(actions) + " actions in " + std::to_string(trunks) +
                            " trunks, and one value");
    }
    if (threads < 1) throw py::value_error("threads = 0, want at least 1");
    actors_ = {.agents = agents, .trunks = trunks, .heads = heads, .actions = actions};
    n_ = known_ = static_cast<std::size_t>(agents);
    obs_size_ = static_cast<std::size_t>(a.sizes[0]);
    if (listed && heads > 1) take_subjects(subjects);
    const nn::Stack stack_a =
        stack_of("actor", a, n_ * static_cast<std::size_t>(trunks), n_, actor, held_);
    const nn::Stack stack_c = stack_of("critic", c, n_, n_, critic, held_);
    actor_size_ = static_cast<std::size_t>(trunks) * parameters_of(a);
    critic_size_ = parameters_of(c);
    engine_ = std::make_unique<nn::Engine>(actors_, stack_a, stack_c, threads, instruction_set);
  }

  void set_batch(py::handle obs, float scale, py::handle action, py::handle advantage,
                 py::handle advantage_scale, py::handle target, py::handle legal,
                 py::handle present) {
    std::vector<py::array> kept;
    nn::Samples samples;
    samples.obs = observations(obs, scale, kept, samples.rows);
    const auto rows = static_cast<std::size_t>(samples.rows);
    samples.obs.legal = legal_of(legal, rows, kept);
    samples.action = input<std::int32_t>("action", action, {rows, known_}, kept);
    for (std::size_t k = 0; k < rows * known_; ++k) {
      if (samples.action[k] < 0 || samples.action[k] >= actors_.actions) {
        throw py::value_error("action of agent " + std::to_string(k % known_) + " in row " +
                              std::to_string(k / known_) + " is " +
                              std::to_string(samples.action[k]) + ", want 0.." +
                              std::to_string(actors_.actions - 1));
      }
    }
    samples.advantage = input<float>("advantage", advantage, {n_, rows}, kept);
    samples.advantage_scale = input<float>("advantage_scale", advantage_scale, {n_}, kept);
    samples.target = input<float>("target", target, {n_, rows}, kept);
    if (!present.is_none()) {
      samples.present = input<std::uint8_t>("present", present, {rows, n_}, kept);
    }
    samples_ = samples;
    batch_arrays_ = std::move(kept);
    message_arrays_.clear();
    engine_->forget(0, actors_.agents);
  }

  /// What ratios and penalties refer to; all but `old` may be None.
  void set_messages(py::handle old, py::handle sent, py::handle heard, py::handle announced) {
    const auto rows = static_cast<std::size_t>(samples_.rows);
    const auto heads = static_cast<std::size_t>(actors_.heads);
    const auto actions = static_cast<std::size_t>(actors_.actions);
    std::vector<py::array> kept;
    nn::Samples samples = samples_;
    samples.old = input<float>("old", old, {known_, rows, heads}, kept);
    samples.sent = nullptr;
    samples.heard = nullptr;
    samples.announced = nullptr;
    if (!announced.is_none()) {
      samples.announced = input<float>("announced", announced, {known_, rows}, kept);
    }
    if (!sent.is_none()) {
      samples.sent = input<float>("sent", sent, {known_, rows, heads, actions}, kept);
      const py::array links = require_array<std::uint8_t>("heard", heard);
      if (links.ndim() == 2) {
        require_shape("heard", links, {n_, heads});
        samples.heard_row = 0;
      } else {
        require_shape("heard", links, {rows, n_, heads});
        samples.heard_row = static_cast<std::int64_t>(n_ * heads);
      }
      require_subjects(read<std::uint8_t>(links));
      kept.push_back(links);
      samples.heard = read<std::uint8_t>(links).data();
    }
    samples_ = samples;
    message_arrays_ = std::move(kept);
  }

  void log_probs(py::handle obs, float scale, int first, int last, py::handle out, bool keep,
                 py::handle legal) {
    check_owners(first, last);
    std::vector<py::array> kept;
    std::int64_t rows = 0;
    nn::Observations seen = observations(obs, scale, kept, rows);
    seen.legal = legal_of(legal, static_cast<std::size_t>(rows), kept);
    py::array to = require_array<float>("out", out, Use::kOutput);
    require_shape(
        "out", to,
        {static_cast<std::size_t>(last - first), static_cast<std::size_t>(rows),
         static_cast<std::size_t>(actors_.heads), static_cast<std::size_t>(actors_.actions)});
    float* data = write<float>("out", to).data();
    const py::gil_scoped_release unlocked;
    engine_->log_probs(seen, rows, first, last, data, keep);
  }

  void values(py::handle obs, float scale, int first, int last, py::handle out) {
    check_owners(first, last);
    std::vector<py::array> kept;
    std::int64_t rows = 0;
    const nn::Observations seen = observations(obs, scale, kept, rows);
    py::array to = require_array<float>("out", out, Use::kOutput);
    require_shape("out", to,
                  {static_cast<std::size_t>(last - first), static_cast<std::size_t>(rows)});
    float* data = write<float>("out", to).data();
    const py::gil_scoped_release unlocked;
    engine_->values(seen, rows, first, last, data);
  }

  /// Sums of metrics over what was sent: float64 [last - first, 2 + meanings + A].
  void anticipated(int first, int last, py::handle meant, py::handle out) {
    check_owners(first, last);
    if (samples_.sent == nullptr) throw py::value_error("no messages were set");
    const auto rows = static_cast<std::size_t>(samples_.rows);
    const py::array actions = require_array<std::int32_t>("meant", meant);
    const std::size_t meanings =
        actions.ndim() == 3 ? static_cast<std::size_t>(actions.shape(0)) : 0;
    require_shape("meant", actions, {meanings, rows, known_});
    const std::span<const std::int32_t> given = read<std::int32_t>(actions);
    const std::vector<std::int32_t> copy(given.begin(), given.end());
    for (const std::int32_t action : copy) {
      if (action < 0 || action >= actors_.actions) {
        throw py::value_error("meant holds " + std::to_string(action) + ", want 0.." +
                              std::to_string(actors_.actions - 1));
      }
    }
    py::array to = require_array<double>("out", out, Use::kOutput);
    require_shape("out", to,
                  {static_cast<std::size_t>(last - first),
                   2 + meanings + static_cast<std::size_t>(actors_.actions)});
    double* sums = write<double>("out", to).data();
    const py::gil_scoped_release unlocked;
    engine_->anticipated(samples_, first, last, copy.data(), static_cast<int>(meanings), sums);
  }

  /// One gradient step; adds statistics to f64 [N, columns], returns (owner, quantity, value) of
  /// what was not finite, or None.
  py::object minibatch(const nn::Objective& objective, int first, int last, py::handle index,
                       py::handle statistics) {
    check_step(objective, first, last);
    const Chosen chosen = rows_of(index);
    if (chosen.count == 0) throw py::value_error("a minibatch needs a row");
    nn::Statistics* to = statistics_of(statistics);
    return failure_of([&] {
      return engine_->minibatch(samples_, objective, first, last, chosen.rows, chosen.count, to);
    });
  }

  /// What some rows of a minibatch of `total` contribute to its gradients and sums f64 [n, sums].
  void gradient(const nn::Objective& objective, int first, int last, py::handle index,
                py::handle totals, py::handle sums) {
    check_step(objective, first, last);
    const Chosen chosen = rows_of(index);
    const std::vector<std::int64_t> all = totals_of(totals, first, last);
    for (int k = 0; k < last - first; ++k) {
      const std::int64_t total = all[static_cast<std::size_t>(k)];
      const std::int64_t here = rows_of_agent(chosen, first + k);
      if (total < std::max<std::int64_t>(samples_.present == nullptr ? 1 : 0, here)) {
        throw py::value_error("a minibatch of " + std::to_string(total) + " rows cannot hold " +
                              std::to_string(here));
      }
    }
    double* to = sums_of(sums, first, last, Use::kOutput);
    const py::gil_scoped_release unlocked;
    engine_->gradient(samples_, objective, first, last, chosen.rows, chosen.count, all.data(), to);
  }

  /// Sums over `episodes` episodes, that all rows are of, of gradients that are shortened to norms
  /// `clip` each, f64 [n, P] of actor and critic; what rewards have no part in is in the gradients.
  /// How many were longer f64 [n, 2], added.
  void episode_gradients(const nn::Objective& objective, int first, int last, std::int64_t episodes,
                         std::array<double, 2> clip, py::handle actor, py::handle critic,
                         py::handle clipped, py::handle sums) {
    check_step(objective, first, last);
    if (samples_.present != nullptr) throw py::value_error("all rows must be everybody's");
    if (objective.gated && samples_.sent != nullptr) {
      throw py::value_error("a gate reads rewards, and nothing would limit what it does");
    }
    if (episodes < 1 || samples_.rows < 1 || samples_.rows % episodes != 0) {
      throw py::value_error(std::to_string(samples_.rows) + " rows are not " +
                            std::to_string(episodes) + " episodes of equal length");
    }
    const auto n = static_cast<std::size_t>(last - first);
    const auto doubles = [](const char* name, py::handle object, std::size_t rows,
                            std::size_t columns) {
      py::array array = require_array<double>(name, object, Use::kOutput);
      require_shape(name, array, {rows, columns});
      return write<double>(name, array).data();
    };
    double* to_actor = doubles("actor", actor, n, actor_size_);
    double* to_critic = doubles("critic", critic, n, critic_size_);
    double* longer = doubles("clipped", clipped, n, 2);
    double* to = sums_of(sums, first, last, Use::kOutput);
    const nn::Episodes all{.count = episodes, .steps = samples_.rows / episodes};
    const py::gil_scoped_release unlocked;
    engine_->episode_gradients(samples_, objective, first, last, all, clip.data(), to_actor,
                               to_critic, longer, to);
  }

  /// The rest of the step, with gradients and sums as they are now; results as `minibatch`.
  py::object finish(const nn::Objective& objective, int first, int last, py::handle totals,
                    py::handle sums, py::handle statistics) {
    check_step(objective, first, last);
    const std::vector<std::int64_t> all = totals_of(totals, first, last);
    if (samples_.present == nullptr && std::ranges::min(all) < 1) {
      throw py::value_error("a minibatch needs a row");
    }
    const double* from = sums_of(sums, first, last, Use::kInput);
    nn::Statistics* to = statistics_of(statistics);
    return failure_of(
        [&] { return engine_->finish(samples_, objective, first, last, all.data(), from, to); });
  }

  void set_rates(float actor, float critic) { engine_->set_rates(actor, critic); }

  std::string instruction_set() const { return engine_->passes().name; }
  std::size_t num_threads() const { return engine_->num_threads(); }

 private:
  /// Rows of the batch: `count` indices, or null for the first `count`.
  struct Chosen {
    const std::int64_t* rows = nullptr;
    std::int64_t count = 0;
    std::vector<std::int64_t> copy;
  };

  void check_step(const nn::Objective& objective, int first, int last) const {
    check_owners(first, last);
    if (samples_.old == nullptr ||
        (objective.kind == nn::Objective::kAnticipation && samples_.sent == nullptr)) {
      throw py::value_error("no messages were set");
    }
    const bool all = actors_.heads == actors_.agents && actors_.subjects == nullptr;
    if (objective.kind == nn::Objective::kJoint && !all) {
      throw py::value_error("this objective needs a head per agent");
    }
  }

  /// Whom the heads are about, int32 [K, H]: each once, the agent among them, then -1 in empty
  /// heads. Agents behind the first N have their networks elsewhere, and heads that nobody here
  /// asks for may be empty.
  void take_subjects(py::handle object) {
    const py::array array = require_array<std::int32_t>("subjects", object);
    const auto heads = static_cast<std::size_t>(actors_.heads);
    if (array.ndim() == 2) known_ = std::max(n_, static_cast<std::size_t>(array.shape(0)));
    require_shape("subjects", array, {known_, heads});
    actors_.others = static_cast<int>(known_ - n_);
    const std::span<const std::int32_t> given = read<std::int32_t>(array);
    subjects_.assign(given.begin(), given.end());
    own_.assign(known_, -1);
    back_.assign(known_ * heads, 0);
    std::vector<std::int32_t> ascending;
    for (std::size_t i = 0; i < known_; ++i) {
      const auto row = given.subspan(i * heads, heads);
      const auto filled = [](std::int32_t j) { return j >= 0; };
      ascending.clear();
      std::ranges::copy_if(row, std::back_inserter(ascending), filled);
      std::ranges::sort(ascending);
      const bool inside = std::ranges::all_of(
          row, [this](std::int32_t j) { return -1 <= j && j < actors_.known(); });
      const bool twice = std::ranges::adjacent_find(ascending) != ascending.end();
      if (!inside || twice || (i < n_ && !std::ranges::is_partitioned(row, filled))) {
        throw py::value_error("subjects of agent " + std::to_string(i) +
                              " are not agents, each once, before the empty heads");
      }
      const auto at = std::ranges::find(row, static_cast<std::int32_t>(i));
      if (at == row.end()) {
        throw py::value_error("agent " + std::to_string(i) + " is not among its subjects");
      }
      own_[i] = static_cast<std::int32_t>(at - row.begin());
    }
    for (std::size_t i = 0; i < known_; ++i) {
      for (std::size_t h = 0; h < heads; ++h) {
        const std::int32_t j = subjects_[i * heads + h];
        if (j < 0) continue;
        const auto* const first = subjects_.data() + static_cast<std::size_t>(j) * heads;
        const auto* const last = first + heads;
        const auto* const at = std::find(first, last, static_cast<std::int32_t>(i));
        back_[i * heads + h] = at != last ? static_cast<std::int32_t>(at - first) : -1;
      }
    }
    actors_.subjects = subjects_.data();
    actors_.own = own_.data();
    actors_.back = back_.data();
  }

  /// ValueError if somebody hears itself, or through a head that is empty or not answered.
  void require_subjects(std::span<const std::uint8_t> heard) const {
    const auto heads = static_cast<std::size_t>(actors_.heads);
    for (std::size_t k = 0; k < heard.size(); ++k) {
      if (heard[k] == 0) continue;
      const int owner = static_cast<int>(k / heads % n_), head = static_cast<int>(k % heads);
      if (head == actors_.own_head(owner)) {
        throw py::value_error("agent " + std::to_string(owner) + " hears itself");
      }
      if (actors_.subject(owner, head) < 0 || actors_.back_head(owner, head) < 0) {
        throw py::value_error("agent " + std::to_string(owner) + " hears through its head " +
                              std::to_string(head) + ", which no other agent answers");
      }
    }
  }

  /// How many of the chosen rows are an agent's.
  std::int64_t rows_of_agent(const Chosen& chosen, int agent) const {
    if (samples_.present == nullptr) return chosen.count;
    std::int64_t count = 0;
    for (std::int64_t m = 0; m < chosen.count; ++m) {
      const std::int64_t row = chosen.rows != nullptr ? chosen.rows[m] : m;
      count += samples_.present[row * actors_.agents + agent] != 0 ? 1 : 0;
    }
    return count;
  }

  /// How many rows every owner has in a minibatch, int64 [last - first]; copied, likewise.
  static std::vector<std::int64_t> totals_of(py::handle totals, int first, int last) {
    const py::array array = require_array<std::int64_t>("totals", totals);
    require_shape("totals", array, {static_cast<std::size_t>(last - first)});
    const std::span<const std::int64_t> given = read<std::int64_t>(array);
    for (const std::int64_t total : given) {
      if (total < 0) throw py::value_error("totals holds " + std::to_string(total));
    }
    return {given.begin(), given.end()};
  }

  /// Rows are copied before they are checked: others may write to the array meanwhile.
  Chosen rows_of(py::handle index) const {
    if (index.is_none()) return {.count = samples_.rows};
    const py::array array = require_array<std::int64_t>("index", index);
    if (array.ndim() != 1) throw py::value_error("index is no vector");
    const std::span<const std::int64_t> given = read<std::int64_t>(array);
    std::vector<std::int64_t> copy(given.begin(), given.end());
    for (const std::int64_t row : copy) {
      if (row < 0 || row >= samples_.rows) {
        throw py::index_error("row " + std::to_string(row) + " is outside 0.." +
                              std::to_string(samples_.rows - 1));
      }
    }
    const std::int64_t* const rows = copy.data();  // stays where it is when the vector moves
    return {.rows = rows, .count = std::ssize(copy), .copy = std::move(copy)};
  }

  nn::Statistics* statistics_of(py::handle statistics) const {
    py::array to = require_array<double>("statistics", statistics, Use::kOutput);
    require_shape("statistics", to, {n_, nn::kStatisticNames.size()});
    return reinterpret_cast<nn::Statistics*>(write<double>("statistics", to).data());
  }

  double* sums_of(py::handle sums, int first, int last, Use use) const {
    py::array array = require_array<double>("sums", sums, use);
    require_shape("sums", array, {static_cast<std::size_t>(last - first), nn::Engine::kColumns});
    return write<double>("sums", array).data();
  }

  template <class Step>
  static py::object failure_of(Step&& step) {
    nn::Failure failure;
    {
      const py::gil_scoped_release unlocked;
      failure = step();
    }
    if (failure.owner < 0) return py::none();
    return py::make_tuple(failure.owner, failure.quantity, failure.value);
  }

  template <class T>
  const T* input(const char* name, py::handle object, std::initializer_list<std::size_t> shape,
                 std::vector<py::array>& kept) const {
    const py::array array = require_array<T>(name, object);
    require_shape(name, array, shape);
    kept.push_back(array);
    return read<T>(array).data();
  }

  nn::Observations observations(py::handle object, float scale, std::vector<py::array>& kept,
                                std::int64_t& rows) {
    nn::Observations obs{.scale = scale};
    const bool bytes = py::isinstance<py::array_t<std::uint8_t>>(object);
    const py::array array =
        bytes ? require_array<std::uint8_t>("obs", object) : require_array<float>("obs", object);
    if (array.ndim() != 3 || (array.shape(1) != 1 && array.shape(1) != actors_.agents) ||
        static_cast<std::size_t>(array.shape(2)) != obs_size_) {
      throw py::value_error("obs has shape " +
                            shape_text(array.shape(), static_cast<std::size_t>(array.ndim())) +
                            ", want (rows, 1 or " + std::to_string(actors_.agents) + ", " +
                            std::to_string(obs_size_) + ")");
    }
    rows = array.shape(0);
    obs.views = static_cast<int>(array.shape(1));
    obs.size = static_cast<int>(array.shape(2));
    kept.push_back(array);
    if (bytes) {
      obs.bytes = read<std::uint8_t>(array).data();
    } else {
      obs.floats = read<float>(array).data();
    }
    return obs;
  }

  /// Legal actions uint8 [rows, K, A]; null where None, that is, where all are.
  const std::uint8_t* legal_of(py::handle object, std::size_t rows,
                               std::vector<py::array>& kept) const {
    if (object.is_none()) return nullptr;
    return input<std::uint8_t>("legal", object,
                               {rows, known_, static_cast<std::size_t>(actors_.actions)}, kept);
  }

  void check_owners(int first, int last) const {
    if (first < 0 || last > actors_.agents || first >= last) {
      throw py::value_error("agents " + std::to_string(first) + ".." + std::to_string(last) +
                            " are not among " + std::to_string(actors_.agents));
    }
  }

  /// Agents of one engine at most: far more than fit into memory with networks of their own.
  static constexpr int kMostAgents = 1 << 20;

  Actors actors_;
  std::vector<std::int32_t> subjects_, own_, back_;
  std::size_t n_ = 0, known_ = 0, obs_size_ = 0;
  std::size_t actor_size_ = 0, critic_size_ = 0;  ///< parameters of an agent
  Held held_;
  std::unique_ptr<nn::Engine> engine_;
  nn::Samples samples_;
  std::vector<py::array> batch_arrays_, message_arrays_;
};

template <std::size_t N>
py::tuple names_of(const std::array<const char*, N>& names) {
  py::tuple found(N);
  for (std::size_t k = 0; k < N; ++k) found[k] = py::str(names[k]);
  return found;
}

}  // namespace

void register_nn(py::module_& module) {
  py::class_<nn::Objective>(module, "Objective", "What is minimised, and its constants.")
      .def(py::init([](int kind, float clip_epsilon, float peer_low, float peer_high,
                       float entropy_bonus, float penalty_weight, bool printed, bool kl, bool gated,
                       bool corrects) {
             return nn::Objective{.kind = kind,
                                  .clip_epsilon = clip_epsilon,
                                  .peer_low = peer_low,
                                  .peer_high = peer_high,
                                  .entropy_bonus = entropy_bonus,
                                  .penalty_weight = penalty_weight,
                                  .printed = printed,
                                  .kl = kl,
                                  .gated = gated,
                                  .corrects = corrects};
           }),
           py::arg("kind"), py::arg("clip_epsilon"), py::arg("peer_low"), py::arg("peer_high"),
           py::arg("entropy_bonus"), py::arg("penalty_weight"), py::arg("printed"), py::arg("kl"),
           py::arg("gated"), py::arg("corrects"));
  py::class_<PythonEngine>(module, "Engine",
                           "Updates of stacked networks without an interpreter between the steps.")
      .def(
          py::init<int, int, int, int, const std::vector<int>&, const std::vector<int>&,
                   const py::dict&, const py::dict&, std::size_t, const std::string&, py::handle>(),
          py::arg("agents"), py::arg("trunks"), py::arg("heads"), py::arg("actions"),
          py::arg("actor_sizes"), py::arg("critic_sizes"), py::arg("actor"), py::arg("critic"),
          py::arg("threads"), py::arg("instruction_set") = "", py::arg("subjects") = py::none())
      .def("set_batch", &PythonEngine::set_batch, py::arg("obs"), py::arg("scale"),
           py::arg("action"), py::arg("advantage"), py::arg("advantage_scale"), py::arg("target"),
           py::arg("legal") = py::none(), py::arg("present") = py::none())
      .def("set_messages", &PythonEngine::set_messages, py::arg("old"), py::arg("sent"),
           py::arg("heard"), py::arg("announced") = py::none())
      .def("log_probs", &PythonEngine::log_probs, py::arg("obs"), py::arg("scale"),
           py::arg("first"), py::arg("last"), py::arg("out"), py::arg("keep") = false,
           py::arg("legal") = py::none())
      .def("values", &PythonEngine::values, py::arg("obs"), py::arg("scale"), py::arg("first"),
           py::arg("last"), py::arg("out"))
      .def("anticipated", &PythonEngine::anticipated, py::arg("first"), py::arg("last"),
           py::arg("meant"), py::arg("out"),
           "Sums over what some owners anticipate of those they hear, float64 [n, 2 + M + A].")
      .def("minibatch", &PythonEngine::minibatch, py::arg("objective"), py::arg("first"),
           py::arg("last"), py::arg("index").none(true), py::arg("statistics"),
           "One gradient step; returns (owner, quantity, value) of what was not finite, or None.")
      .def("gradient", &PythonEngine::gradient, py::arg("objective"), py::arg("first"),
           py::arg("last"), py::arg("index").none(true), py::arg("totals"), py::arg("sums"),
           "What some rows of a minibatch contribute: gradients in place, sums float64 [n, sums].")
      .def("episode_gradients", &PythonEngine::episode_gradients, py::arg("objective"),
           py::arg("first"), py::arg("last"), py::arg("episodes"), py::arg("clip"),
           py::arg("actor"), py::arg("critic"), py::arg("clipped"), py::arg("sums"),
           "As `gradient` of all rows, what rewards decide shortened by episode.")
      .def("finish", &PythonEngine::finish, py::arg("objective"), py::arg("first"), py::arg("last"),
           py::arg("totals"), py::arg("sums"), py::arg("statistics"),
           "The rest of the step on gradients and sums of the whole minibatch; as `minibatch`.")
      .def_property_readonly_static(
          "num_sums", [](py::handle) { return static_cast<int>(nn::Engine::kColumns); })
      .def_property_readonly_static("statistics",
                                    [](py::handle) { return names_of(nn::kStatisticNames); })
      .def_property_readonly_static("quantities",
                                    [](py::handle) { return names_of(nn::kQuantityNames); })
      .def("set_rates", &PythonEngine::set_rates, py::arg("actor"), py::arg("critic"),
           "Learning rates from now on.")
      .def_property_readonly("instruction_set", &PythonEngine::instruction_set)
      .def_property_readonly("num_threads", &PythonEngine::num_threads);
  py::class_<PythonActingNetworks>(module, "ActingNetworks",
                                   "Networks that act inside the compiled environments.")
      .def(py::init([](const std::vector<int>& sizes, int agents, const std::string& set) {
             if (agents < 1)
               throw py::value_error("agents = " + std::to_string(agents) + ", want 1");
             return std::make_unique<PythonActingNetworks>(layers_of("sizes", sizes), agents, set);
           }),
           py::arg("sizes"), py::arg("agents"), py::arg("instruction_set") = "")
      .def(
          "load",
          [](PythonActingNetworks& self, py::handle flat) {
            const py::array array = require_array<float>("flat", flat);
            require_shape("flat", array, {static_cast<std::size_t>(self.agents()), self.size()});
            self.load(read<float>(array));
          },
          py::arg("flat"), "Take parameters float32 [N, P].");
  module.def(
      "fma_peak",
      [](std::int64_t rounds, const std::string& instruction_set) {
        const nn::Passes& passes = nn::choose_passes(instruction_set);
        float result = 0.0f;
        {
          const py::gil_scoped_release unlocked;
          result = passes.peak(rounds);
        }
        return py::make_tuple(static_cast<double>(rounds) * passes.peak_operations, result);
      },
      py::arg("rounds"), py::arg("instruction_set") = "",
      "Multiply-adds as fast as they go: how many operations were done, and a number to be "
      "ignored.");
}

}  // namespace ascore::python
