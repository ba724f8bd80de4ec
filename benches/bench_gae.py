"""Speed of generalised advantage estimates: compiled core, torch and Numba loops, plain Python.

All results are bit-identical, which is checked before the timing.
"""

from __future__ import annotations

from typing import Any

import pytest

from ascore.benchmark.estimates import BASELINES, Inputs, bits, compiled
from ascore.benchmark.packages import one_torch_thread

SIDES = {"compiled": compiled, **{name: build for name, (_, build, _) in BASELINES.items()}}
ROUNDS = {"compiled": 100, "Numba loop": 50, "torch loop": 10, "plain Python": 3}


@pytest.fixture(scope="module")
def task() -> Inputs:
    return Inputs.random()


@pytest.mark.benchmark(group="gae")
@pytest.mark.parametrize("side", SIDES)
def test_gae(benchmark: Any, task: Inputs, side: str) -> None:
    estimate = SIDES[side](task)
    with one_torch_thread():
        assert bits(estimate) == bits(compiled(task))
        benchmark.pedantic(estimate, rounds=ROUNDS[side], warmup_rounds=1)
