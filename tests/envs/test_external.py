"""Python environments behind the batch interface: results, training, resuming, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces.utils import flatten
from python_envs import Meadow

import ascore
from ascore.algorithms.terms import own_policy
from ascore.config import Config
from ascore.envs.adapters.external import PythonCore
from ascore.envs.adapters.neighbours import read_neighbours
from ascore.envs.factory import batch
from ascore.errors import EnvError
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector
from ascore.reference.philox import action_uniforms
from ascore.runs import checkpoint
from ascore.streams import episode_seed

MEADOW = "python_envs:Meadow"
SUPPORT = Path(__file__).parents[1] / "support"

# Observations, agents that leave, neighbours, and numbers of the first action.
VARIANTS: list[dict[str, Any]] = [
    {},
    {"cows": 3, "horizon": 4, "see": "dict", "hear": True},
    {"cows": 2, "see": "tuple", "first": 5},
    {"cows": 3, "see": "discrete", "leave": True, "horizon": 9},
    {"cows": 4, "see": "lengths", "leave": True, "horizon": 4, "hear": True},
]


def replayed(params: dict[str, Any], seed: int, number: int, actions: np.ndarray) -> list[Any]:
    """Expected results of one environment, from a plain loop over PettingZoo's dictionaries.

    Each entry: obs, neighbours before the step; reward, terminated, truncated, final obs after it.
    """
    env = Meadow(**params)
    names = env.possible_agents
    size = max(flatten(env.spaces[a], env.spaces[a].sample()).size for a in names)

    def seen(obs: dict[str, Any], who: list[str]) -> np.ndarray:
        out = np.zeros((len(names), size), dtype=np.float32)
        for i, agent in enumerate(names):
            if agent in who:
                flat = flatten(env.spaces[agent], obs[agent])
                out[i, : len(flat)] = flat
        return out

    def heard(infos: dict[str, Any]) -> np.ndarray:
        out = np.zeros((len(names), len(names)), dtype=np.uint8)
        for i, agent in enumerate(names):
            for j, other in enumerate(names):
                listed = infos.get(agent, {}).get("neighbours", names)
                both = agent in env.agents and other in env.agents
                out[i, j] = both and i != j and other in listed
        return out

    results, episode = [], 0
    obs, infos = env.reset(seed=episode_seed(seed, number, episode))
    for row in actions:
        acting = list(env.agents)
        before = seen(obs, acting), heard(infos)
        obs, rewards, out, late, infos = env.step(
            {a: int(row[names.index(a)]) + env.first for a in acting}
        )
        reward = [rewards.get(agent, 0.0) for agent in names]
        over = not env.agents
        truncated = over and any(late[a] and not out[a] for a in acting)
        final = seen(obs, acting) if over else None
        results.append((*before, np.float32(reward), over and not truncated, truncated, final))
        if over:
            episode += 1
            obs, infos = env.reset(seed=episode_seed(seed, number, episode))
    return results


@pytest.mark.parametrize("params", VARIANTS)
def test_a_batch_gives_the_results_of_its_environments(params: dict[str, Any]) -> None:
    b, steps = 3, 40
    env = ascore.make(MEADOW, b, seed=7, first_env=10, **params)
    n = env.spec.num_agents
    actions = np.random.default_rng(0).integers(0, 2, size=(steps, b, n), dtype=np.int32)
    expected = [replayed(params, 7, 10 + k, actions[:, k]) for k in range(b)]
    env.reset()
    assert (env.spec.views, env.spec.obs_dtype, env.spec.num_actions) == (n, "float32", 2)
    ends = 0
    for t in range(steps):
        before = env.obs.copy(), env.neighbours.copy()
        _, reward, terminated, truncated, info = env.step(actions[t])
        for k in range(b):
            obs, heard, earned, out, late, final = expected[k][t]
            np.testing.assert_array_equal(before[0][k], obs)
            np.testing.assert_array_equal(before[1][k], heard)
            np.testing.assert_array_equal(reward[k], earned)
            assert (bool(terminated[k]), bool(truncated[k])) == (out, late)
            if final is not None:
                ends += 1
                np.testing.assert_array_equal(info["final_obs"][k], final)
                assert env.time[k] == 0
    assert ends >= 3 * b
    assert env.episode.tolist() == [sum(e[3] or e[4] for e in results) for results in expected]


def test_the_last_to_leave_decides_how_an_episode_ended() -> None:
    zero = np.zeros((1, 3), dtype=np.int32)
    for horizon, flags in ((9, (True, False)), (4, (True, False)), (3, (False, True))):
        env = ascore.make(MEADOW, cows=3, horizon=horizon, leave=True)
        env.reset()
        lengths = 0
        while env.episode[0] == 0:
            env.step(zero)
            lengths += 1
        assert lengths == min(horizon, 4)
        assert (bool(env.terminated[0]), bool(env.truncated[0])) == flags


def test_agents_that_left_get_zeros() -> None:
    env = ascore.make(MEADOW, cows=3, leave=True, see="lengths", horizon=9)
    env.reset()
    one = np.ones((1, 3), dtype=np.int32)
    assert (env.obs[0, 0] != 0).any()
    for _ in range(2):
        env.step(one)
    assert env.reward[0, 0] != 0  # the step in which it leaves still counts
    env.step(one)
    assert env.reward[0].tolist()[0] == 0
    np.testing.assert_array_equal(env.obs[0, 0], 0)
    assert env.neighbours[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0]]  # one is left


def test_an_episode_that_goes_on_is_truncated_at_the_horizon() -> None:
    env = ascore.make("python_envs:Endless", 2, horizon=4)
    env.reset()
    ended = [bool(env.step(np.ones((2, 2), dtype=np.int32))[3].all()) for _ in range(8)]
    assert ended == [False, False, False, True] * 2
    assert not env.terminated.any()
    assert (env.final_obs != 0).any()


def test_an_agent_that_has_ended_is_gone_even_if_it_stays_listed() -> None:
    env = ascore.make("python_envs:Lingering", cows=1, leave=True)
    env.reset()
    one = np.ones((1, 1), dtype=np.int32)
    assert [bool(env.step(one)[2][0]) for _ in range(4)] == [False, True, False, True]


def test_action_numbers_are_those_of_compiled_environments() -> None:
    mine, out = (
        ascore.make(MEADOW, 3, seed=2**64 - 1, first_env=2**62, cows=5),
        np.empty((3, 5), "f4"),
    )
    compiled = ascore.make("predation", 3, seed=2**64 - 1, first_env=2**62, num_agents=5, horizon=5)
    other = np.empty_like(out)
    mine.reset()
    compiled.reset()
    for _ in range(12):
        mine.uniforms(out)
        compiled.uniforms(other)
        np.testing.assert_array_equal(out, other)
        row = action_uniforms(2**64 - 1, 2**62 + 1, int(mine.episode[1]), int(mine.time[1]), 5)
        np.testing.assert_array_equal(out[1], row)
        mine.step(np.zeros((3, 5), dtype=np.int32))
        compiled.step(np.zeros((3, 5), dtype=np.int32))


def test_episodes_depend_on_seed_environment_and_number_alone() -> None:
    def first_views(num_envs: int, first: int, seed: int) -> np.ndarray:
        env = ascore.make(MEADOW, num_envs, seed=seed, first_env=first)
        return np.stack([env.reset()[0].copy() for _ in range(3)])

    whole = first_views(4, 0, 1)
    np.testing.assert_array_equal(whole[:, 2:], first_views(2, 2, 1))
    flat = np.concatenate([whole, first_views(4, 0, 2)]).reshape(24, -1)
    assert len(np.unique(flat, axis=0)) == 24  # no two episodes begin alike
    env = ascore.make(MEADOW, 4, seed=9)
    env.reset()
    np.testing.assert_array_equal(env.reset(seed=1)[0], whole[0])
    np.testing.assert_array_equal(env.reset()[0], whole[1])


def test_arguments_may_be_called_like_those_of_make() -> None:
    config = Config(env="python_envs:meadow", env_params={"name": "abc", "seed": 4}, **QUICK)
    learner_sees = batch(config.env, config.env_params, 2, seed=1)
    assert learner_sees.spec.num_agents == 3
    assert learner_sees.spec.horizon == 4


# ---- actions that cannot be taken, states that cannot be loaded ------------------------------


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (np.zeros((2, 2)), TypeError, "action is float64; it must be an int32 array"),
        (np.zeros((2, 2), bool), TypeError, "action is bool; it must be an int32 array"),
        (np.array([[0, 1], [1, 2]]), ValueError, r"action\[1,1\] = 2 is outside 0..1"),
        (
            np.array([[0, 1], [2**40, 2]]),
            ValueError,
            r"action\[1,0\] = 1099511627776 is not",
        ),
        (np.array([[0, 1], [1, -(2**32)]]), ValueError, r"action\[1,1\] = -4294967296 is no"),
        ([[0, 0], [0, 0]], TypeError, "action is list"),
        (np.zeros((2, 3), np.int32), ValueError, r"shape \(2, 3\); it must be \(2, 2\)"),
        (np.array([[0, 1], [1, 2]], np.int32), ValueError, r"action\[1,1\] = 2 is outside 0..1"),
        (np.array([[0, -1], [1, 2]], np.int32), ValueError, r"action\[0,1\] = -1 is outside"),
    ],
)
def test_bad_actions_move_nothing(action: Any, error: type[Exception], message: str) -> None:
    env = ascore.make(MEADOW, 2)
    env.reset()
    with pytest.raises(error, match=message):
        env.step(action)
    assert env.time.tolist() == [0, 0]


def test_a_loaded_state_goes_on_bit_for_bit() -> None:
    keys: dict[str, Any] = {"cows": 4, "leave": True, "hear": True, "horizon": 4}
    env, actions = ascore.make(MEADOW, 3, seed=3, **keys), np.random.default_rng(0)
    env.reset()
    for _ in range(6):
        env.step(actions.integers(0, 2, size=(3, 4), dtype=np.int32))
    state = env.save_state()
    other = ascore.make(MEADOW, 3, seed=8, first_env=4, **keys)
    other.load_state(state)
    a, b = np.empty((3, 4), np.float32), np.empty((3, 4), np.float32)
    for _ in range(20):
        env.uniforms(a)
        other.uniforms(b)
        np.testing.assert_array_equal(a, b)
        action = actions.integers(0, 2, size=(3, 4), dtype=np.int32)
        env.step(action)
        other.step(action)
        for name in ("obs", "final_obs", "reward", "neighbours", "terminated", "truncated",
                     "episode", "time"):  # fmt: skip
            np.testing.assert_array_equal(getattr(env, name), getattr(other, name), err_msg=name)


def test_states_of_something_else_are_refused() -> None:
    env = ascore.make(MEADOW, 2)
    env.reset()
    state = env.save_state()
    with pytest.raises(ValueError, match=r"the saved state is for .*'num_envs': 2.*, not for"):
        ascore.make(MEADOW, 3).load_state(state)
    with pytest.raises(ValueError, match=r"not for .*'cows': 2"):
        ascore.make(MEADOW, 2, cows=2).load_state(state)
    with pytest.raises(ValueError, match="is damaged"):
        env.load_state(state[: len(state) // 2])


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("python_envs:Locked", "cannot pickle '_thread.lock' object"),
        ("pettingzoo.classic.rps.rps:parallel_env", "raw_env is an EzPickle"),
    ],
)
def test_what_cannot_be_saved_begins_fresh_episodes(target: str, reason: str) -> None:
    env = ascore.make(target, 2, seed=3)
    env.reset()
    for _ in range(2):
        env.step(np.ones((2, 2), dtype=np.int32))
    state = env.save_state()
    other = ascore.make(target, 2)
    with pytest.warns(RuntimeWarning, match=f"cannot be restored \\({reason}.*new ones start"):
        other.load_state(state)
    assert other.episode.tolist() == [1, 1]
    assert other.time.tolist() == [0, 0]
    env.reset()
    np.testing.assert_array_equal(env.obs, other.obs)


# ---- training --------------------------------------------------------------------------------

QUICK: dict[str, Any] = {
    "episodes": 30,
    "num_envs": 3,
    "rollout_steps": 7,  # updates end in the middle of an episode
    "minibatches": 2,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
    "checkpoint_every": 3,
    "seed": 5,
}


def saved(run: ascore.Run) -> dict[str, Any]:
    """Arrays of a checkpoint without the environments, as pickles of equal copies may differ."""
    arrays = dict(checkpoint.load(run.path).arrays)
    del arrays["env"]
    return arrays


def records(run: ascore.Run) -> list[dict[str, Any]]:
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize(
    ("algorithm", "graph"), [("as", "complete"), ("as", "environment"), ("ippo", "complete")]
)
def test_stopped_and_resumed_equals_undisturbed(tmp_path: Path, algorithm: str, graph: str) -> None:
    params = {"cows": 3, "leave": True, "hear": True, "see": "dict"}
    config = Config(env=MEADOW, env_params=params, algorithm=algorithm, graph=graph, **QUICK)
    whole = ascore.train(config, tmp_path / "whole")
    count = iter(range(100))
    parts = ascore.train(config, tmp_path / "parts", stop=lambda: next(count) == 3)
    assert len(parts.metrics) == 4
    resumed = ascore.resume(parts.path)
    a, b = saved(whole), saved(resumed)
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    assert records(whole) == records(resumed)
    assert whole.summary["episodes"] >= 20
    sent = sum(whole.metrics[0]["bytes_sent"])
    assert (sent > 0) == (algorithm == "as")


def test_only_the_listed_neighbours_get_messages(tmp_path: Path) -> None:
    def sent(graph: str) -> int:
        config = Config(env=MEADOW, env_params={"cows": 4, "hear": True}, graph=graph, **QUICK)
        return sum(ascore.train(config, tmp_path / graph).metrics[0]["bytes_sent"])

    assert sent("complete") == 3 * sent("environment")


def test_a_resumed_run_without_its_episodes_goes_on_soundly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(env="python_envs:Locked", **QUICK)
    count = iter(range(100))
    first = ascore.train(config, tmp_path / "run", stop=lambda: next(count) == 2)
    assert checkpoint.load(first.path).arrays["running_return"].any()
    seen: list[np.ndarray] = []
    collect = Collector.collect

    def watch(self: Collector, actor: Any) -> Any:
        seen.append(self.running_return.copy())
        return collect(self, actor)

    monkeypatch.setattr(Collector, "collect", watch)
    with pytest.warns(RuntimeWarning, match="new ones start"):
        resumed = ascore.resume(first.path)
    np.testing.assert_array_equal(seen[0], 0.0)  # nothing of the episodes that were lost
    assert resumed.summary["updates"] == len(resumed.metrics)


@pytest.mark.parametrize("algorithm", ["as", "ippo"])
def test_a_game_of_pettingzoo(tmp_path: Path, algorithm: str) -> None:
    """Rock paper scissors: nothing to learn, but all code paths run."""
    config = Config(
        env="pettingzoo.classic.rps.rps:parallel_env",
        env_params={"max_cycles": 6},
        algorithm=algorithm,
        **{**QUICK, "rollout_steps": 0},
    )
    run = ascore.train(config, tmp_path / "run")
    assert run.summary["env_steps"] == run.summary["updates"] * 6 * 3
    assert run.summary["team_return"] == pytest.approx(0.0, abs=1e-6)  # zero-sum
    evaluation = ascore.evaluate(run, episodes=5)
    assert evaluation.episode_length == 6
    assert evaluation.team_returns.tolist() == [0.0] * 5
    assert abs(evaluation.agent_return[0]) <= 6


def test_our_own_environment_through_both_adapters(tmp_path: Path) -> None:
    """Through PettingZoo and back: the rollout keeps observations, neighbours and rewards."""
    params = {"name": "navigation", "num_agents": 3, "max_cycles": 6, "obs_order": "self_first"}
    config = Config(env="ascore:parallel_env", env_params=params, graph="environment", **QUICK)
    env = batch(config.env, params, 2, seed=4)
    direct = ascore.make("navigation", num_agents=3, horizon=6, obs_order="self_first")
    env.reset()
    direct.reset(episode_seed(4, 1, 0))
    collector = Collector(env, 6)
    rollout = collector.collect(Learner(config, env.spec).actor)
    for t in range(6):
        np.testing.assert_array_equal(rollout.obs[t, 1], direct.obs[0])
        np.testing.assert_array_equal(rollout.neighbours[t, 1], direct.neighbours[0])
        direct.step(rollout.action[t, 1:2])
        np.testing.assert_array_equal(rollout.reward[t, 1], direct.reward[0])
    np.testing.assert_array_equal(rollout.final[0][2][1], direct.final_obs[0])
    assert rollout.truncated[-1].all()
    run = ascore.train(config, tmp_path / "run")
    assert np.isfinite(run.summary["team_return"])


def test_learning_finds_the_better_action(tmp_path: Path) -> None:
    """Grazing costs every cow a quarter; for the hungriest, it pays by far."""
    keys = {**QUICK, "episodes": 600, "num_envs": 16, "rollout_steps": 0, "actor_lr": 5e-3}
    config = Config(env=MEADOW, env_params={"cows": 3}, algorithm="ippo", **keys)
    run = ascore.train(config, tmp_path / "run")
    first, last = run.metrics[0], run.metrics[-1]
    assert first["action_probs"][2][1] == pytest.approx(0.5, abs=0.1)
    assert last["action_probs"][2][1] > 0.8


def test_a_policy_acts_where_torch_is_missing(tmp_path: Path) -> None:
    run = ascore.train(Config(env=MEADOW, env_params={"see": "dict"}, **QUICK), tmp_path / "run")
    env = ascore.make(MEADOW, 4, see="dict")
    obs, _ = env.reset()
    learner = Learner(run.config, env.spec)
    learner.actor.net.flat.detach().copy_(torch.from_numpy(saved(run)["actor"].copy()))
    with torch.no_grad():
        rows = torch.from_numpy(obs.transpose(1, 0, 2).copy())
        ours = own_policy(learner.actor.log_probs(rows), torch.arange(2)).permute(1, 0, 2)
    np.testing.assert_allclose(run.policy.log_probs(obs), ours.numpy(), atol=1e-6)
    assert run.policy.act(obs).tolist() == ours.argmax(dim=-1).tolist()
    program = (
        "import sys\n"
        "for name in ('torch', 'safetensors', 'rich', 'tomli_w'):\n"
        "    sys.modules[name] = None\n"
        "import ascore\n"
        f"print(ascore.evaluate({str(run.path)!r}, episodes=3, trust=True).team_return.n)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SUPPORT
    )
    assert process.stdout.strip() == "3"


def test_evaluation_plays_other_episodes_than_training(tmp_path: Path) -> None:
    run = ascore.train(Config(env=MEADOW, **QUICK), tmp_path / "run")
    a, b = (ascore.evaluate(run, episodes=8) for _ in range(2))
    np.testing.assert_array_equal(a.team_returns, b.team_returns)
    assert (ascore.evaluate(run, episodes=8, seed=9).team_returns != a.team_returns).any()
    assert a.episode_length == 5
    assert a.entropy_uniform == pytest.approx(np.log(2))


def test_default_folders_carry_no_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = ascore.train(Config(env=MEADOW, **{**QUICK, "episodes": 3}))
    assert str(run.path) == "runs/python_envs-Meadow-as-s5"


# ---- who hears whom ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "heard"),
    [
        ([], []),
        (["b", "d"], [1, 3]),
        (("a", "c"), [0, 2]),
        ({"c"}, [2]),
        (np.array(["b", "d"]), [1, 3]),
        (np.array([0, 1, 0, 1], np.uint8), [1, 3]),
        (np.array([0.0, 1.0, 0.0, 1.0]), [1, 3]),
        (np.array([False, True, True, False]), [1, 2]),
        ([True, False, False, True], [0, 3]),
        ([0, 0, 1, 1], [2, 3]),
        ([0, 3], [0, 3]),
        (np.array([2, 3]), [2, 3]),
        ([np.int64(1)], [1]),
        ((k for k in "ad"), [0, 3]),
    ],
)
def test_neighbours_in_every_form(value: Any, heard: list[int]) -> None:
    row = read_neighbours(value, {name: k for k, name in enumerate("abcd")})
    assert np.flatnonzero(row).tolist() == heard


def test_neighbours_of_agents_that_are_numbers() -> None:
    """An array is 0/1, a list is of names: with names that are numbers nothing else could tell."""
    index = {0: 0, 1: 1}
    assert read_neighbours(np.array([1, 0]), index).tolist() == [True, False]
    assert read_neighbours([1], index).tolist() == [False, True]
    assert read_neighbours([1, 0], index).tolist() == [True, True]
    assert read_neighbours([1, 1], {7: 0, 8: 1}).tolist() == [True, True]
    assert read_neighbours([8], {7: 0, 8: 1}).tolist() == [False, True]


@pytest.mark.parametrize(
    "value", [["fox"], [4], [-1], [0.5, 1], np.array([0, 1, 2, 9]), [None], [["a"]], "a", 3, None]
)
def test_neighbours_that_are_none(value: Any) -> None:
    with pytest.raises(ValueError, match="which is n"):
        read_neighbours(value, {name: k for k, name in enumerate("abcd")})


def test_an_array_of_neighbours_is_heard() -> None:
    names, array = (ascore.make(MEADOW, 2, cows=3, hear=how) for how in (True, "array"))
    for _ in range(8):  # past the end of an episode
        np.testing.assert_array_equal(names.neighbours, array.neighbours)
        for env in (names, array):
            if env.episode.any() or env.time.any():
                env.step(np.ones((2, 3), np.int32))
            else:
                env.reset()
                env.step(np.ones((2, 3), np.int32))
    assert names.neighbours.sum() == 2 * 3


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "params", "message"),
    [
        ("nowhere.at_all:Env", {}, "no module 'nowhere.at_all'; run from the folder"),
        ("python_envs.py:Meadow", {}, r"no module 'python_envs.py'; give the module's name"),
        ("python_envs:", {}, "'python_envs:' is not MODULE:NAME; write my_module:make_env"),
        ("python_envs:Medow", {}, "module 'python_envs' has no 'Medow'"),
        ("python_envs:number", {}, "is a int, which cannot be called"),
        (
            "python_envs:nothing",
            {},
            "returns a NoneType without the methods reset, step, observation_space",
        ),
        ("python_envs:Meadow", {"sheep": 3}, r"Meadow\(sheep=3\) fails: TypeError.*--env-param"),
        ("python_envs:Broken", {"how": "constructor"}, r"OSError: out of hay \(python_envs.py:\d+"),
        ("python_envs:the_same", {}, "returns the same object every time"),
        ("python_envs:moody", {}, "copy 1 of python_envs:moody differs from copy 0"),
        ("python_envs:Broken", {"how": "nobody"}, r"possible_agents is \[\]; set it"),
        ("python_envs:Broken", {"how": "twice"}, "repeats a name"),
        (
            "python_envs:Broken",
            {"how": "no horizon"},
            "neither horizon nor max_cycles, .* went on after 2,000 steps; give it",
        ),
        (
            "python_envs:Broken",
            {"how": "bad horizon"},
            "horizon = 0; set it to the number of steps",
        ),
        (
            "python_envs:Broken",
            {"how": "box"},
            r"'cow_0' has the action space Box.*--action-bins K",
        ),
        ("python_envs:Broken", {"how": "action_space"}, r"action_space\('cow_0'\) fails: KeyError"),
        (
            "python_envs:Broken",
            {"how": "text"},
            r"Sequence.*, a sequence of any length, .*; pad it",
        ),
    ],
)
def test_environments_that_do_not_fit(target: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(EnvError, match=message):
        ascore.make(target, 2, **params)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", r"there is no agent after reset\(\) at the beginning of episode 0 \(copy 0"),
        ("old reset", r"reset\(\) returned a dict at the beginning .*; return \(obs, infos\)"),
        ("crash", r"fails: KeyError: 'hay' \(python_envs.py:\d+\) in step 2 of episode 0 \(copy 0"),
        ("gym", r"step\(\) returned 4 values in step 2 .*; return \(obs, rewards, terminations"),
        ("nan", "observation of agent 'cow_1' holds nan in step 2 of episode 0"),
        ("shape", r"observation of agent 'cow_1' is not in Box.* in step 2 .*; return an element"),
        ("choice", r"agent 'cow_1' is not in Discrete\(6\) \(it holds -1\) in step 2"),
        ("part", r"agent 'cow_1' is not in Dict.* \('hour': it holds -1\) in step 2"),
        ("infinite", "reward of agent 'cow_1' is inf in step 2 of episode 0"),
        ("large", r"reward of agent 'cow_1' is 1e\+39 in step 2 .* below 3.4e38"),
        ("words", "reward of agent 'cow_1' is 'much' in step 2"),
        ("objectives", r"reward of agent 'cow_1' is .* in step 2 .*; return .* their weighted sum"),
        ("silent", "no entry for agent 'cow_1' in the reward dictionary in step 2"),
        ("blind", "no entry for agent 'cow_1' in the observation dictionary in step 2"),
        ("flags", "no entry for agent 'cow_1' in the truncations dictionary in step 2"),
        ("stranger", r"agent 'fox' is not one of possible_agents \['cow_0', 'cow_1'\] in step 2"),
        ("neighbour", "agent 'cow_1' has the neighbour 'fox', which is not one of"),
    ],
)
def test_rules_that_are_broken_during_training(tmp_path: Path, how: str, message: str) -> None:
    see = {"choice": "discrete", "part": "dict"}.get(how, "box")
    config = Config(env="python_envs:Broken", env_params={"how": how, "see": see}, **QUICK)
    with pytest.raises(EnvError, match=message):
        ascore.train(config, tmp_path / "run")


def test_a_failed_import_names_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_written.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvError, match=r"'half_written' cannot be imported: ModuleNotFoundError.*"):
        ascore.make("half_written:make")


def test_the_current_folder_is_searched(tmp_path: Path) -> None:
    """An installed script, unlike `python -m`, does not search it by itself."""
    (tmp_path / "my_farm.py").write_text(
        f"import sys\nsys.path.append({str(SUPPORT)!r})\nfrom python_envs import Meadow\n"
    )
    program = (
        "import os, sys\n"
        "sys.path = [p for p in sys.path if p not in ('', os.getcwd())]\n"
        "import ascore\n"
        "print(ascore.make('my_farm:Meadow').spec.name)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert process.stdout.strip() == "my_farm:Meadow"


def test_a_core_offers_what_compiled_ones_offer() -> None:
    """`VecEnv` wraps both, so a Python core needs the methods of a compiled one."""
    from ascore._core import PredationV1

    offered = {name for name in dir(PredationV1) if not name.startswith("_")}
    core = PythonCore(MEADOW, 1, 0, 0, {})
    # Only compiled cores have `rollout` and `choose`; `VecEnv.compiled` tests for it.
    assert offered - {"choose", "interface", "name", "parameter_docs", "rollout"} <= set(dir(core))
    assert not ascore.VecEnv(core, MEADOW).compiled
    with pytest.raises(EnvError, match=r"state of .*Meadow cannot be inspected; .*its own render"):
        core.inspect(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        core.reset()
