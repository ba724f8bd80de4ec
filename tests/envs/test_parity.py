"""The compiled environments against their Python twins: every buffer, every step, every bit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ascore
from ascore.reference import TWINS, VecEnv

COMPILED: dict[str, Any] = {name: row.core for name, row in ascore.ENVIRONMENTS.items()}
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
Params = dict[str, Any]

# Every value a choice can take besides its default, sizes at their limits, and constants that
# doubles cannot hold exactly, so that another order of additions would show.
EXCHANGE: list[Params] = [
    {},
    {"opener": "next"},
    {"open_range": 1},
    {"open_range": 2, "opener": "next"},
    {"open_range": 8},
    {"food": "pickup"},
    {"food": "pickup", "eaten": "flag", "early_end": True},
    {"food": "pickup", "open_range": 1, "agents_on_boxes": True},
    {"useless_open_cost": 5.0},
    {"contest": "lowest"},
    {"contest": "lowest", "collisions": "block", "open_range": 1},
    {"early_end": True},
    {"early_end": True, "time_cost_after": False},
    {"time_cost_after": False, "size": 3, "num_agents": 2},
    {"eaten": "flag"},
    {"agents_on_boxes": True},
    {"collisions": "block"},
    {"neigh_radius": 0},
    {"neigh_radius": 2, "neigh_metric": "manhattan"},
    {"neigh_metric": "manhattan"},
    {"cost": 0.1, "gain": 0.7, "time_cost": 0.3, "useless_open_cost": 0.2, "open_range": 1},
    {"num_agents": 2, "size": 2, "horizon": 1},
    {"num_agents": 2, "size": 2, "collisions": "block"},
    {"num_agents": 5, "size": 4, "open_range": 1},
    {"num_agents": 8, "size": 4, "collisions": "block"},
    {"num_agents": 8, "size": 7, "open_range": 3, "food": "pickup", "eaten": "flag"},
]
PREDATION: list[Params] = [
    {},
    {"num_agents": 1},
    {"num_agents": 2},
    {"num_agents": 3, "horizon": 1},
    {"num_agents": 5, "mixed": "pairwise"},
    {"num_agents": 3, "approach": "distance"},
    {"num_agents": 2, "approach": "distance", "mixed": "pairwise", "length": 3.0},
    {"num_agents": 20, "mixed": "pairwise"},
    {"obs_scale": 1.0},
    {"length": 7.3, "step_length": 0.7, "obs_scale": 0.3},
    {"neigh_radius": 0.0},
    {"neigh_radius": 1.0},
    {"neigh_radius": 0.37, "length": 11.0, "num_agents": 5},
]
NAVIGATION: list[Params] = [
    {},
    {"num_agents": 1},
    {"metric": "l1"},
    {"dist_scale": 0.3, "collision": 0.7},
    {"dist_scale": 0.1, "metric": "l1", "collision": 0.0},
    {"collision": 0.0},
    {"block": True},
    {"block": True, "num_agents": 8, "size": 3},
    {"landmarks": "fixed"},
    {"landmarks": "fixed", "num_agents": 5, "size": 3, "block": True},
    {"obs_order": "self_first"},
    {"obs_order": "self_first", "num_agents": 5, "size": 4, "landmarks": "fixed"},
    {"neigh_radius": 0},
    {"neigh_radius": 2, "neigh_metric": "manhattan"},
    {"neigh_metric": "manhattan"},
    {"num_agents": 4, "size": 2},
    {"num_agents": 2, "size": 2, "horizon": 1},
    {"num_agents": 8, "size": 7, "neigh_radius": 3},
]
CROWD = "PPPP\nPPPP\nAAAA\nA AA"
HARVEST: list[Params] = [
    {},
    {"num_agents": 1},
    {"num_agents": 5},
    {"num_agents": 8, "map": CROWD},
    {"num_agents": 8, "map": CROWD, "regrowth_1": 0.3, "regrowth_2": 0.5, "regrowth_3": 1.0},
    {"num_agents": 20, "map": "harvest_full"},
    {"map": "harvest_2_6"},
    {"map": "harvest_10_14", "num_agents": 9},
    {"profile": "features"},
    {"profile": "features", "num_agents": 8, "map": CROWD, "regrowth_1": 0.5},
    {"profile": "features", "num_agents": 8, "map": CROWD, "move_frame": "ego"},
    {"profile": "features", "obs_mode": "features", "num_agents": 3},
    {"profile": "features", "obs_mode": "rgb", "num_agents": 8, "map": CROWD},
    {"move_frame": "abs"},
    {"move_frame": "ego", "num_agents": 8, "map": CROWD},
    {"obs_mode": "rgb"},
    {"obs_mode": "rgb", "append_orientation": True, "num_agents": 9},
    {"obs_mode": "local"},
    {"obs_mode": "local", "num_agents": 8, "map": CROWD},
    {"obs_mode": "features"},
    {"obs_mode": "features", "num_agents": 1},
    {"obs_mode": "features", "num_agents": 8, "map": CROWD},
    {"graph": "radius", "num_agents": 8, "map": CROWD},
    {"graph": "radius", "neigh_radius": 0, "profile": "features", "num_agents": 8, "map": CROWD},
    {"graph": "radius", "neigh_radius": 2, "neigh_metric": "manhattan", "num_agents": 8},
    {"regrowth_1": 0.0, "regrowth_2": 1.0, "regrowth_3": 1 / 3},
]
DITCH = "PPPP\nHRHR\nRSRS\nBBBB\nPPBB"
CLEANUP: list[Params] = [
    {},
    {"num_agents": 1},
    {"num_agents": 8, "map": "cleanup_mid"},
    {"num_agents": 10, "map": "cleanup_full"},
    {"num_agents": 5, "map": "cleanup_3_11"},
    {"num_agents": 6, "map": DITCH},
    {"num_agents": 6, "map": DITCH, "move_frame": "abs", "apple_probability": 0.7},
    {"waste_mode": "once"},
    {"waste_mode": "once", "num_agents": 6, "map": DITCH, "waste_probability": 0.9},
    {"profile": "features"},
    {"profile": "features", "num_agents": 6, "map": DITCH, "waste_probability": 0.2},
    {"profile": "features", "num_agents": 6, "map": DITCH, "move_frame": "ego"},
    {"profile": "features", "waste_mode": "once", "num_agents": 8, "map": "cleanup_mid"},
    {"profile": "features", "obs_mode": "features"},
    {"profile": "features", "obs_mode": "local", "num_agents": 6, "map": DITCH},
    {"move_frame": "abs"},
    {"move_frame": "ego", "num_agents": 6, "map": DITCH},
    {"obs_mode": "rgb"},
    {"obs_mode": "rgb", "append_orientation": True, "num_agents": 10, "map": "cleanup_full"},
    {"obs_mode": "local"},
    {"obs_mode": "local", "num_agents": 6, "map": DITCH},
    {"obs_mode": "features"},
    {"obs_mode": "features", "num_agents": 1},
    {"obs_mode": "features", "num_agents": 6, "map": DITCH},
    {"graph": "radius", "num_agents": 6, "map": DITCH},
    {"graph": "radius", "neigh_radius": 3, "neigh_metric": "manhattan"},
    {"threshold_depletion": 0.9, "threshold_restoration": 0.3, "apple_probability": 1 / 3},
    {"threshold_depletion": 1.0, "apple_probability": 0.0, "waste_probability": 0.1},
    {"threshold_depletion": 1.0, "waste_probability": 0.0},
    {"beam_length": 1},
    {"beam_length": 64, "num_agents": 6, "map": DITCH},
]
VARIANTS = {
    "cleanup-v1": CLEANUP,
    "exchange-v1": EXCHANGE,
    "harvest-v1": HARVEST,
    "navigation-v1": NAVIGATION,
    "predation-v1": PREDATION,
}


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


def actions(rng: np.random.Generator, env: Any) -> NDArray[np.int32]:
    """Random actions, the last one ("open") more often, so that short episodes reach all rules."""
    shape = (env.num_envs, env.num_agents)
    action = rng.integers(0, env.num_actions, shape)
    return np.where(rng.random(shape) < 0.3, env.num_actions - 1, action).astype(np.int32)


def play(name: str, params: Params, num_envs: int, episodes: int, seed: int) -> VecEnv:
    """Run both side by side until every environment has finished `episodes` episodes."""
    twin_class: Any = TWINS[name]
    constants = twin_class.Params(**params)
    twin = VecEnv([twin_class(constants) for _ in range(num_envs)], seed, first_env=7)
    compiled = COMPILED[name](num_envs, seed, first_env=7, params=params)
    compare(compiled, twin, "before the first reset")
    compiled.reset()
    twin.reset()
    compare(compiled, twin, "after the first reset")
    compare_uniforms(compiled, twin, "after the first reset")
    rng = np.random.default_rng(seed)
    steps = 0
    while twin.episode.min() < episodes:
        action = actions(rng, twin)
        compiled.step(action)
        twin.step(action)
        steps += 1
        compare(compiled, twin, f"after step {steps}")
        if steps % 5 == 0:
            compare_uniforms(compiled, twin, f"after step {steps}")
    return twin


@pytest.mark.parametrize("name", sorted(TWINS))
def test_two_hundred_full_episodes_with_the_defaults(name: str) -> None:
    twin = play(name, {}, num_envs=40, episodes=5, seed=11)
    assert int(twin.episode.sum()) >= 200
    horizons = {"exchange-v1": 300, "predation-v1": 30}
    assert twin.horizon == horizons.get(name, 100)


@pytest.mark.parametrize("name", sorted(TWINS))
def test_same_parameters_and_actions(name: str) -> None:
    twin_class: Any = TWINS[name]
    compiled, twin = COMPILED[name](1, 0), twin_class()
    assert compiled.params == asdict(twin_class.Params())
    assert compiled.action_names == twin_class.action_names
    for size in ("num_agents", "num_actions", "obs_size", "views", "horizon"):
        assert getattr(compiled, size) == getattr(twin, size), size


@pytest.mark.parametrize("name", sorted(TWINS))
def test_every_choice_is_among_the_variants(name: str) -> None:
    twin_class: Any = TWINS[name]
    defaults = asdict(twin_class.Params())
    choices = 0
    for parameter, kind in get_type_hints(twin_class.Params).items():
        allowed: set[Any] = set()
        if kind is bool:
            allowed = {False, True}
        elif get_origin(kind) is Literal:
            allowed = set(get_args(kind))
        if allowed:
            choices += 1
            played = {(defaults | params)[parameter] for params in VARIANTS[name]}
            assert played == allowed, parameter
    assert choices >= 2


SEEDS = {
    "cleanup-v1": 17,
    "exchange-v1": 12,
    "harvest-v1": 16,
    "navigation-v1": 15,
    "predation-v1": 13,
}


@pytest.mark.parametrize(
    ("name", "params"),
    [(name, params) for name, variants in VARIANTS.items() for params in variants],
    ids=str,
)
def test_variant(name: str, params: Params) -> None:
    params = {"horizon": 12} | params
    twin = play(name, params, num_envs=20, episodes=10, seed=SEEDS[name])
    assert int(twin.episode.sum()) >= 200


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("exchange-v1", {"num_agents": 64, "size": 32, "collisions": "block", "neigh_radius": 9}),
        ("exchange-v1", {"num_agents": 64, "size": 8, "agents_on_boxes": True, "open_range": 1}),
        ("predation-v1", {"num_agents": 64, "mixed": "pairwise"}),
        ("navigation-v1", {"num_agents": 64, "size": 32, "obs_order": "self_first"}),
        ("navigation-v1", {"num_agents": 64, "size": 8, "block": True, "landmarks": "fixed"}),
        ("harvest-v1", {"num_agents": 64, "map": ("P" * 16 + "A" * 16 + " " * 32 + "\n") * 64}),
        ("cleanup-v1", {"num_agents": 64, "map": ("P" * 32 + "BHBR" * 8 + "\n") * 64}),
    ],
    ids=str,
)
def test_largest_worlds(name: str, params: Params) -> None:
    twin = play(name, params | {"horizon": 4}, num_envs=2, episodes=3, seed=14)
    assert int(twin.episode.sum()) >= 6


EXCHANGE_PARAMS = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 9),
        "num_agents": st.integers(2, 6),
        "size": st.integers(4, 6),
        "opener": st.sampled_from(["any", "next"]),
        "open_range": st.integers(0, 3),
        "food": st.sampled_from(["immediate", "pickup"]),
        "contest": st.sampled_from(["random", "lowest"]),
        "early_end": st.booleans(),
        "time_cost_after": st.booleans(),
        "eaten": st.sampled_from(["minus_one", "flag"]),
        "agents_on_boxes": st.booleans(),
        "collisions": st.sampled_from(["none", "block"]),
        "neigh_radius": st.integers(0, 3),
        "neigh_metric": st.sampled_from(["cheb", "manhattan"]),
        "cost": st.floats(0, 10),
        "gain": st.floats(0, 10),
        "time_cost": st.floats(0, 1),
        "useless_open_cost": st.floats(0, 1),
    }
)
PREDATION_PARAMS = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 9),
        "num_agents": st.integers(2, 9),
        "length": st.floats(0.5, 40),
        "step_length": st.floats(0.1, 5),
        "approach": st.sampled_from(["sign", "distance"]),
        "mixed": st.sampled_from(["literal", "pairwise"]),
        "obs_scale": st.floats(0.01, 2),
        "neigh_radius": st.floats(0, 1),
    }
)

NAVIGATION_PARAMS = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 9),
        "num_agents": st.integers(1, 9),
        "size": st.integers(3, 6),
        "metric": st.sampled_from(["l2", "l1"]),
        "dist_scale": st.floats(0, 10),
        "collision": st.floats(0, 10),
        "block": st.booleans(),
        "landmarks": st.sampled_from(["per_episode", "fixed"]),
        "obs_order": st.sampled_from(["global", "self_first"]),
        "neigh_radius": st.integers(0, 3),
        "neigh_metric": st.sampled_from(["cheb", "manhattan"]),
    }
)


@settings(
    max_examples=90,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    world=st.one_of(
        st.tuples(st.just("exchange-v1"), EXCHANGE_PARAMS),
        st.tuples(st.just("predation-v1"), PREDATION_PARAMS),
        st.tuples(st.just("navigation-v1"), NAVIGATION_PARAMS),
    ),
    seed=st.integers(0, 2**64 - 1),
)
def test_any_combination_of_parameters(world: tuple[str, Params], seed: int) -> None:
    name, params = world
    play(name, params, num_envs=2, episodes=3, seed=seed)


@pytest.mark.parametrize(
    ("name", "params"),
    [(name, params) for name, variants in VARIANTS.items() for params in variants if params],
    ids=str,
)
def test_every_variant_differs_from_the_default(name: str, params: Params) -> None:
    """Parity of two environments that both ignore a parameter would prove nothing."""
    # Crowded, so that contests and collisions are common.
    default = {
        "cleanup-v1": {"num_agents": 3, "map": "PPPP \nHRHRR\nRSRSR\nBBBBB"},
        "exchange-v1": {"num_agents": 3, "size": 3, "open_range": 2},
        "harvest-v1": {"num_agents": 3, "map": "PPPPP\nPPPPA\nAAAAA\nAA  A"},
        "navigation-v1": {"size": 3, "horizon": 9},
        "predation-v1": {"num_agents": 3},
    }[name]
    traces = []
    for variant in (default, default | params):
        env = COMPILED[name](200, 3, params=variant)
        env.reset()
        rng = np.random.default_rng(4)
        trace = [env.obs.tobytes(), env.neighbours.tobytes()]
        for _ in range(30):
            env.step(actions(rng, env))
            trace += [getattr(env, buffer).tobytes() for buffer in BUFFERS]
        traces.append(trace)
    assert traces[0] != traces[1]
