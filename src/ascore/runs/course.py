"""The course of training: team returns of several runs at the same points.

n runs, P points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ascore.errors import RunError
from ascore.runs import fairness
from ascore.runs.groups import Group
from ascore.runs.run import Run
from ascore.runs.statistics import band

F64 = npt.NDArray[np.float64]
Quantity = Literal["episodes", "bytes"]
Measure = Literal["team_return", "lowest_return", "nash_welfare", "gini"]

SMOOTHING = 0.02  # width of the moving average as a share of a run's updates
POINTS = 200
FINAL_SHARE = 0.1  # of the updates, the last ones: their mean is the return at the end of training


@dataclass(frozen=True)
class Course:
    """Interquartile mean of the runs of a setting, with its 95% band.

    Attributes:
        label: of the setting.
        algorithm: name of the algorithm.
        n: number of runs.
        x: f64 [P], training episodes, or bytes sent by all agents; ascending.
        middle: f64 [P], team return per episode, or another measure of the agents' returns.
        low: f64 [P], lower end of the band; NaN for a single run.
        high: f64 [P], upper end.
        ends_early: whether some run goes on beyond the last point, where a shorter one ends.
    """

    label: str
    algorithm: str
    n: int
    x: F64
    middle: F64
    low: F64
    high: F64
    ends_early: bool = False

    @property
    def sends(self) -> bool:
        """Whether anything was sent, if `x` counts bytes."""
        return bool(self.x[-1] > 0)


def course(group: Group[Run], quantity: Quantity, measure: Measure = "team_return") -> Course:
    """The course of training of a setting, smoothed by a moving average over 2% of the updates.

    Where runs have different lengths, it ends with the shortest. Updates in which no episode ended
    have no return; the line passes over them.

    Args:
        group: runs in each of which an episode ended.
        quantity: what `x` counts.
        measure: what is drawn of the agents' smoothed returns.
    """
    lines = [_line(run, quantity, measure) for run in group.runs]
    last = min(x[-1] for x, _ in lines)
    x = common([x for x, _ in lines], POINTS, logarithmic=quantity == "bytes")
    values = np.array([np.interp(x, at, value) for at, value in lines])
    longest = max(at[-1] for at, _ in lines)
    middle, low, high = band(values)
    algorithm = group.config.algorithm
    n = len(lines)
    return Course(group.label, algorithm, n, x, middle, low, high, last < 0.95 * longest)


def _line(run: Run, quantity: Quantity, measure: Measure) -> tuple[F64, F64]:
    """Where the smoothed return of a run is known, and its values."""
    value = smoothed(team_returns(run)) if measure == "team_return" else shared_out(run, measure)
    if quantity == "episodes":
        x = np.array([record["episodes"] for record in run.metrics], dtype=np.float64)
    else:
        x = np.cumsum([float(sum(record["bytes_sent"])) for record in run.metrics])
    known = np.isfinite(value)
    return x[known], value[known]


def common(places: Sequence[F64], most: int, *, logarithmic: bool) -> F64:
    """Places that all runs have, or at most so many between the latest start and the first end."""
    first = places[0]
    if len(first) <= most and all(np.array_equal(first, other) for other in places):
        return first
    last = min(x[-1] for x in places)
    start = min(max(x[0] for x in places), last)
    if logarithmic and start > 0:
        return np.geomspace(start, last, most)
    return np.linspace(start, last, most)


def team_returns(run: Run) -> F64:
    """Team return of every update, f64 [updates]; NaN where no episode ended."""
    returns = [record["team_return"] for record in run.metrics]
    return np.array([np.nan if value is None else value for value in returns], dtype=np.float64)


def shared_out(run: Run, measure: Measure) -> F64:
    """A measure of the agents' smoothed returns at every update, f64 [updates]; NaN = unknown.

    Raises:
        RunError: the run knows only what all agents earn together, or there is none at any update.
    """
    if any(len(record["return"]) < len(record["bytes_sent"]) for record in run.metrics):
        message = (
            f"{measure} of {run.path} is unknown: {run.config.algorithm} records what all agents "
            "earn together; draw its team_return"
        )
        raise RunError(message)
    each = np.array([record["return"] for record in run.metrics], dtype=np.float64)
    means = np.stack([smoothed(agent) for agent in each.T], axis=1)
    known = np.isfinite(means).all(axis=1)
    value = np.full(len(means), np.nan)
    value[known] = fairness.measure(measure, means[known], run.config.env)
    if not np.isfinite(value).any():
        message = (
            f"{measure} of {run.path} is unknown throughout: an agent's return is negative, or all "
            "are 0; draw its lowest_return or nash_welfare"
        )
        raise RunError(message)
    return value


def final_return(run: Run) -> float:
    """Mean team return over the last tenth of the updates, as in summary.json; NaN = unknown.

    A run that has not finished counts as far as it has come.
    """
    returns = team_returns(run)
    tail = returns[-max(1, int(FINAL_SHARE * len(returns))) :]
    known = tail[np.isfinite(tail)]
    return float(known.mean()) if len(known) else float("nan")


def with_returns(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """The runs in which at least one episode ended, and the others."""
    drawn: list[Run] = []
    empty: list[Run] = []
    for run in runs:
        (drawn if np.isfinite(team_returns(run)).any() else empty).append(run)
    return drawn, empty


def width_of(updates: int) -> int:
    """Updates over which the moving average of a run of this length is taken."""
    return max(1, int(updates * SMOOTHING))


def smoothed(values: F64) -> F64:
    """Mean over the last few updates; those in which no episode ended do not count.

    Args:
        values: f64 [updates], NaN where no episode ended; they stay NaN.
    """
    width = width_of(len(values))
    known = np.isfinite(values)
    if not len(values):
        return values
    padded = np.concatenate([np.full(width - 1, values[0]), values])
    counted = np.isfinite(padded)
    ones = np.ones(width)
    total = np.convolve(np.where(counted, padded, 0.0), ones, mode="valid")
    count = np.convolve(counted, ones, mode="valid")
    mean: F64 = np.where(known, total / np.maximum(count, 1.0), np.nan)
    return mean
