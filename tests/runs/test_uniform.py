"""Random play as an anchor, and policies that still play at random after training."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

import ascore
from ascore.cli import main
from ascore.envs.factory import batch
from ascore.runs.evaluation import Evaluation, evaluate
from ascore.runs.uniform import NEAR, random_return, still_uniform, uniform_policy

MEADOW, QUEUE = "python_envs:Meadow", "python_envs:Queue"
QUICK = ["--episodes", "4", "--num-envs", "2", "--actor-hidden", "4", "--critic-hidden", "4",
         "--actor-lr", "5e-5", "--evaluate", "3", "--env-workers", "0"]  # fmt: skip


def test_random_play_earns_the_anchor_where_that_is_known_exactly() -> None:
    config = ascore.Config(env="predation-v1", env_params={"num_agents": 3})
    measured = random_return(config, 4000)
    low, high = measured.ci95
    assert measured.n == 4000
    assert low - (high - low) < -180 < high + (high - low)


@pytest.mark.parametrize("env", [MEADOW, QUEUE])
def test_legal_actions_are_equally_probable_and_no_others(env: str) -> None:
    config = ascore.Config(env=env)
    policy = uniform_policy(config)
    with batch(config.env, {}) as games:
        obs, _ = games.reset()
        probabilities = np.exp(policy.log_probs(obs, games.legal))
        legal = np.ones(probabilities.shape) if games.legal is None else games.legal
        expected = legal / legal.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6, atol=0)


def test_entropy_is_compared_with_what_is_legal() -> None:
    """Who waits in a turn-based game has one legal action, and no choice."""
    config = ascore.Config(env=QUEUE)
    played = evaluate(uniform_policy(config), episodes=20)
    assert played.entropy == pytest.approx(played.entropy_uniform, rel=1e-6)
    with batch(config.env, {}) as games:
        assert played.entropy_uniform < 0.75 * math.log(games.spec.num_actions)


def evaluation(entropy: float, **changes: object) -> Evaluation:
    played = evaluate(uniform_policy(ascore.Config()), episodes=2)
    return dataclasses.replace(played, entropy=entropy * played.entropy_uniform, **changes)


def test_what_to_try_is_what_has_not_been_done() -> None:
    config = ascore.Config(episodes=640)
    text = still_uniform(config, evaluation(NEAR + 1e-6))
    assert text is not None
    assert text.startswith("as still plays at random: entropy 0.686 of at most 0.693; try ")
    assert "--actor-lr 0.003 --critic-lr 0.003 (now 5e-05 and 0.0001)" in text  # the preset's
    assert "a lower --penalty-weight (now 1)" in text
    assert "more --episodes (now 640)" in text
    assert "--entropy-bonus" not in text
    quick = config.replace(algorithm="ippo", actor_lr=1e-2, entropy_bonus=0.5)
    text = still_uniform(quick, evaluation(1.0))
    assert text is not None
    assert "--actor-lr" not in text
    assert "--penalty-weight" not in text
    assert "a lower --entropy-bonus (now 0.5)" in text


def test_nothing_is_said_of_policies_that_have_learned_something() -> None:
    assert still_uniform(ascore.Config(), evaluation(NEAR - 1e-6)) is None
    assert still_uniform(ascore.Config(), evaluation(1.0, greedy=True)) is None
    assert still_uniform(ascore.Config(), evaluation(1.0, entropy_uniform=0.0)) is None


def test_an_environment_without_anchors_is_shown_with_random_play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", MEADOW, *QUICK, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    measured = float(f"{random_return(ascore.Run.open('run').config, 3).mean:.4g}")
    assert f"team return per episode on {MEADOW} (anchors: random {measured:g})" in out
    assert "ascore: as still plays at random: entropy" in err
    assert main(["resume", "run", "--episodes", "8", "--evaluate", "3", "--trust"]) == 0
    out, err = capsys.readouterr()
    assert f"(anchors: random {measured:g})" in out
    assert "still plays at random" in err
    assert main(["train", MEADOW, *QUICK, "--evaluate", "0", "--out", "none"]) == 0
    out, err = capsys.readouterr()
    assert "anchors" not in out
    assert "at random" not in err
