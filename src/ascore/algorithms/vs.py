"""Value sharing: advantages from the neighbours' mean value (Du et al. 2022)."""

from __future__ import annotations

import dataclasses

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, Algorithm, Compiled, Estimate, GraphKeys
from ascore.algorithms.ledger import I64, Traffic
from ascore.algorithms.links import Links
from ascore.algorithms.links import average as average
from ascore.algorithms.targets import Targets
from ascore.config import Config


def advantages(
    estimate: Estimate, value: F32, final_value: F32, links: Links | None, config: Config
) -> Targets:
    """Eq. 17 with an agent's own rewards and the mean value of those it hears.

    Each critic regresses on its own agent's return. With `shares = advantage` it is the advantages
    that are averaged. The value of an episode's last state counts whom i heard in the state before,
    without those that are terminated in it.
    """
    own = estimate(value, final_value)
    if links is None:
        return own
    if config.shares == "advantage":
        return dataclasses.replace(own, advantage=links.mean_at_rows(own.advantage))
    pooled = estimate(links.mean_at_states(value), links.mean_at_closing(final_value))
    return dataclasses.replace(own, advantage=pooled.advantage)


def sends(traffic: Traffic) -> dict[str, I64]:
    """One value per state and listener; shared advantages have one per row instead."""
    return {"value": traffic.by_sender(traffic.on_states)}


class Keys(GraphKeys):
    """What value sharing reads, and independent PPO does not."""

    shares: str


VS = Algorithm(
    name="vs",
    summary="value sharing: advantages from the neighbours' mean value",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=Keys,
    has_links=True,
    advantages=advantages,
    sends=sends,
)
