"""Whole updates of the learner against one module per network in plain PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from ascore.benchmark.updates import prepared, reference


@pytest.mark.parametrize("backend", ["torch", "kernel", "engine"])
@pytest.mark.parametrize(("env", "params"), [("exchange", {}), ("predation", {"num_agents": 4})])
def test_an_update_equals_the_reference(env: str, params: dict[str, Any], backend: str) -> None:
    learner, rows = prepared(env, "separate", 2, backend, **params)
    start = learner.actor.net.flat.detach().clone()
    agents, run = reference(learner, rows)
    run()
    learner.iterate(rows, 0)
    actors, critics = agents.rows()
    moved = (learner.actor.net.flat - start).abs()
    assert moved.max() > 3e-3  # six Adam steps of 1e-3 each
    # Rounding is 1e-8 here. Adam divides by the root of the squared gradient, so a gradient near
    # rounding error can move its parameter by a visible part of a step.
    for ours, theirs in ((learner.actor.net.flat, actors), (learner.critic.net.flat, critics)):
        gap = (ours.detach() - theirs).abs()
        assert gap.mean() < 5e-7
        assert gap.max() < (6e-3 if backend == "engine" else 1e-4)  # sums in another order
