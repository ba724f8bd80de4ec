"""One update: stacked learner, both layouts, against a module per network in pure PyTorch.

pytest benches --benchmark-only
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_reference_update import reference, workload

WORKLOADS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "exchange-1": ("exchange", 1, {}),
    "predation-8x16": ("predation", 16, {"num_agents": 8}),
}


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("kind", ["reference", "separate", "multihead"])
def test_update(benchmark: Any, name: str, kind: str) -> None:
    benchmark.group = f"update-{name}"
    torch.set_num_threads(1)
    env, num_envs, params = WORKLOADS[name]
    layout = "multihead" if kind == "multihead" else "separate"
    learner, rows = workload(env, layout, num_envs, **params)
    if kind == "multihead":  # another network: nothing to be equal to
        benchmark(lambda: learner._iterations(rows, 0, {}))
        assert torch.isfinite(learner.actor.net.flat).all()
        return
    # Both kinds start alike and must end alike, whichever is timed afterwards.
    agents, slow = reference(learner, rows)
    learner._iterations(rows, 0, {})
    slow()
    gap = (learner.actor.net.flat.detach() - agents.rows()[0]).abs()
    assert gap.max() < 1e-4  # see tests/test_reference_update.py
    benchmark(slow if kind == "reference" else lambda: learner._iterations(rows, 0, {}))
