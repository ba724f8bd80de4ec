"""Configuration: every key is checked, presets say what the paper says, TOML reads back."""

from __future__ import annotations

import numpy as np
import pytest

from ascore.algorithms.graph import neighbours
from ascore.config import Config, preset_names
from ascore.errors import ConfigError
from ascore.reading import DEEPEST_KEY, MOST_KEYS, TOML_LIMIT, toml


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"penalty_wieght": 1.0},
            "unknown key 'penalty_wieght' in .*did you mean 'penalty_weight'",
        ),
        ({"penalty_weight": -1.0}, "penalty_weight = -1.0 is not allowed; it must be at least 0"),
        ({"penalty_weight": "much"}, "penalty_weight = 'much' .* a finite number"),
        ({"penalty_weight": float("nan")}, "penalty_weight = nan .* a finite number"),
        ({"graph": "complet"}, "graph = 'complet' .* one of complete, environment"),
        ({"gamma": 1.5}, "gamma = 1.5 .* at most 1"),
        ({"actor_lr": -1.0}, "actor_lr = -1.0 .* at least 0"),
        ({"adam_epsilon": 0.0}, "adam_epsilon = 0.0 .* at least 1e-15"),
        ({"graph_matrix": "010,101,010"}, "graph_matrix = .* empty unless graph = matrix"),
        ({"graph": "matrix"}, "graph_matrix = .* is not a square of 0 and 1"),
        ({"graph": "matrix", "graph_matrix": "01,1"}, "is not a square of 0 and 1"),
        ({"graph": "matrix", "graph_matrix": "02,10"}, "is not a square of 0 and 1"),
        ({"graph": "matrix", "graph_matrix": "01,11"}, "lets agent 1 hear itself"),
        ({"num_envs": 0}, "num_envs = 0 .* at least 1"),
        ({"num_envs": 2.5}, "num_envs = 2.5 .* a whole number"),
        ({"seed": -1}, "seed = -1 .* at least 0"),
        ({"seed": 2**64}, "seed = 18446744073709551616 .* at most"),
        ({"tensorboard": 1}, "tensorboard = 1 .* true or false"),
        ({"actor_hidden": []}, "actor_hidden = .* one or more positive layer sizes"),
        ({"actor_hidden": [8, -1]}, "actor_hidden = .* one or more positive layer sizes"),
        ({"actor_hidden": 8}, "actor_hidden = 8 .* a list of whole numbers"),
        (
            {"env_params": {"size": {1: 2}}},
            r"env_params\['size'\] = \{1: 2\} .* a finite number, text or a list",
        ),
        ({"env": 3}, "env = 3 .* text"),
    ],
)
def test_bad_values_name_key_value_and_rule(keys, message):
    with pytest.raises(ConfigError, match=message):
        Config.from_dict(keys)


def test_toml_round_trip(tmp_path):
    config = Config(
        env_params={"num_agents": 2, "mixed": "pairwise"}, actor_hidden=(3, 4), seed=2**63 - 1
    )
    file = tmp_path / "config.toml"
    file.write_text(config.dump())
    assert Config.load(file) == config


def test_unreadable_files_are_named(tmp_path):
    file = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        Config.load(file)
    file.write_text("gamma = = 1")
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        Config.load(file)
    file.write_text("gama = 0.9")
    with pytest.raises(ConfigError, match=r"unknown key 'gama' in .*did you mean 'gamma'"):
        Config.load(file)


def test_replace_checks_and_keeps_the_rest():
    config = Config(seed=3)
    assert config.replace(gamma=0.5) == Config(seed=3, gamma=0.5)
    with pytest.raises(ConfigError, match=r"gamma = 2.0"):
        config.replace(gamma=2.0)


@pytest.mark.parametrize(("env", "preset"), preset_names())
def test_presets_load(env, preset):
    config = Config.preset(env, preset=preset, env_params={"num_agents": 3}, seed=9)
    assert config.env == f"{env}-v1"
    assert config.env_params["num_agents"] == 3
    assert config.seed == 9


def test_environments_that_nobody_tuned_share_a_preset(monkeypatch):
    own = Config.preset("game:Game", env_params={"agents": 3}, seed=3)
    assert (own.env, own.env_params, own.seed) == ("game:Game", {"agents": 3}, 3)
    assert own.actor_lr >= 1e-3  # at the default, policies stay at uniform play
    monkeypatch.setattr("ascore.presets.preset_names", list)
    built_in = Config.preset("exchange", env_params={"num_agents": 3}, seed=3)
    assert built_in == own.replace(env="exchange-v1", env_params={"num_agents": 3})


@pytest.mark.parametrize(("env", "name"), [("game:Game", "game:Game"), ("exchange", "exchange-v1")])
def test_the_shared_preset_is_called_tuned(env, name, monkeypatch):
    monkeypatch.setattr("ascore.presets.preset_names", list)
    with pytest.raises(ConfigError, match=f"no preset 'best' for {name}; choose from: tuned"):
        Config.preset(env, preset="best")


def test_an_own_environment_differs_from_its_preset_by_what_is_set():
    assert Config.preset("game:Game", gamma=0.5).differences() == (
        "tuned",
        {"gamma": (Config.preset("game:Game").gamma, 0.5)},
    )


@pytest.mark.parametrize(
    ("env", "actor_lr", "rho", "hidden"),
    [
        ("cleanup", 5e-5, 1e3, (1024, 256)),
        ("harvest", 5e-5, 0.1, (1024, 256)),
        ("predation", 1e-4, 0.1, (128, 64)),
        ("exchange", 5e-5, 1e4, (128, 64)),
        ("navigation", 5e-5, 1e4, (128, 64)),
    ],
)
def test_paper_presets_are_tables_1_and_2(env, actor_lr, rho, hidden):
    c = Config.preset(env, preset="paper")
    assert (c.actor_lr, c.penalty_weight) == (actor_lr, rho)
    assert (c.critic_lr, c.gamma, c.gae_lambda, c.clip_epsilon, c.iterations) == (
        1e-4,
        0.99,
        0.98,
        0.2,
        3,
    )
    assert (c.actor_hidden, c.critic_hidden) == (hidden, hidden)
    # Algorithm 1: one episode per update, agents in turn, the old policy replaced every iteration.
    assert (c.num_envs, c.rollout_steps, c.minibatches) == (1, 0, 1)
    assert (c.update_order, c.ratio_reference) == ("sequential", "iteration")
    assert (c.peer_ratio_reference, c.peer_ratio_clip) == ("anticipated", 0.0)  # Eq. 13 as printed
    assert (c.actor, c.value_target, c.entropy_bonus) == ("separate", "monte_carlo", 0.0)
    assert (c.discrepancy, c.penalty_gate, c.advantage_normalization) == ("l2", "indicator", False)
    assert c.lr_decay == "none"


def test_unknown_presets_list_what_there_is():
    with pytest.raises(
        ConfigError, match="no preset 'best' for exchange-v1; choose from: paper, tuned"
    ):
        Config.preset("exchange", preset="best")
    with pytest.raises(ValueError, match="unknown environment 'exchang'; did you mean 'exchange'"):
        Config.preset("exchang")


# ---------------------------------------------------------------------- graphs


def links(kind: str, n: int = 4, **keys) -> set[tuple[int, int]]:
    mask = neighbours(kind, n, **keys)
    assert mask.shape == (n, n)
    assert not mask.diagonal().any()
    return {(int(i), int(j)) for i, j in np.argwhere(mask)}


def test_fixed_graphs_by_hand():
    assert links("none") == set()
    assert len(links("complete")) == 12
    assert links("chain") == {(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)}
    assert links("ring") == links("chain") | {(0, 3), (3, 0)}
    assert links("ring", 2) == {(0, 1), (1, 0)}
    for kind in ("complete", "chain", "ring", "random_one", "none"):
        assert links(kind, 1) == set()


def test_random_one_picks_each_other_agent_alike_and_anew():
    count = np.zeros((5, 5))
    for update in range(2000):
        mask = neighbours("random_one", 5, seed=1, update=update)
        assert (mask.sum(axis=1) == 1).all()
        count += mask
    off = count[~np.eye(5, dtype=bool)]
    assert abs(off - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)
    first = neighbours("random_one", 5, seed=1, update=0)
    assert (first == neighbours("random_one", 5, seed=1)).all()
    again = neighbours("random_one", 5, seed=1, update=7)
    assert (again == neighbours("random_one", 5, seed=1, update=7)).all()


def test_contacts_last_until_the_episode_ends():
    rng = np.random.default_rng(0)
    seen = (rng.random((41, 3, 4, 4)) < 0.05).astype(np.uint8)
    ended = (rng.random((40, 3)) < 0.1).astype(np.uint8)
    links = neighbours("contacts", 4, from_env=seen, ended=ended)
    for b in range(3):
        known: set[tuple[int, int]] = set()
        for t in range(41):
            if t and ended[t - 1, b]:
                known = set()
            known |= {(int(i), int(j)) for i, j in np.argwhere(seen[t, b])}
            assert {(int(i), int(j)) for i, j in np.argwhere(links[t, b])} == known
    assert seen.sum() < links.sum() < links.size


def test_environment_graph_is_what_the_environment_said():
    mask = np.array([[[0, 1], [0, 0]]], dtype=np.uint8)
    assert neighbours("environment", 2, from_env=mask).tolist() == [[[False, True], [False, False]]]
    with pytest.raises(ValueError, match="needs the masks of the environment"):
        neighbours("environment", 2)
    with pytest.raises(ValueError, match="masks of the environment and where episodes end"):
        neighbours("contacts", 2, from_env=mask)
    with pytest.raises(ValueError, match="unknown graph 'star'"):
        neighbours("star", 2)


def test_numbers_of_numpy_are_numbers() -> None:
    rng = np.random.default_rng(0)
    config = Config(
        seed=rng.integers(0, 9),
        actor_lr=np.float32(1e-3),
        penalty_weight=np.int64(2),
        advantage_normalization=np.bool_(True),
        actor_hidden=np.array([8, 4]),
        env_params={"num_agents": np.int64(3), "length": np.float32(30), "x": np.bool_(False)},
    )
    plain = Config(
        seed=int(np.random.default_rng(0).integers(0, 9)),
        actor_lr=float(np.float32(1e-3)),
        penalty_weight=2.0,
        advantage_normalization=True,
        actor_hidden=(8, 4),
        env_params={"num_agents": 3, "length": 30.0, "x": False},
    )
    assert config == plain
    assert config.dump() == plain.dump()
    assert type(config.env_params["x"]) is bool


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"seed": True}, "a whole number"),
        ({"seed": np.float64(1.0)}, "a whole number"),
        ({"actor_lr": np.float64("inf")}, "a finite number"),
        ({"actor_lr": 10**400}, "a finite number"),
        ({"actor_lr": np.bool_(True)}, "a finite number"),
        ({"tensorboard": 1}, "true or false"),
        ({"actor_hidden": np.array([1.5])}, "a list of whole numbers"),
        ({"env_params": {"a": {1}}}, "true, false, None, a finite number, text or a list"),
        ({"env_params": {"a": float("nan")}}, "true, false, None, a finite number, text or a list"),
        ({"env_params": {3: 1}}, "a table of parameter values"),
    ],
)
def test_what_is_no_such_number_is_refused_in_one_short_line(keys: dict, rule: str) -> None:
    with pytest.raises(ConfigError, match=f"must be {rule}$") as refusal:
        Config(**keys)
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("data", [b"\0\0", b"\xff\xfe", b"a = " + b"[" * 100_000, b"env = "])
def test_a_damaged_file_is_named(data, tmp_path):
    (tmp_path / "config.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=r"configuration .*config\.toml cannot be read"):
        Config.load(tmp_path / "config.toml")


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="is a device, not a regular file"):
        Config.load("/dev/zero")
    with pytest.raises(ConfigError, match="is a folder, not a regular file"):
        Config.load(tmp_path)


PART = ".a"


@pytest.mark.parametrize(
    "line",
    [
        "a" + PART * 200_000 + " = 1",
        "[a" + PART * 200_000 + "]",
        "[[a" + PART * 200_000 + "]]",
        "x = {a" + PART * 200_000 + " = 1}",
        '"a"' + r' . "\"."' * 100_000 + " = 1",
        "'a'" + "\t.\t'.'" * 100_000 + " = 1",
        "a" + PART * DEEPEST_KEY + " = 1",
    ],
    ids=["key", "table", "tables", "inline", "quoted", "literal", "shortest"],
)
def test_a_key_of_very_many_parts_is_refused_before_it_is_parsed(line, tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    path.write_text(f'env = "predation-v1"\n{line}\n')
    monkeypatch.setattr("ascore.reading.tomllib", None)  # its time grows with the square
    with pytest.raises(ConfigError, match=f"line 2 has a key of more than {DEEPEST_KEY} parts"):
        Config.load(path)


def test_dots_are_no_parts_of_a_key_where_they_are_text_or_numbers():
    assert toml(f'x = "{"." * 100_000}"'.encode())["x"] == "." * 100_000
    assert toml(f"x = [{'1.5, ' * 1000}]".encode())["x"] == [1.5] * 1000
    key = "a" + PART * (DEEPEST_KEY - 1)
    assert toml(f"{key} = 1".encode())["a"]["a"]["a"].keys() == {"a"}


@pytest.mark.parametrize(
    ("line", "between"),
    [
        ("k{} = 1", "\n"),
        ("  a . 'k{}' . b=1", "\n"),
        ("[k{}]", "\r\n"),
        ("[[k]] # {}", "\n"),
        ("k{} = 1", ", "),
        ("{{k = {}}}", ",\t"),
    ],
    ids=["keys", "dotted", "tables", "list of tables", "inline", "list of inline tables"],
)
def test_very_many_keys_are_refused_before_they_are_parsed(line, between, tmp_path, monkeypatch):
    def text(count: int) -> str:
        keys = between.join(line.format(k) for k in range(count))
        if "\n" in between:
            return keys
        return f"x = [{keys}]" if line.startswith("{") else f"x = {{{keys}}}"

    path = tmp_path / "config.toml"
    more = MOST_KEYS + 1
    path.write_text(text(more), newline="")
    monkeypatch.setattr("ascore.reading.tomllib", None)
    with pytest.raises(
        ConfigError,
        match=rf"config\.toml cannot be read: it has {more + ('n' not in repr(between))} keys and "
        rf"headers, of which at most {MOST_KEYS} are read; restore or rewrite the file",
    ):
        Config.load(path)
    monkeypatch.undo()
    assert toml(text(MOST_KEYS - 1).encode())


def test_text_and_numbers_are_no_keys():
    assert toml(f'x = "{"a=" * 2 * MOST_KEYS}"'.encode())["x"] == "a=" * 2 * MOST_KEYS
    lines = "".join(f"    {k},\n" for k in range(3 * MOST_KEYS))
    assert toml(f"x = [\n{lines}]".encode())["x"] == list(range(3 * MOST_KEYS))


def test_a_file_of_many_bytes_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"#" * (TOML_LIMIT + 1))
    with pytest.raises(ConfigError, match=f"{TOML_LIMIT + 1} bytes, of which at most {TOML_LIMIT}"):
        Config.load(path)
    path.write_bytes(b"#" * TOML_LIMIT)
    assert Config.load(path) == Config()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({f"k{k}": k for k in range(MOST_KEYS)}, "keys and headers, of which at most"),
        ("x" * TOML_LIMIT, "bytes, of which at most"),
    ],
    ids=["keys", "text"],
)
def test_nothing_is_written_that_could_not_be_read(value, why, tmp_path):
    config = Config(env="python_envs:Meadow", env_params={"x": value})
    with pytest.raises(ConfigError, match=rf"could not be read: it has \d+ {why}.*; shorten env_"):
        config.dump()


def test_links_among_a_thousand_agents_can_be_read(tmp_path):
    matrix = ",".join("1" * i + "0" + "1" * (1023 - i) for i in range(1024))
    path = tmp_path / "config.toml"
    path.write_text(Config(env_params={"matrix": matrix}).dump())
    assert Config.load(path).env_params["matrix"] == matrix


def nested(depth: int, kind: type) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize("kind", [dict, list])
def test_parameters_are_no_deeper_than_their_file_can_be_read(kind, tmp_path):
    deepest = Config(env_params={"x": nested(DEEPEST_KEY // 2 - 1, kind)})
    path = tmp_path / "config.toml"
    path.write_text(deepest.dump())
    assert Config.load(path) == deepest
    for depth in (DEEPEST_KEY // 2, 5000):
        with pytest.raises(ConfigError, match="it must be nested at most 16 deep") as caught:
            Config(env_params={"x": nested(depth, kind)})
        assert len(str(caught.value)) < 300


def test_a_word_that_looks_like_a_flag_is_a_choice_where_it_is_one() -> None:
    assert Config(peer_ratio_reference=True).peer_ratio_reference == "true"
    with pytest.raises(ConfigError, match="lr_decay = True"):
        Config(lr_decay=True)


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_text_that_no_file_can_hold_is_refused_by_name(text: str) -> None:
    for values in ({"map": text}, {"sizes": [text]}, {"inner": {text: 1}}, {text: 1}):
        with pytest.raises(
            ConfigError, match=r"env_params.*; it must be text in UTF-8 without NUL"
        ):
            Config(env="harvest-v1", env_params=values)
    with pytest.raises(ConfigError, match=r"^env = .* is not allowed; it must be text in UTF-8"):
        Config(env=text)
