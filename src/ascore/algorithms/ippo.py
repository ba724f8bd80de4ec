"""Independent PPO: each agent on its own reward; nothing is exchanged (de Witt et al. 2020)."""

from __future__ import annotations

from torch import Tensor

from ascore.algorithms.contract import Algorithm, Compiled
from ascore.algorithms.terms import Batch, Inbox, LossTerms, clipped, entropy, own_policy, taken
from ascore.config import Config


def objective(batch: Batch, log_probs: Tensor, inbox: Inbox | None, config: Config) -> LossTerms:
    """Clipped surrogate on the own policy alone (Schulman et al. 2017, Eq. 7)."""
    own = own_policy(log_probs, batch.owners, batch.places)
    log_ratio = own_ratio(batch, taken(log_probs, batch.action, batch.owners, batch.places))
    policy = clipped(log_ratio.exp(), batch.advantage, config.clip_epsilon)
    return LossTerms(
        policy=policy,
        penalty=policy.new_zeros(policy.shape),
        entropy=entropy(own),
        own_log_ratio=log_ratio.detach(),
    )


def own_ratio(batch: Batch, new: Tensor) -> Tensor:
    """Log xi_i of Eq. 13: new f32 [n, M, H] -> f32 [n, M]."""
    change = new - batch.old_log_probs
    if change.shape[2] == 1:
        return change[:, :, 0]
    index = batch.own[:, None, None].expand(change.shape[0], change.shape[1], 1)
    return change.gather(2, index).squeeze(2)


IPPO = Algorithm(
    name="ippo",
    summary="independent PPO: nothing is exchanged",
    objective=objective,
    compiled=Compiled.OWN_RATIO,
)
