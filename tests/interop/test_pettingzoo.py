"""The environments behind PettingZoo's interfaces, with PettingZoo's checks."""

from __future__ import annotations

import copy
import itertools
import pickle
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases import every
from pettingzoo.test import (
    api_test,
    max_cycles_test,
    parallel_api_test,
    parallel_seed_test,
    render_test,
    seed_test,
)

import ascore
from ascore.envs.table import ENVIRONMENTS
from ascore.interop import pettingzoo as zoo
from ascore.interop.pettingzoo import ParallelView, half_blocks

NAMES = list(ENVIRONMENTS)

# Includes parameters that change observations, so that different bounds are tested.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    *every(lambda each: each.observed),
]


def play(env: ParallelView, seed: int | None, choices: np.random.Generator) -> list[Any]:
    """All results of an episode of random play."""
    results: list[Any] = [env.reset(seed=seed)]
    while env.agents:
        action = choices.integers(0, env.action_space("agent_0").n, size=len(env.agents))
        results.append(env.step(dict(zip(env.agents, action.tolist(), strict=True))))
    return results


def same(a: Any, b: Any) -> None:
    np.testing.assert_equal(a, b)


# ---- PettingZoo's own checks -----------------------------------------------------------------


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_parallel_api(name: str, params: dict[str, Any]) -> None:
    parallel_api_test(ascore.parallel_env(name, **params), num_cycles=700)


@pytest.mark.filterwarnings("ignore:Observation numpy array is all zeros")  # some states are
@pytest.mark.parametrize("name", NAMES)
def test_agent_by_agent_api(name: str) -> None:
    api_test(zoo.env(name), num_cycles=300)


@pytest.mark.parametrize("name", NAMES)
def test_seeds(name: str) -> None:
    parallel_seed_test(partial(ascore.parallel_env, name))
    seed_test(partial(zoo.env, name), num_cycles=40)


@pytest.mark.parametrize("name", NAMES)
def test_max_cycles(name: str) -> None:
    """PettingZoo expects two constructors in a module; `max_cycles` is its name for `horizon`."""
    # Its test plays at random to the end, so nobody may leave by chance: one time in 10^29 here.
    params = {"num_agents": 64, "needed": 63} if name == "escape-v1" else {}
    module = SimpleNamespace(
        parallel_env=partial(zoo.parallel_env, name, **params),
        env=partial(zoo.env, name, **params),
    )
    max_cycles_test(module)
    assert ascore.parallel_env(name, max_cycles=7).horizon == 7


@pytest.mark.parametrize("name", NAMES)
def test_render(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    render_test(partial(zoo.env, name))
    assert "\x1b[48;2;" in capsys.readouterr().out  # a picture was printed


# ---- beyond PettingZoo's checks ---------------------------------------------------------------


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_spaces_hold_in_every_state(name: str, params: dict[str, Any]) -> None:
    env = ascore.parallel_env(name, **params)
    choices = np.random.default_rng(0)
    for _ in range(6):
        for result in play(env, None, choices):
            for agent, seen in result[0].items():
                assert env.observation_space(agent).contains(seen)
            assert set(result[-1]) == set(env.possible_agents)
            if env.state_space is not None:
                assert env.state_space.contains(env.state())


def test_the_bounds_are_reached() -> None:
    """Bounds that always hold could be infinite; these are reached, or nearly."""
    env = ascore.parallel_env("predation-v1", num_agents=64, horizon=100, length=2.0)
    seen = np.array([list(result[0].values()) for result in play(env, 0, np.random.default_rng(0))])
    high = env.observation_space("agent_0").high[0]
    assert high == np.float32(2.0 / 30)
    assert np.abs(seen).max() > 0.5 * high
    env = ascore.parallel_env("exchange-v1", open_range=8)
    seen = np.array([result[0]["agent_0"] for result in play(env, 0, np.random.default_rng(0))])
    box = env.observation_space("agent_0")
    np.testing.assert_array_equal(box.low, [0.0] * 6 + [-1.0] * 6)
    np.testing.assert_array_equal(seen.max(axis=0)[:6], box.high[:6])
    np.testing.assert_array_equal(seen.min(axis=0)[6:], box.low[6:])


def test_many_agents_have_neighbours_too() -> None:
    params = {"num_agents": 70, "obs_mode": "nearest"}
    env = ascore.parallel_env("predation", seed=3, **params)
    batch = ascore.make("predation", seed=3, **params)
    batch.keep_neighbours()
    batch.reset()
    env.reset()
    batch.step(np.ones((1, 70), dtype=np.int32))
    for each in (pickle.loads(pickle.dumps(env)), env):
        infos = each.step(dict.fromkeys(each.agents, 1))[-1]
        rows = [infos[agent]["neighbours"] for agent in each.agents]
        np.testing.assert_array_equal(rows, batch.neighbours[0])


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_it_gives_the_results_of_the_batch(name: str, params: dict[str, Any]) -> None:
    env = ascore.parallel_env(name, seed=3, **params)
    batch = ascore.make(name, seed=3, **params)
    n, shared = batch.spec.num_agents, batch.spec.views == 1
    choices = np.random.default_rng(1)

    def views(obs: np.ndarray) -> dict[str, np.ndarray]:
        return {f"agent_{i}": obs[0, 0 if shared else i] for i in range(n)}

    def heard() -> dict[str, Any]:
        rows = batch.neighbours[0]
        return {f"agent_{i}": {"neighbours": rows[i].copy()} for i in range(n)}  # fmt: skip

    batch.reset()
    for _ in range(3):  # reset without a seed starts the next episode and skips none
        obs, infos = env.reset()
        same(obs, views(batch.obs))
        same(infos, heard())
        while env.agents:
            action = choices.integers(0, batch.spec.num_actions, size=(1, n), dtype=np.int32)
            batch.step(action)
            obs, reward, terminated, truncated, infos = env.step(
                {f"agent_{i}": action[0, i] for i in range(n)}
            )
            same(list(reward.values()), batch.reward[0].tolist())
            assert set(terminated.values()) == {bool(batch.terminated[0])}
            assert set(truncated.values()) == {bool(batch.truncated[0])}
            if env.agents:
                same(obs, views(batch.obs))
                same(infos, heard())
            else:
                same(obs, views(batch.final_obs))


def test_reset_in_mid_episode_begins_the_next_one() -> None:
    env = ascore.parallel_env("navigation-v1", seed=1)
    batch = ascore.make("navigation-v1", seed=1)
    env.reset()
    env.step(dict.fromkeys(env.agents, 0))
    seen, _ = env.reset()
    batch.reset()
    obs, _ = batch.reset()
    same(seen["agent_1"], obs[0, 0])
    again, _ = env.reset(seed=1)
    batch.reset(1)
    same(again["agent_1"], batch.obs[0, 0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_a_copy_goes_on_where_the_original_stands(name: str, how: str) -> None:
    env = ascore.parallel_env(name, seed=5)
    env.reset()
    for _ in range(3):
        env.step(dict.fromkeys(env.agents, 1))
    other = pickle.loads(pickle.dumps(env)) if how == "pickle" else copy.deepcopy(env)
    for _ in range(2):
        while env.agents:
            action = dict.fromkeys(env.agents, 0)
            same(env.step(action), other.step(action))
        same(env.reset(), other.reset())


def test_returned_arrays_do_not_change() -> None:
    env = ascore.parallel_env("exchange-v1")
    obs, _ = env.reset(seed=0)
    before = copy.deepcopy(obs)
    obs["agent_0"][:] = 9
    same(obs["agent_1"], before["agent_1"])
    while env.agents:
        env.step(dict.fromkeys(env.agents, 2))
    same(obs["agent_1"], before["agent_1"])


def test_the_last_picture_shows_where_the_last_step_led() -> None:
    env = ascore.parallel_env("navigation-v1", render_mode="rgb_array", max_cycles=3)
    longer = ascore.parallel_env("navigation-v1", render_mode="rgb_array", max_cycles=4)
    pictures = []
    for each in (env, longer):
        each.reset(seed=0)
        shown = [each.render()]
        for _ in range(3):
            each.step({"agent_0": 1, "agent_1": 3, "agent_2": 2})
            shown.append(each.render())
        pictures.append(shown)
    assert not env.agents
    assert longer.agents
    for ours, theirs in zip(*pictures, strict=True):
        board = slice(40, None)  # the line above it names the horizon
        same(ours[board], theirs[board])
    assert any((a != b).any() for a, b in itertools.pairwise(pictures[0]))
    env.reset()
    assert (env.render() != pictures[0][-1]).any()


def test_half_blocks_show_two_rows_of_pixels_in_one_of_characters() -> None:
    picture = np.zeros((3, 2, 3), dtype=np.uint8)
    picture[0, 0] = (1, 2, 3)
    picture[1, 1] = (4, 5, 6)
    first, second, _ = half_blocks(picture, 80).removeprefix("\x1b[H\x1b[2J").split("\n")
    assert first == ("\x1b[38;2;1;2;3m\x1b[48;2;0;0;0m▀\x1b[38;2;0;0;0m\x1b[48;2;4;5;6m▀\x1b[0m")
    assert second.count("▀") == 2
    wide = half_blocks(np.zeros((64, 400, 3), dtype=np.uint8), 50)
    assert max(line.count("▀") for line in wide.split("\n")) == 50


# ---- misuse ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ascore.parallel_env("exchnge"), "unknown environment 'exchnge'; did you mean"),
        (
            lambda: ascore.parallel_env("exchange", render_mode="ansi"),
            "render_mode = 'ansi' is not one of None, human, rgb_array",
        ),
        (
            lambda: ascore.parallel_env("exchange", max_cycles=3, horizon=4),
            "max_cycles = 3 and horizon = 4 are the same parameter",
        ),
        (lambda: ascore.parallel_env("exchange", speed=3), 'no parameter "speed"'),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_steps_that_cannot_be_taken() -> None:
    env = ascore.parallel_env("predation", num_agents=2, max_cycles=1)
    with pytest.raises(RuntimeError, match=r"no episode is running; call reset\(\) first"):
        env.step({"agent_0": 0, "agent_1": 0})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="no action for agent_1; every agent acts"):
        env.step({"agent_0": 0})
    with pytest.raises(ValueError, match="7"):
        env.step({"agent_0": 0, "agent_1": 7})
    with pytest.raises(ValueError, match=r"action of agent_1 is 0.5; it must be one whole number"):
        env.step({"agent_0": 0, "agent_1": 0.5})
    with pytest.raises(ValueError, match=r"action of agent_1 is \[0, 1\]; it must be one whole"):
        env.step({"agent_0": 0, "agent_1": [0, 1]})
    assert env.agents == ["agent_0", "agent_1"]  # nothing has moved
    env.step({"agent_0": np.array([0]), "agent_1": np.float32(1.0)})
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(RuntimeError, match="no episode is running"):
        env.step({"agent_0": 0, "agent_1": 0})


def test_steps_before_the_first_reset() -> None:
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        ascore.parallel_env("exchange").step({})


def test_episodes_without_a_seed_differ() -> None:
    """As in Gymnasium: whoever wants the same game twice asks for it."""

    def first(**keys: Any) -> tuple[float, ...]:
        env = ascore.parallel_env("navigation", **keys)
        return tuple(env.reset()[0]["agent_0"].tolist())

    assert len({first() for _ in range(8)}) == 8
    assert len({first(seed=5) for _ in range(8)}) == 1
    env = ascore.parallel_env("navigation")
    again = [env.reset(seed=5)[0]["agent_0"].tolist() for _ in range(2)]
    assert again[0] == again[1] == list(first(seed=5))
    assert copy.deepcopy(env).reset()[0]["agent_0"].tolist() == env.reset()[0]["agent_0"].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_are_an_array_in_every_step(name: str) -> None:
    env = ascore.parallel_env(name, max_cycles=4)
    n = env.max_num_agents
    for results in play(env, 0, np.random.default_rng(0)):
        for i, agent in enumerate(env.possible_agents):
            row = results[-1][agent]["neighbours"]
            assert (row.shape, row.dtype) == ((n,), np.uint8)
            assert row[i] == 0
    assert not env.agents
    assert not row.any()  # nobody hears anybody after the end


BYTES = [
    *((name, {"obs_mode": mode}) for name in ("cleanup-v1", "harvest-v1")
      for mode in ("planes", "rgb", "local")),
    ("navigation-v1", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params"), BYTES)
def test_floats_are_what_networks_see(name: str, params: dict[str, Any]) -> None:
    plain = ascore.parallel_env(name, seed=3, max_cycles=20, **params)
    env = ascore.parallel_env(name, seed=3, max_cycles=20, floats=True, **params)
    scale = np.float32(ascore.make(name, **params).spec.obs_scale)
    episodes = [play(e, 4, np.random.default_rng(0)) for e in (plain, env)]
    box = env.observation_space("agent_0")
    assert box.dtype == np.float32
    if name != "navigation-v1":
        assert plain.observation_space("agent_0").dtype == np.uint8
        assert (box.high == 1).all()
        assert (plain.observation_space("agent_0").high == round(1 / scale)).all()
    for a, b in zip(*episodes, strict=True):
        for agent in a[0]:
            assert b[0][agent].dtype == np.float32
            same(b[0][agent], a[0][agent].astype(np.float32) * scale)
            assert box.contains(b[0][agent])
            assert plain.observation_space(agent).contains(a[0][agent])
    if env.state_space is not None:
        assert env.state_space.contains(env.state())
    same(pickle.loads(pickle.dumps(env)).reset(seed=1)[0], env.reset(seed=1)[0])
    parallel_api_test(env, num_cycles=30)


def test_a_pettingzoo_environment_is_not_wrapped_twice() -> None:
    with pytest.raises(ValueError, match="python_envs:Meadow is a PettingZoo environment already"):
        ascore.parallel_env("python_envs:Meadow")


def test_agents_with_views_of_their_own_have_no_state() -> None:
    env = ascore.parallel_env("navigation", obs_order="self_first")
    obs, _ = env.reset(seed=0)
    assert (obs["agent_0"] != obs["agent_1"]).any()
    with pytest.raises(NotImplementedError, match="only one per agent"):
        env.state()
    shared = ascore.parallel_env("navigation")
    shared.reset(seed=0)
    same(shared.state(), shared.reset(seed=0)[0]["agent_2"])
