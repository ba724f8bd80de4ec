"""Numbers from files that may come from anybody: what is no number becomes NaN.

U updates, N agents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

MOST_AGENTS = 64
"""Agents of a run that the page shows; the others are counted."""

_LARGEST = 1e150
"""Larger values count as none: their squares would not be finite."""


def number(value: Any) -> float:
    """A finite number as a float; NaN for anything else."""
    if type(value) is int:
        return float(value) if abs(value) < _LARGEST else math.nan
    if type(value) is float and abs(value) < _LARGEST:
        return value
    return math.nan


def per_agent(value: Any) -> list[float]:
    """A list of numbers, at most MOST_AGENTS long; [] for anything else."""
    if not isinstance(value, list):
        return []
    return [number(entry) for entry in value[:MOST_AGENTS]]


def mean(values: Sequence[float] | F64) -> float:
    """Mean of the finite values; NaN if there are none."""
    kept = [value for value in values if math.isfinite(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan


def course(records: Sequence[Mapping[str, Any]], key: str) -> F64:
    """A metric of every update, f64 [U]: that of the team, or the mean over agents."""
    values = []
    for record in records:
        value = record.get(key)
        values.append(mean(per_agent(value)) if isinstance(value, list) else number(value))
    return np.array(values, dtype=np.float64)


def courses(records: Sequence[Mapping[str, Any]], key: str) -> F64:
    """A metric of every update and agent, f64 [U, N]; NaN where a record has no such agent."""
    rows = [per_agent(record.get(key)) for record in records]
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for row, entries in zip(table, rows, strict=True):
        row[: len(entries)] = entries
    return table


def tail(values: F64, share: float) -> F64:
    """The last share of the updates, at least one."""
    return values[len(values) - max(1, int(share * len(values))) :]
