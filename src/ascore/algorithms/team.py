"""Team reward: every agent learns from the mean reward of itself and those it hears.

The control for what sharing rewards in the open is worth; "prosocial" rewards elsewhere.
"""

from __future__ import annotations

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, U8, Algorithm, Compiled, GraphKeys
from ascore.algorithms.ledger import I64, Traffic
from ascore.algorithms.links import Links
from ascore.config import Config


def rewards(reward: F32, ended: U8, links: Links | None, config: Config) -> F32:
    """r_i <- mean of r_j over {i} and those i hears: [T, B, N] -> [T, B, N]."""
    return reward if links is None else links.mean_at_rows(reward)


def sends(traffic: Traffic) -> dict[str, I64]:
    """One reward for every row and listener."""
    return {"reward": traffic.by_sender(traffic.on_rows)}


TEAM = Algorithm(
    name="team",
    summary="team reward: independent PPO on the mean reward of those who hear one another",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=GraphKeys,
    has_links=True,
    rewards=rewards,
    sends=sends,
)
