"""Actions of several choices and continuous ones: numbered for training, elements for the game."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from halls import ACTIONS, QUICK

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.envs.adapters.choices import MOST, combinations, refusal
from ascore.envs.factory import batch
from ascore.errors import AscoreWarning, ConfigError, EnvError
from ascore.interop.check import examine

HALL, LEVERS = "halls:Hall", "halls:Levers"
MIXED: dict[str, Any] = {"act": ["from five", "multi", "plane", "flag"]}


# ---- numbers and elements ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bins", "count"),
    [
        ("multi", 0, 6),
        ("table", 0, 12),
        ("narrow", 0, 4),
        ("binary", 0, 8),
        ("square", 0, 16),
        ("one", 2, 2),
        ("one", 256, 256),
        ("plane", 3, 9),
        ("plane", 16, 256),
        ("double", 5, 25),
        ("half", 4, 16),
        ("scalar", 7, 7),
        ("four", 4, 256),
        ("whole", 3, 9),
        ("whole", 9, 16),  # there are no more than four whole numbers
        ("byte", 5, 5),
        ("flag", 7, 4),
        ("fixed", 6, 6),  # one of its entries has but one value
    ],
)
def test_every_number_is_another_element_of_the_space(name: str, bins: int, count: int) -> None:
    space = ACTIONS[name]
    numbered = combinations(space, bins)
    assert numbered is not None
    assert refusal(space, bins) is None
    assert numbered.count == count
    elements = [numbered[k] for k in range(count)]
    assert all(space.contains(element) for element in elements)
    assert {(each.dtype, each.shape) for each in elements} == {(space.dtype, space.shape)}
    flat = [tuple(each.reshape(-1).tolist()) for each in elements]
    assert len(set(flat)) == count
    assert flat == sorted(flat)  # the first entry leads, the last changes fastest
    assert pickle.loads(pickle.dumps(numbered)) == numbered
    assert numbered[0] is not numbered[0]


def test_numbers_of_choices_are_those_of_numpy() -> None:
    space = spaces.MultiDiscrete([2, 3, 4])
    numbered = combinations(space, 0)
    assert numbered is not None
    for k, expected in enumerate(itertools.product(range(2), range(3), range(4))):
        assert numbered[k].tolist() == list(expected) == list(np.unravel_index(k, (2, 3, 4)))


def test_values_of_a_box_are_equally_spaced_and_reach_both_ends() -> None:
    space = spaces.Box(np.float64([-1, 10]), np.float64([1, 20]), dtype=np.float64)
    numbered = combinations(space, 5)
    assert numbered is not None
    grid = np.array([numbered[k] for k in range(25)]).reshape(5, 5, 2)
    np.testing.assert_array_equal(grid[:, 0, 0], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(grid[0, :, 1], [10, 12.5, 15, 17.5, 20])
    odd = combinations(spaces.Box(-0.1, 0.3, (1,), np.float32), 3)
    assert odd is not None
    assert [odd[k].item() for k in (0, 2)] == [np.float32(-0.1), np.float32(0.3)]
    whole = combinations(ACTIONS["byte"], 5)
    assert whole is not None
    assert [whole[k].item() for k in range(5)] == [0, 64, 128, 191, 255]
    limits = np.iinfo(np.int64)
    ends = combinations(spaces.Box(limits.min, limits.max, (1,), np.int64), 3)
    if ends is not None:  # older versions of gymnasium round such bounds
        assert ends[0].item() == limits.min


def test_choices_that_begin_elsewhere() -> None:
    try:
        space = spaces.MultiDiscrete([2, 3], start=[4, -1])
    except TypeError:
        pytest.skip("this Gymnasium's MultiDiscrete has no start")
    numbered = combinations(space, 0)
    assert numbered is not None
    assert [numbered[k].tolist() for k in (0, 5)] == [[4, -1], [5, 1]]


# ---- in play -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_the_environment_gets_elements_of_its_own_spaces(workers: int) -> None:
    """It asserts so itself, and writes into what it gets."""
    with ascore.make(HALL, 3, seed=5, action_bins=3, env_workers=workers, **MIXED) as env:
        assert env.spec.action_counts == (3, 6, 9, 4)
        env.reset()
        rng, seen = np.random.default_rng(0), set()
        values = [
            [5 + k for k in range(3)],
            [i + j for i in range(3) for j in range(2)],
            [x + y for x in (-1, 0, 1) for y in (0, 2.5, 5)],
            [i + j for i in range(2) for j in range(2)],
        ]
        for _ in range(40):
            action = rng.integers(0, [3, 6, 9, 4], (3, 4), dtype=np.int32)
            env.step(action)
            expected = [
                [values[i][k] * (1 - 2 * (i % 2)) for i, k in enumerate(row)] for row in action
            ]
            np.testing.assert_array_equal(env.reward, np.float32(expected))
            seen |= {tuple(row) for row in action}
        assert len(seen) > 60


@pytest.mark.parametrize("algorithm", ["as", "cppo", "vs"])
def test_it_trains_resumes_evaluates_and_exports(tmp_path: Path, algorithm: str) -> None:
    config = Config(env=HALL, env_params=MIXED, algorithm=algorithm, action_bins=3, **QUICK)
    whole = ascore.train(config, tmp_path / "whole")
    part = ascore.train(config, tmp_path / "part", stop=lambda: True)
    resumed = ascore.resume(part.path)
    assert resumed.config.action_bins == 3
    assert resumed.summary["team_return"] == whole.summary["team_return"]
    result = ascore.evaluate(whole, episodes=4)
    assert result.episode_length == 4
    expected = np.mean([math.log(count) for count in (3, 6, 9, 4)])
    assert result.entropy_uniform == pytest.approx(expected)
    file = ascore.export_policy(whole.path, tmp_path / "policy.safetensors")
    policy = ascore.load_policy(file, trust=True)
    assert policy.action_bins == 3
    assert ascore.evaluate(policy, episodes=4).team_return == result.team_return
    with pytest.raises(ConfigError, match="action_bins cannot change in the course of a run"):
        ascore.resume(part.path, set={"action_bins": 5})


def test_learning_finds_the_best_combination(tmp_path: Path) -> None:
    """The sum of an element is the first agent's reward, and minus that the other's."""
    config = Config(
        env=HALL, env_params={"act": ["plane", "multi"]}, algorithm="ippo", action_bins=3,
        episodes=1200, num_envs=16, actor_lr=1e-2, critic_lr=1e-2, actor_hidden=(16,),
        critic_hidden=(16,),
    )  # fmt: skip
    run = ascore.train(config, tmp_path / "run")
    first, second = ascore.evaluate(run, episodes=50, greedy=True).agent_return
    assert first == 4 * (1 + 5)
    assert second == 0


def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    hall = ["halls:Hall", "--env-param", 'act=["plane","multi"]']
    quick = ["--episodes", "4", "--num-envs", "2", "--actor-hidden", "4", "--evaluate", "2"]
    assert main(["train", *hall, *quick]) == 1
    error = capsys.readouterr().err
    assert "which is continuous; choose among K values of each entry, K = 2..16, with" in error
    assert "--action-bins K" in error
    assert list(tmp_path.iterdir()) == []
    assert main(["train", *hall, *quick, "--action-bins", "16", "--out", "a"]) == 0
    assert Config.load("a/config.toml").action_bins == 16
    assert main(["evaluate", "a", "--episodes", "2", "--trust"]) == 0
    sweep = ["sweep", *hall[:1], "--set", 'env.act=["plane","multi"]', "--set", "action_bins=2,3",
             "--set", "episodes=4", "--set", "num_envs=2", "--seeds", "0", "--evaluate", "2",
             "--out", "s", "--json"]  # fmt: skip
    capsys.readouterr()
    assert main(sweep) == 0
    settings = {row["setting"] for row in json.loads(capsys.readouterr().out)["cells"]}
    assert settings == {"as/action_bins=2", "as/action_bins=3"}


@pytest.mark.parametrize("workers", [0, 2])
def test_bins_where_nothing_is_continuous_are_told(workers: int) -> None:
    discrete = ["two", "multi", "binary"]
    message = "action_bins = 3 changes nothing: no action of halls:Hall is continuous"
    with pytest.warns(AscoreWarning, match=message):
        env = ascore.make(HALL, 2, action_bins=3, env_workers=workers, act=discrete)
    with env:
        assert env.action_bins == 0
        assert env.spec.action_counts == (2, 6, 8)
    with ascore.make(HALL, 2, action_bins=3, env_workers=workers, act=["two", "plane"]) as env:
        assert env.action_bins == 3


@pytest.mark.filterwarnings("default::ascore.errors.AscoreWarning")
def test_a_run_where_nothing_is_continuous_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = (
        "ascore: action_bins = 7 changes nothing: no action of halls:Hall is continuous (Box)"
    )
    hall = ["--env-param", 'act=["two","multi"]', "--action-bins", "7", "--env-workers", "0"]
    quick = ["--episodes", "4", "--num-envs", "2", "--actor-hidden", "4", "--evaluate", "2"]
    assert main(["train", HALL, *hall, *quick, "--out", "a"]) == 0
    assert capsys.readouterr().err.count(sentence) == 1
    assert Config.load("a/config.toml").action_bins == 0
    sweep = ["sweep", HALL, "--set", 'env.act=["two","multi"]', "--set", "action_bins=7",
             "--set", "episodes=4", "--set", "num_envs=2", "--seeds", "0..1", "--evaluate", "2",
             "--out", "s"]  # fmt: skip
    assert main(sweep) == 0
    assert capsys.readouterr().err.count(sentence) == 1
    assert main(["check-env", HALL, *hall, "--steps", "20"]) == 0
    out = capsys.readouterr().out
    assert "--action-bins 7 changes nothing: no action is continuous (Box)" in out
    assert "--action-bins" not in out.splitlines()[-1]


def test_a_run_with_bins_that_change_nothing_is_the_run_without(tmp_path: Path) -> None:
    config = Config(env=HALL, env_params={"act": ["two", "multi"]}, **QUICK)
    whole = ascore.train(config, tmp_path / "whole")
    with pytest.warns(AscoreWarning, match="action_bins = 7 changes nothing") as warned:
        other = ascore.train(config.replace(action_bins=7), tmp_path / "other", stop=lambda: True)
    assert len(warned) == 1
    resumed = ascore.resume(other.path)
    assert resumed.config == whole.config
    assert resumed.summary["team_return"] == whole.summary["team_return"]


def test_check_env_says_what_numbers_stand_for(capsys: pytest.CaptureFixture[str]) -> None:
    params = ["--env-param", 'act=["plane","multi","plane"]', "--env-workers", "0"]
    assert main(["check-env", HALL, *params, "--action-bins", "3", "--steps", "20"]) == 0
    out = capsys.readouterr().out
    assert (
        "is a choice among 9 numbered combinations: 3 values of each entry, equally spaced from "
        "low to high; the last entry changes fastest ('guest_0', 'guest_2')" in out
    )
    assert "MultiDiscrete([3 2]) is a choice among 6 numbered combinations; the last" in out
    assert out.endswith(" --action-bins 3\n")
    assert main(["check-env", HALL, *params]) == 1
    assert "choose among K values of each entry, K = 2..16, with" in capsys.readouterr().out


# ---- masks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["obs", "info"])
@pytest.mark.parametrize("mask", ["parts", "flat"])
def test_masks_by_entry_and_by_combination_are_the_same(mask: str, where: str) -> None:
    env = ascore.make(HALL, 2, seed=1, act=["multi", "multi"], mask=mask, where=where)
    env.reset()
    rng = np.random.default_rng(0)
    for t in range(9):
        legal = np.ones((2, 2, 6), np.uint8) if env.legal is None else env.legal
        odd = [1, 0, 1, 0, 0, 0]  # (0, 0) and (1, 0) of (0..2, 0..1)
        np.testing.assert_array_equal(legal[0, 0], odd if t % 4 % 2 else [1] * 6)
        action = np.array([[rng.choice(np.flatnonzero(row)) for row in rows] for rows in legal])
        env.step(action.astype(np.int32))


def test_a_run_keeps_to_such_masks(tmp_path: Path) -> None:
    params = {"act": ["multi", "multi"], "mask": "parts"}
    run = ascore.train(Config(env=HALL, env_params=params, **QUICK), tmp_path / "run")
    assert ascore.evaluate(run, episodes=3).episode_length == 4
    assert examine(HALL, params, steps=40).trainable


def test_parts_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(EnvError, match=r"'guest_0' has an action_mask whose entries differ in len"):
        ascore.make(HALL, act=["multi", "multi"], mask="ragged").reset()


@pytest.mark.parametrize("where", ["obs", "none"])
def test_turns_of_several_switches(where: str, tmp_path: Path) -> None:
    env = ascore.make(LEVERS, 1, seed=3, where=where)
    assert env.spec.action_counts == (4, 4)
    env.reset()
    assert env.legal is not None
    np.testing.assert_array_equal(env.legal[0], [[1, 1, 1, 1], [1, 0, 0, 0]])
    env.step(np.array([[3, 0]], np.int32))
    np.testing.assert_array_equal(env.legal[0], [[1, 0, 0, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal(env.reward[0], [2, -1])
    config = Config(env=LEVERS, env_params={"where": where}, **QUICK)
    ascore.train(config, tmp_path / "run")


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "bins", "message"),
    [
        ("wide", 0, r"729 combinations where at most 256 are possible; make it Discrete\(n\)"),
        ("very wide", 0, r"2\^20000 or more combinations where"),
        ("plane", 0, r"Box\(.*which is continuous; .* K = 2\.\.16, with --action-bins K"),
        ("whole", 0, r"which is continuous; .* K = 2\.\.256"),
        ("plane", 17, r"more than 256 combinations of 17 values .*lower --action-bins to 16 or"),
        ("endless", 5, "whose entry 1 has no finite bounds; give it a finite low and high"),
        ("endless", 0, "whose entry 1 has no finite bounds"),
        ("largest", 5, "whose entry 0 has no finite bounds"),
        ("arms", 2, "9 entries have more than 256 combinations even with 2 values each; give it"),
        ("pair", 3, r"Tuple\(.*; make it Discrete\(n\), .* MultiDiscrete, MultiBinary or Box"),
        ("words", 3, r"Text\(.*; make it Discrete\(n\)"),
    ],
)
def test_what_cannot_be_numbered(act: str, bins: int, message: str) -> None:
    with pytest.raises(EnvError, match=f"agent 'guest_1' has the action space .*{message}"):
        ascore.make(HALL, act=["two", act], action_bins=bins)
    result = examine(HALL, {"act": ["two", act]}, action_bins=bins)
    (problem,) = (finding for finding in result.findings if finding.verdict == "problem")
    assert problem.topic == "actions"
    assert problem.remedy


@pytest.mark.parametrize(("act", "bins"), [("plane", 16), ("four", 4), ("whole", 256)])
def test_the_number_that_a_refusal_names_is_the_largest(act: str, bins: int) -> None:
    env = ascore.make(HALL, act=["two", act], action_bins=bins)
    assert max(env.spec.action_counts) <= MOST
    with pytest.raises((EnvError, ValueError), match=f"{bins + 1}"):
        ascore.make(HALL, act=["two", act], action_bins=bins + 1)


def test_bins_are_checked() -> None:
    for bins in (-1, 1, 257):
        with pytest.raises(ConfigError, match=f"action_bins = {bins} is not allowed"):
            Config(env=HALL, action_bins=bins)
        with pytest.raises(ValueError, match=f"action_bins = {bins} "):
            batch(HALL, MIXED, action_bins=bins)
    with pytest.raises(EnvError, match="action_bins = 3, but exchange-v1 is compiled"):
        ascore.make("exchange", action_bins=3)
