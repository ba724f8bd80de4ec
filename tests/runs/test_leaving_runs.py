"""Runs whose agents leave and enter: workers, checkpoints, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resumption import require_equal, require_resumed_equals_undisturbed

import ascore
from ascore.config import Config

QUICK: dict[str, Any] = {
    "env": "comers:Inn",
    "env_params": {"guests": 3, "never": 1, "again": True},
    "num_envs": 5,
    "episodes": 30,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
    "iterations": 2,
    "rollout_steps": 5,
}


@pytest.mark.parametrize("algorithm", ["as", "vs"])
def test_results_do_not_depend_on_the_number_of_workers(tmp_path: Path, algorithm: str) -> None:
    config = Config(**QUICK, algorithm=algorithm)
    runs = [
        ascore.train(config.replace(env_workers=workers), tmp_path / str(workers))
        for workers in (0, 1, 2, 5)
    ]
    for run in runs[1:]:
        require_equal(run, runs[0])


@pytest.mark.parametrize("backend", ["engine", "torch"])
@pytest.mark.parametrize("algorithm", ["as", "ps", "cppo"])
def test_stopped_and_resumed_equals_undisturbed(
    tmp_path: Path, algorithm: str, backend: str
) -> None:
    config = Config(**QUICK, algorithm=algorithm, backend=backend)
    require_resumed_equals_undisturbed(config, tmp_path)


def test_a_run_says_what_each_agent_earned_while_it_was_there(tmp_path: Path) -> None:
    """What each does is worth 0.3 more than its number, so returns tell how long it stayed."""
    stays = [[0, 7, "late"], [2, 4, "out"], [0, 1, ""]]
    changes = {**QUICK, "env_params": {"stays": stays, "never": 1}, "rollout_steps": 7}
    run = ascore.train(Config(**changes, algorithm="ippo"), tmp_path / "run")
    last = run.metrics[-1]
    assert last["return"][3] == 0.0
    assert last["entropy"][3] is None
    assert last["policy_loss"][3] is None
    assert 0 < run.summary["entropy"] < np.log(3)
    assert last["team_return"] == pytest.approx(sum(last["return"]))
    result = ascore.evaluate(run, episodes=20, greedy=True)
    assert result.agent_return[3] == 0.0
    assert result.team_return.mean == pytest.approx(sum(result.agent_return))
    assert result.episode_length == 7
    sampled = ascore.evaluate(run, episodes=20)
    assert 0.5 < sampled.entropy < np.log(3)  # of those who are there alone
    assert sampled.entropy_uniform == pytest.approx(np.log(3))
    env = ascore.make("comers:Inn", 1, stays=stays, never=1)
    obs, _ = env.reset()
    assert run.policy.act(obs, legal=env.legal)[0, 3] == 0


def test_a_centre_acts_for_those_who_are_there(tmp_path: Path) -> None:
    changes = {**QUICK, "env_params": {"guests": 3}, "episodes": 60}
    run = ascore.train(Config(**changes, algorithm="cppo"), tmp_path / "run")
    result = ascore.evaluate(run, episodes=10)
    assert 0 < result.entropy < np.log(3)
    env = ascore.make("comers:Inn", 8, 4)
    obs, _ = env.reset()
    for _ in range(7):
        action = run.policy.act(obs, np.random.default_rng(0).random((8, 3), np.float32), env.legal)
        if env.present is not None:
            assert (action[env.present == 0] == 0).all()
        obs, *_ = env.step(action)
