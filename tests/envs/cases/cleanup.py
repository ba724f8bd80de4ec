"""Cleanup: what the tests must be told of it."""

from __future__ import annotations

from grid_boards import beams_and_views, state_lines

from cases import Case, Reached, Trace

DITCH = "PPPP\nHRHR\nRSRS\nBBBB\nPPBB"

# As published: https://github.com/011235813/lio, lio/alg/config_ssd_lio.py.
LIO_7 = {
    "num_agents": 2,
    "map": "cleanup_lio7",
    "apple_probability": 0.5,
    "threshold_depletion": 0.6,
    "turns": False,
    "start": "fixed",
}
LIO_10 = LIO_7 | {"map": "cleanup_lio10", "apple_probability": 0.3, "threshold_depletion": 0.4}

CASE = Case(
    traces=(
        Trace(
            "a short river beside its orchard, cut short",
            {
                "num_agents": 3,
                "map": "@@@@@@@@@\n@HR PBBB@\n@RH PBBB@\n@RRPSBBB@\n@@@@@@@@@",
                "horizon": 14,
                "apple_probability": 0.3,
            },
            seed=226,
            steps=15,
        ),
        Trace(
            "the older profile: beams through everything, waste from the top, shared cells",
            {
                "num_agents": 2,
                "map": "@@@@@@@@@\n@HR PBBB@\n@HH PBBB@\n@@@@@@@@@",
                "profile": "features",
                "obs_mode": "features",
                "waste_mode": "once",
                "horizon": 14,
                "apple_probability": 0.3,
            },
            seed=119,
            steps=15,
        ),
        Trace(
            "fire: waste and agents end a lane, whoever comes first cleans a way for the others",
            {
                "num_agents": 3,
                "map": "@@@@@@@@@\n@HR PBBB@\n@RH PBBB@\n@RRPSBBB@\n@@@@@@@@@",
                "horizon": 14,
                "apple_probability": 0.3,
                "fire": True,
            },
            seed=180,
            steps=15,
        ),
        Trace(
            "the map around the agent, turned with it",
            {
                "num_agents": 2,
                "map": "@@@@@@@\n@HRPBB@\n@RHPBB@\n@@@@@@@",
                "horizon": 14,
                "apple_probability": 0.3,
                "fire": True,
                "obs_mode": "centred_turned",
            },
            seed=101,
            steps=15,
        ),
    ),
    state=state_lines,
    variants=(
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
        *beams_and_views(num_agents=6, map=DITCH),
        {"fire": True, "waste_stops_fire": False, "num_agents": 6, "map": DITCH},
        {"obs_mode": "centred", "num_agents": 5, "map": "cleanup_full", "fire": True},
        {"weights": "0.1 0 2.7 1 0.3 1.1", "num_agents": 6, "map": DITCH, "fire": True},
        LIO_7,
        LIO_10 | {"num_agents": 3, "obs_mode": "centred"},
    ),
    crowded={"num_agents": 3, "map": "PPPP \nHRHRR\nRSRSR\nBBBBB"},
    drawn=None,  # test_maps.py draws maps
    largest=(
        {"num_agents": 64, "map": ("P" * 32 + "BHBR" * 8 + "\n") * 64},
        {"num_agents": 130, "map": ("P" * 12 + "BHBR\n") * 12, "move_frame": "abs"},
        {"num_agents": 90, "map": ("P" * 8 + "BHR\n") * 12, "profile": "features"},
        {
            "num_agents": 70,
            "map": ("P" * 7 + "BHR\n") * 10,
            "obs_mode": "features",
            "graph": "radius",
            "neigh_radius": 2,
        },
        {
            "num_agents": 70,
            "map": ("P" * 7 + "BHR\n") * 10,
            "obs_mode": "centred_turned",
            "fire": True,
        },
        {
            "num_agents": 70,
            "map": ("P" * 7 + "BHR\n") * 10,
            "profile": "features",
            "fire": True,
        },
    ),
    short={
        "horizon": 17,
        "map": "cleanup_full",
        "num_agents": 10,
        "threshold_depletion": 0.9,
    },
    roomy={"map": ("P" * 13 + "BHR\n") * 5},
    legend=("agent", "apple", "waste", "orchard", "river", "wall", "floor", "clean beam"),
    reached=(
        Reached("first_apple", "selfish", 0.0, 0.0),
        Reached("first_apple", "cooperative", 1.0, 1.0),
    ),
)
