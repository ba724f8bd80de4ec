"""Self-referenced reward: others' rewards as one's own model of one's own rewards infers them.

Source: Mohamed, Kotamreddy and Jose, "Self-Referenced Social Preferences: Cooperation without
Observing Others' Rewards" (manuscript), the prosocial term. Every agent fits f_i(o, a, o') to its
own rewards and puts what those see and do whom it hears in its own place. It needs an observation
per agent, in which that agent stands out; where all see one state, f_i cannot tell whose place it
is in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, U8, Algorithm, Compiled, GraphKeys, Inference, own_keys
from ascore.algorithms.ledger import I64, Traffic
from ascore.algorithms.links import Links
from ascore.config import Config


@dataclass(frozen=True)
class Keys(GraphKeys):
    """How agents value what they take others to earn."""

    alpha: float = 1.0  # weight of the others' mean
    smoothing: float = 0.0  # decay of their earlier rewards beyond that of gamma; 0 = none counts
    kept: int = 256  # transitions with a reward that an agent keeps, so as not to forget them
    warmup: int = 0  # steps of all environments before others count; 20,000 in the manuscript


def others_mean(own: F32, inferred: F32, ended: U8, links: Links, config: Config) -> F32:
    """Mean trace of those i hears, from inferred rewards: [T, B, N], [T, B, L] -> [T, B, N].

    e_ij(t) = gamma lambda e_ij(t-1) + f_i(o_j, a_j, o_j'), from 0 in every episode and batch
    x_i = mean_j e_ij; where i hears nobody, x_i = 0
    """
    decay = config.gamma * own_keys(config, Keys).smoothing
    trace, mean = np.zeros(inferred.shape[1:]), np.empty_like(own)
    for t in range(len(inferred)):
        trace = decay * trace + inferred[t]
        total, count = links.sum_heard(trace, None if links.active is None else links.active[t])
        mean[t] = total / np.maximum(count, 1)
        trace[ended[t] > 0] = 0.0
    return mean


def rewards(own: F32, inferred: F32, ended: U8, links: Links, config: Config) -> F32:
    """u_i = r_i + alpha x_i: [T, B, N], [T, B, L] -> [T, B, N]."""
    alpha = own_keys(config, Keys).alpha
    mixed: F32 = (own + alpha * others_mean(own, inferred, ended, links, config)).astype(np.float32)
    return mixed


def sends(traffic: Traffic) -> dict[str, I64]:
    """What an agent alone sees is shown to all who hear it; what it does they see."""
    if not traffic.private_obs:
        return {}
    return {"observation": traffic.by_sender(traffic.on_states) * traffic.private_obs}


SRR = Algorithm(
    name="srr",
    summary="self-referenced reward: independent PPO on own and inferred rewards",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=Keys,
    has_links=True,
    infers=Inference(
        rewards=rewards,
        kept=lambda config: own_keys(config, Keys).kept,
        warmup=lambda config: own_keys(config, Keys).warmup,
    ),
    sends=sends,
)
