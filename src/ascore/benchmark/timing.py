"""Two pieces of work timed in turns, A B A B ..., and the ratio of their times."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from ascore.errors import AscoreError

Clock = Callable[[], float]
"""Seconds since some fixed moment."""

CPU: Clock = time.thread_time
"""Of the calling thread: what else runs on the machine does not count. For one-thread work."""
WALL: Clock = time.perf_counter
"""What a person waits for; the only fair one where threads share the work."""

NS = 1e9


class Differs(AscoreError):
    """What is to be timed does not compute what its baseline computes."""


class Missing(AscoreError):
    """A case cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        repeats: turns, of one sample each.
        seconds: length of a sample at least.
        twin_envs: environments in a batch that a Python twin steps as well.
        quick: a look rather than a measurement.
    """

    repeats: int
    seconds: float
    twin_envs: int
    quick: bool = False


FULL = Effort(repeats=9, seconds=0.05, twin_envs=1024)
QUICK = Effort(repeats=5, seconds=0.03, twin_envs=64, quick=True)


@dataclass(frozen=True)
class Work:
    """One call and how many units of work it does, such as environment steps."""

    call: Callable[[], object]
    units: float = 1.0


@dataclass(frozen=True)
class Timing:
    """Seconds per unit of both, one entry per turn."""

    candidate: tuple[float, ...]
    baseline: tuple[float, ...]

    def ratios(self) -> list[float]:
        """How many times faster the candidate is, turn by turn."""
        return [b / c for c, b in zip(self.candidate, self.baseline, strict=True)]


@dataclass(frozen=True)
class Result:
    """One line of the report.

    Attributes:
        group: see `GROUPS`.
        name: what is measured.
        baseline: what it is measured against.
        ratio: how many times faster than the baseline; median over the turns.
        spread: least and greatest ratio of a turn.
        unit: of the two times.
        candidate_ns: nanoseconds per unit, median.
        baseline_ns: the same of the baseline, per `unit` unless `note` says otherwise.
        bar: the least ratio that is promised, if one is.
        note: how to read the figures, where that is not plain.
    """

    group: str
    name: str
    baseline: str
    ratio: float
    spread: tuple[float, float]
    unit: str
    candidate_ns: float
    baseline_ns: float
    bar: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the bar; None without one."""
        return None if self.bar is None else self.ratio >= self.bar

    @classmethod
    def of(
        cls,
        timing: Timing,
        *,
        scale: float = 1.0,
        candidate_units: float = 1.0,
        ratios: Sequence[float] | None = None,
        **about: Any,
    ) -> Result:
        """Medians and spread of a timing.

        Args:
            timing: of both.
            scale: factor on the baseline's time, and so on the ratio.
            candidate_units: units of the timing in one of `about["unit"]`.
            ratios: one per turn, where they are not baseline * scale / candidate.
            about: the other fields.
        """
        factor = scale / candidate_units
        each = list(ratios) if ratios is not None else [r * factor for r in timing.ratios()]
        return cls(
            ratio=statistics.median(each),
            spread=(min(each), max(each)),
            candidate_ns=statistics.median(timing.candidate) * candidate_units * NS,
            baseline_ns=statistics.median(timing.baseline) * scale * NS,
            **about,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `bar` and `met` where a minimum is promised, `note` where there is one."""
        found: dict[str, Any] = {
            "group": self.group,
            "name": self.name,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "spread": list(self.spread),
        }
        if self.bar is not None:
            found |= {"bar": self.bar, "met": self.met}
        found |= {
            "unit": self.unit,
            "candidate_ns": self.candidate_ns,
            "baseline_ns": self.baseline_ns,
        }
        return found | ({"note": self.note} if self.note else {})


Measure = Callable[[Effort], list[Result]]
"""One case: what it takes is measured, and the lines of the report are returned."""


def sample(call: Callable[[], object], rounds: int, clock: Clock) -> float:
    """Seconds of `rounds` calls."""
    start = clock()
    for _ in repeat(None, rounds):
        call()
    return clock() - start


def calibrate(call: Callable[[], object], seconds: float, clock: Clock) -> int:
    """How many calls make a sample of at least so many seconds; warms up on the way."""
    rounds = 1
    while True:
        took = sample(call, rounds, clock)
        if took >= seconds:
            return rounds
        # Ten per cent more than it seems to need, and never more than tenfold: the first calls are
        # slower than the rest, and a clock may not have ticked at all.
        wanted = math.ceil(rounds * 1.1 * seconds / took) if took > 0 else rounds * 10
        rounds = min(max(wanted, rounds + 1), rounds * 10)


def interleave(candidate: Work, baseline: Work, effort: Effort, clock: Clock = CPU) -> Timing:
    """Times both in turns after calibration and one sample of each that does not count."""
    works = (candidate, baseline)
    rounds = [calibrate(work.call, effort.seconds, clock) for work in works]
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(-1, effort.repeats):
        for work, count, seconds in zip(works, rounds, taken, strict=True):
            took = sample(work.call, count, clock)
            if turn >= 0:
                seconds.append(took / (count * work.units))
    return Timing(tuple(taken[0]), tuple(taken[1]))
