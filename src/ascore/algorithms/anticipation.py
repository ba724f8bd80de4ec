"""Anticipation Sharing: Eq. 13-16, on own rewards and received action distributions."""

from __future__ import annotations

import torch
from torch import Tensor

from ascore.algorithms import ippo
from ascore.algorithms.contract import Algorithm, Compiled, GraphKeys
from ascore.algorithms.ledger import I64, Sent, Traffic
from ascore.algorithms.terms import (
    DISCREPANCIES,
    Batch,
    Inbox,
    LossTerms,
    clipped,
    entropy,
    own_policy,
    peer_ratio,
    penalty_gate,
    squared_l2,
    taken,
)
from ascore.config import Config


def objective(batch: Batch, log_probs: Tensor, inbox: Inbox | None, config: Config) -> LossTerms:
    """The dual-clipped objective, negated, one scalar per owner (Eq. 16).

        L_i = -E[min(xi_i xi_N A, clip(xi_i) xi_N A)]
              + kappa rho E sum_j [1_ij d(pi^ij, pi^jj) + 1_ii d(pi^ii, pi^ji)]

    Without an inbox (no communication in this update) penalties and xi_N are dropped, and the
    loss is independent PPO's (section 5.3).
    """
    if inbox is None:
        return ippo.objective(batch, log_probs, inbox, config)
    places = batch.places
    own = own_policy(log_probs, batch.owners, places)  # [n, M, A]
    new = taken(log_probs, batch.action, batch.owners, places)  # [n, M, H]
    heard = inbox.neighbours
    log_ratio = ippo.own_ratio(batch, new)

    reference = (
        batch.old_log_probs if config.peer_ratio_reference == "anticipated" else inbox.old_policies
    )
    peers = peer_ratio(new, reference, heard, config.peer_ratio_clip)
    policy = clipped(log_ratio.exp(), batch.advantage, config.clip_epsilon, peers)

    sent_policy = inbox.policies  # log pi^jj, [n or 1, M, H, A]
    sent_taken = taken(sent_policy, batch.action, batch.owners, places)  # [n or 1, M, H]
    my_action = batch.action.T[batch.owners][:, :, None, None].expand(*heard.shape, 1)
    anticipated_taken = inbox.anticipation.gather(-1, my_action).squeeze(-1)  # log pi^ji(a_i)
    own_taken = own.gather(-1, my_action[:, :, 0]).squeeze(-1)  # log pi^ii(a_i), [n, M]
    peer_active, own_active = heard, heard
    if config.penalty_gate == "indicator":
        peer_active = heard & penalty_gate(new.detach() - sent_taken, batch.advantage)
        own_gap = own_taken.detach().unsqueeze(-1) - anticipated_taken
        own_active = heard & penalty_gate(own_gap, batch.advantage)

    distance = DISCREPANCIES[config.discrepancy]
    zero = new.new_zeros(())
    peer_gap = torch.where(peer_active, distance(log_probs, sent_policy), zero)
    self_gap = torch.where(own_active, distance(own.unsqueeze(2), inbox.anticipation), zero)
    weight = config.penalty_weight * batch.advantage_scale
    penalty = weight * (peer_gap + self_gap).sum(dim=2).mean(dim=1)

    with torch.no_grad():
        links = heard.sum(dim=(1, 2)).clamp(min=1)
        gap = torch.where(heard, squared_l2(log_probs, sent_policy), zero)
        statistics = {
            "active_anticipation": peer_active.sum(dim=(1, 2)) / links,
            "active_own": own_active.sum(dim=(1, 2)) / links,
            "discrepancy": gap.sum(dim=(1, 2)) / links,
            "peer_ratio": peers.mean(dim=1),
        }
    return LossTerms(policy, penalty, entropy(own), log_ratio.detach(), statistics)


def sends(traffic: Traffic) -> dict[str, I64 | Sent]:
    """Per row and listener i, agent j sends pi^jj and pi^ji, over A_j and A_i actions."""
    counts, pairs, form = traffic.action_counts, traffic.pairs, traffic.form

    def sent(sizes: I64) -> I64:
        both = sizes[pairs.listener] + sizes[pairs.sender]
        return traffic.by_sender(traffic.on_rows * both) * traffic.rounds

    return {"distribution": Sent(sent(form.numbers(counts)), sent(form.bytes(counts)))}


class Keys(GraphKeys):
    """What Anticipation Sharing reads, and independent PPO does not."""

    actor: str
    message_form: str
    message_refresh: str
    penalty_weight: float
    advantage_scale: str
    peer_ratio_reference: str
    peer_ratio_clip: float
    anticipation: str
    discrepancy: str
    penalty_gate: str


AS = Algorithm(
    name="as",
    summary="Anticipation Sharing: own and anticipated action distributions are exchanged",
    objective=objective,
    keys=Keys,
    compiled=Compiled.ANTICIPATION,
    head_per_agent=True,
    by_link=True,
    has_links=True,
    sends_policies=True,
    sends=sends,
)
