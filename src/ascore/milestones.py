"""Events an episode can be timed by: what a return alone does not tell, such as haste."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs import VecEnv

# What `VecEnv.inspect` shows of one environment -> whether the event has happened.
Event = Callable[[Mapping[str, npt.NDArray[Any]]], bool]

MILESTONES: dict[str, dict[str, Event]] = {
    "cleanup-v1": {"first_apple": lambda held: bool(held["apples"].any())},
    "harvest-v1": {"apples_gone": lambda held: not held["apples"].any()},
    "exchange-v1": {"boxes_open": lambda held: bool((held["food"] > 0).all())},
    "navigation-v1": {
        "landmarks_reached": lambda held: bool((held["agents"] == held["landmarks"]).all())
    },
    "predation-v1": {},
}
"""By environment: all boxes open, everybody on its own landmark at once, no apple left to grow
others, a first apple. C. Predation has none: every step there is like every other."""


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
        self._events = MILESTONES.get(env.spec.name, {})
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
