"""Self-referenced advantage: what others are taken to earn weighs policy updates, not rewards.

Source: as of `srr`. Critics learn from own rewards alone. How the manuscript scales the coefficient
is not known to us: here it is standardised per agent over the batch, and counts in units of the
spread of the agent's own advantages.
"""

from __future__ import annotations

import numpy as np

from ascore.algorithms import ippo
from ascore.algorithms.contract import F32, U8, Algorithm, Compiled, Inference, own_keys
from ascore.algorithms.links import Links
from ascore.algorithms.srr import Keys, others_mean, sends
from ascore.algorithms.targets import spread_of
from ascore.config import Config

SMALLEST_SPREAD = 1e-6  # units of reward; below it, nothing tells one step from another


def bonus(
    own: F32, inferred: F32, ended: U8, present: U8 | None, links: Links, config: Config
) -> F32:
    """Coefficient of the policy update: [T, B, N], [T, B, L] -> [T, B, N].

    b_i = alpha (x_i - mean(x_i)) / std(x_i), over an agent's rows; x_i as in `srr.others_mean`
    A_i <- A_i + std(A_i) b_i
    """
    others = others_mean(own, inferred, ended, links, config)
    mean, spread = spread_of(others, present)
    units = (others - mean) / np.maximum(spread, SMALLEST_SPREAD)
    standard = np.where(spread > SMALLEST_SPREAD, units, 0.0)
    coefficient: F32 = (own_keys(config, Keys).alpha * standard).astype(np.float32)
    return coefficient


SRA = Algorithm(
    name="sra",
    summary="self-referenced advantage: inferred rewards of others weigh the policy's updates",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=Keys,
    has_links=True,
    infers=Inference(
        bonus=bonus,
        kept=lambda config: own_keys(config, Keys).kept,
        warmup=lambda config: own_keys(config, Keys).warmup,
    ),
    sends=sends,
)
