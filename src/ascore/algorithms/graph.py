"""Who hears whom: neighbours[i, j] is true when agent i hears agent j; the diagonal is false.

Also how strongly parameters mix over such links.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.config import read_matrix
from ascore.errors import ConfigError
from ascore.streams import STREAM_GRAPH, generator

Mask = npt.NDArray[np.bool_]


def neighbours(
    kind: str,
    num_agents: int,
    *,
    seed: int = 0,
    update: int = 0,
    from_env: npt.NDArray[np.uint8] | None = None,
    ended: npt.NDArray[np.uint8] | None = None,
    matrix: str = "",
) -> Mask:
    """Neighbour mask of one update.

    Args:
        kind: complete, environment, contacts, chain, ring, random_one, matrix or none.
        num_agents: N.
        seed: keys the draws of `random_one`.
        update: number of the update; `random_one` draws anew for each.
        from_env: u8 [T+1, B, N, N], what the environment said at every state; for `environment` and
            `contacts`.
        ended: u8 [T, B], where an episode ended with the step; for `contacts`.
        matrix: text of the links, as `read_matrix` takes it; for `matrix`.

    Returns:
        bool [N, N], or [T+1, B, N, N] for `environment` and `contacts`. Links are directed.

    Raises:
        ValueError: unknown kind; `environment` without from_env, `contacts` without it or ended.
        ConfigError: a matrix of another size.

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
    if kind == "matrix":
        links = read_matrix(matrix)
        if len(links) != n:
            message = (
                f"graph_matrix = {matrix!r} is for {len(links)} agents, the environment has {n}; "
                f"give {n} rows of {n} digits"
            )
            raise ConfigError(message)
        return links
    if kind == "environment":
        if from_env is None:
            message = "graph 'environment' needs the masks of the environment; pass from_env"
            raise ValueError(message)
        return from_env.astype(np.bool_)
    if kind == "contacts":
        if from_env is None or ended is None:
            message = (
                "graph 'contacts' needs the masks of the environment and where episodes end; "
                "pass from_env and ended"
            )
            raise ValueError(message)
        return contacts(from_env.astype(np.bool_), ended.astype(np.bool_))
    message = (
        f"unknown graph {kind!r}; use complete, environment, contacts, chain, ring, random_one, "
        "matrix or none"
    )
    raise ValueError(message)


def contacts(met: Mask, ended: Mask) -> Mask:
    """Links that last: an agent hears those it has met until the episode ends.

    Args:
        met: bool [T+1, B, N, N], links of the environment at every state. What was before the first
            state is forgotten.
        ended: bool [T, B], where the step after a state ended the episode.

    Returns:
        bool [T+1, B, N, N].
    """
    known = met.copy()
    for t, over in enumerate(ended):
        known[t + 1] |= known[t] & ~over[:, None, None]
    return known


def metropolis(links: Mask) -> npt.NDArray[np.float64]:
    """Metropolis weights on the symmetrised graph: doubly stochastic, every W_ii > 0.

        W_ij = 1 / (1 + max(d_i, d_j)) on links,   W_ii = 1 - sum of the others

    Args:
        links: bool [..., N, N].

    Returns:
        f64 [..., N, N].

    Source: Xiao, Boyd and Lall 2005, Eq. 9, with d_i the number of neighbours.
    """
    both = np.logical_or(links, np.swapaxes(links, -1, -2))
    degree = both.sum(axis=-1)
    largest = np.maximum(degree[..., :, None], degree[..., None, :])
    weights: npt.NDArray[np.float64] = both / (1.0 + largest)
    index = np.arange(links.shape[-1])
    weights[..., index, index] = 1.0 - weights.sum(axis=-1)
    return weights


def consensus(links: Mask) -> npt.NDArray[np.float64]:
    """Mean Metropolis weights over all states: agents linked for longer average more.

    A mean of doubly stochastic matrices is one, so the agents' average is kept.

    Args:
        links: bool [..., N, N].

    Returns:
        f64 [N, N].
    """
    n = links.shape[-1]
    patterns, counts = np.unique(links.reshape(-1, n * n), axis=0, return_counts=True)
    each = metropolis(patterns.reshape(-1, n, n))
    mean: npt.NDArray[np.float64] = np.tensordot(counts / counts.sum(), each, axes=1)
    return mean
