"""Plays the scripted policies and compares their returns with the table of anchors."""

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
# With this few episodes, random play in Cleanup earns nothing in all of them once in several
# hundred times, which tests nothing; with fewer episodes that happens more often.
FEWEST_EPISODES = 100
BATCH = 500
# A row disagrees if measured and stated return differ by more than 3.29 standard errors of both.
# A correct row does so with probability 1/1000, so 3% of correct tables of thirty rows have one.
Z999 = 3.290527
# Rewards are float32: the error of 900 of them, rounded by at most 2**-21 each, is smaller.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Measured:
    """An anchor and the measured return of its policy.

    Attributes:
        env: name of the environment.
        label: label of the anchor.
        given: parameters that differ from the defaults.
        stated: team return in the table.
        error: half width of the 95% interval of the stated return.
        source: origin of the stated return.
        team_return: the measured return.
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
    """One callable per anchor of these environments; calling it measures the anchor.

    Args:
        names: full names of environments.
        episodes: episodes per anchor, at least FEWEST_EPISODES.
        seed: seed of the environments; equal seeds give equal results.

    Raises:
        ValueError: there are too few episodes.
    """
    if episodes < FEWEST_EPISODES:
        message = (
            f"episodes = {episodes} is too few for a comparison; use at least {FEWEST_EPISODES}"
        )
        raise ValueError(message)
    return [
        partial(measure, name, anchor, episodes, seed)
        for name in names
        for anchor in ENVIRONMENTS[name].anchors
    ]


def measure(name: str, anchor: Anchor, episodes: int, seed: int = 0) -> Measured:
    """Plays whole episodes with the policy of an anchor, with the parameters that it requires."""
    given = anchor.unmet(make(name).params)
    num_agents = make(name, **given).spec.num_agents
    returns = team_returns(name, scripts(name)[anchor.label], episodes, seed, **given)
    mean = float(returns.mean())
    error = float(returns.std(ddof=1) / math.sqrt(episodes))
    stated = anchor.team_return(num_agents)
    tolerance = Z999 * math.hypot(error, anchor.error / Z95) + ROUNDING
    return Measured(
        env=name,
        label=anchor.label,
        given=given,
        stated=stated,
        error=anchor.error,
        source=anchor.source,
        team_return=Interval(mean, (mean - Z95 * error, mean + Z95 * error), episodes),
        agrees=abs(mean - stated) <= tolerance,
    )


def team_returns(
    name: str, script: Script, episodes: int, seed: int = 0, **params: Any
) -> npt.NDArray[np.float64]:
    """Team returns f64 [episodes] of a scripted policy, each episode in a separate environment.

    `evaluate` plays in the same environments, so its returns can be compared with these.
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
