"""Environments whose agents take turns (AEC): every step is one turn, and the others wait."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pettingzoo.utils.conversions import parallel_to_aec
from python_envs import Meadow, Queue

import ascore
from ascore.envs.adapters.turns import Turns, taking_turns
from ascore.interop.check import examine

QUEUE = "python_envs:Queue"


@pytest.mark.parametrize("where", ["obs", "info", "none"])
def test_a_game_is_that_of_its_turns(where: str) -> None:
    """Observations, rewards and ends are those of the same actions, agent by agent."""
    env, plain = ascore.make(QUEUE, 1, seed=3, where=where), Queue(where)
    rng, episodes = np.random.default_rng(0), 0
    env.reset()
    for _ in range(3):  # episodes
        plain.reset()
        over = False
        while not over:
            turn = plain.possible_agents.index(plain.agent_selection)
            assert env.legal is not None
            np.testing.assert_array_equal(env.legal[0, 1 - turn], [1, 0, 0])
            own = plain.allowed() if where != "none" else np.ones(3)
            np.testing.assert_array_equal(env.legal[0, turn], own)
            seen = [plain.count_of(agent) for agent in plain.possible_agents]
            np.testing.assert_array_equal(env.obs[0, :, 0], seen)
            action = np.zeros((1, 2), dtype=np.int32)
            action[0, turn] = rng.choice(np.flatnonzero(own))
            env.step(action)
            plain.step(int(action[0, turn]))
            expected = [plain.rewards[agent] for agent in plain.possible_agents]
            np.testing.assert_array_equal(env.reward[0], np.float32(expected))
            over = all(plain.terminations.values())
            assert env.terminated[0] == over
        episodes += 1
    assert episodes == 3


def test_agents_that_may_act_at_once_do() -> None:
    """What PettingZoo made of a parallel environment becomes that environment again."""
    meadow = Meadow()
    assert taking_turns(parallel_to_aec(meadow)).unwrapped is meadow
    assert ascore.make("python_envs:turns", 2).spec.num_agents == len(meadow.possible_agents)


@pytest.mark.parametrize("where", ["obs", "info", "none"])
def test_turns_that_pettingzoo_has_wrapped_are_still_turns(where: str, tmp_path: Path) -> None:
    """Its wrapper does not say that whoever waits has no choice."""
    wrapped = ascore.make("halls:turns_at_once", 2, seed=3, where=where)
    plain = ascore.make(QUEUE, 2, seed=3, where=where)
    assert wrapped.spec.horizon == plain.spec.horizon
    rng = np.random.default_rng(0)
    for env in (wrapped, plain):
        env.reset()
    for _ in range(30):
        assert wrapped.legal is not None
        np.testing.assert_array_equal(wrapped.legal, plain.legal)
        np.testing.assert_array_equal(wrapped.obs, plain.obs)
        rows = wrapped.legal.reshape(-1, 3)
        action = [rng.choice(np.flatnonzero(row)) for row in rows]
        for env in (wrapped, plain):
            env.step(np.array(action, np.int32).reshape(2, 2))
        np.testing.assert_array_equal(wrapped.reward, plain.reward)
    report = examine("halls:turns_at_once", {"where": where}, steps=30)
    assert "turns" in [finding.topic for finding in report.findings]


def test_what_pettingzoo_has_turned_around_twice_is_trained_on(tmp_path: Path) -> None:
    there_and_back, plain = (
        ascore.make("halls:at_once", 2, seed=3),
        ascore.make("python_envs:Meadow", 2, 3),
    )
    for env in (there_and_back, plain):
        env.reset()
    for k in range(12):
        for env in (there_and_back, plain):
            env.step(np.full((2, 2), k % 2, np.int32))
        np.testing.assert_array_equal(there_and_back.obs, plain.obs)
        np.testing.assert_array_equal(there_and_back.reward, plain.reward)
        np.testing.assert_array_equal(there_and_back.truncated, plain.truncated)
    config = ascore.Config("halls:at_once", num_envs=2, episodes=4)
    assert ascore.train(config, out=tmp_path / "run").finished
    report = examine("halls:at_once", steps=30)
    assert report.trainable
    (turns,) = [finding for finding in report.findings if finding.topic == "turns"]
    assert "aec_to_parallel" in turns.found


def test_a_waiting_agent_learns_nothing_from_waiting(tmp_path: Path) -> None:
    """Its policy is certain where it waits, so its entropy counts only its own turns."""
    config = ascore.Config(
        QUEUE, env_params={"where": "none"}, num_envs=2, episodes=40, rollout_steps=8
    )
    run = ascore.train(config, out=tmp_path / "run")
    first = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
    entropy = [value for key, value in first.items() if key.startswith("entropy")]
    assert entropy
    # Uniform over three actions in its own turns, which are half of the steps, and 0 in the rest.
    np.testing.assert_allclose(np.mean(entropy), np.log(3) / 2, rtol=0.05)


def test_check_env_says_how_they_are_read() -> None:
    report = examine(QUEUE, {"where": "obs"}, steps=30)
    (turns,) = [finding for finding in report.findings if finding.topic == "turns"]
    assert turns.verdict == "good"
    assert "every step is the turn of one agent" in turns.found


def test_the_real_ones() -> None:
    """PettingZoo's tic-tac-toe, whose masks forbid whatever is taken."""
    classic = pytest.importorskip("pettingzoo.classic")
    try:
        env = Turns(classic.tictactoe_v3.env())
    except ImportError as error:  # pragma: no cover
        pytest.skip(f"needs {error.name}")
    observations, _ = env.reset(seed=1)
    assert observations["player_1"]["action_mask"].tolist() == [1] * 9
    assert observations["player_2"]["action_mask"].tolist() == [1] + [0] * 8
    observations, rewards, *_ = env.step({"player_1": 4, "player_2": 0})
    assert observations["player_2"]["action_mask"].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert rewards == {"player_1": 0, "player_2": 0}
    env.close()
