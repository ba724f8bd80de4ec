"""Uniformly random play: what it earns, and whether trained policies still play so."""

from __future__ import annotations

import math

import numpy as np

from ascore.algorithms.table import keys_read
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.envs.legal import ILLEGAL, padding
from ascore.runs.evaluation import Evaluation, Interval, Report, play
from ascore.runs.policy import Policy

NEAR = 0.99
"""Share of the entropy of uniform play from which policies count as uniform."""


def uniform_policy(config: Config) -> Policy:
    """The policy under which all legal actions are equally probable, for a configuration."""
    bins, horizon = config.action_bins, config.horizon
    with batch(config.env, config.env_params, horizon=horizon, action_bins=bins) as env:
        spec = env.spec
    n, a = spec.num_agents, spec.num_actions
    weight, bias = np.zeros((n, math.prod(spec.obs_shape), a)), np.zeros((n, a))
    bias[padding(spec.action_counts, a)] = ILLEGAL
    return Policy(
        env=config.env,
        env_params=config.env_params,
        layers=[(weight.astype(np.float32), bias.astype(np.float32))],
        config=config.to_dict(),
        obs_scale=1.0,
        num_agents=n,
        num_actions=a,
        horizon=horizon,
        action_counts=spec.action_counts,
        action_bins=bins,
    )


def random_return(config: Config, episodes: int, report: Report | None = None) -> Interval:
    """Team return of uniformly random play, over the episodes that `evaluate` plays.

    Args:
        config: environment, its parameters and the seed.
        episodes: number of episodes, at least 1.
        report: as in `evaluate`.
    """
    return play(uniform_policy(config), episodes, config.seed, False, report).team_return


def still_uniform(config: Config, evaluation: Evaluation) -> str | None:
    """A sentence if policies play all but uniformly after training, with what to try; else None."""
    most = evaluation.entropy_uniform
    if most <= 0 or evaluation.greedy or evaluation.entropy < NEAR * most:
        return None
    preset = Config.preset(config.env)
    tries = [f"more --episodes (now {config.episodes:,})"]
    if config.actor_lr < preset.actor_lr:
        rates = f"now {config.actor_lr:g} and {config.critic_lr:g}"
        slow = f"--actor-lr {preset.actor_lr:g} --critic-lr {preset.critic_lr:g} ({rates})"
        tries.insert(0, slow)
    if config.entropy_bonus > 0:
        tries.append(f"a lower --entropy-bonus (now {config.entropy_bonus:g})")
    if "penalty_weight" in keys_read(config.algorithm) and config.penalty_weight > 0:
        tries.append(f"a lower --penalty-weight (now {config.penalty_weight:g})")
    return (
        f"{config.algorithm} still plays at random: entropy {evaluation.entropy:.3f} of at most "
        f"{most:.3f}; try {', '.join(tries)}, and look whether actions change the rewards"
    )
