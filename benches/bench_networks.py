"""Speed of an update's iterations with eight agents: compiled, heads per peer and networks per peer
in PyTorch, and one module per network.

Sides with equal weights must have equal weights after the same iterations; this is checked before
the timing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ascore.benchmark.learning import NETWORKS, network_updates
from ascore.benchmark.packages import one_torch_thread


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda size: f"{size}-rows")
def updates(request: pytest.FixtureRequest) -> tuple[int, dict[str, Callable[[], Any]]]:
    with one_torch_thread():
        return request.param, network_updates(NETWORKS[request.param])[0]


@pytest.mark.parametrize(
    "side", ["compiled", "heads in torch", "separate in torch", "module per network"]
)
def test_networks(
    benchmark: Any, updates: tuple[int, dict[str, Callable[[], Any]]], side: str
) -> None:
    size, calls = updates
    benchmark.group = f"networks-{size}-rows"
    with one_torch_thread():
        benchmark.pedantic(calls[side], rounds=5, warmup_rounds=1)
