"""Whole updates: equalities, privacy, communication, and errors that stop a run."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trainings

import ascore
from ascore.algorithms.terms import corrections_base, own_policy
from ascore.config import Config
from ascore.errors import ConfigError, NonFiniteError
from ascore.learning.batch import advantage_scale, normalized
from ascore.learning.guards import Guards
from ascore.learning.learner import Learner
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

SMALL: dict[str, Any] = trainings.SMALL | {
    "env_params": {"num_agents": 3},
    "num_envs": 4,
    "actor_hidden": (16, 8),
    "critic_hidden": (16, 8),
    "minibatches": 2,
    "iterations": Config().iterations,
    "seed": 3,
}


session = functools.partial(trainings.session, **SMALL)
train = functools.partial(trainings.train, **SMALL)


def one_update(change: Any, **changes: Any) -> Learner:
    """Does an update on a rollout that `change` has modified."""
    learner, collector = session(**changes)
    rollout = collector.collect(learner.actor)
    change(rollout)
    learner.update(rollout, 0)
    return learner


def own_parameters(learner: Learner) -> torch.Tensor:
    """[N, P'] of the own policies, flattened."""
    parts = [
        part.reshape(part.shape[0], -1) for layer in learner.actor.own_layers() for part in layer
    ]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("update_order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("ratio_reference", ["rollout", "iteration"])
@pytest.mark.parametrize("actor", ["separate", "multihead"])
def test_on_an_empty_graph_as_is_ippo(update_order, ratio_reference, actor):
    """To the bit, since an agent that hears nobody has a head for itself alone."""
    keys = {"update_order": update_order, "ratio_reference": ratio_reference, "actor": actor}
    alone, first = train(1, algorithm="ippo", iterations=1, minibatches=1, **keys)
    empty, second = train(1, algorithm="as", graph="none", iterations=1, minibatches=1, **keys)
    assert torch.equal(alone.actor.net.grad, empty.actor.net.grad)
    assert torch.equal(alone.critic.net.grad, empty.critic.net.grad)
    assert first[0]["policy_loss"] == second[0]["policy_loss"]
    alone, _ = train(3, algorithm="ippo", **keys)
    empty, _ = train(3, algorithm="as", graph="none", **keys)
    assert torch.equal(own_parameters(alone), own_parameters(empty))
    assert torch.equal(alone.critic.net.flat, empty.critic.net.flat)


def test_on_a_full_graph_as_is_not_ippo():
    alone, _ = train(2, algorithm="ippo")
    full, _ = train(2, algorithm="as")
    assert (own_parameters(alone) - own_parameters(full)).abs().max() > 1e-3


def raise_rewards_of_the_others(rollout: Rollout) -> None:
    rollout.reward[:, :, 1:] = 5.0 - 3.0 * rollout.reward[:, :, 1:]


@pytest.mark.parametrize(
    "keys",
    [
        {"algorithm": "ippo"},
        # With one iteration, the messages are sent before any agent learns, so they do not change.
        {"algorithm": "as", "iterations": 1},
        {"algorithm": "as", "iterations": 1, "minibatches": 1, "actor": "separate"},
    ],
)
def test_an_update_does_not_depend_on_the_rewards_of_others(keys):
    before = one_update(lambda rollout: None, **keys)
    after = one_update(raise_rewards_of_the_others, **keys)
    for learner_net in ("actor_adam", "critic_adam"):
        a, b = (getattr(learner, learner_net).parameters for learner in (before, after))
        assert torch.equal(a[0], b[0])
        assert not torch.equal(a[1], b[1])


def test_rewards_of_others_reach_an_agent_through_messages_alone():
    """Control of the test above: later messages depend on the rewards of their senders."""
    before = one_update(lambda rollout: None, algorithm="as", iterations=2)
    after = one_update(raise_rewards_of_the_others, algorithm="as", iterations=2)
    assert not torch.equal(before.actor_adam.parameters[0], after.actor_adam.parameters[0])
    assert torch.equal(before.critic_adam.parameters[0], after.critic_adam.parameters[0])


def test_sequential_agents_hear_what_was_just_sent():
    together, _ = train(1, update_order="simultaneous", iterations=1, minibatches=1)
    in_turn, _ = train(1, update_order="sequential", iterations=1, minibatches=1)
    same = [
        torch.allclose(a, b, atol=1e-7)
        for a, b in zip(own_parameters(together), own_parameters(in_turn), strict=True)
    ]
    assert same == [True, False, False]  # the first agent uses the same messages


def test_a_gap_in_communication_trains_no_anticipation_and_costs_no_bytes():
    learner, collector = session(communicate_every=2)
    mask = learner.actor.anticipation_mask()
    first = learner.update(collector.collect(learner.actor), 0)
    before = learner.actor.net.flat.detach().clone()
    moments = learner.actor_adam.state()["exp_avg"].view_as(before)
    second = learner.update(collector.collect(learner.actor), 1)
    moved = learner.actor.net.flat != before
    assert not moved[mask].any()
    assert moved[~mask].any()
    assert torch.equal(learner.actor_adam.state()["exp_avg"].view_as(before)[mask], moments[mask])
    assert min(first["bytes_sent"]) > 0
    assert second["bytes_sent"] == [0, 0, 0]
    assert "discrepancy" in first
    assert "discrepancy" not in second
    assert second["penalty"] == [0.0, 0.0, 0.0]


def test_bytes_sent_equal_a_count_by_hand():
    """C. Predation, 3 agents, complete graph: rows x listeners x (2 + 2) floats x K rounds."""
    _, records = train(1)
    rows, listeners, actions, rounds = 30 * 4, 2, 2 + 2, 3
    assert records[0]["floats_sent"] == [rows * listeners * actions * rounds] * 3
    assert records[0]["bytes_sent"] == [4 * x for x in records[0]["floats_sent"]]
    _, silent = train(1, algorithm="ippo")
    assert silent[0]["bytes_sent"] == [0, 0, 0]


def test_environment_graph_sends_what_the_environment_allows():
    learner, collector = session(graph="environment")
    rollout = collector.collect(learner.actor)
    neighbours = copy.deepcopy(rollout.neighbours)
    record = learner.update(rollout, 0)
    assert 0 < neighbours.sum() < neighbours.size
    expected = neighbours.sum(axis=(0, 1, 2)) * 4 * 3  # per sender: listeners x floats x rounds
    assert record["floats_sent"] == expected.tolist()


@pytest.mark.parametrize(
    "keys",
    [
        {"message_refresh": "minibatch"},
        {"message_refresh": "minibatch", "update_order": "sequential"},
        {"discrepancy": "kl", "penalty_gate": "always"},
        {"peer_ratio_reference": "anticipated", "peer_ratio_clip": 0.2},
        {"advantage_scale": "max", "advantage_normalization": True},
        {"advantage_scale": "unit"},
        {"anticipation": "correction"},
        {"anticipation": "correction", "message_refresh": "minibatch"},
        {"value_normalization": False, "value_target": "monte_carlo", "time_limit": "terminal"},
        {"entropy_bonus": 0.01, "max_grad_norm": 0.5, "adam_epsilon": 1e-5},
        {"rollout_steps": 7, "num_envs": 5},
        {"graph": "random_one"},
        {"graph": "contacts"},
        {"graph": "ring", "actor": "separate"},
    ],
    ids=lambda keys: "-".join(keys),
)
def test_every_key_trains_and_changes_something(keys):
    learner, records = train(2, **keys)
    usual, _ = train(2)
    assert torch.isfinite(learner.actor.net.flat).all()
    assert all(np.isfinite(records[-1]["policy_loss"]))
    same_shape = learner.actor.net.flat.shape == usual.actor.net.flat.shape
    assert not (same_shape and torch.equal(learner.actor.net.flat, usual.actor.net.flat))


def test_advantage_scale_is_the_mean_the_maximum_or_one():
    advantage = torch.tensor([[1.0, -3.0, 2.0], [0.0, 0.5, -0.25]])
    assert advantage_scale(advantage, "mean", Ranks()).tolist() == [2.0, 0.25]
    assert advantage_scale(advantage, "max", Ranks()).tolist() == [3.0, 0.5]
    assert advantage_scale(advantage, "unit", Ranks()).tolist() == [1.0, 1.0]
    _, records = train(1, advantage_scale="unit")
    assert records[0]["advantage_scale"] == [1.0, 1.0, 1.0]


def test_normalised_advantages_have_mean_0_and_deviation_1_per_agent():
    advantage = torch.tensor([[1.0, 2.0, 3.0, 6.0], [-1.0, 0.0, 0.0, 1e-3]])
    mean, std = advantage.mean(dim=1, keepdim=True), advantage.std(dim=1, keepdim=True)
    torch.testing.assert_close(normalized(advantage, Ranks()), (advantage - mean) / std)
    for alike in (torch.full((2, 5), 7.0), torch.tensor([[3.0], [-4.0]])):
        assert torch.equal(normalized(alike, Ranks()), torch.zeros_like(alike))
    learner, collector = session(advantage_normalization=True)
    rows = learner.prepare(collector.collect(learner.actor), 0)[2]
    torch.testing.assert_close(rows.advantage.std(dim=1), torch.ones(3))


def test_normalised_advantages_are_the_same_on_every_processor():
    """Square roots are rounded correctly, which PyTorch's are only on some."""
    size = np.arange(1, 4001, dtype=np.float32)
    advantage = np.stack([size, -size], axis=1)  # the mean is 0 and the mean square exact
    spread = np.sqrt(size * size * np.float32(2))
    wanted = advantage / (spread[:, None] + np.float32(1e-8))
    np.testing.assert_array_equal(normalized(torch.from_numpy(advantage), Ranks()), wanted)


def test_a_zero_correction_repeats_the_received_policies():
    learner, collector = session(anticipation="correction")
    rollout = collector.collect(learner.actor)
    _, _, rows = learner.prepare(rollout, 0)
    learner.backend.begin(rows)
    raw = learner.backend.log_probs()
    own = own_policy(raw, torch.arange(3))
    agents = torch.arange(3)
    base = corrections_base(own, agents)
    for i in range(3):
        assert torch.equal(base[i, :, i], torch.zeros_like(base[i, :, i]))
    flat = torch.log_softmax(torch.zeros_like(raw) + base, dim=-1)
    others = ~torch.eye(3, dtype=torch.bool)
    received = own.transpose(0, 1).expand(3, -1, -1, -1)
    picked = others[:, None, :].expand(raw.shape[:3])
    torch.testing.assert_close(flat[picked], received[picked])
    sent = learner.exchange.reply(raw)
    torch.testing.assert_close(own_policy(sent, agents), own)  # own policies are unchanged
    torch.testing.assert_close(sent.exp().sum(dim=-1), torch.ones_like(sent[..., 0]))


def test_corrections_need_simultaneous_updates():
    with pytest.raises(ConfigError, match="anticipation = correction"):
        Config(anticipation="correction", update_order="sequential")


def test_gradients_are_limited_per_agent():
    _, records = train(1, max_grad_norm=1e-9, minibatches=1, iterations=1)
    free, _ = train(1, minibatches=1, iterations=1)
    limited, _ = train(1, max_grad_norm=1e-9, minibatches=1, iterations=1, adam_epsilon=1.0)
    start = Learner(Config(**SMALL), ascore.make("predation", 1, num_agents=3).spec)
    moved = (limited.actor_adam.parameters - start.actor_adam.parameters).norm(dim=1)
    assert (
        moved <= 1.01e-2 * 1e-9
    ).all()  # lr x limit, because Adam's epsilon dominates the moments
    assert (free.actor_adam.parameters - start.actor_adam.parameters).norm(dim=1).min() > 1e-3
    assert min(records[0]["policy_grad_norm"]) > 1e-9  # the logged norm is from before clipping


@pytest.mark.parametrize("backend", ["engine", "kernel", "torch"])
def test_rates_decay_linearly_to_zero(backend):
    learner, collector = session(backend=backend, lr_decay="linear")
    rollout = collector.collect(learner.actor)
    slow = session(backend=backend, actor_lr=2.5e-3, critic_lr=2.5e-3)[0]
    learner.anneal(0.75)  # a quarter of 1e-2
    learner.update(rollout, 0)
    slow.update(rollout, 0)
    for mine, other in ((learner.actor, slow.actor), (learner.critic, slow.critic)):
        assert torch.equal(mine.net.flat, other.net.flat)
    last = learner.actor.net.flat.clone()
    learner.anneal(1.0)
    learner.update(rollout, 1)
    assert torch.equal(learner.actor.net.flat, last)
    with_rest = session(backend=backend)[0]
    with_rest.anneal(1.0)  # without lr_decay, rates do not change
    with_rest.update(rollout, 0)
    assert not torch.equal(with_rest.actor.net.flat, slow.actor.net.flat)


def test_value_normalization_leaves_the_values_as_they_are():
    learner, collector = session()
    learner.update(collector.collect(learner.actor), 0)
    rollout = collector.collect(learner.actor)
    obs = rollout.obs.reshape(-1, 1, 3)
    with torch.no_grad():
        before = learner.valuation.values(obs)
        learner.prepare(rollout, 1)  # updates mean and deviation
        after = learner.valuation.values(obs)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"actor_lr": 1e30}, r"policy (loss|gradient) of agent \d is .*; set peer_ratio_clip"),
        ({"actor_lr": 1e30, "algorithm": "ippo"}, r"policy .* of agent \d is .*; lower actor_lr"),
        ({"critic_lr": 1e30}, r"value (loss|gradient) of agent \d is .*; lower critic_lr"),
    ],
)
def test_divergence_names_agent_quantity_and_key(keys, message):
    learner, collector = session(**keys)
    rollout = collector.collect(learner.actor)
    with pytest.raises(NonFiniteError, match=message):
        learner.update(rollout, 0)
    assert torch.isfinite(learner.actor.net.flat).all()
    assert torch.isfinite(learner.critic.net.flat).all()


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        ("reward", "reward of agent 1 is not finite; check the environment"),
        ("critic", "value of agent 1 is not finite; lower critic_lr"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_targets_that_are_not_finite_name_the_agent(poison, message):
    learner, collector = session()
    rollout = collector.collect(learner.actor)
    if poison == "reward":
        rollout.reward[0, 0, 1:] = np.inf  # of agent 2 too
    else:
        with torch.no_grad():
            learner.critic_adam.parameters[1, 0] = np.nan
    with pytest.raises(NonFiniteError, match=message):
        learner.update(rollout, 0)


def test_parameters_that_are_not_finite_name_the_agent():
    learner, _ = session()
    with torch.no_grad():
        learner.actor_adam.parameters[2, 5] = np.nan
    networks = {"policy": learner.actor_adam.parameters}
    with pytest.raises(NonFiniteError, match="a policy parameter of agent 2 is not finite"):
        learner.guards.parameters(networks)


def test_the_first_agent_whose_step_is_not_finite_is_named():
    guards = Guards(Config(**SMALL), has_peer_ratio=False)
    agents, fine = torch.tensor([2, 0, 1]), torch.ones(3)
    guards.step(agents, {"policy loss": fine, "value loss": fine})
    bad = torch.tensor([1.0, float("inf"), float("nan")])
    with pytest.raises(NonFiniteError, match="value loss of agent 0 is inf; lower critic_lr"):
        guards.step(agents, {"policy loss": fine, "value loss": bad})


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("policy", r"clip_norm \(now 1e\+30\), .* or actor_lr"),
        ("value", r"critic_clip_norm \(now 1e\+30\), .* or critic_lr"),
    ],
)
def test_noise_that_is_not_finite_blames_the_norm_it_is_a_multiple_of(name, remedy):
    config = Config(dp="episode", noise_multiplier=1.0, clip_norm=1e30, critic_clip_norm=1e30)
    parameters = torch.zeros(2, 3)
    parameters[1, 0] = torch.inf
    message = f"a {name} parameter of agent 1 is not finite; lower {remedy}"
    with pytest.raises(NonFiniteError, match=message):
        Guards(config, has_peer_ratio=True).parameters({name: parameters})


def test_more_minibatches_than_rows_is_refused():
    with pytest.raises(ConfigError, match=r"minibatches = 500 exceeds the 120 rows"):
        train(1, minibatches=500)


def test_a_diverged_run_names_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = Config(**{**SMALL, "episodes": 16, "checkpoint_every": 1})
    real = Learner.update

    def diverge(self: Learner, rollout: Rollout, number: int) -> dict[str, Any]:
        if number == 2:
            rollout.reward[:] = np.inf
        return real(self, rollout, number)

    monkeypatch.setattr(Learner, "update", diverge)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="00000002"):
        ascore.train(config, tmp_path / "run")
    assert ascore.load_policy(tmp_path / "run").env == "predation-v1"
