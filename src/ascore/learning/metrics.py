"""Metrics of an update: returns, quality of the critics, and traffic.

T steps, B environments, N agents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.algorithms import ledger
from ascore.algorithms.coarsening import form_of
from ascore.algorithms.contract import Algorithm
from ascore.algorithms.graph import Pairs
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.config import Config
from ascore.envs.presence import TRUNCATED
from ascore.envs.vec_env import Spec
from ascore.learning.presence import Presence
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

F64 = npt.NDArray[np.float64]

Metrics = dict[str, Any]
"""Plain values for JSON; per-agent quantities are lists of N floats."""


def returns(rollout: Rollout, ranks: Ranks) -> Metrics:
    """Mean return of the finished episodes, of the team and per agent; NaN if there are none."""
    n = rollout.reward.shape[2]
    ended = np.concatenate([np.zeros((0, n)), *rollout.episode_returns])
    earned = ranks.total(np.array([*ended.sum(axis=0), len(ended)]))
    mean = earned[:-1] / earned[-1] if earned[-1] > 0 else np.full(n, np.nan)
    return {"team_return": float(mean.sum()), "return": mean.tolist()}


def explained_variance(targets: Targets, ranks: Ranks, presence: Presence | None = None) -> Metrics:
    """1 - Var(returns - V) / Var(returns) per agent; NaN for one without a row."""
    n = targets.returns.shape[-1]
    both = np.stack([targets.returns - targets.value, targets.returns]).reshape(2, -1, n)
    both = both.astype(np.float64)
    if presence is not None:
        residual, spread = (_variance(x.T, presence) for x in both)
        explained = 1.0 - residual / np.maximum(spread, 1e-12)
        explained[presence.counts() == 0] = np.nan
        return {"explained_variance": explained.tolist()}
    centre = ranks.mean(both.mean(axis=1))
    residual, spread = ranks.mean(np.square(both - centre[:, None]).mean(axis=1))
    return {"explained_variance": (1.0 - residual / np.maximum(spread, 1e-12)).tolist()}


def _variance(values: F64, presence: Presence) -> F64:
    """Of every agent's rows: f64 [N, S] -> f64 [N]."""
    centred = values - presence.mean(values)[:, None]
    variance: F64 = presence.mean(np.square(centred))
    return variance


class Sending:
    """Entries of the ledger, update by update.

    Where links do not change and all agents are there, what was sent follows from the number of
    states, so it is counted once for all updates with as many.

    Args:
        algorithm: what is sent over the links.
        config: configuration of the run.
        outside: sizes of the environment.
        spec: sizes of the algorithm's view of the environment.
        ranks: the ranks of the run.
    """

    def __init__(
        self, algorithm: Algorithm, config: Config, outside: Spec, spec: Spec, ranks: Ranks
    ) -> None:
        self.algorithm, self.config, self.ranks = algorithm, config, ranks
        self.outside, self.spec = outside, spec
        self._last: tuple[Any, Metrics] | None = None

    def entries(self, rollout: Rollout, links: Links | None, sizes: tuple[int, int]) -> Metrics:
        """Metrics of an update: see `ledger.entries`; arguments as of `traffic`."""
        still = rollout.left is None and rollout.members is None and self.ranks.size == 1
        if links is not None and links.active is not None:
            still = False
        states = closing_states(rollout, self.config)
        pairs = None if links is None else links.pairs
        known = self._last
        if still and known is not None and known[0][0] is pairs and known[0][1:] == (states, sizes):
            return known[1]
        sent = self.algorithm.sends(
            traffic(rollout, links, self.config, self.outside, self.spec, sizes, self.ranks)
        )
        entries = ledger.entries(sent, self.outside.num_agents, rollout.obs.dtype.itemsize)
        self._last = ((pairs, states, sizes), entries) if still else None
        return entries


def closing_states(rollout: Rollout, config: Config) -> tuple[int, int]:
    """How many states close an episode at its time limit, and how many the end of the batch."""
    closing = np.count_nonzero(rollout.truncated) if config.time_limit == "bootstrap" else 0
    over = rollout.truncated[-1] | rollout.terminated[-1]
    return int(closing), len(over) - int(np.count_nonzero(over))


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
    bootstrap = config.time_limit == "bootstrap"
    closing = np.logical_and(rollout.truncated, bootstrap)
    running = ~np.logical_or(rollout.truncated[-1], rollout.terminated[-1])
    pairs = Pairs.of(n, *np.zeros((2, 0), dtype=np.int64)) if links is None else links.pairs
    on_rows = on_states = np.zeros(len(pairs), dtype=np.int64)
    if links is not None:
        on_rows = on_states = links.on_rows
        if config.shares == "value":
            last = closing
            if rollout.left is not None:  # those who are truncated hear the others once more
                last = bootstrap & (rollout.left == TRUNCATED)
            on_states = on_rows + links.on_states(last, last=False)
            on_states = on_states + links.on_states(running, last=True)
    rows = steps * b
    whole = np.array([rows, rows + closing.sum() + running.sum()])
    there = np.repeat(whole[:, None], outside.num_agents, axis=1)
    if rollout.members is not None:
        members = rollout.members.astype(np.int64)
        there[0] = members[:-1].sum(axis=(0, 1))
        last = members[:-1][closing].sum(axis=0) + members[-1][running].sum(axis=0)
        there[1] = there[0] + last
    on_rows, on_states = ranks.total(np.stack([on_rows, on_states]))
    used = pairs
    if not on_rows.all():
        used = Pairs(n, pairs.listener[on_rows > 0], pairs.sender[on_rows > 0])
    whole, there = ranks.total(whole), ranks.total(there)
    parts = 1 if config.update_order == "sequential" else config.minibatches
    return ledger.Traffic(
        rows=int(whole[0]),
        states=int(whole[1]),
        rows_there=there[0],
        states_there=there[1],
        pairs=pairs,
        on_rows=on_rows,
        on_states=on_states,
        rounds=config.iterations,
        mixes=config.iterations * parts if links is not None else 0,
        mixed_with=np.bincount(used.both.listener, minlength=n),
        action_counts=np.array(spec.action_counts, dtype=np.int64),
        actor_size=sizes[0],
        critic_size=sizes[1],
        senders=outside.num_agents,
        private_obs=int(np.prod(outside.obs_shape)) if outside.views > 1 else 0,
        form=form_of(config.message_form),
    )
