"""What the tests of every environment must be told of each: one module each, with a `CASE`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from numpy.typing import NDArray

from ascore.envs.table import ENVIRONMENTS

Params = dict[str, Any]
HERE = Path(__file__).parent


class Trace(NamedTuple):
    """An episode or two of random play, kept in `tests/envs/golden`."""

    title: str
    params: Params
    seed: int
    steps: int


class Reached(NamedTuple):
    """How often a scripted policy reaches a milestone: least and most, as shares of episodes."""

    event: str
    script: str
    low: float
    high: float


@dataclass(frozen=True)
class Case:
    """One environment, for the tests.

    Attributes:
        traces: of seeds under which the random actions soon show the rules.
        state: a trace and the first view's observations -> lines that tell the state.
        variants: parameters for parity with the twin: every value that a choice can take besides
            its default, sizes at their limits, and constants that doubles cannot hold exactly, so
            that another order of additions would show.
        crowded: parameters under which every variant makes a difference; no variant may repeat
            what they say.
        drawn: any parameters at once; None where a test of its own draws them.
        largest: the largest worlds.
        short: short episodes that keep something from one to the next, if anything does. No two of
            256 may start alike, unless all do: an environment of few starts needs a larger world.
        roomy: parameters under which any number of agents fits, up to `most`.
        legend: what the legend of a picture must name.
        fewest: the least number of agents.
        most: the largest number of agents.
        starts_alike: every episode starts from the same state, nothing is drawn for it.
        sees_horizon: observations depend on the horizon, such as the share of time that is left.
        observed: parameters that change the bounds of what is observed.
        reached: of every milestone.
    """

    traces: tuple[Trace, ...]
    state: Callable[[Trace, NDArray[Any]], Iterator[str]]
    variants: tuple[Params, ...]
    crowded: Params
    drawn: st.SearchStrategy[Params] | None
    largest: tuple[Params, ...]
    short: Params
    roomy: Params
    legend: tuple[str, ...]
    fewest: int = 1
    most: int = 64
    starts_alike: bool = False
    sees_horizon: bool = False
    observed: tuple[Params, ...] = ()
    reached: tuple[Reached, ...] = ()


def case(name: str) -> Case:
    """The case of an environment.

    Raises:
        LookupError: nobody has written one; names the file.
    """
    module = name.removesuffix("-v1").replace("-", "_")
    file = HERE / f"{module}.py"
    if not file.is_file():
        message = (
            f"{name} has no case for the tests; write tests/envs/cases/{module}.py, "
            "CONTRIBUTING.md says what is in it"
        )
        raise LookupError(message)
    record: Case = importlib.import_module(f"cases.{module}").CASE
    return record


def every(of: Callable[[Case], Any]) -> list[tuple[str, Any]]:
    """(environment, entry) for all entries of one kind, such as `lambda case: case.variants`."""
    return [(name, entry) for name in ENVIRONMENTS for entry in of(case(name))]
