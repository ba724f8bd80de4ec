"""How anticipations stand to what agents do, in figures to be followed during training.

N agents, S rows, A actions, V views, O observation entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

# Observations [S, V, O] as the environment gave them -> the action of that meaning, [S, N].
Meaning = Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]]

MEANINGS: dict[str, dict[str, Meaning]] = {
    # Agents see where they stand from the prey; 0 is left, 1 is right.
    "predation-v1": {"towards": lambda obs: (obs[:, 0] < 0).astype(np.int64)},
}
"""By environment: actions with a meaning that their number does not tell."""


def anticipation_metrics(
    log_probs: F32, taken: F32, neighbours: npt.NDArray[np.bool_], obs: npt.NDArray[Any], env: str
) -> dict[str, F32]:
    """Means over the rows of a batch and over those an agent hears; nan where it heard nobody.

    Args:
        log_probs: f32 [N, S, N, A], log pi^{ij}(.|s).
        taken: f32 [N, S, N], log pi^{ij}(a_j|s).
        neighbours: bool [N, S, N], or [N, 1, N] when the graph is the same at every row.
        obs: [S, V, O], the states.
        env: name of the environment, for the meaning of actions.

    Returns:
        anticipation_mse f32 [N], (pi^{jj}(a_j|s) - pi^{ij}(a_j|s))^2;
        anticipated_probs f32 [N, A], pi^{ij}(.|s);
        anticipated_<meaning> f32 [N], pi^{ij} of the action of that meaning.

    Source:
        Section 5.3, "Anticipated policy and policy discrepancy" (Fig. 7).
    """
    weight = neighbours.astype(np.float32)
    fixed = weight.shape[1] == 1
    count = weight.sum(axis=(1, 2)) * (log_probs.shape[1] if fixed else 1)

    def mean(value: F32) -> F32:  # [N, S, N, ...] -> [N, ...]
        if fixed:
            total = np.einsum("ij...,ij->i...", value.sum(axis=1), weight[:, 0])
        else:
            total = np.einsum("isj...,isj->i...", value, weight)
        with np.errstate(invalid="ignore"):
            average: F32 = total / count.reshape(-1, *[1] * (total.ndim - 1))
        return average

    chosen = np.exp(taken)
    own = chosen.diagonal(axis1=0, axis2=2)  # [S, N]
    probs = np.exp(log_probs)
    told = {"anticipation_mse": mean((own - chosen) ** 2), "anticipated_probs": mean(probs)}
    for name, meaning in MEANINGS.get(env, {}).items():
        action = np.broadcast_to(meaning(obs), taken.shape)[..., None]
        told[f"anticipated_{name}"] = mean(np.take_along_axis(probs, action, axis=-1)[..., 0])
    return told
