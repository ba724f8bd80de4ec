"""Parties with a guarantee of privacy learn what the trainer does, each on noise of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from companies import Company, held, names, same, small, trained

import ascore
from ascore.config import Config
from ascore.dp import noise
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector

PRIVATE: dict[str, Any] = {
    "minibatches": 1,
    "dp": "episode",
    "epsilon": 2.0,
    "advantage_scale": "unit",
    "penalty_gate": "always",
    "value_normalization": False,
}


def config() -> Config:
    return small("predation", 3, horizon=4, **PRIVATE)


def test_without_the_noise_parameters_are_those_of_the_trainer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(noise, "normal", lambda *shape: np.zeros(shape))
    company = Company(config()).run()
    env = ascore.make(config().env, num_envs=2, **config().env_params)
    env.reset()
    learner = Learner(config(), env.spec)
    collector = Collector(env, env.spec.horizon)
    for number in range(3):
        learner.update(collector.collect(learner.actor), number)
    for agent, name in enumerate(names(3)):
        assert same(held(company.parties[name]), trained(learner, agent))


def test_with_noise_every_party_has_its_own_and_counts_the_same() -> None:
    one, two = (Company(config()).run() for _ in range(2))
    for name in names(3):
        first, second = held(one.parties[name]), held(two.parties[name])
        assert not np.array_equal(first["actor"], second["actor"])
        assert np.array_equal(first["privacy.spent"], second["privacy.spent"])
        assert (first["privacy.spent"] > 0).all()
