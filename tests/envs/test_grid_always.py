"""What holds in the grid worlds whatever happens."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from grid_boards import (
    STAY,
    Cell,
    stream,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ascore.reference.cleanup import Cleanup, CleanupParams
from ascore.reference.harvest import Harvest, HarvestParams


@st.composite
def maps(draw: Any, letters: str, needed: str, num_agents: int) -> str:
    """A map of any shape with what it needs, and anything else elsewhere."""
    height, width = draw(st.integers(2, 7)), draw(st.integers(5, 8))
    forced = [*needed, *"P" * num_agents]
    free = height * width - len(forced)
    others = draw(st.lists(st.sampled_from(letters), min_size=free, max_size=free))
    all_ = draw(st.permutations(forced + others))
    return "\n" + "\n".join("".join(all_[k * width : (k + 1) * width]) for k in range(height))


def fraction() -> st.SearchStrategy[float]:
    return st.sampled_from([0.0, 0.05, 0.5, 1.0])


def check_movement(world: Any, before: list[Cell], action: NDArray[np.int32]) -> None:
    for i, (row, col) in enumerate(world.agents):
        assert 0 <= row < world.height
        assert 0 <= col < world.width
        assert not world.walls[row, col]
        steps = abs(row - before[i][0]) + abs(col - before[i][1])
        assert steps <= (1 if action[i] < STAY else 0)
    if world.params.profile == "ssd":
        assert len(set(world.agents)) == world.num_agents
        exchanged = [
            (i, j)
            for i, j in itertools.combinations(range(world.num_agents), 2)
            if world.agents[i] == before[j] and world.agents[j] == before[i]
        ]
        assert exchanged == []


def check_apples(
    world: Any,
    before: NDArray[np.bool_],
    action: NDArray[np.int32],
    reward: NDArray[np.float32],
) -> None:
    under_agents = np.zeros_like(world.walls)
    for cell in world.agents:
        under_agents[cell] = True
    eaten, new = before & ~world.apples, world.apples & ~before
    shots = [world.action_names[a] for a in action].count("fire")
    if shots:  # what each costs, and its hits, of which there are no more than agents
        least = eaten.sum() - shots * (1 + 50 * (world.num_agents - 1))
        assert least <= reward.sum() <= eaten.sum() - shots
        assert (eaten.sum() - shots - reward.sum()) % 50 == 0
    else:
        assert eaten.sum() == reward.sum()
        assert set(reward.tolist()) <= {0.0, 1.0}
    assert not (eaten & ~under_agents).any()
    assert not (new & under_agents).any()
    assert not (world.apples & ~world.orchard).any()


def check_waste(world: Any, before: NDArray[np.bool_], had_apples: NDArray[np.bool_]) -> None:
    p = world.params
    cleaned, new = sum(world.cleaned), int((world.waste & ~before).sum())
    assert not (world.waste & ~world.river).any()
    # Waste may settle where it was cleaned a moment ago, so count instead of comparing places.
    settled = int(world.waste.sum() - before.sum()) + cleaned
    assert new <= settled <= 1
    density = (before.sum() - cleaned) / world.river.sum()
    if density >= p.threshold_depletion:
        assert settled == 0
        assert not (world.apples & ~had_apples).any()
    elif p.waste_probability == 1.0:
        assert settled == 1
    if p.profile == "ssd":
        assert max(world.cleaned) <= 3


def check_obs(world: Any) -> None:
    obs = world.obs()
    assert obs.shape == (world.views, world.obs_size)
    assert obs.dtype == np.uint8
    if world.params.obs_mode == "planes":
        n, area = world.num_agents, world.height * world.width
        facts = obs[0, : -4 * n].reshape(-1, area)
        assert facts[-n:].sum(axis=1).tolist() == [1] * n
        assert obs[0, -4 * n :].reshape(n, 4).argmax(axis=1).tolist() == world.orientation
        assert facts[-n - 1].sum() == world.apples.sum()
    if world.params.obs_mode.startswith("centred"):
        n, area = world.num_agents, world.seen_rows * world.seen_cols
        for view, (row, col) in zip(obs.reshape(n, -1, area), world.agents, strict=True):
            assert np.flatnonzero(view[0]).tolist() == [area // 2]
            others = {cell for cell in world.agents if cell != (row, col)}
            assert view[1].sum() - view[1, area // 2] == len(others)
            assert view[2].sum() == world.walls.sum()


def play(world: Any, seed: int, steps: int) -> None:
    numpy_rng = np.random.default_rng(seed)
    world.reset(stream(0, seed))
    spawn_cells = set(world.spawn_cells)
    assert len(set(world.agents)) == world.num_agents
    assert set(world.agents) <= spawn_cells
    for step in range(1, steps + 1):
        action = numpy_rng.integers(0, world.num_actions, world.num_agents, dtype=np.int32)
        agents, apples = list(world.agents), world.apples.copy()
        waste = world.waste.copy() if isinstance(world, Cleanup) else None
        reward, terminated = world.step(stream(step, seed), action)
        assert not terminated
        check_movement(world, agents, action)
        check_apples(world, apples, action, reward)
        if waste is not None:
            check_waste(world, waste, apples)
        check_obs(world)
        assert set(world.orientation) <= {0, 1, 2, 3}


SHARED = {
    "profile": st.sampled_from(["ssd", "features"]),
    "move_frame": st.sampled_from(["profile", "ego", "abs"]),
    "turns": st.booleans(),
    "start": st.sampled_from(["random", "fixed"]),
    "fire": st.booleans(),
    "beam_length": st.integers(1, 6),
    "obs_mode": st.sampled_from(
        ["planes", "rgb", "local", "features", "centred", "centred_turned"]
    ),
}
PLAYS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PLAYS
@given(
    data=st.data(),
    n=st.integers(1, 6),
    shared=st.fixed_dictionaries(SHARED),
    own=st.fixed_dictionaries(
        {
            "waste_mode": st.sampled_from(["scan", "once"]),
            "apple_probability": fraction(),
            "waste_probability": fraction(),
            "threshold_depletion": st.sampled_from([0.3, 0.4, 1.0]),
            "threshold_restoration": st.sampled_from([0.0, 0.25]),
            "waste_stops_fire": st.booleans(),
        }
    ),
    seed=st.integers(0, 2**32),
)
def test_whatever_happens_in_cleanup(
    data: Any, n: int, shared: dict[str, Any], own: dict[str, Any], seed: int
) -> None:
    map_ = data.draw(maps("@HHRRSBBP ", "RB", n))
    play(Cleanup(CleanupParams(num_agents=n, map=map_, **shared, **own)), seed, steps=25)


@PLAYS
@given(
    data=st.data(),
    n=st.integers(1, 6),
    shared=st.fixed_dictionaries(SHARED),
    own=st.fixed_dictionaries({f"regrowth_{k}": fraction() for k in (1, 2, 3)}),
    seed=st.integers(0, 2**32),
)
def test_whatever_happens_in_harvest(
    data: Any, n: int, shared: dict[str, Any], own: dict[str, Any], seed: int
) -> None:
    map_ = data.draw(maps("@AAAP  ", "A", n))
    play(Harvest(HarvestParams(num_agents=n, map=map_, **shared, **own)), seed, steps=25)
