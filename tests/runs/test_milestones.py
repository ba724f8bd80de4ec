"""Milestones: when they are reached, and how an evaluation averages them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("name", "event", "script", "often"),
    [
        ("exchange-v1", "boxes_open", "selfish", (0.0, 0.0)),
        ("navigation-v1", "landmarks_reached", "cooperative", (1.0, 1.0)),
        ("navigation-v1", "landmarks_reached", "random", (0.0, 0.2)),
        ("harvest-v1", "apples_gone", "selfish", (0.9, 1.0)),
        ("harvest-v1", "apples_gone", "random", (0.0, 0.0)),
        ("cleanup-v1", "first_apple", "selfish", (0.0, 0.0)),
        ("cleanup-v1", "first_apple", "cooperative", (1.0, 1.0)),
    ],
)
def test_scripted_policies_reach_what_they_are_written_for(
    name: str, event: str, script: str, often: tuple[float, float]
):
    watch, _, length = watched(ascore.make(name, 20, 5), scripts(name)[script])
    first = watch.first[event]
    assert often[0] <= (first >= 0).mean() <= often[1]
    assert (first <= length).all()
    assert not (first == 0).any()


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
