"""Loss terms in plain PyTorch: the reference objective, and the path for any device.

Axes: i owner, m row, j subject, a action; index order is always owner, row, subject, action.
Where owners have heads for some agents only (`Heads`), the axis of subjects is that of H heads,
and `Places` says whose they are. With a head for everybody, H = N and head j is of agent j.
All functions are pure; gradients flow to the `log_probs` argument only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ascore.algorithms.heads import Heads


@dataclass(frozen=True)
class Places:
    """Whose the heads of some owners are, where they have heads for some agents only.

    An empty head has agent 0 for a subject, whom its owner does not hear through it.
    """

    subjects: Tensor  # i64 [n, H]
    own: Tensor  # i64 [n], which head is the owner's own
    back: Tensor  # i64 [n, H], which head of the subject is of the owner

    @classmethod
    def at(cls, heads: Heads, device: torch.device | str = "cpu") -> Places | None:
        """Those of all agents; None where head j is of agent j."""
        if heads.for_all:
            return None
        subjects, own, back = (
            torch.from_numpy(x).to(device)
            for x in (np.maximum(heads.subjects, 0), heads.own_place, heads.back)
        )
        return cls(subjects, own, back)

    def of(self, owners: Tensor) -> Places:
        """Those of some of the owners, i64 [n]."""
        return Places(self.subjects[owners], self.own[owners], self.back[owners])


@dataclass(frozen=True)
class Batch:
    """Rows of a minibatch as some owners (n of the N agents) see them."""

    action: Tensor  # i64 [M, N], the joint action
    advantage: Tensor  # f32 [n, M], of the owners
    advantage_scale: Tensor  # f32 [n], kappa of the owners
    old_log_probs: Tensor  # f32 [n, M, H], log of the owners' old probability of the actions taken
    owners: Tensor  # i64 [n], which agents
    places: Places | None = None  # whose the owners' heads are; None = head j is of agent j

    @property
    def own(self) -> Tensor:
        """Which head is an owner's own, i64 [n]; of no meaning where there is but one."""
        return self.owners if self.places is None else self.places.own


@dataclass(frozen=True)
class Inbox:
    """What the owners received; row i is what i heard from each j. Constants of the loss."""

    policy: Tensor  # f32 [N, M, A], log pi^{jj}(.|s) as last sent
    anticipation: Tensor  # f32 [n, M, H, A], log pi^{ji}(.|s) as last sent
    old_policy: Tensor  # f32 [M, N], log pi_old^{jj}(a_j|s), what j announced before the update
    neighbours: Tensor  # bool [n, M, H], whom i hears; never i itself
    places: Places | None = None  # whose the owners' heads are; None = head j is of agent j

    @property
    def policies(self) -> Tensor:
        """`policy` of the heads' subjects: [n, M, H, A], or [1, M, N, A] where head j is of j."""
        if self.places is None:
            return self.policy.transpose(0, 1).unsqueeze(0)
        return self.policy[self.places.subjects].transpose(1, 2)

    @property
    def old_policies(self) -> Tensor:
        """`old_policy` of the heads' subjects, [n, M, H] or [M, N]."""
        if self.places is None:
            return self.old_policy
        return self.old_policy[:, self.places.subjects].transpose(0, 1)


@dataclass(frozen=True)
class Messages:
    """What all agents sent in one communication; `inbox` selects what some owners received."""

    log_probs: Tensor  # f32 [N, M, H, A] contiguous, log pi^{ij}(.|s): own policies, anticipations
    old_policy: Tensor  # f32 [M, N], log pi_old^{jj}(a_j|s)
    neighbours: Tensor  # bool [n, M, H], or [n, 1, H] when the graph is the same at every row
    places: Places | None = None  # whose the heads of all agents are; None = head j is of agent j

    def inbox(self, owners: Tensor) -> Inbox:
        """What the owners, i64 [n], received."""
        everybody = torch.arange(len(self.log_probs), device=self.log_probs.device)
        rows, places = self.log_probs.shape[1], self.places
        theirs = None if places is None else places.of(owners)
        if theirs is None:
            anticipation = self.log_probs.transpose(0, 2)[owners]
        else:
            anticipation = self.log_probs[theirs.subjects, :, theirs.back].transpose(1, 2)
        return Inbox(
            policy=own_policy(self.log_probs, everybody, places),
            anticipation=anticipation,
            old_policy=self.old_policy,
            neighbours=self.neighbours.expand(-1, rows, -1),
            places=theirs,
        )


@dataclass(frozen=True)
class LossTerms:
    """One scalar per owner for each term of its loss; the loss is their sum."""

    policy: Tensor  # f32 [n], negated surrogate
    penalty: Tensor  # f32 [n], weighted discrepancies
    entropy: Tensor  # f32 [n], of the own policy, nats
    own_log_ratio: Tensor  # f32 [n, M], detached
    statistics: dict[str, Tensor] = field(default_factory=dict)  # f32 [n] each, detached


def clipped(
    ratio: Tensor, advantage: Tensor, clip_epsilon: float, weight: Tensor | None = None
) -> Tensor:
    """Negated clipped surrogate per owner.

        L_i = -E_m[min(xi w A, clip(xi, 1-eps, 1+eps) w A)]

    Args:
        ratio: xi = pi(a|s) / pi_old(a|s), f32 [n, M].
        advantage: A, f32 [n, M], units of reward.
        clip_epsilon: half-width eps of the trust interval, above 0.
        weight: w, a positive factor that is not clipped (xi_N of Eq. 13), f32 [n, M]; None = 1.

    Returns:
        f32 [n].

    Source: Schulman et al. 2017, Eq. 7; with `weight`, the first term of Eq. 16.
    """
    weighted = advantage if weight is None else weight * advantage
    unclipped = ratio * weighted
    bounded = ratio.clamp(1.0 - clip_epsilon, 1.0 + clip_epsilon) * weighted
    return -torch.minimum(unclipped, bounded).mean(dim=1)


def peer_ratio(new: Tensor, old: Tensor, neighbours: Tensor, clip: float = 0.0) -> Tensor:
    """xi_N of Eq. 13: product over the neighbours of pi^{ij}(a_j) over its reference.

    Args:
        new: log pi^{ij}(a_j|s), f32 [n, M, N].
        old: log of the reference, broadcastable to `new`: the old anticipation (Eq. 13 as
            printed) or pi_old^{jj}(a_j|s), which drew a_j.
        neighbours: bool [n, M, N].
        clip: half-width of an interval around 1 outside which the product is held constant;
            0 = off (the paper).

    Returns:
        f32 [n, M]; 1 where nobody is heard.
    """
    log_ratio = torch.where(neighbours, new - old, torch.zeros_like(new)).sum(dim=2)
    ratio = log_ratio.exp()
    return ratio.clamp(max(1.0 - clip, 0.0), 1.0 + clip) if clip > 0 else ratio


def penalty_gate(log_ratio: Tensor, advantage: Tensor) -> Tensor:
    """Indicator of Eq. 14-15: 1 where ratio * A >= A.

    Decided on signs: exp(log_ratio) overflows on saturated policies, and 0 * inf is not a number.

    Args:
        log_ratio: log of pi^{ij}(a_j)/pi^{jj}(a_j), or of pi^{ii}(a_i)/pi^{ji}(a_i); [n, M, N].
        advantage: f32 [n, M].

    Returns:
        bool [n, M, N].
    """
    a = advantage.unsqueeze(-1)
    return ((a > 0) & (log_ratio >= 0)) | ((a < 0) & (log_ratio <= 0)) | (a == 0)


def squared_l2(log_p: Tensor, log_received: Tensor) -> Tensor:
    """||p - q||^2 over the last axis (Eq. 16)."""
    return (log_p.exp() - log_received.exp()).square().sum(dim=-1)


def kl_from_received(log_p: Tensor, log_received: Tensor) -> Tensor:
    """KL(q || p) over the last axis; its gradient on p's logits is p - q, on both sides alike."""
    q = log_received.exp()
    return (q * (log_received - log_p)).sum(dim=-1)


DISCREPANCIES = {"l2": squared_l2, "kl": kl_from_received}


def entropy(log_p: Tensor) -> Tensor:
    """Mean entropy in nats: log_p f32 [n, M, A] -> f32 [n]."""
    return -(log_p.exp() * log_p).sum(dim=-1).mean(dim=1)


def corrections_base(sent: Tensor, owners: Tensor, places: Places | None = None) -> Tensor:
    """What owners add to their heads where anticipations are corrections.

    Args:
        sent: log pi^{jj}(.|s) as last sent, f32 [N, M, A].
        owners: i64 [n].
        places: whose the owners' heads are; None = head j is of agent j.

    Returns:
        f32 [n, M, H, A]; 0 in an owner's own place, whose policy is not corrected.
    """
    number = torch.arange(len(owners), device=owners.device)
    if places is None:
        base, own = sent.transpose(0, 1).repeat(len(owners), 1, 1, 1), owners
    else:
        base, own = sent[places.subjects].transpose(1, 2).clone(), places.own
    base[number, :, own] = 0.0
    return base


def own_policy(log_probs: Tensor, owners: Tensor, places: Places | None = None) -> Tensor:
    """Log pi^{ii}: picks each owner's own head, [n, M, H, A] -> [n, M, A]."""
    if log_probs.shape[2] == 1:
        return log_probs[:, :, 0]
    n = log_probs.shape[0]
    if places is not None:
        return log_probs[torch.arange(n, device=owners.device), :, places.own]
    if n == log_probs.shape[2]:  # all owners: a view
        return log_probs.diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    return torch.stack([log_probs[k, :, owners[k]] for k in range(n)])


def taken(
    log_probs: Tensor, action: Tensor, owners: Tensor, places: Places | None = None
) -> Tensor:
    """Log-probabilities of the actions taken: [n, M, H, A], [M, N] -> [n, M, H].

    With one head the subject is the owner; otherwise a head is judged on its subject's action.
    """
    n, rows, heads, _ = log_probs.shape
    if heads == 1:
        index = action.T[owners].unsqueeze(-1)
    elif places is None:
        index = action.expand(n, rows, heads)
    else:
        index = action[:, places.subjects].transpose(0, 1)
    return log_probs.gather(-1, index.unsqueeze(-1)).squeeze(-1)
