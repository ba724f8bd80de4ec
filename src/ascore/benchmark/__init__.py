"""What `ascore bench` measures: every figure is a ratio to a baseline timed beside it.

Absolute times of a shared machine say little; two things timed in turns in one process share its
mood. Results that should be equal are found equal before anything is timed.

The baselines are slow twins and plain loops, so this is the one part of the package that may import
`ascore.reference`. Nothing but the command line imports this one, and only when asked to measure.
"""

from ascore.benchmark.suite import GROUPS, Case, Outcome, Skipped, cases, run
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
    "QUICK",
    "Case",
    "Differs",
    "Effort",
    "Missing",
    "Outcome",
    "Result",
    "Skipped",
    "Timing",
    "Work",
    "cases",
    "interleave",
    "run",
]
