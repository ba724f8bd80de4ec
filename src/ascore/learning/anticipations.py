"""Metrics of anticipations: how well they match the actions of other agents.

N agents, S rows, A actions, V views, O observation entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.record import Meaning
from ascore.envs.table import ENVIRONMENTS

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def meanings(name: str) -> Mapping[str, Meaning]:
    """Actions of an environment with a meaning; environments from outside have none."""
    return ENVIRONMENTS[name].meanings if name in ENVIRONMENTS else {}


def anticipation_sums(
    log_probs: F32, taken: F32, neighbours: npt.NDArray[np.bool_], obs: npt.NDArray[Any], env: str
) -> F64:
    """Sums over the rows of a batch and over the agents heard; ranks add their sums.

    Args:
        log_probs: f32 [N, S, N, A], log pi^{ij}(.|s).
        taken: f32 [N, S, N], log pi^{ij}(a_j|s).
        neighbours: bool [N, S, N], or [N, 1, N] when the graph is the same at every row.
        obs: [S, V, O], the observations.
        env: name of the environment, for the meanings of actions.

    Returns:
        f64 [N, K]: number of agents heard; (pi^{jj}(a_j|s) - pi^{ij}(a_j|s))^2; pi^{ij} of the
        action of each meaning; pi^{ij}(.|s).
    """
    weight = neighbours.astype(np.float32)
    fixed = weight.shape[1] == 1

    def total(value: F32) -> F64:  # [N, S, N, ...] -> [N, ...]
        if fixed:
            value = value.sum(axis=1, keepdims=True)
        sums: F64 = np.einsum("isj...,isj->i...", value, weight).astype(np.float64)
        return sums

    chosen, probs = np.exp(taken), np.exp(log_probs)
    own = chosen.diagonal(axis1=0, axis2=2)  # [S, N]
    count = weight.sum(axis=(1, 2), dtype=np.float64) * (len(own) if fixed else 1)
    columns = [count, total((own - chosen) ** 2)]
    for meaning in meanings(env).values():
        action = np.broadcast_to(meaning(obs), taken.shape)[..., None]
        columns.append(total(np.take_along_axis(probs, action, axis=-1)[..., 0]))
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
