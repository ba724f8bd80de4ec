"""Metrics of an update: returns, quality of the critics, and traffic.

T steps, B environments, N agents.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ascore.algorithms import ledger
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.config import Config
from ascore.envs.vec_env import Spec
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

Metrics = dict[str, Any]
"""Plain values for JSON; per-agent quantities are lists of N floats."""


def returns(rollout: Rollout, ranks: Ranks) -> Metrics:
    """Mean return of the finished episodes, of the team and per agent; NaN if there are none."""
    n = rollout.reward.shape[2]
    ended = np.concatenate([np.zeros((0, n)), *rollout.episode_returns])
    earned = ranks.total(np.array([*ended.sum(axis=0), len(ended)]))
    mean = earned[:-1] / earned[-1] if earned[-1] > 0 else np.full(n, np.nan)
    return {"team_return": float(mean.sum()), "return": mean.tolist()}


def explained_variance(targets: Targets, ranks: Ranks) -> Metrics:
    """1 - Var(returns - V) / Var(returns) per agent."""
    n = targets.returns.shape[-1]
    both = np.stack([targets.returns - targets.value, targets.returns]).reshape(2, -1, n)
    both = both.astype(np.float64)
    centre = ranks.mean(both.mean(axis=1))
    residual, spread = ranks.mean(np.square(both - centre[:, None]).mean(axis=1))
    return {"explained_variance": (1.0 - residual / np.maximum(spread, 1e-12)).tolist()}


def traffic(
    rollout: Rollout,
    links: Links | None,
    config: Config,
    outside: Spec,
    spec: Spec,
    sizes: tuple[int, int],
    ranks: Ranks,
) -> ledger.Traffic:
    """Numbers of rows, links and agents of an update, from which algorithms count their traffic.

    Args:
        rollout: batch of this rank.
        links: the communication links; None = nothing was sent.
        config: configuration of the run.
        outside: sizes of the environment.
        spec: sizes of the algorithm's view of the environment.
        sizes: number of parameters of one agent's actor, and of its critic.
        ranks: the ranks of the run.
    """
    n = spec.num_agents
    steps, b, _ = rollout.reward.shape
    # States whose value replaces the rewards after the end of the batch or the time limit.
    closing = np.logical_and(rollout.truncated, config.time_limit == "bootstrap")
    running = ~np.logical_or(rollout.truncated[-1], rollout.terminated[-1])
    rows_heard = states_heard = np.zeros((n, n), dtype=np.int64)
    linked = np.zeros((n, n), dtype=np.bool_)
    if links is not None:
        rows_heard, linked = links.heard, links.linked
        states_heard = rows_heard
        if config.shares == "value":
            states_heard = rows_heard + ledger.listeners(links.rows[closing])
            states_heard = states_heard + ledger.listeners(links.states[-1][running])
    closed = np.full((n, n), closing.sum() + running.sum())
    counted = np.stack([rows_heard, states_heard, linked.astype(np.int64), closed])
    rows_heard, states_heard, linked_at, closed = ranks.total(counted)
    rows = steps * b * ranks.size
    parts = 1 if config.update_order == "sequential" else config.minibatches
    return ledger.Traffic(
        rows=rows,
        states=rows + int(closed[0, 0]),
        rows_heard=rows_heard,
        states_heard=states_heard,
        rounds=config.iterations,
        mixes=config.iterations * parts if links is not None else 0,
        linked=linked_at > 0,
        action_counts=np.array(spec.action_counts, dtype=np.int64),
        actor_size=sizes[0],
        critic_size=sizes[1],
        senders=outside.num_agents,
        private_obs=int(np.prod(outside.obs_shape)) if outside.views > 1 else 0,
    )
