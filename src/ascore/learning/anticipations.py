"""Metrics of anticipations: how well they match the actions of other agents.

N agents, S rows, H heads, A actions, V views, O observation entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.algorithms.heads import Heads
from ascore.envs.record import Meaning
from ascore.envs.table import ENVIRONMENTS

GROUP = 64
"""Agents whose sums are taken together, so that copies do not grow with the agents."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def meanings(name: str) -> Mapping[str, Meaning]:
    """Actions of an environment with a meaning; environments from outside have none."""
    return ENVIRONMENTS[name].meanings if name in ENVIRONMENTS else {}


def meant_actions(
    obs: npt.NDArray[Any], known: Sequence[npt.NDArray[Any]] | None, env: str
) -> list[npt.NDArray[Any]]:
    """The action that has each meaning, [S, N]: as is known, or as observations [S, V, O] say."""
    return [meaning(obs) for meaning in meanings(env).values()] if known is None else [*known]


def anticipation_sums(
    log_probs: F32,
    taken: F32,
    neighbours: npt.NDArray[np.bool_],
    obs: npt.NDArray[Any],
    env: str,
    heads: Heads | None = None,
    meant: Sequence[npt.NDArray[Any]] | None = None,
) -> F64:
    """Sums over the rows of a batch and over the agents heard; ranks add their sums.

    Args:
        log_probs: f32 [N, S, H, A], log pi^{ij}(.|s).
        taken: f32 [N, S, H], log pi^{ij}(a_j|s).
        neighbours: bool [N, S, H], or [N, 1, H] when the graph is the same at every row.
        obs: [S, V, O], the observations.
        env: name of the environment, for the meanings of actions.
        heads: of whom the heads are; None = head j is of agent j.
        meant: [S, N] for each meaning, the action that has it; None = as the observations say.

    Returns:
        f64 [N, K]: number of agents heard; (pi^{jj}(a_j|s) - pi^{ij}(a_j|s))^2; pi^{ij} of the
        action of each meaning; pi^{ij}(.|s).
    """
    n = len(neighbours)  # there may be others behind them, who are heard
    own_place = np.arange(n) if heads is None else heads.own_place
    subjects = None if heads is None or heads.for_all else np.maximum(heads.subjects, 0)
    own = np.exp(taken[np.arange(len(taken)), :, own_place]).T  # pi^{jj}(a_j|s), [S, N]
    meant = meant_actions(obs, meant, env)
    parts = []
    for first in range(0, n, GROUP):
        some = slice(first, min(first + GROUP, n))

        def theirs(of_agents: npt.NDArray[Any], some: slice = some) -> npt.NDArray[Any]:
            """[S, N] of all agents as [n, S, H] of the heads' subjects."""
            if subjects is None:
                return np.broadcast_to(of_agents, taken[some].shape)
            return of_agents[:, subjects[some]].transpose(1, 0, 2)

        parts.append(
            _sums(
                log_probs[some],
                taken[some],
                neighbours[some].astype(np.float32),
                theirs(own),
                [theirs(action) for action in meant],
            )
        )
    return np.concatenate(parts)


def _sums(log_probs: F32, taken: F32, weight: F32, own: F32, actions: list[Any]) -> F64:
    """The sums of some agents: [n, S, H, A], [n, S, H], [n, S or 1, H], [n, S, H], each [n, S, H].

    Args:
        log_probs: as in `anticipation_sums`.
        taken: likewise.
        weight: 1 where they hear, 0 where they do not.
        own: pi^{jj}(a_j|s) of the heads' subjects.
        actions: of the heads' subjects, one array per meaning.
    """
    fixed = weight.shape[1] == 1

    def total(value: F32) -> F64:  # [n, S, H, ...] -> [n, ...]
        if fixed:
            value = value.sum(axis=1, keepdims=True)
        sums: F64 = np.einsum("isj...,isj->i...", value, weight).astype(np.float64)
        return sums

    chosen, probs = np.exp(taken), np.exp(log_probs)
    count = weight.sum(axis=(1, 2), dtype=np.float64) * (chosen.shape[1] if fixed else 1)
    columns = [count, total((own - chosen) ** 2)]
    for action in actions:
        columns.append(total(np.take_along_axis(probs, action[..., None], axis=-1)[..., 0]))
    return np.concatenate([np.stack(columns, axis=1), total(probs)], axis=1)


def anticipation_metrics(sums: F64, env: str) -> dict[str, F64]:
    """Means from `anticipation_sums`; NaN if an agent heard no one.

    Returns:
        anticipation_mse [N], (pi^{jj}(a_j|s) - pi^{ij}(a_j|s))^2;
        anticipated_probs [N, A], pi^{ij}(.|s);
        anticipated_<meaning> [N], pi^{ij} of the action of that meaning.

    Source:
        Section 5.3, "Anticipated policy and policy discrepancy" (Fig. 7).
    """
    with np.errstate(invalid="ignore"):
        means = sums[:, 1:] / sums[:, :1]
    names = ["anticipation_mse", *(f"anticipated_{name}" for name in meanings(env))]
    metrics = {name: means[:, column] for column, name in enumerate(names)}
    return {**metrics, "anticipated_probs": means[:, len(names) :]}
