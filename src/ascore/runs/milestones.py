"""Milestones: events whose time in an episode shows what a return hides, such as speed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ascore.envs.record import Event
from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv


def milestones(name: str) -> Mapping[str, Event]:
    """The events of an environment; environments from outside the package have none."""
    return ENVIRONMENTS[name].milestones if name in ENVIRONMENTS else {}


class Watch:
    """Records the step of an episode in which each milestone was first reached.

    Args:
        env: B environments, just reset.

    Attributes:
        first: per milestone i64 [B], the number of steps taken when it was reached; 0 = it held at
            the start, -1 = not reached yet.
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        self._events = milestones(env.spec.name)
        self.first = {name: np.full(env.num_envs, -1, dtype=np.int64) for name in self._events}
        self._look(np.ones(env.num_envs, dtype=np.bool_), None, 0)

    def step(self, action: npt.NDArray[np.int32], running: npt.NDArray[np.bool_]) -> None:
        """Checks the milestones of the coming step; call it before every step of the environments.

        Args:
            action: i32 [B, N], the actions of the coming step.
            running: bool [B], whether the first episode is still running.
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
            state = self._env.inspect(int(index), action)
            for name, event in self._events.items():
                if self.first[name][index] < 0 and event(state):
                    self.first[name][index] = step
