"""Value parameter sharing: critics are averaged over links (Zhang et al. 2018b).

Own rewards in the advantages; a critic that is averaged after each of its steps tends to the
average of what the agents expect.
"""

from __future__ import annotations

from ascore.algorithms import ippo
from ascore.algorithms.contract import Algorithm, Compiled, GraphKeys
from ascore.algorithms.ledger import I64, Traffic


def sends(traffic: Traffic) -> dict[str, I64]:
    """A critic's parameters over every link in every round of consensus."""
    return {"parameter": traffic.mixed_with * traffic.critic_size * traffic.mixes}


VPS = Algorithm(
    name="vps",
    summary="value parameter sharing: critics are averaged with the neighbours'",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=GraphKeys,
    has_links=True,
    mixes="critic",
    sends=sends,
)
