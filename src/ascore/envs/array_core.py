"""Attributes of a batch that is written in Python and keeps its arrays itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ascore._core import CoreVecEnv
else:
    CoreVecEnv = object  # for types only: compiled and Python cores share an interface, not code


class ArrayCore(CoreVecEnv):
    """What a compiled batch offers as properties is an attribute of these."""

    num_envs: int
    num_threads: int
    num_agents: int
    num_actions: int
    obs_size: int
    views: int
    horizon: int
    params: dict[str, Any]
    action_names: tuple[str, ...]
    obs: npt.NDArray[Any]
    final_obs: npt.NDArray[Any]
    reward: npt.NDArray[np.float32]
    neighbours: npt.NDArray[np.uint8]
    terminated: npt.NDArray[np.uint8]
    truncated: npt.NDArray[np.uint8]
    episode: npt.NDArray[np.uint64]
    time: npt.NDArray[np.int32]

    def keep_neighbours(self) -> None:
        """Does nothing: neighbours are always kept."""
