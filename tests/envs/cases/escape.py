"""Escape Room: what the tests must be told of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from cases import Case, Trace

PLACES = ("at the start", "at the lever", "at the door")


def state(trace: Trace, obs: NDArray[np.uint8]) -> Iterator[str]:
    """The first view is agent 0's, whose order is that of the agents."""
    for i, place in enumerate(obs.reshape(-1, 3).argmax(axis=1)):
        yield f"  agent {i} is {PLACES[place]}"


CASE = Case(
    traces=(
        Trace("five agents, three levers", {}, seed=4, steps=9),
        Trace(
            "whoever moves pays, from random places",
            {"num_agents": 3, "cost_rule": "move", "starts": "anywhere", "horizon": 3},
            seed=1,
            steps=8,
        ),
    ),
    state=state,
    variants=(
        {},
        {"num_agents": 2},
        {"num_agents": 2, "cost_rule": "move"},
        {"num_agents": 3, "starts": "anywhere", "horizon": 1},
        {"num_agents": 4, "needed": 1, "cost_rule": "move"},
        {"num_agents": 4, "needed": 3},
        {"cost_rule": "move", "starts": "anywhere"},
        {"num_agents": 12, "needed": 2},
        {"gain": 0.1, "cost": 0.7, "horizon": 9},
        {"gain": 0.3, "cost": 0.1, "cost_rule": "move"},
    ),
    crowded={"num_agents": 4, "starts": "anywhere", "gain": 0.3, "cost": 0.7},
    drawn=st.fixed_dictionaries(
        {
            "num_agents": st.integers(4, 8),
            "needed": st.integers(0, 3),
            "horizon": st.integers(1, 9),
            "gain": st.floats(0, 20),
            "cost": st.floats(0, 5),
            "cost_rule": st.sampled_from(["lever", "move"]),
            "starts": st.sampled_from(["start", "anywhere"]),
        }
    ),
    largest=(
        {"num_agents": 64},
        {"num_agents": 64, "needed": 63, "cost_rule": "move", "starts": "anywhere"},
    ),
    short={"horizon": 17},
    roomy={},
    legend=("agent", "lever", "door"),
    fewest=2,
    starts_alike=True,
)
