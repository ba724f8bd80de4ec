#include "ascore/env.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/envs/all.hpp"
#include "variants.hpp"

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

TEST_CASE("every environment has variants for the tests of all environments") {
  for_each_environment([]<class Env>() {
    const char* const name = Env::kName;
    CAPTURE(name);
    CHECK_MESSAGE(!variants<Env>().empty(), "declare its Variants in its own cpp/tests/*_test.cpp");
  });
}

TEST_CASE("defaults are valid") {
  for_each_environment([]<class Env>() { CHECK(complaint(typename Env::Params{}) == ""); });
}

TEST_CASE("a parameter out of range is named with its value and its range") {
  CHECK(complaint(ExchangeParams{.num_agents = 1}) == "num_agents = 1 is outside 2..1024");
  CHECK(complaint(ExchangeParams{.num_agents = 1025}) == "num_agents = 1025 is outside 2..1024");
  CHECK(complaint(ExchangeParams{.size = 33}) == "size = 33 is outside 2..32");
  CHECK(complaint(ExchangeParams{.horizon = 0}) == "horizon = 0 is outside 1..1000000000");
  CHECK(complaint(ExchangeParams{.open_range = -1}) == "open_range = -1 is outside 0..64");
  CHECK(complaint(ExchangeParams{.cost = -0.5}) == "cost = -0.5 is outside 0..1e+06");
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
  CHECK(complaint(PredationParams{.num_agents = 1, .mixed = PredationParams::Mixed::kPairwise}) ==
        "mixed = pairwise needs num_agents >= 2, got 1");
  CHECK(complaint(PredationParams{.num_agents = 1}) == "");
}

TEST_CASE("sizes and names follow from the parameters") {
  const Spec spec = Exchange(ExchangeParams{.num_agents = 4}).spec();
  CHECK(spec.name == "exchange-v1");
  CHECK(spec.num_agents == 4);
  CHECK(spec.num_actions() == 6);
  CHECK(spec.action_names[5] == "open");
  CHECK(spec.views == 1);
  CHECK(spec.obs_size == 16);
  CHECK(spec.horizon == 300);
  CHECK(Exchange(ExchangeParams{.num_agents = 4, .eaten = ExchangeParams::Eaten::kFlag})
            .spec()
            .obs_size == 20);
}

TEST_CASE("every environment goes by the name of the list and has sizes") {
  std::vector<std::string> names;
  for_each_environment([&]<class Env>() {
    const Spec spec = Env(typename Env::Params{}).spec();
    CHECK(spec.name == Env::kName);
    names.emplace_back(Env::kName);
    CHECK(spec.num_agents >= 1);
    CHECK(spec.num_actions() >= 2);
    CHECK((spec.views == 1 || spec.views == spec.num_agents));
    CHECK(spec.obs_size >= 1);
    CHECK(spec.horizon >= 1);
  });
  CHECK(std::ranges::is_sorted(names));
  CHECK(std::ranges::adjacent_find(names) == names.end());
}

}  // namespace
}  // namespace ascore
