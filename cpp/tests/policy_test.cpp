#include "ascore/policy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ascore/envs/exchange.hpp"
#include "ascore/vec_env.hpp"
#include "policy_file.hpp"

namespace ascore {
namespace {

template <class Work>
std::string complaint(Work&& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const char* part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("\"" << text << "\" lacks \"" << part << "\"");
  return found;
}

std::string reading(const std::string& header, const std::vector<float>& data = {}) {
  return complaint([&] { parse_safetensors(to_bytes(header, data)); });
}

TEST_CASE("a file is read as it was written") {
  const TensorFile file = policy_for("exchange-v1", 3, 12, 6, {4});
  const TensorFile found = parse_safetensors(to_bytes(file));
  CHECK(found.metadata == file.metadata);
  REQUIRE(found.tensors.size() == 4);
  CHECK(found.tensors.at("layers.0.weight").shape == std::vector<std::size_t>{3, 12, 4});
  CHECK(found.tensors.at("layers.1.bias").values == file.tensors.at("layers.1.bias").values);
}

TEST_CASE("texts may hold all that JSON can write") {
  const std::string header =
      R"( { "__metadata__" : {"a\"\\\/\n\u00e9\ud83d\ude00" : "\u0041\t"}, "x": {"shape":[],)"
      R"("data_offsets":[0, 4],"dtype":"F32"} }  )";
  const TensorFile found = parse_safetensors(to_bytes(header, {2.5F}));
  CHECK(found.metadata.at("a\"\\/\n\xC3\xA9\xF0\x9F\x98\x80") == "A\t");
  CHECK(found.tensors.at("x").values == std::vector<float>{2.5F});
}

TEST_CASE("whatever is no safetensors file is refused") {
  CHECK(has(complaint([] { parse_safetensors(std::vector<std::uint8_t>{1, 2, 3}); }),
            "3 bytes are too few"));
  std::vector<std::uint8_t> bytes = to_bytes("{}");
  bytes[7] = 0x80;
  CHECK(has(complaint([&] { parse_safetensors(bytes); }), "its header asks for 92233720368547758"));
  CHECK(reading("{}").empty());
  for (const char* header :
       {"",
        "{",
        "[]",
        "{}}",
        "{\"x\"}",
        "{\"x\":}",
        "{\"x\":{}}",
        "{\"x\":{\"dtype\":\"F32\"}}",
        "{\"__metadata__\":{\"a\":1}}",
        "{\"__metadata__\":{\"a\":\"\\x\"}}",
        "{\"__metadata__\":{\"a\":\"\\ud800\"}}",
        "{\"__metadata__\":{\"a\":\"\\udc00\"}}",
        "{\"__metadata__\":{\"a\":\"\\ud800\\u0041\"}}",
        "{\"__metadata__\":{\"a\":\"\\u12\"}}",
        "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}",
        "{\"__metadata__\":{},\"__metadata__\":{}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}",
        "{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"\",\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,4],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[01],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-0,4]}}",
        "{\"\xFF\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":[1]}}"}) {
    INFO(header);
    CHECK(has(reading(header, {1}), "its header is damaged: want "));
  }
  CHECK(has(reading(R"({"__metadata__":{"a":")" + std::string(1, '\n') + "\"}}"), "control"));
}

TEST_CASE("arrays that do not fill their file are refused") {
  const auto one = [](const std::string& rest) { return "{\"x\":{\"dtype\":" + rest + "}}"; };
  CHECK(has(reading(one(R"("F64","shape":[1],"data_offsets":[0,8])"), {1, 2}), "want F32"));
  CHECK(has(reading(one(R"("F32","shape":[2],"data_offsets":[0,4])"), {1, 2}), "needs 8"));
  CHECK(has(reading(one(R"("F32","shape":[1],"data_offsets":[8,4])"), {1, 2}), "lies at 8..4"));
  CHECK(has(reading(one(R"("F32","shape":[3],"data_offsets":[0,12])"), {1, 2}), "lies at 0..12"));
  CHECK(has(reading(one(R"("F32","shape":[1],"data_offsets":[0,4])"), {1, 2}), "bytes follow"));
  CHECK(has(reading(one(R"("F32","shape":[1],"data_offsets":[4,8])"), {1, 2}), "gap"));
  CHECK(has(reading(one(R"("F32","shape":[4611686018427387904,4],"data_offsets":[0,4])"), {1}),
            "larger than its file"));
  CHECK(has(reading(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                    {1}),
            "overlaps"));
}

TEST_CASE("files that are no policy are refused by what is wrong") {
  const TensorFile good = policy_for("exchange-v1", 3, 12, 6, {4});
  CHECK(complaint([&] { Policy policy(good); }).empty());
  const auto with = [&](const char* key, const char* value) {
    TensorFile file = good;
    file.metadata[key] = value;
    return complaint([&] { Policy policy(file); });
  };
  CHECK(has(with("format", "pt"), "format = \"pt\", want \"ascore.policy\""));
  CHECK(has(with("version", "2"), "policy format 2, this version reads 1"));
  CHECK(has(with("version", "one"), "version = \"one\" is not in 1..1000000"));
  CHECK(has(with("num_agents", "0"), "num_agents = \"0\" is not in 1..65536"));
  CHECK(has(with("num_agents", "65537"), "num_agents = \"65537\" is not in 1..65536"));
  CHECK(has(with("num_agents", "2"), "3 networks of 6 outputs do not serve 2 agents of 6 actions"));
  CHECK(has(with("num_actions", "7"), "do not serve 3 agents of 7 actions"));
  CHECK(has(with("obs_scale", "much"), "obs_scale = \"much\" is not a number"));
  CHECK(has(with("obs_scale", "0x1p3"), "obs_scale = \"0x1p3\" is not a number"));
  for (const char* scale : {"0", "-1", "1e39", "1e-60"}) {
    CHECK(has(with("obs_scale", scale), "is not a number above 0"));
  }
  TensorFile file = good;
  file.metadata.erase("env");
  CHECK(has(complaint([&] { Policy policy(file); }), "its metadata lack \"env\""));
  file = good;
  file.tensors.erase("layers.1.bias");
  CHECK(has(complaint([&] { Policy policy(file); }), "it holds 3 tensors"));
  file = good;
  file.tensors["layers.1.bias"].shape = {6, 3};
  CHECK(has(complaint([&] { Policy policy(file); }),
            "layers.1 has weight [3, 4, 6] and bias [6, 3], which do not fit"));
  file = good;
  file.tensors["layers.0.weight"].values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(has(complaint([&] { Policy policy(file); }), "layers.0 holds a number that is not finite"));
  CHECK(has(complaint([] { Policy policy{TensorFile{}}; }), "its metadata lack \"format\""));
  const PolicyFile damaged(std::vector<std::uint8_t>{1});
  CHECK(has(complaint([&] { Policy::load(damaged.path()); }), damaged.path().c_str()));
  // As wide as the actions of one agent, and not as the joint actions of three.
  TensorFile centre = policy_for("exchange-v1", 1, 12, 6, {});
  centre.metadata["num_agents"] = "3";
  CHECK(has(complaint([&] { Policy policy(centre); }),
            "1 networks of 6 outputs do not serve 3 agents of 6 actions"));
}

TEST_CASE("only regular files are read") {
  CHECK(has(complaint([] { Policy::load("/dev/zero"); }), "/dev/zero; it is no regular file"));
  CHECK(has(complaint([] { Policy::load("/"); }), "it is no regular file"));
  CHECK(has(complaint([] { Policy::load("/nowhere/at/all"); }), "does the file exist?"));
}

TEST_CASE("UTF-8 is what Unicode says it is") {
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                           "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    INFO(good);
    CHECK(detail::is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xE2\x82",
        "\xE2\x82\x41", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF0\x90\x80",
        "\xF0\x90\x80\x41", "\xF5\x80\x80\x80", "\xFF"}) {
    INFO(bad);
    CHECK_FALSE(detail::is_utf8(bad));
  }
}

TEST_CASE("probabilities add up to one and the most probable action is taken") {
  const Policy policy(policy_for("exchange-v1", 3, 12, 6, {4}));
  VecEnv<Exchange> env(2, 0, 0, 1, {});
  policy.require(env.spec());
  env.reset();
  std::vector<float> log_probs(2 * policy.num_log_probs());
  policy.log_probs(env.obs(), 1, log_probs);
  std::vector<std::int32_t> greedy(6), zero(6), drawn(6);
  policy.act(env.obs(), 1, {}, greedy);
  policy.act(env.obs(), 1, std::vector<float>(6, 0.0F), zero);
  policy.act(env.obs(), 1, std::vector<float>(6, 0x1.fffffep-1F), drawn);
  for (std::size_t k = 0; k < 6; ++k) {
    double sum = 0;
    for (std::size_t a = 0; a < 6; ++a) {
      CHECK(log_probs[k * 6 + a] <= log_probs[k * 6 + static_cast<std::size_t>(greedy[k])]);
      sum += std::exp(static_cast<double>(log_probs[k * 6 + a]));
    }
    CHECK(sum == doctest::Approx(1.0).epsilon(1e-6));
    CHECK(zero[k] == 0);
    CHECK(drawn[k] == 5);
  }
  CHECK(
      has(complaint([&] { policy.log_probs(env.obs(), 2, log_probs); }), "obs of 24 entries in 2"));
  CHECK(has(complaint([&] { policy.act(env.obs(), 1, {}, std::span(greedy).first(5)); }),
            "action has 5 entries, want 6"));
  CHECK(has(
      complaint([&] { policy.require(VecEnv<Exchange>(1, 0, 0, 1, {.num_agents = 4}).spec()); }),
      "the policy is for 3 agents, 12 observation entries and 6 actions"));
}

TEST_CASE("a centre's joint action is split, the first agent the leading digit") {
  TensorFile file = policy_for("exchange-v1", 1, 4, 9, {});
  file.metadata["num_agents"] = "2";
  file.metadata["num_actions"] = "3";
  file.tensors["layers.0.weight"].values.assign(36, 0.0F);
  file.tensors["layers.0.bias"].values = {0, 0, 0, 0, 0, 9, 0, 0, 0};  // joint action 5 = (1, 2)
  const Policy policy(file);
  CHECK(policy.centralised());
  CHECK(policy.num_log_probs() == 9);
  const std::vector<float> obs(8, 1.0F);  // two rows, each of two views of two entries
  std::vector<std::int32_t> action(4);
  policy.act(std::span<const float>(obs), 2, {}, action);
  CHECK(action == std::vector<std::int32_t>{1, 2, 1, 2});
}

TEST_CASE("agents may have different numbers of actions") {
  TensorFile file = policy_for("shop", 1, 4, 6, {});
  file.metadata["num_agents"] = "2";
  file.metadata["num_actions"] = "3";
  file.metadata["action_counts"] = "3,2";
  file.tensors["layers.0.weight"].values.assign(24, 0.0F);
  file.tensors["layers.0.bias"].values = {0, 0, 0, 8, 0, 9};  // joint action 5 = (2, 1)
  const Policy policy(file);
  CHECK(policy.action_counts() == std::vector<std::size_t>{3, 2});
  CHECK(policy.num_log_probs() == 6);
  const std::vector<float> obs(8, 1.0F);
  std::vector<std::int32_t> action(4);
  policy.act(std::span<const float>(obs), 2, {}, action);
  CHECK(action == std::vector<std::int32_t>{2, 1, 2, 1});
  // In the first row agent 0 may not take its last action: the best of the others is 3 = (1, 1).
  std::vector<std::uint8_t> legal{1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1};
  policy.act(std::span<const float>(obs), 2, {}, action, legal);
  CHECK(action == std::vector<std::int32_t>{1, 1, 0, 0});
  std::vector<float> log_probs(12);
  policy.log_probs(std::span<const float>(obs), 2, log_probs, legal);
  for (const std::size_t k : {4, 5, 7, 9, 11}) CHECK(std::exp(log_probs[k]) == 0.0F);
  legal[3] = legal[4] = 0;  // what it lacks does not count
  legal[5] = 1;
  CHECK(has(complaint([&] { policy.act(std::span<const float>(obs), 2, {}, action, legal); }),
            "legal leaves agent 1 in row 0 no action"));
  legal.pop_back();
  CHECK(has(complaint([&] { policy.act(std::span<const float>(obs), 2, {}, action, legal); }),
            "legal has 11 entries, want 12"));

  for (const char* counts : {"3", "3,2,1", "2,2", "3,0", "3,", ",3", "3,4", "3, 2", ""}) {
    file.metadata["action_counts"] = counts;
    CHECK(has(complaint([&] { Policy{file}; }), "action_counts = "));
  }
}

TEST_CASE("parameters are read by name from text") {
  const std::vector<NamedText> given{{"num_agents", "4"}, {"cost", "0.25"}, {"opener", "next"}};
  const auto params = parameters_from<ExchangeParams>("exchange-v1", given);
  CHECK(params.num_agents == 4);
  CHECK(params.cost == 0.25);
  CHECK(params.opener == ExchangeParams::Opener::kNext);
}

}  // namespace
}  // namespace ascore
