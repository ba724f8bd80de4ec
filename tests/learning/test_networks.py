"""Stacked networks: layouts agree where they must, and agents are independent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from ascore.algorithms.terms import own_policy
from ascore.learning.networks import Actor, Critic, StackedMLP, orthogonal

N, A, OBS, H = 3, 4, 5, (16, 8)


def actor(layout: str, hidden: tuple[int, ...] = H, *, head_per_agent: bool = True) -> Actor:
    return Actor(OBS, hidden, N, A, head_per_agent=head_per_agent, layout=layout, seed=7)


def rows(m: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(m, OBS)).astype(np.float32))


def one_network(
    layers: list[tuple[torch.Tensor, torch.Tensor]], k: int, x: torch.Tensor
) -> torch.Tensor:
    """Network k of a stack, with torch.nn.functional."""
    for index, (weight, bias) in enumerate(layers):
        x = torch.nn.functional.linear(x, weight[k].T, bias[k])
        x = torch.relu(x) if index + 1 < len(layers) else x
    return x


def test_stack_equals_its_networks_one_by_one():
    net = StackedMLP(3, (OBS, *H, A))
    with torch.no_grad():
        net.flat.copy_(torch.from_numpy(np.random.default_rng(1).normal(size=net.flat.shape)))
    x = rows()
    for k in range(3):
        torch.testing.assert_close(net(x)[k], one_network(net.layers, k, x))
    torch.testing.assert_close(net(x, slice(1, 2))[0], net(x)[1])
    torch.testing.assert_close(net(x.expand(3, -1, -1).contiguous()), net(x))


@pytest.mark.parametrize("layout", ["multihead", "separate"])
def test_own_policies_start_the_same_with_and_without_anticipations(layout):
    owners = torch.arange(N)
    alone = actor("multihead", head_per_agent=False).log_probs(rows())
    both = actor(layout).log_probs(rows())
    torch.testing.assert_close(own_policy(both, owners), own_policy(alone, owners))


def test_multihead_with_duplicated_trunks_equals_separate_networks():
    shared, separate = actor("multihead"), actor("separate")
    with torch.no_grad():
        for layer, (weight, bias) in enumerate(shared.net.layers):
            for i in range(N):
                for j in range(N):
                    to_weight, to_bias = separate.net.layers[layer]
                    last = layer == len(H)
                    head = slice(j * A, (j + 1) * A) if last else slice(None)
                    to_weight[i * N + j].copy_(weight[i][:, head])
                    to_bias[i * N + j].copy_(bias[i][head])
    x = rows()
    out_shared, out_separate = shared.log_probs(x), separate.log_probs(x)
    torch.testing.assert_close(out_shared, out_separate)
    scale = torch.from_numpy(
        np.random.default_rng(2).normal(size=out_shared.shape).astype(np.float32)
    )
    heads = [net.net.layers[-1] for net in (shared, separate)]
    grads = [
        torch.autograd.grad((out * scale).sum(), pair)
        for out, pair in zip((out_shared, out_separate), heads, strict=True)
    ]
    weight = grads[0][0].view(N, H[-1], N, A).transpose(1, 2).reshape(N * N, H[-1], A)
    torch.testing.assert_close(weight, grads[1][0])
    torch.testing.assert_close(grads[0][1].view(N * N, A), grads[1][1])


@pytest.mark.parametrize("layout", ["multihead", "separate"])
def test_acting_layers_are_the_own_policies(layout):
    net = actor(layout)
    x = rows()
    from ascore.learning.networks import forward

    logits = forward(net.own_layers(), x)
    torch.testing.assert_close(
        torch.log_softmax(logits, dim=-1), own_policy(net.log_probs(x), torch.arange(N)).detach()
    )
    parts = [part.reshape(N, -1) for layer in net.own_layers() for part in layer]
    assert torch.equal(net.own_flat(), torch.cat(parts, dim=1))
    assert not any(part.requires_grad for part in parts)


@pytest.mark.parametrize("layout", ["multihead", "separate"])
@pytest.mark.parametrize("hidden", [H, (7,)], ids=["two layers", "one layer"])
def test_anticipation_mask_marks_exactly_what_own_policies_do_not_use(layout, hidden):
    net = actor(layout, hidden)
    leaves = [leaf for layer in net.net.layers for leaf in layer]
    every = net.log_probs(rows(200))

    def used(log_probs: torch.Tensor) -> torch.Tensor:
        loss = log_probs.square().sum()
        grads = torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True)
        return torch.cat([g.reshape(g.shape[0], -1) for g in grads], dim=1) != 0

    own = used(own_policy(every, torch.arange(N)))
    alive = used(every)  # not of units that are off
    mask = net.anticipation_mask()
    assert torch.equal(mask & alive, ~own & alive)
    assert not (own & mask).any()
    assert alive.float().mean() > 0.8
    if layout == "separate":
        assert mask.view(N, N, -1).all(dim=2).tolist() == (~torch.eye(N, dtype=torch.bool)).tolist()


def test_critics_are_independent():
    critic = Critic(OBS, H, N, seed=1)
    value = critic(rows())
    assert value.shape == (N, 6)
    (gradient,) = torch.autograd.grad(value[1].sum(), critic.net.layers[0][0])
    assert (gradient[1] != 0).any()
    assert (gradient[[0, 2]] == 0).all()


def test_first_weights_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch):
    """More than one would round otherwise, and spin on a busy machine."""
    threads, qr = [], np.linalg.qr

    def watched(matrix: np.ndarray):
        blas = (one for one in threadpool_info() if one["user_api"] == "blas")
        threads.extend(one["num_threads"] for one in blas if "numpy" in one["filepath"])
        return qr(matrix)

    monkeypatch.setattr(np.linalg, "qr", watched)
    with threadpool_limits(2, "blas"):
        orthogonal(np.random.default_rng(0), 4, 3, 1.0)
    assert threads
    assert set(threads) == {1}
