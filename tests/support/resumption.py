"""Runs that are stopped and resumed, and the same runs undisturbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import ascore
from ascore.config import Config
from ascore.runs import checkpoint


def records(run: ascore.Run) -> list[dict[str, Any]]:
    """What a run has logged, but for the time that it took."""
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": 0} for line in lines]


def require_equal(one: ascore.Run, other: ascore.Run) -> None:
    """Two runs have learned and logged the same to the bit."""
    a, b = (checkpoint.load(run.path) for run in (one, other))
    assert a.arrays.keys() == b.arrays.keys()
    for key in a.arrays.keys() - {"env"}:  # pickled
        np.testing.assert_array_equal(a.arrays[key], b.arrays[key], err_msg=key)
    assert len(records(one)) > 6
    assert records(one) == records(other)


def require_resumed_equals_undisturbed(config: Config, folder: Path) -> ascore.Run:
    """Stops a run after four updates and resumes it; gives the one that went on undisturbed."""
    whole = ascore.train(config, folder / "whole")
    count = iter(range(100))
    parts = ascore.train(config, folder / "parts", stop=lambda: next(count) == 3)
    assert len(parts.metrics) == 4
    require_equal(ascore.resume(parts.path), whole)
    return whole
