"""Plays the scripted policies and holds the table of anchors against what they earn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.factory import make
from ascore.envs.record import Anchor
from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv
from ascore.runs.evaluation import Z95, Interval
from ascore.scripted import Script, scripts
from ascore.streams import FIRST_EVALUATION_ENV

EPISODES = 500
# So few episodes of Cleanup at random all earn nothing once in some hundred times, and tell
# nothing; fewer would do so more often.
FEWEST_EPISODES = 100
BATCH = 500
# A row is off when measured and stated differ by more than 3.29 standard errors of both: of thirty
# rows that are right, one in 1,000 each, 3% of all tables show one that is off by chance.
Z999 = 3.290527
# Rewards are single precision: 900 of them, rounded by at most 2**-21 each, are off by less.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Measured:
    """An anchor and what its policy earned.

    Attributes:
        env: name of the environment.
        label: of the anchor.
        given: parameters that differ from the defaults.
        stated: team return in the table.
        error: half width of what is stated, 95%.
        source: how the stated figure is known.
        team_return: as measured.
        agrees: whether the two differ by no more than chance allows.
    """

    env: str
    label: str
    given: dict[str, Any]
    stated: float
    error: float
    source: str
    team_return: Interval
    agrees: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        values["team_return"]["ci95"] = list(self.team_return.ci95)
        return values


def recompute(
    names: list[str], episodes: int = EPISODES, seed: int = 0
) -> list[Callable[[], Measured]]:
    """One call per anchor of these environments, to be made when its turn has come.

    Args:
        names: full names of environments.
        episodes: how many of each anchor, at least FEWEST_EPISODES.
        seed: of the environments; the same gives the same figures.

    Raises:
        ValueError: too few episodes.
    """
    if episodes < FEWEST_EPISODES:
        message = f"episodes = {episodes} is too few to tell; take at least {FEWEST_EPISODES}"
        raise ValueError(message)
    return [
        partial(measure, name, anchor, episodes, seed)
        for name in names
        for anchor in ENVIRONMENTS[name].anchors
    ]


def measure(name: str, anchor: Anchor, episodes: int, seed: int = 0) -> Measured:
    """Plays whole episodes with the policy of an anchor, under the parameters it is given for."""
    given = anchor.unmet(make(name).params)
    num_agents = make(name, **given).spec.num_agents
    returns = team_returns(name, scripts(name)[anchor.label], episodes, seed, **given)
    mean = float(returns.mean())
    error = float(returns.std(ddof=1) / math.sqrt(episodes))
    stated = anchor.team_return(num_agents)
    apart = Z999 * math.hypot(error, anchor.error / Z95) + ROUNDING
    return Measured(
        env=name,
        label=anchor.label,
        given=given,
        stated=stated,
        error=anchor.error,
        source=anchor.source,
        team_return=Interval(mean, (mean - Z95 * error, mean + Z95 * error), episodes),
        agrees=abs(mean - stated) <= apart,
    )


def team_returns(
    name: str, script: Script, episodes: int, seed: int = 0, **params: Any
) -> npt.NDArray[np.float64]:
    """Team returns f64 [episodes] of a scripted policy, each in an environment of its own.

    The environments are those that `evaluate` plays in, so figures can be held against each other.
    """
    parts = []
    for first in range(0, episodes, BATCH):
        env = make(
            name,
            num_envs=min(BATCH, episodes - first),
            seed=seed,
            first_env=FIRST_EVALUATION_ENV + first,
            **params,
        )
        parts.append(play(env, script))
    return np.concatenate(parts)


def play(env: VecEnv, script: Script) -> npt.NDArray[np.float64]:
    """Team returns f64 [B] of the next episode of each environment."""
    env.reset()
    running = np.ones(env.num_envs, np.bool_)
    total = np.zeros(env.num_envs)
    while running.any():
        env.step(script(env))
        total[running] += env.reward[running].sum(axis=1, dtype=np.float64)
        running &= ~(env.terminated | env.truncated)
    return total
