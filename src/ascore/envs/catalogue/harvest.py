"""Harvest: apples regrow only near other apples, so eating the last ones costs all agents."""

from __future__ import annotations

from typing import Any

from ascore.envs.record import UNIFORM, Anchor, Environment, Measure

_DEFAULTS = {
    "num_agents": 2,
    "map": "harvest_top",
    "profile": "ssd",
    "move_frame": "profile",
    "turns": True,
    "start": "random",
    "horizon": 100,
    "regrowth_1": 0.005,
    "regrowth_2": 0.02,
    "regrowth_3": 0.05,
    "fire": False,
}
_GREEDY = "all walk to the nearest apple, measured"
_HALF = "apples with fewer than two others around are spared until half-time, measured"
_SPARING = "the apples that others grow from are eaten last, measured"


def _anchors(
    random: tuple[float, float],
    selfish: tuple[float, float],
    restraint: tuple[float, float] | None = None,
    cooperative: tuple[float, float] | None = None,
    **given: Any,
) -> tuple[Anchor, ...]:
    figures = {
        "random": (random, UNIFORM),
        "selfish": (selfish, _GREEDY),
        "restraint": (restraint, _HALF),
        "cooperative": (cooperative, _SPARING),
    }
    return tuple(
        Anchor(label, figure[0], 0.0, _DEFAULTS | given, source, figure[1])
        for label, (figure, source) in figures.items()
        if figure is not None
    )


RECORD = Environment(
    name="harvest-v1",
    summary="apples regrow only near others, so eating the last ones costs all (7x38 grid)",
    shows={
        "agents": "i32 [N, 2], cells (row, column), row 0 at the top",
        "orientation": "i32 [N], 0 up, then clockwise",
        "walls": "u8 [H, W], 1 where there is a wall",
        "apples": "u8 [H, W], 1 where there is an apple",
        "orchard": "u8 [H, W], 1 where apples can grow",
    },
    anchors=(
        *_anchors((13.99, 0.07), (60.04, 0.05), (74.93, 0.12), (80.42, 0.13)),
        *_anchors((25.82, 0.09), (59.55, 0.04), (80.54, 0.11), (94.88, 0.13), num_agents=4),
        *_anchors((43.79, 0.09), (59.02, 0.04), (74.96, 0.10), (90.39, 0.13), num_agents=8),
        *_anchors((14.49, 0.09), (116.27, 0.18), map="harvest_full"),
        *_anchors((-70.7, 4.1), (60.04, 0.05), (74.93, 0.12), (80.42, 0.13), fire=True),
    ),
    twin="ascore.reference.harvest:Harvest",
    scripted="ascore.scripted.harvest",
    scene="ascore.render.scenes.grid:GridScene",
    deeds={
        "eaten": "apples that the agent ate",
        "hit": "beams of fire that hit it; only with fire",
    },
    measures={
        "sustainability": Measure("eaten", "mean_step"),
        "peace": Measure("hit", "steps_without"),
    },
    milestones={"apples_gone": lambda held: not held["apples"].any()},
)
