"""Anticipation Sharing with a penalty of one's own: total variation, at every step."""

from dataclasses import dataclass, replace

import ascore
from ascore.algorithms import anticipation
from ascore.algorithms.contract import GraphKeys, own_keys
from ascore.algorithms.terms import own_policy


class Kept(GraphKeys):  # keys that still change a run; those of the replaced penalty do not
    actor: str
    message_form: str
    message_refresh: str
    peer_ratio_reference: str
    peer_ratio_clip: float
    anticipation: str


@dataclass(frozen=True)
class Keys(Kept):
    tax: float = 0.1  # units of reward per unit of total variation


def distance(log_p, log_q):
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum(dim=-1)


def objective(batch, log_probs, inbox, config):
    """Eq. 13-16, but the penalty is tax * E sum_j [TV(pi^ij, pi^jj) + TV(pi^ii, pi^ji)]."""
    terms = anticipation.objective(batch, log_probs, inbox, config)
    if inbox is None:  # nothing was sent in this update
        return terms
    wished = distance(log_probs, inbox.policy.transpose(0, 1).unsqueeze(0))  # [n, M, N]
    own = own_policy(log_probs, batch.owners).unsqueeze(2)
    apart = (wished + distance(own, inbox.anticipation)) * inbox.neighbours
    return replace(terms, penalty=own_keys(config, Keys).tax * apart.sum(dim=2).mean(dim=1))


TV = ascore.Algorithm(
    name="tv",
    summary="Anticipation Sharing with total variation as the penalty",
    objective=objective,
    keys=Keys,
    head_per_agent=True,
    has_links=True,
    sends_policies=True,
    sends=anticipation.sends,
)
