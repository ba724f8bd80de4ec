"""Measurements of `ascore bench`: every figure is a ratio to a baseline timed alongside.

Absolute times on a shared machine say little, but two pieces of work timed alternately in one
process meet the same conditions. Results that should be equal are compared before the timing.

The baselines are slow twins and plain loops, so this is the only part of the package that may
import `ascore.reference`. Only the command line imports this part, and only to measure.
"""

from ascore.benchmark.suite import GROUPS, LONGEST, BenchResults, Case, Skipped, cases, run
from ascore.benchmark.timing import (
    FULL,
    QUICK,
    Differs,
    Effort,
    Missing,
    Result,
    Timing,
    Work,
    interleave,
)

__all__ = [
    "FULL",
    "GROUPS",
    "LONGEST",
    "QUICK",
    "BenchResults",
    "Case",
    "Differs",
    "Effort",
    "Missing",
    "Result",
    "Skipped",
    "Timing",
    "Work",
    "cases",
    "interleave",
    "run",
]
