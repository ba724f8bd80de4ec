"""Learning from messages that say less than policies do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.trainings import SMALL, train

import ascore
from ascore.algorithms.terms import taken
from ascore.benchmark.updates import prepared
from ascore.config import Config
from ascore.learning.learner import Learner
from ascore.learning.networks import ALL
from ascore.reference import losses

FORMS = ("top-1", "bits-2", "sampled-3", "noise-0.5")
BACKENDS = ("torch", "kernel", "engine")


def flats(learner: Learner) -> torch.Tensor:
    return torch.cat([net.net.flat.detach().reshape(-1) for net in (learner.actor, learner.critic)])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reference", ["true", "anticipated"])
def test_losses_are_those_of_what_was_sent(backend: str, reference: str):
    """In float64 loops that are given what was sent, and one's own policy as it is."""
    more = {"message_form": "bits-2", "peer_ratio_reference": reference, "minibatches": 1}
    learner, rows = prepared("exchange", "multihead", 1, backend, more)
    n, exchange = learner.spec.num_agents, learner.exchange
    learner.backend.begin(rows)
    before = learner.backend.log_probs()
    sent = exchange.sent(before, 0, 0)
    everybody = torch.arange(n)
    old, announced = (taken(x, rows.action, everybody) for x in (before, sent))
    assert rows.neighbours is not None
    learner.backend.refer(old, exchange.messages(sent, announced, rows.neighbours))
    noise = torch.randn(learner.actor.net.flat.shape, generator=torch.manual_seed(0))
    with torch.no_grad():  # so that ratios are not 1
        learner.actor.net.flat.add_(0.1 * noise)
    now = learner.backend.log_probs().double().numpy()
    learner.backend.clear()
    learner.backend.step(ALL, None, len(rows.action))
    statistics = learner.backend.statistics()
    own, theirs, received = (x.double().numpy() for x in (old, announced, sent))
    heard = rows.neighbours.expand(-1, len(rows.action), -1).numpy()
    for i in range(n):
        printed = [
            own[i, :, j] if reference == "anticipated" else theirs[j, :, j] for j in range(n)
        ]
        policy, penalty = losses.anticipation_sharing(
            i,
            now[i],
            rows.action.numpy(),
            rows.advantage[i].double().numpy(),
            float(rows.advantage_scale[i]),
            own[i, :, i],
            np.stack(printed, axis=1),
            np.stack([received[j, :, j] for j in range(n)]),
            np.stack([received[j, :, i] for j in range(n)], axis=1),
            heard[i],
            penalty_weight=learner.config.penalty_weight,
            clip_epsilon=learner.config.clip_epsilon,
        )
        assert float(statistics["policy_loss"][i]) == pytest.approx(policy, rel=1e-4, abs=1e-6)
        assert float(statistics["penalty"][i]) == pytest.approx(penalty, rel=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_backends_learn_the_same_and_another_run_than_from_all(form: str):
    """Two updates. A gradient near rounding error moves its weight by a part of a step of 1e-3."""
    game = {"env": "exchange-v1", "env_params": {"horizon": 20}}
    keys = {"message_form": form, "actor_lr": 1e-3, "critic_lr": 1e-3, "iterations": 2, **game}
    slow, kernel, engine = (train(2, backend=backend, **keys) for backend in BACKENDS)
    for fast, records in (kernel, engine):
        gap = (flats(fast) - flats(slow[0])).abs()
        assert gap.mean() < 1e-5
        for key in ("bytes_sent", "floats_sent", "penalty", "policy_loss", "anticipated_probs"):
            np.testing.assert_allclose(records[-1][key], slow[1][-1][key], rtol=1e-3, atol=1e-4)
    _, whole = train(2, backend="engine", **{**keys, "message_form": "full"})
    change = np.array(whole[-1]["penalty"]) / engine[1][-1]["penalty"]
    assert (np.abs(change - 1) > 0.01).all()


@pytest.mark.parametrize("form", ["sampled-3", "noise-0.5"])
def test_draws_depend_on_no_thread_and_a_resume_repeats_them(form: str, tmp_path: Path):
    keys = {"message_form": form, "num_envs": 60, "backend": "engine"}
    one, three = (train(2, torch_threads=k, num_threads=k, **keys)[0] for k in (1, 3))
    assert torch.equal(flats(one), flats(three))

    config = Config(**{**SMALL, "message_form": form, "episodes": 9, "num_envs": 3})
    straight = ascore.train(config, tmp_path / "straight")
    seen: list[int] = []
    ascore.train(config, tmp_path / "cut", report=lambda k, *_: seen.append(k), stop=lambda: True)
    assert seen[-1] < 3
    resumed = ascore.resume(tmp_path / "cut")
    assert [m["return"] for m in resumed.metrics] == [m["return"] for m in straight.metrics]
    assert [m["penalty"] for m in resumed.metrics] == [m["penalty"] for m in straight.metrics]


def test_draws_are_new_in_every_iteration_and_for_every_agent():
    learner, rows = prepared("exchange", "multihead", 1, "torch", {"message_form": "noise-1"})
    even = torch.zeros(3, len(rows.action), 3, learner.spec.num_actions).log_softmax(dim=-1)
    turns = [(0, 0), (0, 1), (1, 0), (1, 1)]
    sent = torch.cat([learner.exchange.sent(even, *turn) for turn in turns])
    assert torch.equal(sent[:3], learner.exchange.sent(even, 0, 0))
    assert len(sent.flatten(0, 2)[:, 0].unique()) > 0.99 * sent[..., 0].numel()


def test_who_watches_is_shown_what_is_sent():
    seen: list[torch.Tensor] = []
    learner, rows = prepared("exchange", "multihead", 1, "engine", {"message_form": "top-1"})
    learner.show_messages(lambda kind, sent: seen.append(sent.clone()))
    learner.iterate(rows, 0)
    assert len(seen) == learner.config.iterations
    for sent in seen:
        others = sent.sort(dim=-1).values[..., :-1]
        torch.testing.assert_close(others[..., 0], others[..., -1])


def test_bytes_are_those_of_what_is_sent():
    """Three agents of two actions send two distributions per row, listener and iteration."""
    for form, numbers, size in (("full", 2, 8), ("bits-4", 2, 1), ("sampled-3", 3, 3)):
        _, records = train(1, message_form=form, iterations=2, env_params={"num_agents": 3})
        rows = 30 * SMALL["num_envs"]
        assert records[0]["floats_distribution"] == [rows * 2 * 2 * 2 * numbers] * 3
        assert records[0]["bytes_sent"] == [rows * 2 * 2 * 2 * size] * 3
