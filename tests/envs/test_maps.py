"""Grid worlds on maps nobody drew: random ones are played, broken ones refused with the place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from grid_boards import CLEANUP_TOP, HARVEST_TOP
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ascore
from ascore.reference import VecEnv

Params = dict[str, Any]
TILES = {"cleanup-v1": "@ HRSB", "harvest-v1": "@  AA"}
NEEDED = {"cleanup-v1": "RB", "harvest-v1": "A"}
GENTLY = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[str, Params]:
    """An environment with a map of up to 7 x 8 cells, walls anywhere, and any other parameters."""
    name = draw(st.sampled_from(sorted(TILES)))
    needed = NEEDED[name]
    agents = draw(st.integers(1, 6))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 8))
    assume(height * width >= agents + len(needed) and height > 1)
    cells = draw(
        st.lists(st.sampled_from(TILES[name]), min_size=height * width, max_size=height * width)
    )
    places = draw(st.permutations(range(height * width)))
    for place, tile in zip(places, "P" * agents + needed, strict=False):
        cells[place] = tile
    params: Params = {
        "num_agents": agents,
        "map": "\n".join("".join(cells[r * width : (r + 1) * width]) for r in range(height)),
        "horizon": draw(st.integers(1, 12)),
        "profile": draw(st.sampled_from(["ssd", "features"])),
        "move_frame": draw(st.sampled_from(["profile", "ego", "abs"])),
        "turns": draw(st.booleans()),
        "start": draw(st.sampled_from(["random", "random", "fixed"])),
        "fire": draw(st.booleans()),
        "fire_cost": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "hit_cost": draw(st.sampled_from([0.0, 1 / 3, 50.0])),
        "beam_length": draw(st.integers(1, 9)),
        "obs_mode": draw(
            st.sampled_from(["planes", "rgb", "local", "features", "centred", "centred_turned"])
        ),
        "graph": draw(st.sampled_from(["complete", "radius"])),
        "neigh_radius": draw(st.integers(0, 5)),
        "neigh_metric": draw(st.sampled_from(["cheb", "manhattan"])),
    }
    if name == "cleanup-v1":
        low, high = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)))
        params |= {
            "waste_mode": draw(st.sampled_from(["scan", "once"])),
            "threshold_restoration": low,
            "threshold_depletion": high,
            "apple_probability": draw(st.floats(0, 1)),
            "waste_probability": draw(st.floats(0, 1)),
            "waste_stops_fire": draw(st.booleans()),
        }
    else:
        params |= {f"regrowth_{k}": draw(st.floats(0, 1)) for k in (1, 2, 3)}
    return name, params


def random_actions(env: ascore.VecEnv) -> NDArray[np.int32]:
    uniforms = np.empty((env.num_envs, env.spec.num_agents), np.float32)
    env.uniforms(uniforms)
    return (uniforms * env.spec.num_actions).astype(np.int32)


@GENTLY
@given(world=worlds(), seed=st.integers(0, 2**64 - 1))
def test_twins_agree_on_any_map(world: tuple[str, Params], seed: int) -> None:
    name, params = world
    twin_class = ascore.ENVIRONMENTS[name].load_twin()
    twin = VecEnv([twin_class(twin_class.Params(**params)) for _ in range(2)], seed)
    env = ascore.make(name, num_envs=2, seed=seed, **params)
    env.reset()
    twin.reset()
    for _ in range(30):
        action = random_actions(env)
        env.step(action)
        twin.step(action)
        for buffer in ("obs", "final_obs", "reward", "neighbours", "truncated", "episode", "time"):
            ours, theirs = getattr(env, buffer), getattr(twin, buffer)
            assert ours.tobytes() == theirs.tobytes(), buffer
        for b, other in enumerate(twin.environments):
            theirs = other.inspect()  # type: ignore[attr-defined]
            ours = env.inspect(b)
            assert ours.keys() == theirs.keys()
            for key, array in ours.items():
                assert array.dtype == theirs[key].dtype, key
                assert np.array_equal(array, theirs[key]), key


@GENTLY
@given(world=worlds(), seed=st.integers(0, 2**64 - 1))
def test_what_holds_on_any_map(world: tuple[str, Params], seed: int) -> None:
    """Nobody in a wall, no two on a cell, counts that add up, at every step."""
    name, params = world
    env = ascore.make(name, num_envs=1, seed=seed, **(params | {"horizon": 1000}))
    env.reset()
    names = env.spec.action_names
    clean, fire = (names.index(act) if act in names else -1 for act in ("clean", "fire"))
    before = env.inspect(0)
    tiles = np.array([list(row) for row in params["map"].split("\n")])
    assert np.array_equal(before["walls"], tiles == "@")
    for _ in range(60):
        action = random_actions(env)
        _, reward, _, _, _ = env.step(action)
        after = env.inspect(0)
        rows, cols = after["agents"].T
        assert not after["walls"][rows, cols].any()
        if params["profile"] == "ssd":
            assert len({*zip(rows.tolist(), cols.tolist(), strict=True)}) == params["num_agents"]
        steps = np.abs(after["agents"] - before["agents"]).sum(axis=1)
        assert (steps <= (action[0] < 4)).all()
        assert ((after["orientation"] >= 0) & (after["orientation"] < 4)).all()
        assert not (after["apples"] > after["orchard"]).any()
        eaten = (before["apples"] > after["apples"]).sum()
        assert reward.sum() <= eaten
        if not (action == fire).any():
            assert set(reward[0].tolist()) <= {0.0, 1.0}
            assert eaten == reward.sum()
        grown = (after["apples"] > before["apples"])[rows, cols]
        assert not grown.any(), "an apple grew under an agent"
        if "waste" in after:
            assert not (after["waste"] > after["river"]).any()
            assert (after["waste"] > before["waste"]).sum() <= 1
            if not (action == clean).any():
                assert not (before["waste"] > after["waste"]).any()
            share = before["waste"].sum() / before["river"].sum()
            quiet = share >= params["threshold_depletion"] and not (action == clean).any()
            if quiet:
                assert not (after["apples"] > before["apples"]).any()
                assert not (after["waste"] > before["waste"]).any()
        before = after


@GENTLY
@given(world=worlds(), data=st.data())
def test_a_broken_map_is_refused_with_its_place(
    world: tuple[str, Params], data: st.DataObject
) -> None:
    name, params = world
    rows = params["map"].split("\n")
    row = data.draw(st.integers(0, len(rows) - 1), "row")
    col = data.draw(st.integers(0, len(rows[0]) - 1), "column")
    fault = data.draw(st.sampled_from(["tile", "longer", "shorter"]), "fault")
    if fault == "tile":
        strange = data.draw(st.characters(codec="ascii", exclude_characters="@ HRSBPA\n"), "tile")
        rows[row] = rows[row][:col] + strange + rows[row][col + 1 :]
        message = rf"map row {row}, column {col} holds .*; allowed are '@'"
    else:
        assume(len(rows) > 1 and len(rows[row]) > 1)
        rows[row] = rows[row] + "@" if fault == "longer" else rows[row][:-1]
        named = row or 1  # the first row sets the width
        message = rf"map row {named} has {len(rows[named])} columns and row 0 has {len(rows[0])}"
    with pytest.raises(ValueError, match=message):
        ascore.make(name, **(params | {"map": "\n".join(rows)}))


DEFAULTS = {"cleanup-v1": CLEANUP_TOP, "harvest-v1": HARVEST_TOP}


@pytest.mark.parametrize("name", sorted(TILES))
def test_text_and_name_of_a_map_are_the_same_world(name: str) -> None:
    by_name = ascore.make(name, num_envs=3, seed=1)
    by_name.reset()
    by_text = ascore.make(name, num_envs=3, seed=1, map=DEFAULTS[name])
    by_text.reset()
    for _ in range(20):
        action = random_actions(by_name)
        by_name.step(action)
        by_text.step(action)
        assert by_name.obs.tobytes() == by_text.obs.tobytes()


def test_states_belong_to_their_map() -> None:
    one = ascore.make("harvest", map="AAP\nPAA")
    other = ascore.make("harvest", map="AAP\nAPA")
    one.reset()
    other.reset()
    with pytest.raises(ValueError, match=re.escape('map = "AAP/PAA..." (7 characters')):
        other.load_state(one.save_state())


def test_a_stream_may_be_as_long_as_the_map() -> None:
    tiles = "\n".join(["PPRB" + "S" * 60] * 64)
    env = ascore.make("cleanup", map=tiles)
    env.reset()
    stream = env.inspect(0)["stream"]
    assert stream.shape == (64, 64)
    assert stream.sum() == 60 * 64
    assert not stream[:, :4].any()
