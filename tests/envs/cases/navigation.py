"""C. Navigation: what the tests must be told of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ascore.reference.navigation import NavigationParams
from cases import Case, Reached, Trace


def state(trace: Trace, obs: NDArray[np.float32]) -> Iterator[str]:
    params = NavigationParams(**trace.params)
    nearest = params.obs_mode == "nearest"
    cells = np.rint(obs * (params.size - 1)).astype(int).reshape(-1, 2)
    if nearest or params.obs_order == "self_first":  # agent 0's: places and landmarks take turns
        cells = np.concatenate([cells[::2], cells[1::2]])
    agents, landmarks = np.split(cells, 2)
    for i, ((x, y), (to_x, to_y)) in enumerate(zip(agents, landmarks, strict=True)):
        who = f"nearest {i} to agent 0" if nearest and i > 0 else f"agent {i}"
        yield f"  {who}: column {x} row {y}, wants column {to_x} row {to_y}"


CASE = Case(
    traces=(
        Trace("the published rules, cut short", {"horizon": 9}, seed=306, steps=10),
        Trace(
            "landmarks stay over the episodes, agents block each other, each has a view of its own",
            {
                "size": 3,
                "metric": "l1",
                "dist_scale": 0.5,
                "block": True,
                "landmarks": "fixed",
                "obs_order": "self_first",
                "neigh_metric": "manhattan",
                "horizon": 5,
            },
            seed=5,
            steps=11,
        ),
        Trace(
            "each of five sees the two nearest to it",
            {"num_agents": 5, "size": 4, "obs_mode": "nearest", "horizon": 6},
            seed=8,
            steps=7,
        ),
    ),
    state=state,
    variants=(
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
        {"obs_mode": "nearest"},
        {"obs_mode": "nearest", "nearest": 1, "num_agents": 2, "size": 2},
        {
            "obs_mode": "nearest",
            "nearest": 5,
            "num_agents": 9,
            "size": 3,
            "obs_order": "self_first",
        },
        {"obs_mode": "nearest", "nearest": 3, "num_agents": 4, "size": 32},
    ),
    crowded={"size": 3, "horizon": 9},
    drawn=st.fixed_dictionaries(
        {
            "horizon": st.integers(1, 9),
            "num_agents": st.integers(2, 9),
            "size": st.integers(3, 6),
            "metric": st.sampled_from(["l2", "l1"]),
            "dist_scale": st.floats(0, 10),
            "collision": st.floats(0, 10),
            "block": st.booleans(),
            "landmarks": st.sampled_from(["per_episode", "fixed"]),
            "obs_order": st.sampled_from(["global", "self_first"]),
            "neigh_radius": st.integers(0, 3),
            "neigh_metric": st.sampled_from(["cheb", "manhattan"]),
            "obs_mode": st.sampled_from(["full", "nearest"]),
            "nearest": st.just(1),
        }
    ),
    largest=(
        {"num_agents": 64, "size": 32, "obs_order": "self_first"},
        {"num_agents": 64, "size": 8, "block": True, "landmarks": "fixed"},
        {"num_agents": 200, "size": 15, "neigh_radius": 3},
        {"num_agents": 144, "size": 12, "block": True, "neigh_metric": "manhattan"},
        {"num_agents": 65, "size": 32, "block": True, "obs_order": "self_first"},
        {"num_agents": 200, "size": 15, "obs_mode": "nearest", "nearest": 64},
        {"num_agents": 65, "size": 32, "obs_mode": "nearest", "nearest": 3},
    ),
    short={"horizon": 17, "landmarks": "fixed", "obs_order": "self_first"},
    roomy={"size": 8},
    legend=("agent", "landmark"),
    observed=({"obs_order": "self_first"}, {"num_agents": 6, "obs_mode": "nearest"}),
    reached=(
        Reached("landmarks_reached", "cooperative", 1.0, 1.0),
        Reached("landmarks_reached", "random", 0.0, 0.2),
    ),
)
