"""Policies written by hand, one for each anchor of an environment.

Each plays with what the environment shows (at its default observations) and with its own random
numbers, so the same seed plays the same game.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ascore.envs import VecEnv
from ascore.scripted import cleanup, exchange, harvest, navigation, predation
from ascore.scripted.uniform import uniformly_random

# An environment of B times N agents, reset or stepped -> actions i32 [B, N] for its state.
Script = Callable[[VecEnv], npt.NDArray[np.int32]]

SCRIPTS: dict[str, dict[str, Script]] = {
    "cleanup-v1": {
        "random": uniformly_random,
        "selfish": cleanup.selfish,
        "cooperative": cleanup.cooperative,
    },
    "harvest-v1": {
        "random": uniformly_random,
        "selfish": harvest.selfish,
        "restraint": harvest.restraint,
        "cooperative": harvest.cooperative,
    },
    "exchange-v1": {
        "random": uniformly_random,
        "selfish": exchange.selfish,
        "cooperative": exchange.cooperative,
    },
    "predation-v1": {
        "random": uniformly_random,
        "selfish": predation.selfish,
        "one approaches": predation.one_approaches,
        "cooperative": predation.cooperative,
    },
    "navigation-v1": {
        "random": uniformly_random,
        "selfish": navigation.selfish,
        "cooperative": navigation.cooperative,
    },
}
