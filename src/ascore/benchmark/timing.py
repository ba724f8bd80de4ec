"""Times two pieces of work alternately, A B A B ..., and computes the ratio of their times."""

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
"""Gives seconds since a fixed moment."""

CPU: Clock = time.thread_time
"""CPU time of the calling thread, for one-thread work; other load on the machine does not count."""
WALL: Clock = time.perf_counter
"""Elapsed time, the only fair clock when several threads share the work."""

NS = 1e9


class Differs(AscoreError):
    """The results of a candidate differ from those of its baseline."""


class Missing(AscoreError):
    """A case cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        repeats: number of turns, with one sample each.
        seconds: minimum length of a sample.
        twin_envs: environments in a batch that is compared with a Python twin.
        quick: whether the measurement is short and rough.
        most_seconds: after which no further turn begins, once there is one.
    """

    repeats: int
    seconds: float
    twin_envs: int
    quick: bool = False
    most_seconds: float = math.inf


FULL = Effort(repeats=9, seconds=0.05, twin_envs=1024)
QUICK = Effort(repeats=5, seconds=0.03, twin_envs=64, quick=True, most_seconds=1.0)


@dataclass(frozen=True)
class Work:
    """A call and the number of units of work it does, such as environment steps."""

    call: Callable[[], object]
    units: float = 1.0


@dataclass(frozen=True)
class Timing:
    """Seconds per unit of candidate and baseline, one entry per turn."""

    candidate: tuple[float, ...]
    baseline: tuple[float, ...]

    def beyond(self, allowed_ns: float) -> Timing:
        """What the candidate takes beyond the baseline, against so many allowed nanoseconds."""
        tiny = 1e-12  # one that seems cheaper than its baseline has negligible overhead
        pairs = zip(self.candidate, self.baseline, strict=True)
        overhead = tuple(max(c - b, tiny) for c, b in pairs)
        return Timing(overhead, (allowed_ns / NS,) * len(overhead))

    def ratios(self) -> list[float]:
        """How many times faster the candidate is, turn by turn."""
        return [b / c for c, b in zip(self.candidate, self.baseline, strict=True)]


@dataclass(frozen=True)
class Result:
    """One line of the report.

    Attributes:
        group: see `GROUPS`.
        name: name of the case.
        baseline: name of the baseline.
        ratio: how many times faster than the baseline, median over the turns.
        spread: minimum and maximum ratio over the turns.
        unit: unit of work of the two times.
        candidate_ns: nanoseconds per unit, median.
        baseline_ns: the same for the baseline, per `unit` unless `note` says otherwise.
        bar: the promised minimum ratio, if any.
        note: how to read the figures, if that is not obvious.
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
            timing: times of candidate and baseline.
            scale: factor on the baseline's time, and so on the ratio.
            candidate_units: number of timed units in one `about["unit"]`.
            ratios: one ratio per turn; None = baseline * scale / candidate_units / candidate.
            about: the other fields.
        """
        factor = scale / candidate_units
        all_ratios = list(ratios) if ratios is not None else [r * factor for r in timing.ratios()]
        return cls(
            ratio=statistics.median(all_ratios),
            spread=(min(all_ratios), max(all_ratios)),
            candidate_ns=statistics.median(timing.candidate) * candidate_units * NS,
            baseline_ns=statistics.median(timing.baseline) * scale * NS,
            **about,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `bar` and `met` only with a bar, `note` only if it is not empty."""
        values: dict[str, Any] = {
            "group": self.group,
            "name": self.name,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "spread": list(self.spread),
        }
        if self.bar is not None:
            values |= {"bar": self.bar, "met": self.met}
        values |= {
            "unit": self.unit,
            "candidate_ns": self.candidate_ns,
            "baseline_ns": self.baseline_ns,
        }
        return values | ({"note": self.note} if self.note else {})


Measure = Callable[[Effort], list[Result]]
"""Measures one case and returns its lines of the report."""


def sample(call: Callable[[], object], rounds: int, clock: Clock) -> float:
    """Seconds taken by `rounds` calls."""
    start = clock()
    for _ in repeat(None, rounds):
        call()
    return clock() - start


def calibrate(call: Callable[[], object], seconds: float, clock: Clock) -> int:
    """Number of calls that make a sample of at least `seconds`; also warms up."""
    rounds = 1
    while True:
        seconds_taken = sample(call, rounds, clock)
        if seconds_taken >= seconds:
            return rounds
        # Ten per cent more than estimated, but at most tenfold: the first calls are slower than the
        # rest, and the clock may not have ticked at all.
        wanted = (
            math.ceil(rounds * 1.1 * seconds / seconds_taken) if seconds_taken > 0 else rounds * 10
        )
        rounds = min(max(wanted, rounds + 1), rounds * 10)


def interleave(candidate: Work, baseline: Work, effort: Effort, clock: Clock = CPU) -> Timing:
    """Times both alternately, after calibration and one discarded sample of each.

    Work that takes as long as all turns may is not warmed up by more than the calibration.
    """
    works, start = (candidate, baseline), time.perf_counter()
    rounds = [calibrate(work.call, effort.seconds, clock) for work in works]
    samples: tuple[list[float], list[float]] = ([], [])
    warm = time.perf_counter() - start > effort.most_seconds
    for turn in range(0 if warm else -1, effort.repeats):
        if turn > 0 and time.perf_counter() - start > effort.most_seconds:
            break
        for work, count, seconds in zip(works, rounds, samples, strict=True):
            seconds_taken = sample(work.call, count, clock)
            if turn >= 0:
                seconds.append(seconds_taken / (count * work.units))
    return Timing(tuple(samples[0]), tuple(samples[1]))
