"""Private weights: what an event is worth to each agent, drawn from a prior that all know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ascore.config import Config
from ascore.envs.record import Environment
from ascore.envs.table import ENVIRONMENTS
from ascore.errors import ConfigError
from ascore.streams import STREAM_WEIGHTS, generator

F64 = npt.NDArray[np.float64]

PARAMETER = "weights"
"""The parameter of an environment that holds the weights; no observation depends on it."""


LARGEST = 1e6
"""Of a weight; environments take no larger one."""
CLOSEST = 1e-6
"""Least difference between the greatest weight and the least, in units of the greatest."""

GRID = 10_000
"""Weights are drawn from so many equally spaced numbers, so that they are short as text."""


@dataclass(frozen=True)
class Prior:
    """Every agent's weight is uniform between two numbers, independent of all others.

    Attributes:
        low: the least weight.
        high: the greatest one.

    Raises:
        ConfigError: they are not two numbers from 0 to LARGEST that can be told apart.
    """

    low: float = 0.8
    high: float = 1.2

    def __post_init__(self) -> None:
        apart = self.high - self.low >= CLOSEST * max(self.high, 1.0)
        if not (0 <= self.low < self.high <= LARGEST and apart):
            message = (
                f"low = {self.low:g} and high = {self.high:g} are no limits of weights; "
                f"choose two numbers from 0 to {LARGEST:g} that differ, the lower one first"
            )
            raise ConfigError(message)

    @property
    def mean(self) -> float:
        """Expected weight; with 1, every fixed policy is expected to earn what it earns without."""
        return (self.low + self.high) / 2

    @property
    def variance(self) -> float:
        """Of a weight."""
        return (self.high - self.low) ** 2 / 12

    def draw(self, seed: int, num_agents: int) -> F64:
        """Weights of a game, f64 [N]: agent i's depends on the seed and on i alone."""
        drawn = [generator(seed, STREAM_WEIGHTS, i).integers(GRID) for i in range(num_agents)]
        share = (np.array(drawn) + 0.5) / GRID
        return self.low + (self.high - self.low) * share


def record_of(config: Config) -> Environment:
    """The environment of a configuration, in which something can be private.

    Raises:
        ConfigError: there is nothing to hide in it.
    """
    record = ENVIRONMENTS.get(config.env)
    if record is None or not record.secret:
        able = ", ".join(name for name, each in ENVIRONMENTS.items() if each.secret)
        message = f"{config.env} has no private weights; choose from: {able}"
        raise ConfigError(message)
    return record


def with_weights(config: Config, weights: F64) -> Config:
    """The configuration of a game in which the agents have these weights."""
    text = " ".join(f"{weight:.10g}" for weight in weights)
    return config.replace(env_params={**config.env_params, PARAMETER: text})
