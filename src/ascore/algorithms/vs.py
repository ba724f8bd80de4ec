"""Value sharing: advantages from the neighbours' mean value (Du et al. 2022)."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, Algorithm, Compiled, Estimate, GraphKeys
from ascore.algorithms.ledger import I64, Traffic
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.config import Config


def average(own: F32, heard: npt.NDArray[np.bool_]) -> F32:
    """Mean over {i} and those i hears: own f32 [..., N], heard bool [..., N, N] -> f32 [..., N]."""
    total = own + np.einsum("...ij,...j->...i", heard.astype(np.float32), own)
    mean: F32 = (total / (1.0 + heard.sum(axis=-1))).astype(np.float32)
    return np.ascontiguousarray(mean)


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
        return dataclasses.replace(own, advantage=average(own.advantage, links.rows))
    pooled = estimate(average(value, links.states), average(final_value, links.closing))
    return dataclasses.replace(own, advantage=pooled.advantage)


def sends(traffic: Traffic) -> dict[str, I64]:
    """One value per state and listener; shared advantages have one per row instead."""
    values: I64 = traffic.states_heard.sum(axis=1)
    return {"value": values}


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
