"""Speed of an update: stacked networks in both layouts against one module per network in PyTorch.

pytest benches --benchmark-only
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ascore.benchmark.packages import one_torch_thread
from ascore.benchmark.updates import (
    UPDATES,
    iterations,
    prepared,
    reference,
    require_equal_weights,
    stand_still,
)


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("kind", ["reference", "separate", "multihead"])
def test_update(benchmark: Any, name: str, kind: str) -> None:
    benchmark.group = f"update-{name}"
    env, num_envs, params = UPDATES[name]
    layout = "multihead" if kind == "multihead" else "separate"
    with one_torch_thread():
        learner, rows = prepared(env, layout, num_envs, **params)
        fast = iterations(learner, rows)
        if kind == "multihead":  # another network, so results are not compared
            stand_still(learner)
            benchmark(fast)
            assert torch.isfinite(learner.actor.net.flat).all()
            return
        # Both kinds start with equal weights and must end with equal weights, whichever is timed.
        agents, slow = reference(learner, rows)
        fast()
        slow()
        require_equal_weights(name, learner.actor.net.flat, agents.rows()[0])
        stand_still(learner, agents)
        benchmark(slow if kind == "reference" else fast)
