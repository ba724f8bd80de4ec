"""C. Predation: predators on a line approach a prey together, or leave it to the others."""

from __future__ import annotations

import numpy as np

from ascore.envs.record import Anchor, Environment
from ascore.envs.vec_env import VecEnv

_DEFAULTS = {
    "horizon": 30,
    "approach": "sign",
    "mixed": "literal",
    "length": 30.0,
    "step_length": 1.0,
}


def _bounds(batch: VecEnv) -> tuple[float, float]:
    furthest = batch.params["length"] * abs(batch.params["obs_scale"])
    return -furthest, furthest


RECORD = Environment(
    name="predation-v1",
    summary="predators on a line approach a prey together, or leave it to the others",
    shows={
        "agents": "f64 [N], places on the line, 0 to its length",
        "prey": "f64 [1], its place",
    },
    anchors=(
        Anchor("random", 0.0, -60.0, _DEFAULTS, "exact: -2 per agent and step"),
        Anchor("selfish", 0.0, -90.0, _DEFAULTS, "nobody approaches: -3 per agent and step"),
        Anchor("cooperative", 0.0, -30.0, _DEFAULTS, "all approach: -1 per agent and step"),
        # From five agents on, the rules pay the team most for a single volunteer.
        Anchor(
            "one approaches",
            -120.0,
            0.0,
            _DEFAULTS | {"num_agents": range(5, 65)},
            "one approaches for all: -4 per step",
        ),
    ),
    twin="ascore.reference.predation:Predation",
    scripted="ascore.scripted.predation",
    scene="ascore.render.scenes.line:PredationScene",
    bounds=_bounds,
    # Agents see where they stand from the prey; 0 is left, 1 is right.
    meanings={"towards": lambda obs: (obs[:, 0] < 0).astype(np.int64)},
)
