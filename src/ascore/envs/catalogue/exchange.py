"""Exchange: agents open boxes for each other at their own cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from ascore.envs.record import Anchor, Environment
from ascore.envs.vec_env import VecEnv

_DEFAULTS = {
    "num_agents": 3,
    "size": 5,
    "horizon": 300,
    "opener": "any",
    "open_range": 0,
    "food": "immediate",
    "cost": 5.0,
    "gain": 10.0,
    "time_cost": 0.01,
    "useless_open_cost": 0.0,
    "early_end": False,
    "time_cost_after": True,
    "agents_on_boxes": False,
    "collisions": "none",
    "weights": "equal",
}
_PRIVATE = _DEFAULTS | {"weights": "0.5 1.5 1.5"}


def _bounds(batch: VecEnv) -> tuple[Any, float]:
    low = np.zeros(batch.spec.obs_shape)
    if batch.params["eaten"] == "minus_one":  # the pairs of eaten food
        low[2 * batch.spec.num_agents :] = -1.0
    return low, 1.0


RECORD = Environment(
    name="exchange-v1",
    summary="agents open boxes for each other at their own cost (5x5 grid)",
    shows={
        "agents": "i32 [N, 2], cells (row, column), row 0 at the top",
        "boxes": "i32 [N, 2], cell of the box with agent i's food",
        "food": "i32 [N], agent i's food: 0 in a closed box, 1 in an open one, 2 eaten",
    },
    anchors=(
        Anchor("random", 4.84, 0.0, _DEFAULTS, "exact for uniform play, rounded", 0.005),
        Anchor("selfish", -9.0, 0.0, _DEFAULTS, "no agent opens a box: 3 x 300 x -0.01"),
        Anchor("cooperative", 6.0, 0.0, _DEFAULTS, "all boxes open: 3 x (10 - 5) - 9"),
        Anchor("random", 9.45, 0.0, _PRIVATE, "exact for uniform play, rounded", 0.005),
        Anchor("selfish", -9.0, 0.0, _PRIVATE, "no agent opens a box: 3 x 300 x -0.01"),
        Anchor("cooperative", 11.0, 0.0, _PRIVATE, "all boxes open: 5 + 15 + 15 - 3 x 5 - 9"),
    ),
    twin="ascore.reference.exchange:Exchange",
    scripted="ascore.scripted.exchange",
    scene="ascore.render.scenes.square:ExchangeScene",
    bounds=_bounds,
    milestones={"boxes_open": lambda held: bool((held["food"] > 0).all())},
    over=lambda held: bool((held["food"] == 2).all()),
    secret="ascore.privacy.games.exchange:ExchangeGame",
)
