"""Agents that differ and masks of legal actions, from collection to the parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from trainings import TRAINED, session

from ascore.algorithms.table import ALGORITHMS
from ascore.envs.legal import ILLEGAL, padding
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.learner import Learner
from ascore.learning.networks import Actor
from ascore.learning.rollout import Rollout
from ascore.learning.rows import _packed, _unpacked, whole

torch.set_num_threads(1)

SHOP: dict[str, Any] = {
    "env": "shops:Shop",
    "num_envs": 4,
    "minibatches": 2,
    "iterations": 2,
    "entropy_bonus": 0.02,
    "actor_lr": 3e-3,
    "critic_lr": 3e-3,
}


def shop(counts: list[int], extra: list[int] | None = None, **changes: Any) -> Any:
    params: dict[str, Any] = {"counts": counts, **changes.pop("params", {})}
    if extra is not None:
        params |= {"extra": extra, "where": "info"}
    return session(**{**SHOP, "env_params": params, **changes})


def real_outputs(learner: Learner, counts: list[int]) -> torch.Tensor:
    """Which outputs of each network are of actions that can be chosen, bool [K, out]."""
    actor = learner.actor
    if learner.algorithm.name == "cppo":
        known = learner.outside.action_counts
        digits = np.stack(np.unravel_index(np.arange(np.prod(known)), known), axis=-1)
        return torch.from_numpy((digits < np.array(counts)).all(axis=-1))[None]
    own = torch.from_numpy(~padding(counts, actor.num_actions))  # [N, A]
    if actor.heads == 1 or actor.layout == "separate":
        return own.repeat(len(actor.net.flat) // len(own), 1)
    return own.reshape(1, -1).repeat(len(actor.net.flat), 1)


def real_parameters(learner: Learner, counts: list[int]) -> list[torch.Tensor]:
    """Views of everything that the game without the other actions has too."""
    *hidden, (weight, bias) = learner.actor.net.layers
    real = real_outputs(learner, counts)
    parts = [part.detach() for layer in hidden for part in layer]
    parts += [weight.detach().transpose(1, 2)[real], bias.detach()[real]]
    return parts


@torch.no_grad()
def copy_into(big: Learner, small: Learner, counts: list[int]) -> None:
    """Starts the larger game from the smaller one's networks; other outputs stay as they are."""
    big.critic.net.flat.copy_(small.critic.net.flat)
    for mine, theirs in zip(big.actor.net.layers[:-1], small.actor.net.layers[:-1], strict=True):
        for part, other in zip(mine, theirs, strict=True):
            part.copy_(other)
    to, source = real_outputs(big, counts), real_outputs(small, counts)
    (weight, bias), (other_weight, other_bias) = (
        big.actor.net.layers[-1],
        small.actor.net.layers[-1],
    )
    weight.transpose(1, 2)[to] = other_weight.transpose(1, 2)[source]
    bias[to] = other_bias[source]


@pytest.mark.parametrize(("algorithm", "backend"), TRAINED)
@pytest.mark.parametrize(
    ("counts", "extra"),
    [([3, 2], [1, 2]), ([2, 2], [1, 0]), ([2, 3, 3], [2, 0, 1])],
    ids=["masks", "masks and padding", "three"],
)
def test_what_is_never_legal_changes_nothing(
    algorithm: str, backend: str, counts: list[int], extra: list[int]
) -> None:
    layout = "separate" if extra[0] == 2 else "multihead"
    changes = {"algorithm": algorithm, "backend": backend, "actor": layout}
    (small, collect), (big, collect_big) = shop(counts, **changes), shop(counts, extra, **changes)
    copy_into(big, small, counts)
    start = big.actor.net.flat.clone()
    for k in range(4):
        rollout, rollout_big = collect.collect(small.actor), collect_big.collect(big.actor)
        assert rollout.legal is None
        assert rollout_big.legal is not None
        assert np.array_equal(rollout_big.obs, rollout.obs)
        record, record_big = small.update(rollout, k), big.update(rollout_big, k)
        for key in ("policy_loss", "entropy", "value_loss", "return", "kl", "policy_grad_norm"):
            np.testing.assert_allclose(record_big[key], record[key], rtol=1e-3, atol=1e-5)
    for part, other in zip(
        real_parameters(big, counts), real_parameters(small, counts), strict=True
    ):
        torch.testing.assert_close(part, other, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(big.critic.net.flat, small.critic.net.flat, rtol=1e-3, atol=1e-5)
    moved = (big.actor.net.flat != start).float().mean()
    assert moved > 0.2
    if algorithm != "ps":  # which averages what is never used as well
        _, (weight, bias) = big.actor.net.layers[0], big.actor.net.layers[-1]
        w, b = big.actor.net.slots[-1]
        never = ~real_outputs(big, counts)
        before = start[:, w].view(weight.shape).transpose(1, 2)[never]
        assert torch.equal(weight.detach().transpose(1, 2)[never], before)
        assert torch.equal(bias.detach()[never], start[:, b][never])


@pytest.mark.parametrize("algorithm", ["as", "ps", "ippo", "cppo"])
@pytest.mark.parametrize(
    "keys",
    [
        {"discrepancy": "kl", "anticipation": "correction", "peer_ratio_reference": "anticipated"},
        {"actor": "separate", "penalty_gate": "always", "update_order": "sequential"},
        {"message_refresh": "iteration", "ratio_reference": "iteration", "communicate_every": 2},
    ],
    ids=["kl", "separate", "iteration"],
)
def test_backends_agree_with_masks(algorithm: str, keys: dict[str, Any]) -> None:
    """Rounding of 1e-7 grows, because Adam turns that of small gradients into parts of a step."""
    params = {"where": "obs", "luck": True}
    learners = []
    for backend in ("torch", "kernel", "engine"):
        changes = {"algorithm": algorithm, "backend": backend, **keys}
        learner, collector = shop([4, 3, 2], **changes, params=params)
        records = [learner.update(collector.collect(learner.actor), k) for k in range(5)]
        assert isinstance(learner.backend, EngineBackend) == (backend == "engine")
        learners.append((learner, records[-1]))
    (slow, expected), *others = learners
    for learner, record in others:
        for net, other in (
            (slow.actor.net, learner.actor.net),
            (slow.critic.net, learner.critic.net),
        ):
            assert (net.flat - other.flat).abs().mean() < 1e-5
            assert (net.flat - other.flat).abs().max() < 5e-3
        assert record.keys() == expected.keys()
        for key in ("policy_loss", "entropy", "value_loss", "bytes_sent", "action_probs"):
            np.testing.assert_allclose(record[key], expected[key], rtol=2e-2, atol=1e-3)


def test_messages_for_every_minibatch_are_masked_too() -> None:
    changes = {"algorithm": "as", "message_refresh": "minibatch", "backend": "torch"}
    counts = [3, 2]
    (small, collect), (big, collect_big) = shop(counts, **changes), shop(counts, [1, 2], **changes)
    copy_into(big, small, counts)
    for k in range(3):
        small.update(collect.collect(small.actor), k)
        big.update(collect_big.collect(big.actor), k)
    for part, other in zip(
        real_parameters(big, counts), real_parameters(small, counts), strict=True
    ):
        torch.testing.assert_close(part, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", "kernel", "engine"])
def test_illegal_actions_are_never_chosen_nor_sent(backend: str) -> None:
    """The shop asserts it, with policies that soon are nearly deterministic."""
    changes = {"algorithm": "as", "backend": backend, "actor_lr": 0.3, "num_envs": 8}
    learner, collector = shop([5, 4], **changes, params={"where": "info", "luck": True})
    for k in range(10):
        rollout = collector.collect(learner.actor)
        assert rollout.legal is not None
        chosen = np.take_along_axis(rollout.legal, rollout.action[..., None], axis=-1)
        assert chosen.all()
        learner.update(rollout, k)
        probs = learner.backend.log_probs().exp()  # [N, S, N, A]
        legal = torch.from_numpy(rollout.legal.reshape(-1, 2, 5) != 0)
        assert (probs[:, ~legal] == 0).all()
        torch.testing.assert_close(probs.sum(dim=-1), torch.ones(probs.shape[:-1]))


# ---- networks --------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["multihead", "separate"])
@pytest.mark.parametrize("several", [True, False])
def test_padding_leaves_the_first_weights_as_they_are(layout: str, several: bool) -> None:
    def actor(actions: int, counts: tuple[int, ...] = ()) -> Actor:
        return Actor(
            4, (6,), 2, actions, head_per_agent=several, layout=layout, seed=3, action_counts=counts
        )

    both, *alone = actor(5, (5, 2)), actor(5), actor(2)
    for (weight, bias), *others in zip(
        both.own_layers()[-1:], *(other.own_layers()[-1:] for other in alone), strict=True
    ):
        for agent, count in enumerate((5, 2)):
            other_weight, other_bias = others[agent]
            assert torch.equal(weight[agent, :, :count], other_weight[agent])
            assert torch.equal(bias[agent, :count], other_bias[agent])
            assert (weight[agent, :, count:] == 0).all()
            assert (bias[agent, count:] == ILLEGAL).all()
    probs = both.log_probs(torch.randn(7, 4)).exp()  # [N, M, H, A]
    second = probs[:, :, 1] if several else probs[1, :, 0]
    assert (second[..., 2:] == 0).all()
    assert both.lacking == (3 * (6 + 1) if several else 0)


def test_policies_over_different_actions_are_not_averaged(monkeypatch: Any) -> None:
    mixing = replace(ALGORITHMS["ps"], head_per_agent=False)
    monkeypatch.setitem(ALGORITHMS, "ps", mixing)
    with pytest.raises(ConfigError, match=r"ps averages policies, but .* have 3, 2 act"):
        shop([3, 2], algorithm="ps")
    shop([3, 3], algorithm="ps")


# ---- what is sent ----------------------------------------------------------------------------


def test_the_ledger_counts_what_agents_have() -> None:
    changes = {"algorithm": "as", "iterations": 3}
    learner, collector = shop([4, 1, 2], **changes)
    record = learner.update(collector.collect(learner.actor), 0)
    rows, rounds = 4 * 6, 3
    # To each of two listeners an agent sends its own policy, and what it expects of the listener.
    own, others = np.array([4, 1, 2]), np.array([1 + 2, 4 + 2, 4 + 1])
    assert record["floats_distribution"] == (rows * rounds * (2 * own + others)).tolist()


def test_the_ledger_counts_no_parameters_of_actions_that_agents_lack() -> None:
    learner, collector = shop([4, 1, 2], algorithm="ps", minibatches=1, iterations=1)
    record = learner.update(collector.collect(learner.actor), 0)
    size = (3 + 1) * 12 + (12 + 1) * 8 + (8 + 1) * (4 + 1 + 2)
    assert record["floats_parameter"] == [2 * size] * 3


# ---- ranks -----------------------------------------------------------------------------------


class Pair:
    """Two ranks of which this is one, in one process."""

    def __init__(self, contents: list[np.ndarray]) -> None:
        self.contents = contents

    def everywhere(self, content: np.ndarray) -> list[np.ndarray]:
        return self.contents


@pytest.mark.parametrize("forbids", [(True, True), (True, False), (False, False)])
def test_masks_travel_between_ranks(forbids: tuple[bool, bool]) -> None:
    rollouts = []
    for seed, forbid in enumerate(forbids):
        where = "info" if forbid else ""
        learner, collector = shop(
            [3, 2], algorithm="ippo", seed=seed, params={"where": where, "luck": forbid}
        )
        rollouts.append(collector.collect(learner.actor))
        again, _ = _unpacked(_packed(rollouts[-1]), rollouts[-1])
        assert (again.legal is None) == (not forbid)
    merged: Rollout = whole(Pair([_packed(r) for r in rollouts]), rollouts[0])  # type: ignore[arg-type]
    if not any(forbids):
        assert merged.legal is None
        return
    assert merged.legal is not None
    for k, rollout in enumerate(rollouts):
        part = merged.legal[:, 4 * k : 4 * k + 4]
        assert np.array_equal(part, 1 + 0 * part if rollout.legal is None else rollout.legal)
    assert len(merged.final) == len(rollouts[0].final)


def test_the_mask_of_a_batch_begins_where_the_first_action_was_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner, collector = shop([3, 2], algorithm="ippo")
    mask = np.tile(np.array([[0, 1, 1], [1, 1, 0]], dtype=np.uint8), (4, 1, 1))
    seen = property(lambda env: mask if env.time[0] in (2, 4) else None)
    monkeypatch.setattr(type(collector.env), "legal", seen)
    rollout = collector.collect(learner.actor)
    assert rollout.legal is not None
    for t in range(6):
        assert np.array_equal(rollout.legal[t], mask if t in (2, 4) else np.ones_like(mask))
    monkeypatch.setattr(type(collector.env), "legal", None)
    assert collector.collect(learner.actor).legal is None


def test_a_specification_lists_counts_where_they_differ() -> None:
    spec = Spec("any", 2, 3, (1,), "float32", 5, 1, ("a",) * 3)
    assert spec.action_counts == (3, 3)
