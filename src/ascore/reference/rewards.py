"""Mixtures of rewards as float64 loops."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["inequity_averse", "self_referenced", "standardised", "team", "weighed_by_angle"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


def team(reward: F32, heard: Mask) -> F64:
    """Mean reward over an agent and those it hears.

    Args:
        reward: f32[T, B, N].
        heard: bool[T, B, N, N], [i, j] = i hears j.
    """
    mixed = np.zeros(reward.shape)
    for t, b, i in np.ndindex(*reward.shape):
        shares = [float(reward[t, b, i])]
        shares += [float(reward[t, b, j]) for j in np.flatnonzero(heard[t, b, i])]
        mixed[t, b, i] = sum(shares) / len(shares)
    return mixed


def inequity_averse(
    reward: F32, ended: NDArray[np.uint8], heard: Mask, *, decay: float, alpha: float, beta: float
) -> F64:
    """Rewards minus the costs of inequity (Hughes et al. 2018, Eq. 3-4).

    Args:
        reward: f32[T, B, N].
        ended: u8[T, B], whether the step ended an episode.
        heard: bool[T, B, N, N], [i, j] = i hears j.
        decay: decay of the smoothed rewards, gamma times lambda.
        alpha: weight of earning less than others.
        beta: weight of earning more than others.
    """
    steps, envs, agents = reward.shape
    mixed = np.zeros(reward.shape)
    for b in range(envs):
        smooth = [0.0] * agents
        for t in range(steps):
            for i in range(agents):
                smooth[i] = decay * smooth[i] + float(reward[t, b, i])
            for i in range(agents):
                others = np.flatnonzero(heard[t, b, i])
                cost = 0.0
                for j in others:
                    cost += alpha * max(smooth[j] - smooth[i], 0.0)
                    cost += beta * max(smooth[i] - smooth[j], 0.0)
                mixed[t, b, i] = float(reward[t, b, i]) - (cost / len(others) if len(others) else 0)
            if ended[t, b]:
                smooth = [0.0] * agents
    return mixed


def weighed_by_angle(reward: F32, heard: Mask, *, degrees: float) -> F64:
    """Own rewards and the mean of the others', weighed by cosine and sine of an angle.

    Args:
        reward: f32[T, B, N].
        heard: bool[T, B, N, N], [i, j] = i hears j.
        degrees: the social value orientation.
    """
    own, social = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    mixed = np.zeros(reward.shape)
    for t, b, i in np.ndindex(*reward.shape):
        others = [float(reward[t, b, j]) for j in np.flatnonzero(heard[t, b, i])]
        mixed[t, b, i] = float(reward[t, b, i])
        if others:
            mixed[t, b, i] = own * mixed[t, b, i] + social * sum(others) / len(others)
    return mixed


def self_referenced(inferred: F32, ended: NDArray[np.uint8], heard: Mask, *, decay: float) -> F64:
    """Mean trace of what an agent takes those it hears to earn.

    Args:
        inferred: f32[T, B, N, N], [i, j] = what i takes j to earn.
        ended: u8[T, B], whether the step ended an episode.
        heard: bool[T, B, N, N], [i, j] = i hears j.
        decay: decay of the traces, gamma times lambda.
    """
    steps, envs, agents, _ = inferred.shape
    means = np.zeros((steps, envs, agents))
    for b, i in np.ndindex(envs, agents):
        trace = [0.0] * agents
        for t in range(steps):
            for j in range(agents):
                trace[j] = decay * trace[j] + float(inferred[t, b, i, j])
            others = [trace[j] for j in np.flatnonzero(heard[t, b, i])]
            means[t, b, i] = sum(others) / len(others) if others else 0.0
            if ended[t, b]:
                trace = [0.0] * agents
    return means


def standardised(values: F64) -> F64:
    """Values of every agent less their mean over a batch, in units of their spread.

    Args:
        values: f64[T, B, N].
    """
    standard = np.zeros(values.shape)
    for i in range(values.shape[2]):
        own = [float(x) for x in values[:, :, i].ravel()]
        mean = sum(own) / len(own)
        spread = math.sqrt(sum((x - mean) ** 2 for x in own) / len(own))
        standard[:, :, i] = (values[:, :, i] - mean) / spread if spread > 0 else 0.0
    return standard
