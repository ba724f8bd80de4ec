"""Whole trainings by both compiled backends against those by PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from trainings import BACKENDS, session, train

from ascore.algorithms.table import ALGORITHMS
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.backends.kernel import KernelBackend
from ascore.learning.backends.pytorch import PyTorchBackend

torch.set_num_threads(1)

KINDS = {"torch": PyTorchBackend, "kernel": KernelBackend, "engine": EngineBackend}
# Numba's losses leave the networks to PyTorch, so that fewer sums are in another order.
MEAN = {"kernel": 1e-6, "engine": 1e-4}
LARGEST = {"kernel": 1e-4, "engine": 5e-3}


@pytest.mark.parametrize("algorithm", [n for n, a in ALGORITHMS.items() if a.compiled is not None])
@pytest.mark.parametrize("layout", ["multihead", "separate"])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"update_order": "sequential", "ratio_reference": "iteration", "entropy_bonus": 0.01},
        {"graph": "environment", "max_grad_norm": 0.5, "communicate_every": 3},
    ],
    ids=["plain", "sequential", "environment"],
)
def test_eight_updates_are_those_of_pytorch(algorithm: str, layout: str, keys: dict[str, Any]):
    """Rounding of 1e-7 grows, because Adam turns that of small gradients into parts of a step.

    8 x 2 x 3 steps of 1e-3 move a parameter by at most 0.048.
    """
    rates = {"actor_lr": 1e-3, "critic_lr": 1e-3, "minibatches": 3, "iterations": 2}
    keys = {"algorithm": algorithm, "actor": layout, **rates, **keys}
    runs = {backend: train(8, backend=backend, **keys) for backend in BACKENDS}
    assert {backend: type(learner.backend) for backend, (learner, _) in runs.items()} == KINDS
    start, _ = session(**keys)
    slow, records = runs.pop("torch")
    for name, (fast, others) in runs.items():
        assert records[-1].keys() == others[-1].keys()
        for net in ("actor", "critic"):
            a, b, begun = (getattr(learner, net).net.flat for learner in (slow, fast, start))
            assert (a - begun).abs().mean() > 3e-3
            assert (a - b).abs().mean() < MEAN[name]
            assert (a - b).abs().max() < LARGEST[name]
        for key in ("policy_loss", "value_loss", "entropy", "bytes_sent", "team_return"):
            np.testing.assert_allclose(others[-1][key], records[-1][key], rtol=2e-2, atol=2e-3)
