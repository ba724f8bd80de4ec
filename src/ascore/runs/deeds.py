"""What agents do that returns do not show: who eats, who cleans, who is hit, and when.

E episodes, N agents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.record import Measure
from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Deed:
    """One kind of deed over all episodes.

    Attributes:
        per_agent: how often per episode, mean of each agent.
        shares: of each agent in all that was done; NaN if it never was.
        mean_step: mean of the steps in which it was done, from 1; NaN likewise.
        steps_without: share of the agents' steps in which it was not done.
    """

    per_agent: list[float]
    shares: list[float]
    mean_step: float
    steps_without: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where there is none."""
        return {
            "per_agent": self.per_agent,
            "shares": None if np.isnan(self.mean_step) else self.shares,
            "mean_step": None if np.isnan(self.mean_step) else self.mean_step,
            "steps_without": self.steps_without,
        }


@dataclass
class Count:
    """Sums of one kind of deed.

    Attributes:
        done: f64 [N], how often each agent did it.
        steps: sum of the steps in which it was done, once for every time.
        with_it: steps of agents in which it was done.
    """

    done: F64
    steps: float = 0.0
    with_it: float = 0.0

    def add(self, done: npt.NDArray[np.int32], step: int) -> None:
        """Counts what was done, i32 [N], in a step, from 1."""
        self.done += done
        self.steps += step * float(done.sum())
        self.with_it += float(np.count_nonzero(done))


class Tally:
    """Counts the deeds of episodes while they are played.

    Args:
        env: B environments; those that tell nothing leave it empty.

    Attributes:
        counts: by kind of deed.
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        self.counts: dict[str, Count] = {}
        self.episodes = self.steps = 0

    def step(self, action: npt.NDArray[np.int32], running: npt.NDArray[np.bool_]) -> None:
        """Counts those of the coming step; call it before every step of the environments.

        Args:
            action: i32 [B, N], the actions of the coming step.
            running: bool [B], which environments count.
        """
        if not self._env.tells:
            return
        for index in np.flatnonzero(running):
            step = int(self._env.time[index]) + 1
            self.episodes += step == 1
            self.steps += 1
            for name, done in self._env.deeds(int(index), action).items():
                self.counts.setdefault(name, Count(np.zeros(len(done)))).add(done, step)

    def deeds(self) -> dict[str, Deed]:
        """All kinds of deeds, by name."""
        return {name: self._summary(count) for name, count in self.counts.items()}

    def _summary(self, count: Count) -> Deed:
        total = float(count.done.sum())
        n = len(count.done)
        return Deed(
            per_agent=(count.done / self.episodes).tolist(),
            shares=(count.done / total).tolist() if total else [float("nan")] * n,
            mean_step=count.steps / total if total else float("nan"),
            steps_without=1.0 - count.with_it / (self.steps * n),
        )


def measures_of(env: str) -> dict[str, Measure]:
    """The named measures of an environment; environments from outside the package have none."""
    return dict(ENVIRONMENTS[env].measures) if env in ENVIRONMENTS else {}


MEASURES = tuple(dict.fromkeys(name for env in ENVIRONMENTS.values() for name in env.measures))
"""Named measures of all environments."""


def measured(deeds: dict[str, Deed], env: str) -> dict[str, float | None]:
    """The named measures of deeds, such as sustainability; None where nothing was done.

    Those of deeds that cannot be done with the parameters of the environment are left out.
    """
    values = {
        name: getattr(deeds[measure.deed], measure.what)
        for name, measure in measures_of(env).items()
        if measure.deed in deeds
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}
