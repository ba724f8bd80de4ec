"""Speed of collection and learning: `ascore train`, its PyTorch backend, and plain PyTorch with one
module per network.

The first two must have the same weights after an update. The third has other networks and samples
other actions, so its results are not compared.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ascore.benchmark.learning import TRAININGS, ours, plain
from ascore.benchmark.packages import one_torch_thread

SAME = 1e-4
"""Allowed mean difference of weights after an update, relative to their mean change; another order
of summation gives about 1e-5."""


@pytest.mark.parametrize("side", ["ascore train", "torch", "module per network"])
@pytest.mark.parametrize("name", TRAININGS)
def test_training(benchmark: Any, name: str, side: str) -> None:
    benchmark.group = f"training-{name}"
    keys, _ = TRAININGS[name]
    with one_torch_thread():
        update, learner = ours(keys)
        steps = learner.spec.horizon * learner.config.num_envs
        benchmark.extra_info["env_steps_per_round"] = steps
        if side == "module per network":
            update, agents = plain(learner)
            benchmark.pedantic(update, rounds=3, warmup_rounds=1)
            assert all(torch.isfinite(weights).all() for weights in agents.rows())
            return
        other, same = ours({**keys, "backend": "torch"})
        before = learner.actor.net.flat.detach().clone()
        update()
        other()
        moved, difference = (
            (learner.actor.net.flat.detach() - x.detach()).abs().mean()
            for x in (before, same.actor.net.flat)
        )
        assert difference < SAME * moved
        benchmark.pedantic(update if side == "ascore train" else other, rounds=3, warmup_rounds=1)
