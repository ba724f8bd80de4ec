"""C. Predation: predators on a line approach the prey together, or leave it to others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.record import Anchor, Environment
from ascore.envs.vec_env import VecEnv

_DEFAULTS = {
    "horizon": 30,
    "approach": "sign",
    "mixed": "literal",
    "length": 30.0,
    "step_length": 1.0,
    "weights": "equal",
}
_PRIVATE = _DEFAULTS | {"num_agents": 2, "weights": "0.5 1.25"}


def _bounds(batch: VecEnv) -> tuple[float, float]:
    furthest = batch.params["length"] * abs(batch.params["obs_scale"])
    return -furthest, furthest


def places(obs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each agent's place relative to the prey, [B, N]: left of it below 0.

    It is the entry with the agent's number of the view that all share, or the first of its own.
    """
    return obs[:, 0] if obs.shape[1] == 1 else obs[:, :, 0]


RECORD = Environment(
    name="predation-v1",
    summary="predators on a line approach the prey together, or leave it to others",
    shows={
        "agents": "f64 [N], positions on the line, 0 to its length",
        "prey": "f64 [1], position of the prey",
    },
    anchors=(
        Anchor("random", 0.0, -60.0, _DEFAULTS, "exact: -2 per agent and step"),
        Anchor("selfish", 0.0, -90.0, _DEFAULTS, "no agent approaches: -3 per agent and step"),
        Anchor("cooperative", 0.0, -30.0, _DEFAULTS, "all approach: -1 per agent and step"),
        # With five agents or more, the team return is highest if a single agent approaches.
        Anchor(
            "one approaches",
            -120.0,
            0.0,
            _DEFAULTS | {"num_agents": range(5, 65_537)},
            "one approaches for all: -4 per step",
        ),
        Anchor("random", -110.625, 0.0, _PRIVATE, "exact: a quarter of -5 x weight - 3 each"),
        Anchor("selfish", -180.0, 0.0, _PRIVATE, "no agent approaches: -3 per agent and step"),
        Anchor("cooperative", -52.5, 0.0, _PRIVATE, "all approach: -0.5 and -1.25 per step"),
    ),
    twin="ascore.reference.predation:Predation",
    scripted="ascore.scripted.predation",
    scene="ascore.render.scenes.line:PredationScene",
    bounds=_bounds,
    meanings={"towards": lambda obs: (places(obs) < 0).astype(np.int64)},  # 0 left, 1 right
    secret="ascore.privacy.games.predation:PredationGame",
)
