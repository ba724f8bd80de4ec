"""Whole updates of the stacked learner against a module per network in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import ascore
from ascore.config import Config
from ascore.learner import Learner, Rows
from ascore.reference.update import Agents, update
from ascore.rollout import Collector


def workload(env: str, actor: str, num_envs: int, **params: Any) -> tuple[Learner, Rows]:
    """A learner and the rows of one batch of whole episodes."""
    keys: dict[str, Any] = {
        "env": f"{env}-v1",
        "env_params": params,
        "num_envs": num_envs,
        "minibatches": 2,
        "actor": actor,
        "actor_lr": 1e-3,
        "critic_lr": 1e-3,
        "penalty_weight": 3.0,
    }
    config = Config.from_dict(keys)
    vec = ascore.make(config.env, config.num_envs, config.seed, **params)
    vec.reset()
    learner = Learner(config, vec.spec)
    rollout = Collector(vec, vec.spec.horizon).collect(learner.actor)
    return learner, learner._rows(rollout, learner.targets(rollout), 0, communicates=True)


def reference(learner: Learner, rows: Rows) -> tuple[Agents, Callable[[], None]]:
    """Reference agents with a separate learner's weights, and its K iterations as a call."""
    config, count = learner.config, rows.action.shape[0]
    agents = Agents(
        learner.spec.num_agents,
        learner.actor.net.sizes,
        learner.critic.net.sizes,
        config.actor_lr,
        config.critic_lr,
    )
    agents.load(learner.actor.net.flat.detach(), learner.critic.net.flat.detach())
    parts = [
        [part for part in learner._minibatches(count, 0, k) if part is not None]
        for k in range(config.iterations)
    ]

    def run() -> None:
        update(
            agents, rows.obs, rows.action, rows.advantage, rows.normalized_return, parts,
            penalty_weight=config.penalty_weight, clip_epsilon=config.clip_epsilon,
        )  # fmt: skip

    return agents, run


@pytest.mark.parametrize(("env", "params"), [("exchange", {}), ("predation", {"num_agents": 4})])
def test_an_update_equals_the_reference(env: str, params: dict[str, Any]) -> None:
    learner, rows = workload(env, "separate", 2, **params)
    start = learner.actor.net.flat.detach().clone()
    agents, run = reference(learner, rows)
    run()
    learner._iterations(rows, 0, {})
    actors, critics = agents.rows()
    moved = (learner.actor.net.flat - start).abs()
    assert moved.max() > 3e-3  # six Adam steps of 1e-3 each
    # Rounding is 1e-8 here. Adam divides by the root of the squared gradient, so a gradient that is
    # itself near rounding error can move its parameter by a visible part of a step.
    for ours, theirs in ((learner.actor.net.flat, actors), (learner.critic.net.flat, critics)):
        gap = (ours.detach() - theirs).abs()
        assert gap.mean() < 1e-7
        assert gap.max() < 1e-4
