"""Cleanup: apples grow only while some agent cleans the river, which earns nothing."""

from __future__ import annotations

from typing import Any

from ascore.envs.record import UNIFORM, Anchor, Environment, Measure

_DEFAULTS = {
    "num_agents": 2,
    "map": "cleanup_top",
    "profile": "ssd",
    "move_frame": "profile",
    "turns": True,
    "start": "random",
    "waste_mode": "scan",
    "horizon": 100,
    "threshold_depletion": 0.4,
    "threshold_restoration": 0.0,
    "apple_probability": 0.05,
    "waste_probability": 0.5,
    "beam_length": 5,
    "fire": False,
    "weights": "equal",
}
# As published: https://github.com/011235813/lio, lio/env/maps.py and lio/alg/config_ssd_lio.py.
_LIO = {"horizon": 50, "turns": False, "start": "fixed"}
_LIO_7 = _LIO | {"map": "cleanup_lio7", "apple_probability": 0.5, "threshold_depletion": 0.6}
_LIO_10 = _LIO | {"map": "cleanup_lio10", "apple_probability": 0.3}
_NOBODY_CLEANS = "exact: no agent cleans, and nothing grows beside so dirty a river"
_CLEANERS = "all clean for 12 steps, then half of them (ssd) or one (features), measured"


def _anchors(
    random: tuple[float, float], cooperative: tuple[float, float], **given: Any
) -> tuple[Anchor, ...]:
    params = _DEFAULTS | given
    return (
        Anchor("random", random[0], 0.0, params, UNIFORM, random[1]),
        Anchor("selfish", 0.0, 0.0, params, _NOBODY_CLEANS),
        Anchor("cooperative", cooperative[0], 0.0, params, _CLEANERS, cooperative[1]),
    )


RECORD = Environment(
    name="cleanup-v1",
    summary="apples grow only while some agent cleans the river, which earns nothing (11x18 grid)",
    shows={
        "agents": "i32 [N, 2], cells (row, column), row 0 at the top",
        "orientation": "i32 [N], 0 up, then clockwise",
        "walls": "u8 [H, W], 1 where there is a wall",
        "apples": "u8 [H, W], 1 where there is an apple",
        "orchard": "u8 [H, W], 1 where apples can grow",
        "waste": "u8 [H, W], 1 where there is waste",
        "river": "u8 [H, W], 1 where waste can lie",
        "stream": "u8 [H, W], 1 where the water is always clean",
    },
    anchors=(
        *_anchors((0.061, 0.002), (55.10, 0.10)),
        *_anchors((0.126, 0.003), (65.70, 0.08), waste_mode="once"),
        *_anchors((0.265, 0.005), (69.62, 0.08), profile="features"),
        *_anchors((0.345, 0.005), (103.74, 0.13), map="cleanup_mid", num_agents=4),
        *_anchors(
            (1.754, 0.015),
            (129.75, 0.21),
            map="cleanup_mid",
            num_agents=4,
            profile="features",
        ),
        *_anchors((-158.7, 4.2), (55.10, 0.10), fire=True),
        *_anchors((0.0568, 0.0041), (82.67, 0.19), weights="0.5 1.5"),
        *_anchors((1.35, 0.05), (32.38, 0.06), **_LIO_7),
        *_anchors((0.36, 0.03), (27.44, 0.06), **_LIO_10),
    ),
    twin="ascore.reference.cleanup:Cleanup",
    scripted="ascore.scripted.cleanup",
    scene="ascore.render.scenes.grid:GridScene",
    deeds={
        "eaten": "apples that the agent ate",
        "cleaned": "river cells that it rid of waste",
        "hit": "beams of fire that hit it; only with fire",
    },
    measures={
        "sustainability": Measure("eaten", "mean_step"),
        "peace": Measure("hit", "steps_without"),
    },
    milestones={"first_apple": lambda held: bool(held["apples"].any())},
    secret="ascore.privacy.games.cleanup:CleanupGame",
)
