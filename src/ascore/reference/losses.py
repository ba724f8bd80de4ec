"""The objectives as float64 loops over rows: slow, and close to the equations of the paper."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["anticipation_sharing", "clipped_surrogate", "peer_ratios"]

F64 = NDArray[np.float64]


def clipped_surrogate(ratio: float, peer_ratio: float, advantage: float, epsilon: float) -> float:
    """First term of Eq. 16 for one row: min(xi A w, clip(xi) A w) with w = xi_N."""
    clipped = min(max(ratio, 1.0 - epsilon), 1.0 + epsilon)
    return min(ratio * peer_ratio * advantage, clipped * peer_ratio * advantage)


def peer_ratios(new: F64, old: F64, heard: NDArray[np.bool_]) -> float:
    """xi_N of Eq. 13 for one row: product of new over old probabilities, over heard agents.

    Args:
        new: f64[N], log pi^{ij}(a_j|s).
        old: f64[N], log of the reference probability of a_j.
        heard: bool[N].
    """
    product = 1.0
    for j in range(len(new)):
        if heard[j]:
            product *= math.exp(new[j] - old[j])
    return product


def anticipation_sharing(
    owner: int,
    log_probs: F64,
    action: NDArray[np.int64],
    advantage: F64,
    advantage_scale: float,
    old_own: F64,
    old_reference: F64,
    received_policy: F64,
    received_anticipation: F64,
    heard: NDArray[np.bool_],
    *,
    penalty_weight: float,
    clip_epsilon: float,
    gated: bool = True,
    kl: bool = False,
) -> tuple[float, float]:
    """Negated surrogate and weighted penalty of one agent (Eq. 13-16), means over the rows.

    Args:
        owner: i.
        log_probs: f64[M, N, A], log pi^{ij}(.|s); j = i is the own policy.
        action: i64[M, N], joint actions.
        advantage: f64[M], of the owner, units of reward.
        advantage_scale: kappa of the owner.
        old_own: f64[M], log pi_old^{ii}(a_i|s).
        old_reference: f64[M, N], log of the denominator of Eq. 13 for a_j.
        received_policy: f64[N, M, A], log pi^{jj}(.|s) as sent by j.
        received_anticipation: f64[M, N, A], log pi^{ji}(.|s) as sent by j.
        heard: bool[M, N], whether i hears agent j.
        penalty_weight: rho.
        clip_epsilon: epsilon.
        gated: whether to use the indicators of Eq. 14-15; otherwise every row is penalised.
        kl: whether to use KL(received || own) instead of the squared distance.
    """
    rows = len(action)
    surrogate = penalty = 0.0
    for m in range(rows):
        taken = np.array([log_probs[m, j, action[m, j]] for j in range(log_probs.shape[1])])
        ratio = math.exp(taken[owner] - old_own[m])
        weight = peer_ratios(taken, old_reference[m], heard[m])
        surrogate += clipped_surrogate(ratio, weight, advantage[m], clip_epsilon)
        for j in range(log_probs.shape[1]):
            if not heard[m, j]:
                continue
            policy, anticipation = received_policy[j, m], received_anticipation[m, j]
            if not gated or _active(taken[j] - policy[action[m, j]], advantage[m]):
                penalty += _distance(log_probs[m, j], policy, kl)
            if not gated or _active(taken[owner] - anticipation[action[m, owner]], advantage[m]):
                penalty += _distance(log_probs[m, owner], anticipation, kl)
    return -surrogate / rows, penalty_weight * advantage_scale * penalty / rows


def _active(log_ratio: float, advantage: float) -> bool:
    """Eq. 14: ratio * A >= A, as signs, since exp(log_ratio) may overflow."""
    if advantage == 0.0:
        return True
    return log_ratio >= 0.0 if advantage > 0.0 else log_ratio <= 0.0


def _distance(own: F64, received: F64, kl: bool) -> float:
    total = 0.0
    for a in range(len(own)):
        p, q = math.exp(own[a]), math.exp(received[a])
        total += q * (received[a] - own[a]) if kl else (p - q) ** 2
    return total
