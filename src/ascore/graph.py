"""Who hears whom: neighbours[i, j] is true when agent i hears agent j; the diagonal is false."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.streams import STREAM_GRAPH, generator

Mask = npt.NDArray[np.bool_]


def neighbours(
    kind: str,
    num_agents: int,
    *,
    seed: int = 0,
    update: int = 0,
    from_env: npt.NDArray[np.uint8] | None = None,
) -> Mask:
    """Neighbour mask of one update.

    Args:
        kind: complete, environment, chain, ring, random_one or none.
        num_agents: N.
        seed: keys the draws of `random_one`.
        update: number of the update; `random_one` draws anew for each.
        from_env: u8 [..., N, N], what the environment said at every step; for `environment`.

    Returns:
        bool [N, N], or [..., N, N] for `environment`. Links are directed.

    Raises:
        ValueError: unknown kind; `environment` without from_env.

    Source: algorithm specification, section 4; `random_one` is the paper's section 5.3.
    """
    n = num_agents
    index = np.arange(n)
    apart: npt.NDArray[np.int64] = np.abs(index[:, None] - index[None, :])
    if kind == "complete":
        return np.not_equal(apart, 0)
    if kind == "none":
        return np.zeros((n, n), dtype=np.bool_)
    if kind == "chain":
        return np.equal(apart, 1)
    if kind == "ring":
        return np.isin(apart, (1, max(n - 1, 1)))
    if kind == "random_one":
        mask = np.zeros((n, n), dtype=np.bool_)
        if n > 1:
            pick = generator(seed, STREAM_GRAPH, update).integers(0, n - 1, size=n)
            mask[index, pick + (pick >= index)] = True
        return mask
    if kind == "environment":
        if from_env is None:
            message = "graph 'environment' needs the masks of the environment; pass from_env"
            raise ValueError(message)
        return from_env.astype(np.bool_)
    message = f"unknown graph {kind!r}; use complete, environment, chain, ring, random_one or none"
    raise ValueError(message)
