"""Who leaves before the end of an episode, and who comes after its beginning.

T steps, N agents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.loading import Layout
from ascore.interop.findings import Report
from ascore.interop.trial import Trace

Bools = npt.NDArray[np.bool_]

MOST = 6
"""Agents that are spoken of one by one."""


def attendance(result: Report, layout: Layout, trace: Trace) -> None:
    """Says of agents that were not there all the time when they came and when they left."""
    if trace.present.all():
        return
    steps = len(trace.present)
    episodes = list(_episodes(trace))
    parts = [
        part
        for i, agent in enumerate(layout.agents)
        if (part := _about(agent, [there[:, i] for there in episodes]))
    ]
    if parts:
        more = f"; {len(parts) - MOST} more likewise" if len(parts) > MOST else ""
        result.add(
            "agents",
            "good",
            f"{'; '.join(parts[:MOST])}{more} ({len(episodes)} episodes of random play); one that "
            "is not there learns nothing, hears nobody and is heard by nobody",
        )
    missing = [repr(layout.agents[i]) for i in np.flatnonzero(~trace.present.any(axis=0))]
    if missing:
        rest = f" and {len(missing) - MOST} more" if len(missing) > MOST else ""
        result.add(
            "agents",
            "advice",
            f"never there in {steps} random steps: {', '.join(missing[:MOST])}{rest}",
            "take those that never come out of possible_agents; for those that come late, none "
            "needed",
        )


def _episodes(trace: Trace) -> Iterator[Bools]:
    """Who was there before every step of an episode, [T of the episode, N]; the last may be cut."""
    first = 0
    for last in np.flatnonzero(trace.ended.any(axis=1)).tolist():
        yield trace.present[first : last + 1]
        first = last + 1
    if first < len(trace.present):
        yield trace.present[first:]


def _about(agent: Any, episodes: list[Bools]) -> str:
    """When an agent came and left, over the episodes it was not always there in; or nothing."""
    # Steps taken when it came or left; an episode that it joins again counts each time.
    came = [int(t) + 1 for there in episodes for t in np.flatnonzero(~there[:-1] & there[1:])]
    left = [int(t) + 1 for there in episodes for t in np.flatnonzero(there[:-1] & ~there[1:])]
    parts = [
        f"{verb} after {_span(times)}, {_times(len(times))}"
        for verb, times in (("came", came), ("left before the others", left))
        if times
    ]
    return f"{agent!r} {' and '.join(parts)}" if parts else ""


def _span(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    if low < high:
        return f"{low} to {high} steps"
    return "1 step" if low == 1 else f"{low} steps"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
