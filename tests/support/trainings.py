"""Small trainings that several test files share."""

from __future__ import annotations

from typing import Any

from ascore.algorithms.table import ALGORITHMS
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector

SMALL: dict[str, Any] = {
    "env": "predation-v1",
    "env_params": {"num_agents": 4},
    "num_envs": 3,
    "actor_lr": 1e-2,
    "critic_lr": 1e-2,
    "actor_hidden": (12, 8),
    "critic_hidden": (12, 8),
    "minibatches": 1,
    "iterations": 1,
    "seed": 5,
}

BACKENDS = ("torch", "kernel", "engine")
TRAINED = [
    (name, backend)
    for name, algorithm in ALGORITHMS.items()
    for backend in (BACKENDS if algorithm.compiled is not None else BACKENDS[:1])
]
"""Every algorithm with every backend that can train it; without a compiled loss, PyTorch alone."""


def session(**changes: Any) -> tuple[Learner, Collector]:
    config = Config(**{**SMALL, **changes})
    outside = batch(config.env, config.env_params, config.num_envs, config.seed)
    learner = Learner(config, outside.spec)
    env = learner.algorithm.view.env(outside)
    env.reset()
    return learner, Collector(env, env.spec.horizon, neighbours=learner.reads_neighbours)


def train(updates: int, **changes: Any) -> tuple[Learner, list[dict[str, Any]]]:
    learner, collector = session(**changes)
    return learner, [learner.update(collector.collect(learner.actor), k) for k in range(updates)]
