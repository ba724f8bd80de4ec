"""Exchange: what the tests must be told of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ascore.reference.exchange import ExchangeParams
from cases import Case, Reached, Trace


def state(trace: Trace, obs: NDArray[np.float32]) -> Iterator[str]:
    params = ExchangeParams(**trace.params)
    size, n = params.size, params.num_agents
    flags = obs[4 * n :].tolist()
    names = [f"agent {i}" for i in range(n)] + [f"food {i}" for i in range(n)]
    for k, name in enumerate(names):
        x, y = obs[2 * k : 2 * k + 2].tolist()
        place = "eaten" if x < 0 else f"column {round(x * (size - 1))} row {round(y * (size - 1))}"
        if flags and k >= n:
            place += {0.0: ", closed", 0.5: ", open", 1.0: ", eaten"}[flags[k - n]]
        yield f"  {name}: {place}"


CASE = Case(
    traces=(
        Trace("the published rules, cut short", {"horizon": 14}, seed=126, steps=15),
        Trace(
            "owners pick up their food, agents block each other, the meal ends the episode",
            {
                "num_agents": 2,
                "size": 3,
                "food": "pickup",
                "eaten": "flag",
                "early_end": True,
                "collisions": "block",
                "neigh_metric": "manhattan",
            },
            seed=1154,
            steps=19,
        ),
    ),
    state=state,
    variants=(
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
        {"weights": "0.1 0 2.7", "gain": 0.7, "open_range": 1},
        {"weights": "0.3 1.1 0.7", "food": "pickup", "open_range": 1},
    ),
    crowded={"num_agents": 3, "size": 3, "open_range": 2},
    drawn=st.fixed_dictionaries(
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
    ),
    largest=(
        {"num_agents": 64, "size": 32, "collisions": "block", "neigh_radius": 9},
        {"num_agents": 64, "size": 8, "agents_on_boxes": True, "open_range": 1},
        {"num_agents": 200, "size": 20, "collisions": "block", "open_range": 2},
        {"num_agents": 150, "size": 20, "open_range": 12, "food": "pickup", "contest": "lowest"},
        {"num_agents": 100, "size": 12, "agents_on_boxes": True, "opener": "next", "open_range": 3},
    ),
    short={"horizon": 17, "early_end": True, "open_range": 1},
    roomy={"size": 12},
    legend=("agent", "closed box", "open", "eaten"),
    fewest=2,
    observed=(
        {"eaten": "flag", "open_range": 8, "food": "pickup"},
        {"open_range": 8, "early_end": True},
    ),
    reached=(
        Reached("boxes_open", "selfish", 0.0, 0.0),
        Reached("boxes_open", "cooperative", 0.9, 1.0),
    ),
)
