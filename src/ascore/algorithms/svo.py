"""Social value orientation: own rewards and the others' mean, weighed by an angle.

Source: Griesinger and Livingston 1973, "Toward a model of interpersonal motivation in experimental
games"; as a reward of learners in Schwarting et al. 2019, "Social behavior for autonomous
vehicles", Eq. 3. It needs the others' true rewards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, U8, Algorithm, Compiled, GraphKeys, own_keys
from ascore.algorithms.links import Links
from ascore.algorithms.team import sends
from ascore.config import Config


@dataclass(frozen=True)
class Keys(GraphKeys):
    """How agents value what others earn."""

    angle: float = 45.0  # degrees: 0 selfish, 45 prosocial, 90 altruistic, below 0 competitive


def rewards(reward: F32, ended: U8, links: Links | None, config: Config) -> F32:
    """Rewards weighed with the mean of those i hears: [T, B, N] -> [T, B, N].

    u_i = cos(phi) r_i + sin(phi) mean_j r_j; where i hears nobody, u_i = r_i
    """
    if links is None:
        return reward
    phi = math.radians(own_keys(config, Keys).angle)
    active = None if links.active is None else links.active[:-1]
    total, count = links.sum_heard(reward[..., links.pairs.sender].astype(np.float64), active)
    weighed = math.cos(phi) * reward + math.sin(phi) * total / np.maximum(count, 1)
    mixed: F32 = np.where(count > 0, weighed, reward).astype(np.float32)
    return mixed


SVO = Algorithm(
    name="svo",
    summary="social value orientation: independent PPO on own rewards and the others' mean",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=Keys,
    has_links=True,
    rewards=rewards,
    sends=sends,
)
