"""Events an episode can be timed by: what a return alone does not tell, such as haste."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ascore.envs.record import Event
from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv


def milestones(name: str) -> Mapping[str, Event]:
    """The events of an environment; other people's environments have none."""
    return ENVIRONMENTS[name].milestones if name in ENVIRONMENTS else {}


class Watch:
    """Notes in which step of an episode each milestone was first reached.

    Args:
        env: B environments, just reset.

    Attributes:
        first: by milestone i64 [B], steps taken when it was reached (0: from the beginning on),
            -1 = not yet.
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        self._events = milestones(env.spec.name)
        self.first = {name: np.full(env.num_envs, -1, dtype=np.int64) for name in self._events}
        self._look(np.ones(env.num_envs, dtype=np.bool_), None, 0)

    def step(self, action: npt.NDArray[np.int32], running: npt.NDArray[np.bool_]) -> None:
        """Looks where a step will lead; call it before every step of the environments.

        Args:
            action: i32 [B, N], about to be taken.
            running: bool [B], whether the first episode still goes on.
        """
        if self._events and running.any():
            self._look(running, action, int(self._env.time[running][0]) + 1)

    def _look(
        self, where: npt.NDArray[np.bool_], action: npt.NDArray[np.int32] | None, step: int
    ) -> None:
        pending = np.zeros_like(where)
        for first in self.first.values():
            pending |= first < 0
        for index in np.flatnonzero(where & pending):
            held = self._env.inspect(int(index), action)
            for name, happened in self._events.items():
                if self.first[name][index] < 0 and happened(held):
                    self.first[name][index] = step
