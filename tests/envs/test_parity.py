"""The compiled environments against their Python twins: every buffer, every step, every bit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from cases import Params, case, every
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ascore.envs.table import ENVIRONMENTS
from ascore.reference import VecEnv

COMPILED: dict[str, Any] = {name: row.core for name, row in ENVIRONMENTS.items()}
BUFFERS = (
    "obs",
    "final_obs",
    "reward",
    "neighbours",
    "terminated",
    "truncated",
    "episode",
    "time",
)


def same_bits(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    return (
        ours.dtype == theirs.dtype
        and ours.shape == theirs.shape
        and ours.tobytes() == theirs.tobytes()
    )


def compare(compiled: Any, twin: VecEnv, moment: str) -> None:
    for name in BUFFERS:
        ours, theirs = getattr(compiled, name), getattr(twin, name)
        if not same_bits(ours, theirs):
            pytest.fail(f"{moment}: {name} is\n{ours}\nand its twin has\n{theirs}")


def compare_uniforms(compiled: Any, twin: VecEnv, moment: str) -> None:
    uniforms = np.empty((twin.num_envs, twin.num_agents), np.float32)
    compiled.uniforms(uniforms)
    if not same_bits(uniforms, twin.uniforms()):
        pytest.fail(f"{moment}: uniforms are\n{uniforms}\nand the twin has\n{twin.uniforms()}")


def compare_deeds(ours: dict[str, Any], theirs: dict[str, Any], moment: str) -> None:
    same = list(ours) == list(theirs) and all(same_bits(ours[name], theirs[name]) for name in ours)
    if not same:
        pytest.fail(f"{moment}: deeds are\n{ours}\nand the twin has\n{theirs}")


def actions(rng: np.random.Generator, env: Any) -> NDArray[np.int32]:
    """Random actions, the last one ("open") more often, so that short episodes reach all rules."""
    shape = (env.num_envs, env.num_agents)
    action = rng.integers(0, env.num_actions, shape)
    return np.where(rng.random(shape) < 0.3, env.num_actions - 1, action).astype(np.int32)


def play(name: str, params: Params, num_envs: int, episodes: int, seed: int) -> VecEnv:
    """Run both side by side until every environment has finished `episodes` episodes."""
    twin_class = ENVIRONMENTS[name].load_twin()
    constants = twin_class.Params(**params)
    twin = VecEnv([twin_class(constants) for _ in range(num_envs)], seed, first_env=7)
    compiled = COMPILED[name](num_envs, seed, first_env=7, params=params)
    assert compiled.action_names == twin.environments[0].action_names  # type: ignore[attr-defined]
    compiled.keep_neighbours()
    compare(compiled, twin, "before the first reset")
    compiled.reset()
    twin.reset()
    compare(compiled, twin, "after the first reset")
    compare_uniforms(compiled, twin, "after the first reset")
    rng = np.random.default_rng(seed)
    steps = 0
    while twin.episode.min() < episodes:
        action = actions(rng, twin)
        whose = steps % num_envs
        deeds = compiled.deeds(whose, action) if hasattr(compiled, "deeds") else {}
        compiled.step(action)
        twin.step(action)
        steps += 1
        compare_deeds(deeds, twin.deeds[whose], f"in step {steps}")
        compare(compiled, twin, f"after step {steps}")
        if steps % 5 == 0:
            compare_uniforms(compiled, twin, f"after step {steps}")
    return twin


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_two_hundred_full_episodes_with_the_defaults(name: str) -> None:
    twin = play(name, {}, num_envs=40, episodes=5, seed=11)
    assert int(twin.episode.sum()) >= 200


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_same_parameters_and_actions(name: str) -> None:
    twin_class = ENVIRONMENTS[name].load_twin()
    compiled, twin = COMPILED[name](1, 0), twin_class()
    assert compiled.params == asdict(twin_class.Params())
    assert compiled.action_names == twin.action_names
    for size in ("num_agents", "num_actions", "obs_size", "views", "horizon"):
        assert getattr(compiled, size) == getattr(twin, size), size


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_choice_is_among_the_variants(name: str) -> None:
    twin_class = ENVIRONMENTS[name].load_twin()
    defaults = asdict(twin_class.Params())
    for parameter, kind in get_type_hints(twin_class.Params).items():
        allowed: set[Any] = set()
        if kind is bool:
            allowed = {False, True}
        elif get_origin(kind) is Literal:
            allowed = set(get_args(kind))
        else:
            assert kind in (int, float, str), f"{parameter}: {kind} is no type of a parameter"
        if allowed:
            played = {(defaults | params)[parameter] for params in case(name).variants}
            assert played == allowed, parameter


@pytest.mark.parametrize(
    ("name", "params"),
    every(lambda each: each.variants),
    ids=str,
)
def test_variant(name: str, params: Params) -> None:
    params = {"horizon": 12} | params
    twin = play(name, params, num_envs=20, episodes=5, seed=12)
    assert int(twin.episode.sum()) >= 100


@pytest.mark.parametrize(
    ("name", "params"),
    every(lambda each: each.largest),
    ids=str,
)
def test_largest_worlds(name: str, params: Params) -> None:
    twin = play(name, params | {"horizon": 4}, num_envs=2, episodes=3, seed=14)
    assert int(twin.episode.sum()) >= 6


@pytest.mark.parametrize("name", [name for name in ENVIRONMENTS if case(name).drawn is not None])
@settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data(), seed=st.integers(0, 2**64 - 1))
def test_any_combination_of_parameters(name: str, data: st.DataObject, seed: int) -> None:
    drawn = case(name).drawn
    assert drawn is not None
    play(name, data.draw(drawn), num_envs=2, episodes=3, seed=seed)


@pytest.mark.parametrize(
    ("name", "params"),
    [(name, params) for name, params in every(lambda each: each.variants) if params],
    ids=str,
)
def test_every_variant_differs_from_the_default(name: str, params: Params) -> None:
    """Parity of two environments that both ignore a parameter would prove nothing."""
    crowded = case(name).crowded  # so that contests and collisions are common
    traces = []
    for variant in (crowded, crowded | params):
        env = COMPILED[name](200, 3, params=variant)
        env.reset()
        rng = np.random.default_rng(4)
        trace = [env.obs.tobytes(), env.neighbours.tobytes()]
        for _ in range(30):
            env.step(actions(rng, env))
            trace += [getattr(env, buffer).tobytes() for buffer in BUFFERS]
        traces.append(trace)
    assert traces[0] != traces[1], f"{params} changes nothing beside {crowded}"
