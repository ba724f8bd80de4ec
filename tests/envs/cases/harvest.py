"""Harvest: what the tests must be told of it."""

from __future__ import annotations

from grid_boards import beams_and_views, state_lines

from cases import Case, Reached, Trace

CROWD = "PPPP\nPPPP\nAAAA\nA AA"

CASE = Case(
    traces=(
        Trace(
            "a small orchard, cut short",
            {
                "num_agents": 3,
                "map": "@@@@@@@@\n@PAAA P@\n@ AAA P@\n@@@@@@@@",
                "horizon": 14,
                "regrowth_1": 0.1,
                "regrowth_2": 0.3,
                "regrowth_3": 0.5,
                "graph": "radius",
            },
            seed=0,
            steps=15,
        ),
        Trace(
            "the older profile: moves on the map, apples grow one after the other",
            {
                "num_agents": 2,
                "map": "PAAA \n AAAP",
                "profile": "features",
                "obs_mode": "features",
                "horizon": 14,
                "regrowth_1": 0.1,
                "regrowth_2": 0.3,
                "regrowth_3": 0.5,
            },
            seed=0,
            steps=15,
        ),
        Trace(
            "fire: who is hit by two beams pays twice, and nobody is hit behind somebody else",
            {
                "num_agents": 3,
                "map": "@@@@@@@@\n@PAAA P@\n@ AAA P@\n@@@@@@@@",
                "horizon": 14,
                "regrowth_1": 0.1,
                "regrowth_2": 0.3,
                "regrowth_3": 0.5,
                "fire": True,
            },
            seed=25,
            steps=15,
        ),
        Trace(
            "the map around the agent, which does not turn",
            {
                "num_agents": 2,
                "map": "PAAA \n AAAP",
                "horizon": 14,
                "regrowth_1": 0.1,
                "regrowth_2": 0.3,
                "regrowth_3": 0.5,
                "turns": False,
                "start": "fixed",
                "fire": True,
                "obs_mode": "centred",
            },
            seed=84,
            steps=15,
        ),
    ),
    state=state_lines,
    variants=(
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
        {
            "graph": "radius",
            "neigh_radius": 0,
            "profile": "features",
            "num_agents": 8,
            "map": CROWD,
        },
        {"graph": "radius", "neigh_radius": 2, "neigh_metric": "manhattan", "num_agents": 8},
        {"regrowth_1": 0.0, "regrowth_2": 1.0, "regrowth_3": 1 / 3},
        *beams_and_views(num_agents=8, map=CROWD),
        {"obs_mode": "centred_turned", "num_agents": 7, "map": "harvest_full", "fire": True},
    ),
    crowded={"num_agents": 3, "map": "PPPPP\nPPPPA\nAAAAA\nAA  A"},
    drawn=None,  # test_maps.py draws maps
    largest=(
        {"num_agents": 64, "map": ("P" * 16 + "A" * 16 + " " * 32 + "\n") * 64},
        {"num_agents": 150, "map": ("P" * 13 + "AAA\n") * 12, "move_frame": "abs"},
        {"num_agents": 90, "map": ("P" * 8 + "AAA\n") * 12, "profile": "features"},
        {
            "num_agents": 70,
            "map": ("P" * 7 + "AA\n") * 10,
            "obs_mode": "local",
            "graph": "radius",
            "neigh_radius": 2,
        },
        {"num_agents": 70, "map": ("P" * 7 + "AA\n") * 10, "obs_mode": "centred", "fire": True},
        {
            "num_agents": 70,
            "map": ("P" * 7 + "AA\n") * 10,
            "profile": "features",
            "fire": True,
        },
    ),
    short={"horizon": 17, "num_agents": 5},
    roomy={"map": ("P" * 13 + "AAA\n") * 5},
    legend=("agent", "apple", "orchard", "wall", "floor"),
    reached=(
        Reached("apples_gone", "selfish", 0.9, 1.0),
        Reached("apples_gone", "random", 0.0, 0.0),
    ),
)
