"""Scripted policies, one for each anchor of an environment.

Each uses the observations of the environment (at their defaults) and its random numbers, so equal
seeds give equal games.
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
    """The scripted policies of an environment by the labels of its anchors.

    Args:
        name: name of the environment with its version.
    """
    record = ENVIRONMENTS[name]
    return {label: record.load_script(label) for label in record.labels}
