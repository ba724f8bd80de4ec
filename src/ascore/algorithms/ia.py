"""Inequity aversion: own rewards, less what it costs to earn less or more than others.

Source: Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social
dilemmas", Eq. 3-4. It needs the others' true rewards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, U8, Algorithm, Compiled, GraphKeys, own_keys
from ascore.algorithms.links import Links
from ascore.algorithms.team import sends
from ascore.config import Config


@dataclass(frozen=True)
class Keys(GraphKeys):
    """Hughes et al., Table 1."""

    alpha: float = 5.0  # weight of earning less than others
    beta: float = 0.05  # weight of earning more than others
    smoothing: float = 0.975  # decay of earlier rewards beyond that of gamma


def rewards(reward: F32, ended: U8, links: Links | None, config: Config) -> F32:
    """Rewards less the mean disadvantage and advantage over those i hears: [T, B, N] -> [T, B, N].

    e_i(t) = gamma lambda e_i(t-1) + r_i(t), from 0 in every episode and batch
    u_i = r_i - alpha mean_j max(e_j - e_i, 0) - beta mean_j max(e_i - e_j, 0)
    """
    if links is None:
        return reward
    keys = own_keys(config, Keys)
    smooth, adjusted = np.zeros(reward.shape[1:]), np.empty_like(reward)
    pairs, active = links.pairs, links.active
    for t in range(len(reward)):
        smooth = config.gamma * keys.smoothing * smooth + reward[t]
        apart = smooth[:, pairs.sender] - smooth[:, pairs.listener]  # what j has more than i
        cost = keys.alpha * np.maximum(apart, 0.0) + keys.beta * np.maximum(-apart, 0.0)
        total, count = links.sum_heard(cost, None if active is None else active[t])
        adjusted[t] = reward[t] - total / np.maximum(count, 1)
        smooth[ended[t] > 0] = 0.0
    return adjusted


IA = Algorithm(
    name="ia",
    summary="inequity aversion: independent PPO on rewards that count what others earn",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=Keys,
    has_links=True,
    rewards=rewards,
    sends=sends,
)
