"""Sorts runs into chapters, which share environment and anchors, and those into settings.

N agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ascore.config import Config
from ascore.envs.factory import anchor_values, batch, is_external
from ascore.report.sources import Reading
from ascore.report.values import mean
from ascore.runs import fairness
from ascore.runs.groups import by_environment, grouped, once
from ascore.runs.statistics import Estimate, estimate


@dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed alone.

    Attributes:
        code: short name in the charts: A, B, ...
        label: algorithm and what tells the setting from the others, as in pictures.
        readings: its runs.
    """

    code: str
    label: str
    readings: list[Reading]

    @property
    def config(self) -> Config:
        """Configuration of its first run."""
        return self.readings[0].config

    @property
    def begun(self) -> list[Reading]:
        """Runs with at least one update, each run once."""
        return [r for r in self.readings if r.updates and r.status != "repeated"]

    @property
    def drawn(self) -> list[Reading]:
        """The finished runs; if there are none, those that have begun."""
        finished = [reading for reading in self.begun if reading.status == "finished"]
        return finished or self.begun

    @property
    def evaluated(self) -> bool:
        """Whether its final returns are those of evaluation episodes."""
        return bool(self.drawn) and all(reading.final.episodes for reading in self.drawn)

    @property
    def returns(self) -> list[float]:
        """Final team returns of the drawn runs that have one."""
        values = [reading.final.team_return for reading in self.drawn]
        return [value for value in values if value == value]

    @property
    def team_return(self) -> Estimate | None:
        """Interquartile mean over runs with its interval, as the tables of sweeps have it."""
        return estimate([self.returns]) if self.returns else None


@dataclass(frozen=True)
class Chapter:
    """An environment with its parameters.

    Attributes:
        env: its name.
        params: what was set of its parameters.
        horizon: steps of an episode; 0 = unknown.
        anchors: (label, team return) of the known policies for these parameters.
        settings: the settings trained on it.
    """

    env: str
    params: dict[str, Any]
    horizon: int
    anchors: list[tuple[str, float]]
    settings: list[Setting] = field(default_factory=list)


def chapters(readings: Sequence[Reading]) -> list[Chapter]:
    """All runs, by chapter and setting, in the order in which they were given."""
    sorted_out = []
    for members in by_environment(_marked(readings)):
        config = members[0].config
        horizon, anchors = known(config.env, repr(config.env_params), config)
        settings = [
            Setting(code(k), group.label, list(group.runs))
            for k, group in enumerate(grouped(members))
        ]
        horizon = horizon or config.horizon
        sorted_out.append(Chapter(config.env, config.env_params, horizon, anchors, settings))
    return sorted_out


def _marked(readings: Sequence[Reading]) -> list[Reading]:
    """The same; of runs that differ in nothing, all but the one that is furthest are repeated."""
    _, repeats = once(sorted(readings, key=lambda reading: -reading.updates))
    problems = {
        id(reading): f"it is the same run as {first.entry.name}, which counts"
        for reading, first in repeats
    }
    return [
        replace(reading, status="repeated", problem=problems[id(reading)])
        if id(reading) in problems
        else reading
        for reading in readings
    ]


_known: dict[tuple[str, str], tuple[int, list[tuple[str, float]]]] = {}


def known(env: str, params: str, config: Config) -> tuple[int, list[tuple[str, float]]]:
    """Horizon and anchors of a built-in environment; (0, []) for any other.

    Kept for a page that is served, which asks again and again.
    """
    if is_external(env):
        return 0, []
    if (env, params) not in _known:
        try:
            with batch(env, config.env_params) as made:
                _known[env, params] = made.spec.horizon, anchor_values(env, config.env_params)
        except (ValueError, TypeError, MemoryError):  # of another version, or somebody's joke
            _known[env, params] = 0, []
    return _known[env, params]


def code(index: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    text = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        text = chr(ord("A") + letter) + text
    return text


def spread(reading: Reading) -> tuple[float, float, float]:
    """Lowest return of an agent, the highest less the lowest, and the Gini coefficient.

    The coefficient is NaN where an agent's return is negative, or all are zero: it compares
    shares of a whole.
    """
    returns = [value for value in reading.final.agent_return if value == value]
    if not returns:
        return (float("nan"),) * 3
    low = min(returns)
    return low, max(returns) - low, float(fairness.gini(returns))


def agent_means(setting: Setting) -> list[float]:
    """Final return of each agent, mean over the drawn runs."""
    rows = [reading.final.agent_return for reading in setting.drawn]
    count = max(map(len, rows), default=0)
    return [mean([row[k] for row in rows if k < len(row)]) for k in range(count)]
