"""What an environment says it holds is what it lets its agents observe."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from cases import every
from numpy.typing import NDArray

import ascore

NAMES = sorted(ascore.ENVIRONMENTS)


def played(name: str, steps: int = 25, **params: Any) -> ascore.VecEnv:
    env = ascore.make(name, num_envs=4, seed=3, **params)
    env.reset()
    uniforms = np.empty((4, env.spec.num_agents), np.float32)
    for _ in range(steps):
        env.uniforms(uniforms)
        env.step((uniforms * env.spec.num_actions).astype(np.int32))
    return env


def cells(obs: NDArray[Any], size: int) -> NDArray[np.int32]:
    """Pairs (x, y) scaled to 0..1 -> (row, column)."""
    xy = np.rint(obs.reshape(-1, 2) * (size - 1)).astype(np.int32)
    return xy[:, ::-1]


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_a_copy(name: str) -> None:
    env = played(name)
    state = env.inspect(1)
    assert len(state["agents"]) == env.spec.num_agents
    kept = {key: value.copy() for key, value in state.items()}
    for value in state.values():
        value[...] = 99
    again = env.inspect(1)
    assert again.keys() == kept.keys()
    for key, value in again.items():
        assert value.dtype == kept[key].dtype
        assert np.array_equal(value, kept[key])
    env.step(np.zeros((4, env.spec.num_agents), np.int32))
    assert all(np.array_equal(again[key], kept[key]) for key in kept)


TYPES = {"u8": np.uint8, "i32": np.int32, "f64": np.float64}


@pytest.mark.parametrize(
    ("name", "params"), [*((name, {}) for name in NAMES), *every(lambda case: case.variants)]
)
def test_the_record_says_what_is_shown(name: str, params: dict[str, Any]) -> None:
    """By name, in order, with type and shape; a letter stands for one number throughout."""
    env = ascore.make(name, **params)
    env.reset()
    shown, shows = env.inspect(), ascore.ENVIRONMENTS[name].shows
    assert list(shown) == list(shows)
    extents = {"N": env.spec.num_agents}
    for key, text in shows.items():
        parts = re.fullmatch(r"(\w+) \[([^]]+)\], (.{3,})", text)
        assert parts, f"{name} shows {key}: write its type, [shape] and meaning, not {text!r}"
        assert shown[key].dtype == TYPES[parts[1]]
        axes = parts[2].split(", ")
        for axis, extent in zip(axes, shown[key].shape, strict=True):
            wanted = int(axis) if axis.isdigit() else extents.setdefault(axis, extent)
            assert extent == wanted, key


@pytest.mark.parametrize("food", ["immediate", "pickup"])
def test_exchange(food: str) -> None:
    env = played("exchange", steps=120, eaten="flag", food=food, open_range=1)
    seen = set()
    for b in range(4):
        state = env.inspect(b)
        assert {key: (v.dtype, v.shape) for key, v in state.items()} == {
            "agents": (np.int32, (3, 2)),
            "boxes": (np.int32, (3, 2)),
            "food": (np.int32, (3,)),
        }
        obs = env.obs[b, 0]
        assert np.array_equal(state["agents"], cells(obs[:6], 5))
        assert np.array_equal(state["boxes"], cells(obs[6:12], 5))
        assert np.array_equal(state["food"], obs[12:] * 2)
        seen |= set(state["food"].tolist())
    assert seen >= ({0, 2} if food == "immediate" else {0, 1})


def test_navigation() -> None:
    env = played("navigation", num_agents=5)
    for b in range(4):
        state = env.inspect(b)
        assert {key: (v.dtype, v.shape) for key, v in state.items()} == {
            "agents": (np.int32, (5, 2)),
            "landmarks": (np.int32, (5, 2)),
        }
        assert np.array_equal(state["agents"], cells(env.obs[b, 0, :10], 5))
        assert np.array_equal(state["landmarks"], cells(env.obs[b, 0, 10:], 5))


def test_predation() -> None:
    env = played("predation", obs_scale=1.0)
    for b in range(4):
        state = env.inspect(b)
        assert {key: (v.dtype, v.shape) for key, v in state.items()} == {
            "agents": (np.float64, (8,)),
            "prey": (np.float64, (1,)),
        }
        assert np.array_equal((state["agents"] - state["prey"]).astype(np.float32), env.obs[b, 0])


@pytest.mark.parametrize("name", NAMES)
def test_a_look_ahead_sees_the_end_of_an_episode(name: str) -> None:
    env = ascore.make(name, num_envs=2, seed=3, horizon=2)
    longer = ascore.make(name, num_envs=2, seed=3, horizon=9)
    env.reset()
    longer.reset()
    action = np.ones((2, env.spec.num_agents), np.int32)
    for last in (False, True):
        before = env.save_state()
        ahead = env.inspect(1, action)
        assert np.array_equal(env.save_state(), before)
        env.step(action)
        longer.step(action)
        after, fresh = longer.inspect(1), env.inspect(1)
        assert all(np.array_equal(ahead[key], after[key]) for key in ahead)
        assert all(np.array_equal(ahead[key], fresh[key]) for key in ahead) != last
    with pytest.raises(ValueError, match=r"action\[0, 0\] = 99 is outside"):
        env.inspect(0, action * 99)
    with pytest.raises(ValueError, match=r"action has shape"):
        env.inspect(0, action[:1])


def test_the_first_is_meant_unless_told_otherwise() -> None:
    env = played("predation")
    assert env.inspect()["prey"] == env.inspect(0)["prey"] == env.inspect(np.int64(0))["prey"]
    assert env.inspect(0)["prey"] != env.inspect(3)["prey"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_refused(name: str) -> None:
    env = ascore.make(name, num_envs=4)
    with pytest.raises(ValueError, match=rf"inspect before the first reset of {name}; call reset"):
        env.inspect()
    env.reset()
    for index in (-1, 4, 2**80):
        with pytest.raises(IndexError, match=rf"index = {index} is outside 0\.\.3"):
            env.inspect(index)
    with pytest.raises(TypeError, match=r"index = 1\.5 is a float; it must be a whole number"):
        env.inspect(1.5)  # type: ignore[arg-type]
    core = ascore.ENVIRONMENTS[name].core(4, 0)
    core.reset()
    for index in (-1, 4):
        with pytest.raises(IndexError, match=rf"index = {index} is outside 0\.\.3"):
            core.inspect(index)
