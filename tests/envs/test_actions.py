"""Actions of any whole type step a batch as int32 does; what is no whole number moves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ascore
from ascore.envs.joint import joint_env
from ascore.envs.vec_env import VecEnv

TYPES = ["int8", "int16", ">i4", "int64", "uint8", "uint16", "uint32", "uint64"]


def batches() -> dict[str, VecEnv]:
    return {
        "compiled": ascore.make("exchange", 4, seed=1),
        "Python": ascore.make("python_envs:Meadow", 4, seed=1, cows=3),
        "centre": joint_env(ascore.make("exchange", 4, seed=1)),
    }


@pytest.mark.parametrize("kind", batches())
@pytest.mark.parametrize("dtype", TYPES)
def test_every_whole_type_steps_alike(kind: str, dtype: str) -> None:
    mine, other = batches()[kind], batches()[kind]
    rng = np.random.default_rng(0)
    for env in (mine, other):
        env.reset()
    for _ in range(7):
        shape = (4, mine.spec.num_agents)
        action = rng.integers(0, min(mine.spec.num_actions, 128), shape)
        mine.step(action.astype(dtype))
        other.step(action.astype(np.int32))
        np.testing.assert_array_equal(mine.obs, other.obs)
        np.testing.assert_array_equal(mine.reward, other.reward)
    mine.step(np.asfortranarray(action.astype(dtype)))  # any order in memory


@pytest.mark.parametrize("kind", batches())
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (lambda a: a.astype(np.float64), TypeError),
        (lambda a: a.astype(np.bool_), TypeError),
        (lambda a: a.astype(object), TypeError),
        (lambda a: a.tolist(), TypeError),
        (lambda a: a - 1, ValueError),
        (lambda a: a + 2**32, ValueError),  # 0 in 32 bits
        (lambda a: a.astype(np.uint64) + np.uint64(2**63), ValueError),
        (lambda a: a + 10_000, ValueError),
        (lambda a: a[:2], ValueError),
        (lambda a: a[0], ValueError),
    ],
)
def test_what_is_no_action_moves_nothing(kind: str, bad: Any, error: type[Exception]) -> None:
    env = batches()[kind]
    env.reset()
    before = env.obs.copy()
    with pytest.raises(error):
        env.step(bad(np.zeros((4, env.spec.num_agents), np.int64)))
    assert env.time.tolist() == [0] * 4
    np.testing.assert_array_equal(env.obs, before)


def test_looking_ahead_takes_any_whole_type() -> None:
    env = ascore.make("exchange", 2)
    env.reset()
    action = np.random.default_rng(0).integers(0, 5, (2, env.spec.num_agents))
    ahead = env.inspect(1, action)
    same = env.inspect(1, action.astype(np.int32))
    for key in ahead:
        np.testing.assert_array_equal(ahead[key], same[key])
    env.step(action)
    np.testing.assert_array_equal(env.inspect(1)["agents"], ahead["agents"])


def test_policies_take_observations_of_any_number_type(tmp_path: Any) -> None:
    keys: dict[str, Any] = {"episodes": 4, "num_envs": 2, "actor_hidden": (8,), "minibatches": 1}
    config = ascore.Config(env="exchange-v1", env_params={"horizon": 5}, **keys)
    policy = ascore.train(config, tmp_path / "run").policy
    env = ascore.make("exchange", 3, horizon=5)
    obs, _ = env.reset()
    uniform = np.random.default_rng(0).random((3, env.spec.num_agents))
    for dtype in (np.float64, np.int64, np.float16):
        whole = np.round(obs)  # what every type can hold
        expected = policy.act(whole.astype(np.float32), uniform.astype(np.float32))
        np.testing.assert_array_equal(policy.act(whole.astype(dtype), uniform), expected)
        env.step(policy.act(whole.astype(dtype)))


def test_more_threads_are_refused_where_they_do_nothing() -> None:
    with pytest.raises(ValueError, match=r"num_threads = 2, but python_envs:Meadow is Python code"):
        ascore.make("python_envs:Meadow", 4, num_threads=2)
    assert ascore.make("python_envs:Meadow", 4, num_threads=1).num_threads == 1
