"""What is recorded is what is sent: distributions, values, parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.errors import ConfigError
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector, per_agent_view
from ascore.privacy import networks
from ascore.privacy.recorder import MOST_MIXES, Received, joined, record
from ascore.privacy.signals import fit

BASE = Config.preset(
    "predation",
    episodes=24,
    num_envs=8,
    iterations=3,
    minibatches=2,
    actor_hidden=(8,),
    critic_hidden=(8,),
    env_params={"num_agents": 3, "weights": "0.5 1.5 1.5"},
)


class Update:
    """One update, with what was sent in it."""

    def __init__(self, **changes: Any) -> None:
        self.config = BASE.replace(**changes)
        env = batch(self.config.env, self.config.env_params, 8, seed=1)
        self.learner = Learner(self.config, env.spec)
        env.reset()
        collector = Collector(env, 30, neighbours=False)
        self.rollout = collector.collect(self.learner.actor)
        self.obs = per_agent_view(torch.from_numpy(self.rollout.obs), 1.0)
        self.received = Received()
        with torch.no_grad():
            self.policies = self.learner.actor.log_probs(self.obs).numpy()
        self.values = self.learner.valuation.values(self.rollout.obs.reshape(240, 1, 3)).numpy()
        self.learner.show_messages(self.received.note)
        self.learner.update(self.rollout, 0)


def test_distributions_are_those_of_the_policies_before_each_iteration() -> None:
    update = Update(algorithm="as")
    sent = update.received.policies
    assert [p.shape for p in sent] == [(3, 240, 3, 2)] * 3
    np.testing.assert_allclose(sent[0], update.policies, atol=1e-5)
    assert np.abs(sent[2] - sent[0]).max() > 1e-3


def test_values_are_those_of_the_critics_before_the_update() -> None:
    update = Update(algorithm="vs")
    assert update.received.values is not None
    np.testing.assert_allclose(update.received.values[:, :240], update.values, atol=1e-4)
    assert update.received.values.shape == (3, 31 * 8 + 8)


def test_critics_are_sent_in_units_of_reward_and_averaged() -> None:
    update = Update(algorithm="vps")
    assert len(update.received.networks) == MOST_MIXES  # of six rounds
    assert update.received.last is not None
    together = update.received.last.mean(dim=0)
    mixed = networks.values(update.learner.critic, together, update.obs)
    now = update.learner.valuation.values(update.rollout.obs.reshape(240, 1, 3)).numpy()
    for agent in range(3):
        np.testing.assert_allclose(mixed, now[agent], rtol=1e-3, atol=1e-2)


def test_joint_policies_are_sent_before_they_are_averaged() -> None:
    update = Update(algorithm="ps")
    assert update.received.last is not None
    assert len(update.received.networks) == MOST_MIXES
    parameters = update.learner.actor_adam.parameters
    for agent in range(3):
        np.testing.assert_allclose(
            update.received.last.mean(dim=0), parameters[agent].detach(), atol=1e-6
        )
    apart = update.received.last - update.received.last.mean(dim=0)
    assert apart.abs().max() > 1e-4


@pytest.mark.parametrize("layout", ["multihead", "separate"])
def test_networks_of_others_are_computed_as_their_owners_do(layout: str) -> None:
    update = Update(algorithm="ps", actor=layout)
    actor, adam = update.learner.actor, update.learner.actor_adam
    with torch.no_grad():
        own = actor.log_probs(update.obs)[1]
        theirs = networks.log_probs(actor, adam.parameters[1], update.obs)
    np.testing.assert_allclose(theirs, own, atol=1e-5)


@pytest.mark.parametrize("pattern", [0, 1])
def test_gradient_inversion_finds_the_advantages_of_a_step(pattern: int) -> None:
    update = Update(algorithm="ps")
    actor, before = update.learner.actor, update.learner.actor_adam.parameters[0].detach().clone()
    weights = np.random.default_rng(1).normal(size=(240, 2)).astype(np.float32)
    action = torch.from_numpy(update.rollout.action.reshape(240, 3).astype(np.int64))
    leaf = before.clone().requires_grad_()
    chosen = networks.log_probs(actor, leaf, update.obs).gather(-1, action[:, :, None])[..., 0]
    (torch.from_numpy(weights[:, pattern]) * chosen.sum(dim=1)).mean().backward()
    assert leaf.grad is not None
    after = before + 1e-3 * leaf.grad
    inverted = networks.inverted(actor, before, after, update.obs, action, weights)
    assert inverted[pattern] == pytest.approx(1.0, abs=0.01)
    assert abs(inverted[1 - pattern]) < 0.01
    assert inverted[2 + pattern] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("algorithm", "attacks"),
    [
        ("ippo", {"actions", "rewards"}),
        ("as", {"actions", "rewards", "distributions", "changes", "signs"}),
        ("vs", {"actions", "rewards", "values", "residuals"}),
        ("vps", {"actions", "rewards", "parameters"}),
        ("ps", {"actions", "rewards", "parameters", "gradients"}),
    ],
)
def test_a_training_is_recorded_for_each_attack_and_audience(
    algorithm: str, attacks: set[str]
) -> None:
    seen: list[tuple[int, int]] = []
    recording = record(BASE.replace(algorithm=algorithm), lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert set(recording.features) == {
        f"{audience}: {attack}" for audience in ("neighbour", "all others") for attack in attacks
    }
    for name, x in recording.features.items():
        assert len(x) == 3, name
        assert np.isfinite(x).all(), name
        assert np.abs(np.diff(x, axis=0)).max() > 0, name
    assert (recording.bytes_sent > 0) == (algorithm != "ippo")
    assert -270 <= recording.team_return <= 0
    again = record(BASE.replace(algorithm=algorithm))
    for name, x in recording.features.items():
        np.testing.assert_array_equal(x, again.features[name])


def test_recording_changes_no_training() -> None:
    """The last rewards that are recorded are those of a learner that nobody watches."""
    watched, alone = Update(algorithm="as"), Update(algorithm="as")
    alone.learner.show_messages(lambda kind, sent: None)
    for update in (watched, alone):
        update.learner.update(update.rollout, 1)
    for name, tensor in watched.learner.state().items():
        assert torch.equal(tensor, alone.learner.state()[name]), name


def test_rewards_in_the_open_tell_the_weight() -> None:
    recording = record(BASE.replace(algorithm="ippo"))
    slopes = recording.features["neighbour: rewards"][:, -1]
    np.testing.assert_allclose(slopes, [0.5, 1.5, 1.5], rtol=1e-5)


def test_what_was_not_seen_in_one_part_is_filled_by_the_others() -> None:
    """Three parts of one, two and one updates, two agents; nothing was seen of agent 1."""
    nothing = np.array([np.nan])
    updates = [nothing, np.array([2.0]), np.array([4.0]), np.array([6.0])]
    about = [[{"x": value}, {"x": nothing}] for value in updates]
    both = joined([about[:1], about[1:3], about[3:]])["x"]
    np.testing.assert_array_equal(both, [[4.5, 3.0, 6.0], [np.nan] * 3])


def test_least_squares() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(fit(x @ [1.0, -2.0, 0.5], x), [1.0, -2.0, 0.5], atol=1e-6)
    assert fit(np.ones(50), np.zeros((50, 2))).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("key", "value"),
    [("graph", "ring"), ("communicate_every", 2), ("message_refresh", "minibatch")],
)
def test_what_cannot_be_read_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{key} = {value} is not possible here.*set {key} = "):
        record(BASE.replace(**{key: value}))


@pytest.mark.parametrize("algorithm", ["team", "cppo"])
def test_algorithms_that_send_something_else_are_refused(algorithm: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot read what {algorithm} sends; choose from: as"):
        record(BASE.replace(algorithm=algorithm))
