"""The vector environment plays the games of `VecEnv`, with a sub-environment for each agent."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from cases import every
from gymnasium.vector import SyncVectorEnv

import ascore
from ascore.envs.table import ENVIRONMENTS

if gymnasium.__version__.startswith("0."):
    pytest.skip("vector_env needs gymnasium 1.0", allow_module_level=True)

VARIANTS = [*((name, {}) for name in ENVIRONMENTS), *every(lambda each: each.observed)]


def actions(env: Any, rng: np.random.Generator) -> Any:
    return rng.integers(0, env.single_action_space.n, env.num_envs)


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_it_plays_the_games_of_a_batch(
    name: str, params: dict[str, Any], copy: bool, indicator: bool, floats: bool
) -> None:
    """Three episodes, everything compared in every step, the ends above all."""
    params = {**params, "horizon": 6}
    games = ascore.make(name, 3, 5, **params)
    env = ascore.vector_env(
        name, 3, seed=5, copy=copy, agent_indicator=indicator, floats=floats, **params
    )
    n, rng = games.spec.num_agents, np.random.default_rng(0)
    assert env.num_envs == 3 * n

    def seen(obs: np.ndarray) -> np.ndarray:
        rows = [obs[g, min(i, games.spec.views - 1)] for g in range(3) for i in range(n)]
        if floats:
            rows = [row.astype(np.float32) * np.float32(games.spec.obs_scale) for row in rows]
        if indicator:
            rows = [
                np.concatenate([row, np.eye(n, dtype=row.dtype)[k % n]])
                for k, row in enumerate(rows)
            ]
        return np.array(rows)

    games.reset(9)
    obs, infos = env.reset(seed=9)
    ends = 0
    np.testing.assert_array_equal(obs, seen(games.obs), strict=True)
    assert infos == {}
    for _ in range(3 * games.spec.horizon):
        assert env.observation_space.contains(np.asarray(obs))
        action = actions(env, rng)
        games.step(action.reshape(3, n))
        obs, reward, terminated, truncated, infos = env.step(action)
        np.testing.assert_array_equal(obs, seen(games.obs), strict=True)
        np.testing.assert_array_equal(reward, games.reward.reshape(-1), strict=True)
        np.testing.assert_array_equal(terminated, games.terminated.repeat(n), strict=True)
        np.testing.assert_array_equal(truncated, games.truncated.repeat(n), strict=True)
        ended = terminated | truncated
        assert bool(infos) == ended.any()
        if ended.any():
            np.testing.assert_array_equal(infos["_final_obs"], ended)
            for k, final in enumerate(infos["final_obs"]):
                if ended[k]:
                    np.testing.assert_array_equal(final, seen(games.final_obs)[k], strict=True)
                else:
                    assert final is None
        ends += int(ended.sum())
    assert ends >= 3 * 3 * n


class Alone(gymnasium.Env):
    """A game of one agent, as Gymnasium has it."""

    def __init__(self, **params: Any) -> None:
        self.game = ascore.parallel_env("predation", num_agents=1, **params)
        self.observation_space = self.game.observation_space("agent_0")
        self.action_space = self.game.action_space("agent_0")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.game.reset(seed=seed)[0]["agent_0"], {}

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, _ = self.game.step({"agent_0": action})
        agent = "agent_0"
        return obs[agent], reward[agent], terminated[agent], truncated[agent], {}


@pytest.mark.skipif(
    not hasattr(gymnasium.vector, "AutoresetMode"), reason="this Gymnasium has no such mode"
)
def test_it_is_what_gymnasium_makes_of_single_environments() -> None:
    """Values, keys and ends equal those of `SyncVectorEnv` in the same mode."""
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    theirs = SyncVectorEnv([lambda: Alone(horizon=4)], autoreset_mode=mode)
    ours = ascore.vector_env("predation", 1, num_agents=1, horizon=4)
    assert ours.metadata["autoreset_mode"] == mode
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    np.testing.assert_array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0], strict=True)
    rng = np.random.default_rng(1)
    for _ in range(11):
        action = actions(ours, rng)
        mine, others = ours.step(action), theirs.step(action)
        for a, b in zip(mine[:4], others[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        # Theirs also gathers what the infos of the last step held, which is nothing.
        assert mine[4].keys() == others[4].keys() - {"final_info", "_final_info"}
        for key, value in mine[4].items():
            assert value.dtype == others[4][key].dtype
            np.testing.assert_array_equal(np.stack(value), np.stack(others[4][key]))


def test_the_wrappers_of_gymnasium_take_it() -> None:
    """Episode returns that Gymnasium counts are the sums of the rewards."""
    wrappers = pytest.importorskip("gymnasium.wrappers.vector")
    env = wrappers.RecordEpisodeStatistics(ascore.vector_env("exchange", 2, seed=1, horizon=5))
    plain = ascore.vector_env("exchange", 2, seed=1, horizon=5)
    env.reset(seed=1)
    plain.reset(seed=1)
    rng, total = np.random.default_rng(2), np.zeros(6)
    for _ in range(5):
        action = actions(plain, rng)
        infos = env.step(action)[4]
        total += plain.step(action)[1]
    np.testing.assert_allclose(infos["episode"]["r"], total)
    env.close()


def test_copies_are_kept_and_views_are_not() -> None:
    """With `copy`, what a step returned stays; without it, the next step overwrites it."""
    for copy in (True, False):
        env = ascore.vector_env("navigation", 4, seed=1, copy=copy)
        first, _ = env.reset(seed=1)
        before = first.copy()
        second, *_ = env.step(np.full(env.num_envs, 1))
        assert np.array_equal(first, before) == copy
        assert np.shares_memory(first, second) != copy


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda env: env.reset(seed=[1, 2, 3]), "one seed serves all games"),
        (lambda env: env.reset(options={"reset_mask": [True]}), "option 'reset_mask' is unknown"),
        (lambda env: env.step([0, 0, 9]), r"action\[0, 2\] = 9 is outside 0..4"),
        (lambda env: env.step([0, 0]), r"shape \(2,\); it must be \(3,\)"),
    ],
)
def test_what_it_refuses(call: Any, words: str) -> None:
    env = ascore.vector_env("navigation", 1, seed=1)
    env.reset(seed=1)
    before = env.games.obs.copy()
    with pytest.raises(ValueError, match=words):
        call(env)
    np.testing.assert_array_equal(env.games.obs, before)


def test_a_python_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="is written in Python; a vector"):
        ascore.vector_env("json:loads")


def test_without_a_seed_games_differ() -> None:
    first, second = (ascore.vector_env("navigation", 8) for _ in range(2))
    assert not np.array_equal(first.reset()[0], second.reset()[0])


def test_an_old_gymnasium_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium, "__version__", "0.29.1")
    monkeypatch.delitem(sys.modules, "ascore.interop.vector")
    monkeypatch.delitem(vars(ascore), "vector_env", raising=False)
    with pytest.raises(ImportError, match=r"needs gymnasium 1\.0 or later, and 0\.29\.1 is"):
        _ = ascore.vector_env
