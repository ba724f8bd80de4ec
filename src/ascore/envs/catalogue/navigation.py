"""C. Navigation: agents walk to their own landmarks without collisions."""

from __future__ import annotations

from ascore.envs.record import Anchor, Environment

_DEFAULTS = {
    "num_agents": 3,
    "size": 5,
    "horizon": 100,
    "metric": "l2",
    "dist_scale": 1.0,
    "collision": 1.0,
    "block": False,
    "landmarks": "per_episode",
}

RECORD = Environment(
    name="navigation-v1",
    summary="agents walk to their own landmarks without collisions (5x5 grid)",
    shows={
        "agents": "i32 [N, 2], cells (row, column), row 0 at the top",
        "landmarks": "i32 [N, 2], cell of agent i's landmark",
    },
    anchors=(
        Anchor("random", -788.07, 0.0, _DEFAULTS, "exact for uniform play, rounded", 0.005),
        Anchor(
            "selfish",
            -12.59,
            0.0,
            _DEFAULTS,
            "each walks straight to its landmark, despite collisions: exact, rounded",
            0.005,
        ),
        Anchor(
            "cooperative",
            -11.88,
            0.0,
            _DEFAULTS,
            "the best joint plan, with collisions avoided: exact, rounded",
            0.005,
        ),
    ),
    twin="ascore.reference.navigation:Navigation",
    scripted="ascore.scripted.navigation",
    scene="ascore.render.scenes.square:NavigationScene",
    bounds=lambda batch: (0.0, 1.0),
    milestones={
        "landmarks_reached": lambda held: bool((held["agents"] == held["landmarks"]).all())
    },
)
