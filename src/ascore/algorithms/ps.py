"""Policy sharing: every agent learns a copy of the joint policy, and copies are averaged.

Source: Zhang and Zavlanos 2019. Agent i acts with head i of its own copy.
"""

from __future__ import annotations

from torch import Tensor

from ascore.algorithms.contract import Algorithm, Compiled, GraphKeys
from ascore.algorithms.ledger import I64, Traffic
from ascore.algorithms.terms import (
    Batch,
    Inbox,
    LossTerms,
    clipped,
    entropy,
    own_policy,
    taken,
)
from ascore.config import Config


def objective(batch: Batch, log_probs: Tensor, inbox: Inbox | None, config: Config) -> LossTerms:
    """Clipped surrogate on the ratio of joint actions, each copy against its own past.

    xi = prod_j pi^{ij}(a_j|s) / pi_old^{ij}(a_j|s), with the agent's own advantage.
    """
    log_ratio = (taken(log_probs, batch.action, batch.owners) - batch.old_log_probs).sum(dim=2)
    policy = clipped(log_ratio.exp(), batch.advantage, config.clip_epsilon)
    return LossTerms(
        policy=policy,
        penalty=policy.new_zeros(policy.shape),
        entropy=entropy(own_policy(log_probs, batch.owners)),
        own_log_ratio=log_ratio.detach(),
    )


def sends(traffic: Traffic) -> dict[str, I64]:
    """A whole joint policy over every link in every round of consensus."""
    return {"parameter": traffic.mixed_with * traffic.actor_size * traffic.mixes}


class Keys(GraphKeys):
    """What policy sharing reads, and independent PPO does not."""

    actor: str


PS = Algorithm(
    name="ps",
    summary="policy sharing: copies of a joint policy are averaged with the neighbours'",
    objective=objective,
    keys=Keys,
    compiled=Compiled.JOINT_RATIO,
    head_per_agent=True,
    has_links=True,
    mixes="actor",
    sends=sends,
)
