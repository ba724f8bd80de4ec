"""Anticipation Sharing cooperates where selfish learners defect: five fixed seeds, a few seconds.

C. Predation with two agents: all approach -60, random play -120, nobody approaches -180.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ascore
from ascore.config import Config
from ascore.experiments.statistics import Estimate, estimate

SEEDS = 5
# Halfway between random play and full cooperation; measured, with intervals: AS -74.6 [-76.2,
# -74.4], without its penalties -161.2 [-164.0, -160.0].
COOPERATIVE = -90.0


def learn(folder: Path, **keys: Any) -> Estimate:
    """Trains with the preset on small networks and a fifth of its episodes."""
    returns = []
    for seed in range(SEEDS):
        config = Config.preset(
            "predation", seed=seed, env_params={"num_agents": 2}, episodes=2400, num_threads=1,
            actor_hidden=(32, 32), critic_hidden=(32, 32), actor_lr=2e-3, critic_lr=2e-3, **keys,
        )  # fmt: skip
        run = ascore.train(config, folder / str(seed))
        returns.append(ascore.evaluate(run, episodes=100).team_return.mean)
    return estimate([returns])


def cooperates(found: Estimate) -> bool:
    """Whether the interval over seeds lies on the side of cooperation."""
    assert found.ci95 is not None
    return found.ci95[0] > COOPERATIVE


def test_anticipation_sharing_cooperates(tmp_path: Path):
    assert cooperates(learn(tmp_path))


def test_without_penalties_it_does_not(tmp_path: Path):
    """The control: the test above can fail, and what it watches is what makes agents cooperate."""
    found = learn(tmp_path, penalty_weight=0.0)
    assert not cooperates(found)
    assert found.ci95 is not None
    assert found.ci95[1] < -120.0  # worse than random play: they defect
