"""Speed of the loss and its gradient: the kernel against the objective in PyTorch.

Gradients are compared before the timing.
"""

from __future__ import annotations

from typing import Any

import pytest

from ascore.benchmark.learning import LOSSES, loss_gradients, require_equal_gradients
from ascore.benchmark.packages import one_torch_thread


@pytest.mark.parametrize("side", ["compiled", "objective in torch"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(benchmark: Any, name: str, side: str) -> None:
    benchmark.group = f"loss-{name}"
    with one_torch_thread():
        calls = loss_gradients(name)
        require_equal_gradients(name, calls)
        benchmark.pedantic(calls[side], rounds=10, warmup_rounds=1)
