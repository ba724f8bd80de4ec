// Watering costs a gardener `cost` and gives everybody 1: alone, nobody would water.
#include "ascore/python/vec_env.hpp"

struct OrchardParams {
  int gardeners = 3;
  double cost = 1.5;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    row("gardeners", p.gardeners, ascore::Range{1, ascore::kMaxAgents}, "agents", "made up");
    row("cost", p.cost, ascore::Range{0.0, 10.0}, "price of watering", "made up");
  }
  void check() const {}
};

class Orchard {
 public:
  using Params = OrchardParams;
  using Obs = float;
  struct State {
    double dry;
  };
  static constexpr std::array<std::string_view, 2> kActions{"rest", "water"};

  explicit Orchard(const Params& params) : p_(params) {}
  ascore::Spec spec() const noexcept {
    return {"orchard-v1", kActions, p_.gardeners, /*views=*/1, /*obs_size=*/1, /*horizon=*/20, 20};
  }
  void reset(ascore::Rng& rng, ascore::StepView<Obs> io) noexcept { see(rng.u01(), io); }
  bool step(ascore::Rng&, ascore::StepView<Obs> io) noexcept {
    int water = 0;
    for (const std::int32_t a : io.action) water += a;
    for (std::size_t i = 0; i < io.reward.size(); ++i) {
      io.reward[i] = static_cast<float>(water - p_.cost * io.action[i]);
    }
    see(0.5 * s_.dry + 0.5 * (1.0 - 1.0 * water / p_.gardeners), io);
    return false;
  }
  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }
  bool admits(const State& s) const noexcept { return s.dry >= 0 && s.dry <= 1; }
  void inspect(auto&& row) const { row("dry", {1}, std::span<const double>(&s_.dry, 1)); }

 private:
  void see(double dry, ascore::StepView<Obs> io) noexcept {
    s_.dry = dry;
    io.obs[0] = static_cast<float>(dry);
    for (std::size_t k = 0; k < io.neighbours.size(); ++k) {
      io.neighbours[k] = k % (io.reward.size() + 1) != 0;  // all hear all but themselves
    }
  }
  Params p_;
  State s_{};
};

PYBIND11_MODULE(orchard, module) { ascore::python::register_vec_env<Orchard>(module, "Orchard"); }
