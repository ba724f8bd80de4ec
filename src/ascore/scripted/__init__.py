"""Policies written by hand, one for each anchor of an environment.

Each plays with what the environment shows (at its default observations) and with its own random
numbers, so the same seed plays the same game.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv

# An environment of B times N agents, reset or stepped -> actions i32 [B, N] for its state.
Script = Callable[[VecEnv], npt.NDArray[np.int32]]


def scripts(name: str) -> dict[str, Script]:
    """The policies of an environment by the labels of its anchors.

    Args:
        name: of the environment, with its version.
    """
    record = ENVIRONMENTS[name]
    return {label: record.load_script(label) for label in record.labels}
