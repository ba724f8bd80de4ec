"""What is counted of an update, against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from trainings import session

import ascore
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.config import Config
from ascore.learning.metrics import Sending, explained_variance, returns, traffic
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

T, B, N = 7, 3, 2


def test_explained_variance_is_the_share_of_the_returns_that_values_predict() -> None:
    rng = np.random.default_rng(0)
    earned = rng.normal([[[5.0, -100.0]]], [[[0.02, 9.0]]], (T, B, N)).astype(np.float32)
    value = (0.5 * earned + rng.normal(3.0, 0.01, earned.shape)).astype(np.float32)
    ratio = explained_variance(Targets(earned, earned, value), Ranks())["explained_variance"]
    left = (earned - value).astype(np.float64).var(axis=(0, 1))
    assert ratio == pytest.approx(1 - left / earned.astype(np.float64).var(axis=(0, 1)), rel=1e-5)
    # A critic that is off by a constant explains all of the variance, one that is off by as much
    # as returns vary none of it.
    for guess, share in ((earned + 4.0, 1.0), (np.zeros_like(earned), 0.0)):
        ratio = explained_variance(Targets(earned, earned, guess), Ranks())["explained_variance"]
        assert ratio == pytest.approx([share] * N, abs=1e-4)
    alike = np.full_like(earned, 7.0)  # nothing to explain, and nothing left
    ratio = explained_variance(Targets(alike, alike, alike), Ranks())["explained_variance"]
    assert ratio == [1.0] * N


def test_returns_are_means_over_the_episodes_that_ended() -> None:
    env = ascore.make("predation", B, num_agents=N)
    rollout = Rollout.empty(env, T)
    assert math.isnan(returns(rollout, Ranks())["team_return"])
    rollout.episode_returns.append(np.array([[1.0, 2.0]]))
    assert returns(rollout, Ranks()) == {"team_return": 3.0, "return": [1.0, 2.0]}
    rollout.episode_returns.append(np.array([[4.0, 0.0], [7.0, -5.0]]))
    assert returns(rollout, Ranks()) == {"team_return": 3.0, "return": [4.0, -1.0]}


def test_values_are_sent_for_every_state_that_closes_a_sum_of_rewards() -> None:
    """Agent 0 hears agent 1 in the states that follow the rows, and never at a row."""
    env = ascore.make("predation", B, num_agents=N)
    spec, rollout = env.spec, Rollout.empty(env, T)
    rollout.terminated[:] = rollout.truncated[:] = 0
    states = np.zeros((T + 1, B, N, N), dtype=bool)
    states[-1, :, 0, 1] = True
    config = Config(env_params={"num_agents": N}, num_envs=B, time_limit="bootstrap")

    def counted(**changes: str) -> tuple[int, int, int]:
        changed = config.replace(**changes)
        sent = traffic(rollout, Links.met(states), changed, spec, spec, (5, 7), Ranks())
        assert sent.rows == T * B
        assert sent.linked.sum() == sent.rows_heard.sum() == sent.states_heard[0].sum() == 0
        assert (sent.actor_size, sent.critic_size) == (5, 7)
        return sent.states, int(sent.states_heard[1, 0]), sent.private_obs

    assert counted() == (T * B + B, B, 0)
    assert counted(shares="advantage") == (T * B + B, 0, 0)
    rollout.truncated[-1, 0] = rollout.terminated[-1, 1] = 1
    assert counted() == (T * B + 2, 1, 0)  # one is closed by its last state, one needs no value
    assert counted(time_limit="terminal") == (T * B + 1, 1, 0)


@pytest.mark.parametrize("algorithm", ["as", "vs", "vps", "ps", "ippo"])
def test_what_is_counted_once_is_what_would_be_counted_again(algorithm: str) -> None:
    """With numbers of closing states that change, and gaps in which nobody is heard."""
    keys = {"time_limit": "bootstrap", "communicate_every": 2}
    learner, collector = session(env="predation-v1", algorithm=algorithm, **keys)
    rollout = collector.collect(learner.actor)
    counted = []
    for number, last in [(0, 1), (2, 1), (3, 1), (4, 0), (6, 1), (8, 1)]:
        rollout.truncated[2] = 1 - last
        links = learner.prepare(rollout, number)[0]
        counted.append(learner.sending.entries(rollout, links, learner.network_sizes))
        anew = Sending(
            learner.algorithm, learner.config, learner.outside, learner.spec, learner.ranks
        )
        assert counted[-1] == anew.entries(rollout, links, learner.network_sizes)
    if algorithm != "ippo":
        assert counted[0] != counted[2]
    if algorithm == "vs":
        assert counted[0] != counted[3]
