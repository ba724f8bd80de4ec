#include "ascore/env.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>

#include "ascore/envs/exchange.hpp"
#include "ascore/envs/navigation.hpp"
#include "ascore/envs/predation.hpp"

namespace ascore {
namespace {

template <class Params>
std::string complaint(const Params& params) {
  try {
    validate(params);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("numbers are written so that they read back as they were") {
  CHECK(to_text(30.0) == "30");
  CHECK(to_text(0.01) == "0.01");
  CHECK(to_text(-2.5) == "-2.5");
  CHECK(to_text(300) == "300");
  using Double = std::numeric_limits<double>;
  for (const double value : {1.0 / 30.0, 0.1 + 0.2, Double::max(), Double::min(),
                             Double::denorm_min(), Double::infinity(), -0.0}) {
    CHECK(std::strtod(to_text(value).c_str(), nullptr) == value);
  }
  CHECK(to_text(Double::quiet_NaN()).find("nan") != std::string::npos);
}

TEST_CASE("what is allowed is described") {
  CHECK(describe(Range{1, 64}) == "1..64");
  CHECK(describe(Range{0.0, 0.5}) == "0..0.5");
  CHECK(describe(one_of("any", "next")) == "\"any\", \"next\"");
  CHECK(describe(Either{}) == "false, true");
  CHECK(describe_value(true, Either{}) == "true");
  CHECK(describe_value(ExchangeParams::Opener::kNext, one_of("any", "next")) == "next");
}

TEST_CASE("defaults are valid") {
  CHECK(complaint(ExchangeParams{}) == "");
  CHECK(complaint(NavigationParams{}) == "");
  CHECK(complaint(PredationParams{}) == "");
}

TEST_CASE("a parameter out of range is named with its value and its range") {
  CHECK(complaint(ExchangeParams{.num_agents = 1}) == "num_agents = 1 is outside 2..64");
  CHECK(complaint(ExchangeParams{.num_agents = 65}) == "num_agents = 65 is outside 2..64");
  CHECK(complaint(ExchangeParams{.size = 33}) == "size = 33 is outside 2..32");
  CHECK(complaint(ExchangeParams{.horizon = 0}) == "horizon = 0 is outside 1..1000000000");
  CHECK(complaint(ExchangeParams{.open_range = -1}) == "open_range = -1 is outside 0..64");
  CHECK(complaint(ExchangeParams{.cost = -0.5}) == "cost = -0.5 is outside 0..1e+06");
  CHECK(complaint(NavigationParams{.num_agents = 0}) == "num_agents = 0 is outside 1..64");
  CHECK(complaint(NavigationParams{.dist_scale = -1}) == "dist_scale = -1 is outside 0..1e+06");
  CHECK(complaint(PredationParams{.neigh_radius = 1.5}) == "neigh_radius = 1.5 is outside 0..1");
  CHECK(complaint(PredationParams{.length = 0}) == "length = 0 is outside 1e-09..1e+09");
}

TEST_CASE("numbers that are not finite are refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(complaint(PredationParams{.length = nan}).starts_with("length = "));
  CHECK(complaint(PredationParams{.step_length = infinity}).starts_with("step_length = inf"));
  CHECK(complaint(ExchangeParams{.gain = std::numeric_limits<double>::max()})
            .starts_with("gain = 1.7976931348623157e+308 is outside"));
}

TEST_CASE("an enumerator that has no name is refused") {
  CHECK(complaint(ExchangeParams{.opener = static_cast<ExchangeParams::Opener>(2)}) ==
        "opener = enumerator 2 is outside \"any\", \"next\"");
}

TEST_CASE("values that do not go together are refused") {
  CHECK(complaint(ExchangeParams{.num_agents = 5, .size = 3}) ==
        "num_agents = 5 needs 10 cells; size = 3 has 9");
  CHECK(complaint(ExchangeParams{.num_agents = 5, .size = 3, .agents_on_boxes = true}) == "");
  CHECK(complaint(NavigationParams{.num_agents = 5, .size = 2}) ==
        "num_agents = 5 needs as many cells; size = 2 has 4");
  CHECK(complaint(NavigationParams{.num_agents = 4, .size = 2}) == "");
  CHECK(complaint(PredationParams{.num_agents = 1, .mixed = PredationParams::Mixed::kPairwise}) ==
        "mixed = pairwise needs num_agents >= 2, got 1");
  CHECK(complaint(PredationParams{.num_agents = 1}) == "");
}

TEST_CASE("sizes and names follow from the parameters") {
  const Spec exchange = Exchange(ExchangeParams{.num_agents = 4}).spec();
  CHECK(exchange.name == "exchange-v1");
  CHECK(exchange.num_agents == 4);
  CHECK(exchange.num_actions() == 6);
  CHECK(exchange.action_names[5] == "open");
  CHECK(exchange.views == 1);
  CHECK(exchange.obs_size == 16);
  CHECK(exchange.horizon == 300);
  CHECK(Exchange(ExchangeParams{.num_agents = 4, .eaten = ExchangeParams::Eaten::kFlag})
            .spec()
            .obs_size == 20);
  const Spec navigation = Navigation(NavigationParams{.num_agents = 4}).spec();
  CHECK(navigation.name == "navigation-v1");
  CHECK(navigation.num_actions() == 5);
  CHECK(navigation.views == 1);
  CHECK(navigation.obs_size == 16);
  CHECK(navigation.horizon == 100);
  CHECK(Navigation(
            NavigationParams{.num_agents = 4, .obs_order = NavigationParams::ObsOrder::kSelfFirst})
            .spec()
            .views == 4);

  const Spec predation = Predation(PredationParams{.num_agents = 20, .horizon = 7}).spec();
  CHECK(predation.name == "predation-v1");
  CHECK(predation.num_actions() == 2);
  CHECK(predation.obs_size == 20);
  CHECK(predation.horizon == 7);
}

}  // namespace
}  // namespace ascore
