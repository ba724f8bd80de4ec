"""Policies with random weights, and states to compare them in."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

import ascore
from ascore.envs.legal import ILLEGAL, padding
from ascore.runs.policy import Policy

STATES = 10_000


def random_policy(
    env: str, hidden: list[int], gain: float, centre: bool = False, counts: tuple[int, ...] = ()
) -> Policy:
    """Networks with weights large enough for policies from vague to nearly certain."""
    spec = ascore.make(env).spec
    rng = np.random.default_rng(5)
    n, a = spec.num_agents, spec.num_actions
    size = spec.obs_shape[0] * (spec.views if centre else 1)
    counts = counts or (a,) * n
    k, out = (1, math.prod(counts)) if centre else (n, a)
    sizes = [size, *hidden, out]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        weight = rng.normal(0, gain / np.sqrt(n_in), (k, n_in, n_out))
        layers.append((weight.astype(np.float32), rng.normal(size=(k, n_out)).astype(np.float32)))
    if not centre:
        layers[-1][1][padding(counts, a)] = ILLEGAL
    return Policy(env, {}, layers, {}, spec.obs_scale, n, a, action_counts=counts)


def states(env: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Observations [STATES, V, O] and numbers [STATES, N] of uniform play."""
    envs = ascore.make(env, num_envs=100, seed=11)
    envs.reset()
    obs, uniforms = [], []
    for _ in range(STATES // 100):
        uniform = np.empty((100, envs.spec.num_agents), dtype=np.float32)
        envs.uniforms(uniform)
        obs.append(envs.obs.copy())
        uniforms.append(uniform)
        envs.step((uniform * np.float32(envs.spec.num_actions)).astype(np.int32))
    return np.concatenate(obs), np.concatenate(uniforms)
