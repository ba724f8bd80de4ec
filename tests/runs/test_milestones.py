"""Milestones: when they are reached, and how an evaluation averages them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Reached, case, every

import ascore
from ascore.config import Config
from ascore.runs.milestones import Watch
from ascore.scripted import scripts


def watched(env: ascore.VecEnv, script: Any) -> tuple[Watch, np.ndarray[Any, Any], np.ndarray]:
    """Plays first episodes; gives the watch, team rewards f64 [steps, B] and lengths i64 [B]."""
    env.reset()
    watch = Watch(env)
    running = np.ones(env.num_envs, dtype=np.bool_)
    payments, length = [], np.zeros(env.num_envs, dtype=np.int64)
    while running.any():
        action = script(env)
        watch.step(action, running)
        env.step(action)
        payments.append(np.where(running[:, None], env.reward, 0.0).sum(axis=1))
        length[running] += 1
        running &= ~(env.terminated | env.truncated)
    return watch, np.array(payments), length


@pytest.mark.parametrize("params", [{}, {"early_end": True}, {"horizon": 6}])
def test_boxes_are_open_in_the_step_that_pays_for_the_last_one(params: dict[str, Any]):
    """An opened box pays the team 5, so the third payment gives the step independently."""
    env = ascore.make("exchange", 40, 3, **params)
    watch, payments, length = watched(env, scripts("exchange-v1")["cooperative"])
    opened = np.rint((payments + 0.03) / 5.0).cumsum(axis=0)
    steps = np.where(opened[-1] == 3, (opened == 3).argmax(axis=0) + 1, -1)
    assert watch.first["boxes_open"].tolist() == steps.tolist()
    assert 3 < steps[steps > 0].mean() < 7
    if "early_end" in params:
        assert steps.tolist() == length.tolist()
    if "horizon" in params:
        assert {-1, 6} <= set(steps.tolist())  # some never open all boxes, some do in the last step


@pytest.mark.parametrize(("name", "reached"), every(lambda case: case.reached))
def test_scripted_policies_reach_what_they_are_written_for(name: str, reached: Reached):
    event, script, low, high = reached
    watch, _, length = watched(ascore.make(name, 20, 5), scripts(name)[script])
    first = watch.first[event]
    assert low <= (first >= 0).mean() <= high
    assert (first <= length).all()
    assert not (first == 0).any()


@pytest.mark.parametrize("name", ascore.ENVIRONMENTS)
def test_every_milestone_is_reached_somehow(name: str):
    assert {each.event for each in case(name).reached} == set(ascore.ENVIRONMENTS[name].milestones)


def test_an_evaluation_counts_an_episode_without_it_in_full(tmp_path: Path):
    config = Config(
        env="exchange-v1", env_params={"horizon": 150}, episodes=4, num_envs=4,
        actor_hidden=(8,), critic_hidden=(8,),
    )  # fmt: skip
    run = ascore.train(config, tmp_path / "run")
    evaluation = ascore.evaluate(run, episodes=30)
    timing = evaluation.milestones["boxes_open"]
    assert 0 < timing.reached < 1
    assert 150 * (1 - timing.reached) < timing.steps.mean < 150
    assert timing.steps.n == 30
    values = evaluation.to_dict()["milestones"]["boxes_open"]
    assert values["reached"] == timing.reached
    assert values["steps"] == {
        "mean": timing.steps.mean, "ci95": list(timing.steps.ci95), "n": 30,
    }  # fmt: skip
    # Each box pays the team 5: with all three open, at least 15 - 4.5.
    assert timing.reached == pytest.approx((evaluation.team_returns > 10).mean())
