"""C. Predation: what the tests must be told of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from cases import Case, Trace


def state(trace: Trace, obs: NDArray[np.float32]) -> Iterator[str]:
    scale = trace.params.get("obs_scale", 1 / 30)
    nearest = trace.params.get("obs_mode") == "nearest"
    for i, distance in enumerate(obs.tolist()):
        side = "right" if distance > 0 else "left"
        who = (
            f"predator {i}" if not nearest else f"nearest {i} to predator 0" if i else "predator 0"
        )
        yield f"  {who}: {abs(distance) / scale:.6f} to the {side} of the prey"


CASE = Case(
    traces=(
        Trace("three predators", {"num_agents": 3, "horizon": 10}, seed=0, steps=11),
        Trace(
            "rewards from pairs, approach by distance",
            {
                "num_agents": 4,
                "length": 4.0,
                "mixed": "pairwise",
                "approach": "distance",
                "obs_scale": 1.0,
                "horizon": 8,
            },
            seed=1,
            steps=9,
        ),
        Trace(
            "each of six sees the two nearest to it",
            {"num_agents": 6, "length": 3.0, "obs_mode": "nearest", "horizon": 8},
            seed=2,
            steps=9,
        ),
        Trace(
            "approaching costs two agents half and once and a half as much",
            {"num_agents": 2, "weights": "0.5 1.5", "horizon": 4},
            seed=3,
            steps=4,
        ),
    ),
    state=state,
    variants=(
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
        {"num_agents": 3, "obs_mode": "nearest"},
        {"num_agents": 2, "obs_mode": "nearest", "nearest": 1, "neigh_radius": 1.0},
        # Short lines: many agents wait at an end, on one place.
        {"num_agents": 20, "obs_mode": "nearest", "nearest": 7, "length": 2.0},
        {"num_agents": 64, "obs_mode": "nearest", "nearest": 63, "length": 5.0},
        {"num_agents": 3, "weights": "0.1 0 2.7"},
        {"num_agents": 4, "mixed": "pairwise", "weights": "0.1 0.3 1.1 2.7"},
    ),
    crowded={"num_agents": 3},
    drawn=st.fixed_dictionaries(
        {
            "horizon": st.integers(1, 9),
            "num_agents": st.integers(2, 9),
            "length": st.floats(0.5, 40),
            "step_length": st.floats(0.1, 5),
            "approach": st.sampled_from(["sign", "distance"]),
            "mixed": st.sampled_from(["literal", "pairwise"]),
            "obs_scale": st.floats(0.01, 2),
            "neigh_radius": st.floats(0, 1),
            "obs_mode": st.sampled_from(["full", "nearest"]),
            "nearest": st.just(1),
        }
    ),
    largest=(
        {"num_agents": 64, "mixed": "pairwise"},
        {"num_agents": 65},
        {"num_agents": 200, "obs_mode": "nearest", "nearest": 3, "approach": "distance"},
        {"num_agents": 100, "obs_mode": "nearest", "nearest": 64, "length": 4.0},
    ),
    short={"horizon": 17},
    roomy={},
    legend=("predator", "prey"),
    observed=(
        {"num_agents": 2, "obs_scale": 0.7, "length": 3.3, "horizon": 40},
        {"num_agents": 4, "obs_mode": "nearest", "nearest": 3, "obs_scale": 0.7, "horizon": 40},
    ),
)
