"""The TorchRL environment plays the games of `VecEnv`, by TorchRL's own checks and collector."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases import every

import ascore
from ascore.envs.table import ENVIRONMENTS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TorchRL's own, of what it imports
    pytest.importorskip("torchrl", reason="needs ascore[torchrl]")
    from torchrl.collectors import Collector
    from torchrl.envs.utils import check_env_specs

from ascore.interop.torchrl import torchrl_env

VARIANTS = [*((name, {}) for name in ENVIRONMENTS), *every(lambda each: each.observed)]
IGNORED = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@IGNORED
@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_its_specs_hold(name: str, params: dict[str, Any], floats: bool) -> None:
    env = torchrl_env(name, 3, seed=1, floats=floats, **{**params, "horizon": 4})
    check_env_specs(env)
    for _ in range(5):
        out = env.rollout(4)
        assert env.observation_spec.is_in(out[:, 0].select(*env.observation_spec.keys(True, True)))


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_a_rollout_is_the_games_of_a_batch(name: str, params: dict[str, Any]) -> None:
    """Two episodes and a half, with the ends that TorchRL sees before it resets."""
    params = {**params, "horizon": 4}
    env, games = torchrl_env(name, 3, seed=8, **params), ascore.make(name, 3, 8, **params)
    out = env.rollout(10, break_when_any_done=False)
    scale, shape = np.float32(games.spec.obs_scale), games.reward.shape
    games.reset()

    def seen(obs: np.ndarray) -> np.ndarray:
        return np.broadcast_to(obs * scale, (*shape, obs.shape[2])).astype(np.float32)

    for t in range(10):
        now = out[:, t]
        np.testing.assert_array_equal(now["agents", "observation"], seen(games.obs))
        np.testing.assert_array_equal(now["agents", "info", "neighbours"], games.neighbours)
        games.step(now["agents", "action"].numpy())
        then = now["next"]
        ended = games.terminated | games.truncated
        last = np.where(ended[:, None, None], games.final_obs, games.obs)
        np.testing.assert_array_equal(then["agents", "observation"], seen(last))
        np.testing.assert_array_equal(then["agents", "reward"][..., 0], games.reward)
        np.testing.assert_array_equal(then["done"][:, 0], ended)
        np.testing.assert_array_equal(then["terminated"][:, 0], games.terminated)
        np.testing.assert_array_equal(then["truncated"][:, 0], games.truncated)
        assert not then["agents", "info", "neighbours"][torch.from_numpy(ended)].any()
    assert int(out["next", "done"].sum()) >= 6


@IGNORED
def test_many_agents_have_neighbours_too() -> None:
    env = torchrl_env("predation", 2, seed=8, num_agents=70, obs_mode="nearest")
    games = ascore.make("predation", 2, 8, num_agents=70, obs_mode="nearest")
    games.keep_neighbours()
    games.reset()
    heard = env.reset()["agents", "info", "neighbours"]
    np.testing.assert_array_equal(heard, games.neighbours)


def test_torchrl_collects_from_it() -> None:
    frames = Collector(
        torchrl_env("navigation", 4, seed=1, horizon=5), None, frames_per_batch=80, total_frames=160
    )
    batches = list(frames)
    assert [batch.shape for batch in batches] == [(4, 20), (4, 20)]
    assert int(batches[0]["next", "done"].sum()) == 16


def test_a_seed_gives_the_same_games() -> None:
    env = torchrl_env("navigation", 2, horizon=5)

    def play(seed: int) -> torch.Tensor:
        env.set_seed(seed)
        torch.manual_seed(0)
        return env.rollout(12, break_when_any_done=False)["agents", "observation"]

    first = play(3)
    assert torch.equal(first, play(3))
    assert not torch.equal(first, play(4))


def test_a_game_in_mid_episode_is_not_reset_alone() -> None:
    env = torchrl_env("navigation", 2, seed=1, horizon=5)
    start = env.reset()
    env.step(env.rand_action(start))
    one = start.select("done").clone()
    one["_reset"] = torch.tensor([[True], [False]])
    with pytest.raises(RuntimeError, match="game 0 is in the middle of an episode"):
        env.reset(one)


def test_after_the_end_a_reset_is_asked_for() -> None:
    env = torchrl_env("navigation", 1, seed=1, horizon=2)
    state = env.reset()
    for _ in range(2):
        state = env.step(env.rand_action(state))["next"]
    with pytest.raises(RuntimeError, match="the episode of game 0 has ended; reset it first"):
        env.step(env.rand_action(state))


def test_a_python_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="is written in Python; give it to torchrl"):
        torchrl_env("json:loads")
