"""Anticipation Sharing over a matrix of all pairs, in float64, for gradients by autograd.

It knows nothing of lists of links: every agent has a policy for every agent, and a mask says who
hears whom. What is written over links must give the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["loss"]


def loss(
    log_probs: Tensor,
    old: Tensor,
    sent: Tensor,
    action: Tensor,
    advantage: Tensor,
    heard: Tensor,
    *,
    penalty_weight: float,
    clip_epsilon: float,
    printed: bool,
    gated: bool,
    kl: bool,
    entropy_bonus: float,
) -> Tensor:
    """Eq. 16 of every agent, negated, minus the entropy bonus.

    Args:
        log_probs: f64[N, M, N, A], log pi^{ij}(.|s), differentiable.
        old: f64[N, M, N, A], log pi_old^{ij}(.|s).
        sent: f64[N, M, N, A], log pi^{ij}(.|s) as last sent.
        action: i64[M, N].
        advantage: f64[N, M].
        heard: bool[M, N, N], [m, i, j] true where i hears j.
        penalty_weight: rho; kappa is the mean of |advantage|.
        clip_epsilon: epsilon.
        printed: the peer ratio is Eq. 13's, else over what drew the action.
        gated: penalties act where Eq. 14-15 say, else everywhere.
        kl: the distance is KL(received || own), not squared L2.
        entropy_bonus: weight of the own policy's entropy.

    Returns:
        f64[N].
    """
    agents = len(log_probs)
    losses = []
    for i in range(agents):
        own = log_probs[i, :, i]
        own_taken = _taken(own, action[:, i])
        ratio = (own_taken - _taken(old[i, :, i], action[:, i])).exp()
        log_peers = torch.zeros_like(ratio)
        penalty = torch.zeros_like(ratio)
        for j in range(agents):
            link = heard[:, i, j].double()
            policy, wish = sent[j, :, j], sent[j, :, i]
            new = _taken(log_probs[i, :, j], action[:, j])
            before = _taken(old[i if printed else j, :, j], action[:, j])
            log_peers = log_peers + link * (new - before)
            gap = new.detach() - _taken(policy, action[:, j])
            acts = link * _gate(gap, advantage[i]) if gated else link
            penalty = penalty + acts * _distance(log_probs[i, :, j], policy, kl)
            gap = own_taken.detach() - _taken(wish, action[:, i])
            acts = link * _gate(gap, advantage[i]) if gated else link
            penalty = penalty + acts * _distance(own, wish, kl)
        weighted = log_peers.exp() * advantage[i]
        bounded = ratio.clamp(1 - clip_epsilon, 1 + clip_epsilon)
        surrogate = torch.minimum(ratio * weighted, bounded * weighted)
        kappa = advantage[i].abs().mean()
        entropy = -(own.exp() * own).sum(dim=-1)
        losses.append(
            (penalty_weight * kappa * penalty - surrogate - entropy_bonus * entropy).mean()
        )
    return torch.stack(losses)


def _taken(log_probs: Tensor, action: Tensor) -> Tensor:
    return log_probs.gather(-1, action[:, None])[:, 0]


def _gate(log_ratio: Tensor, advantage: Tensor) -> Tensor:
    up = (advantage > 0) & (log_ratio >= 0)
    down = (advantage < 0) & (log_ratio <= 0)
    return (up | down | (advantage == 0)).double()


def _distance(log_p: Tensor, log_q: Tensor, kl: bool) -> Tensor:
    if kl:
        return (log_q.exp() * (log_q - log_p)).sum(dim=-1)
    return (log_p.exp() - log_q.exp()).square().sum(dim=-1)
