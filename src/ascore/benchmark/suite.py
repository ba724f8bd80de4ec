"""The groups of benchmark cases, and a function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ascore.benchmark import environments, estimates, learning, others, updates
from ascore.benchmark.machine import describe_machine
from ascore.benchmark.timing import FULL, Differs, Effort, Measure, Missing, Result

GROUPS: dict[str, Callable[[], list[tuple[str, Measure]]]] = {
    "twin": environments.twin_cases,
    "bound": environments.yardstick_cases,
    "threads": environments.thread_cases,
    "call": environments.call_cases,
    "variants": environments.variant_cases,
    "gae": estimates.cases,
    "update": updates.cases,
    "loss": learning.loss_cases,
    "networks": learning.network_cases,
    "training": learning.training_cases,
    "others": others.cases,
}
"""By group: its cases, each a name and a function that measures it."""


LONGEST = (
    "networks, 4096 rows",
    "products",
    "training, cleanup, 2 agents x 16 envs, (1024, 256)",
)
"""Cases that a quick look leaves out, unless their group is asked for."""


@dataclass(frozen=True)
class Case:
    """A case to measure."""

    group: str
    name: str
    measure: Measure


@dataclass(frozen=True)
class Skipped:
    """A case that was not measured, or whose results differ from its baseline's."""

    group: str
    name: str
    reason: str


@dataclass
class BenchResults:
    """Results of all cases.

    Attributes:
        machine: see `describe_machine`.
        quick: whether the measurement was short and rough.
        results: results in the order of measurement.
        skipped: cases that could not be measured here, with reasons.
        differing: cases whose results differ from their baselines'.
    """

    machine: dict[str, Any]
    quick: bool
    results: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    differing: list[Skipped] = field(default_factory=list)

    @property
    def missed(self) -> list[Result]:
        """Results below their bar."""
        return [result for result in self.results if result.met is False]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "machine": self.machine,
            "quick": self.quick,
            "results": [result.to_dict() for result in self.results],
            "skipped": [vars(case) for case in self.skipped],
            "differing": [vars(case) for case in self.differing],
        }


def cases(groups: Sequence[str]) -> list[Case]:
    """All cases of these groups, in the order of `GROUPS`.

    Raises:
        ValueError: a group is unknown; the message lists the known ones.
    """
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        message = f"no benchmark group {unknown[0]!r}; choose from: {', '.join(GROUPS)}"
        raise ValueError(message)
    return [
        Case(group, name, measure)
        for group, listed in GROUPS.items()
        if group in groups
        for name, measure in listed()
    ]


def run(
    chosen: Sequence[Case],
    effort: Effort = FULL,
    report: Callable[[int, int, Case], None] = lambda *_: None,
) -> BenchResults:
    """Measures cases one after the other.

    Args:
        chosen: cases from `cases`.
        effort: how long to measure.
        report: called with (number, total, case) before each case.
    """
    bench = BenchResults(describe_machine(), effort.quick)
    for number, case in enumerate(chosen, 1):
        report(number, len(chosen), case)
        try:
            bench.results += case.measure(effort)
        except Missing as reason:
            entry = Skipped(case.group, case.name, str(reason))
            if entry not in bench.skipped:
                bench.skipped.append(entry)
        except Differs as error:
            bench.differing.append(Skipped(case.group, case.name, str(error)))
    return bench
