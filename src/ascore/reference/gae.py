"""Generalised advantage estimation as loops over single numbers.

Source:
    Schulman et al. 2016, "High-dimensional continuous control using generalized advantage
    estimation", eq. 16, with the sum cut where episodes end.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["gae_float32", "gae_float64"]

Float = TypeVar("Float", np.float32, np.float64)


def gae_float32(
    reward: NDArray[np.float32],
    value: NDArray[np.float32],
    terminated: NDArray[np.uint8],
    truncated: NDArray[np.uint8],
    final_value: NDArray[np.float32] | None,
    gamma: float,
    gae_lambda: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return advantages and returns, every operation rounded to float32.

        δ_t = (r_t + γ V_next) − V(s_t)
        A_t = δ_t + (γλ) A_{t+1},   the carry A_{t+1} being 0 where an episode ends
        returns_t = A_t + V(s_t)

    V_next is V(s_{t+1}); after a termination it is 0, and after a truncation the value of the
    episode's last state, or 0 if `final_value` is None.

    Args:
        reward: f32[T, B, N].
        value: f32[T+1, B, N], values of the states before each step; the last row bootstraps.
        terminated: u8[T, B]; takes precedence if both flags are set.
        truncated: u8[T, B].
        final_value: f32[T, B, N], used where `truncated` is set and `terminated` is not.
        gamma: discount per step, in [0, 1].
        gae_lambda: weight λ of longer sums, in [0, 1].

    Returns:
        Advantage and returns, f32[T, B, N] each, in reward units.
    """
    return _gae(reward, value, terminated, truncated, final_value, gamma, gae_lambda, np.float32)


def gae_float64(
    reward: NDArray[np.floating[Any]],
    value: NDArray[np.floating[Any]],
    terminated: NDArray[np.uint8],
    truncated: NDArray[np.uint8],
    final_value: NDArray[np.floating[Any]] | None,
    gamma: float,
    gae_lambda: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the same as `gae_float32`, with every operation in float64."""
    return _gae(reward, value, terminated, truncated, final_value, gamma, gae_lambda, np.float64)


def _gae(
    reward: NDArray[np.floating[Any]],
    value: NDArray[np.floating[Any]],
    terminated: NDArray[np.uint8],
    truncated: NDArray[np.uint8],
    final_value: NDArray[np.floating[Any]] | None,
    gamma: float,
    gae_lambda: float,
    number: type[Float],
) -> tuple[NDArray[Float], NDArray[Float]]:
    # The product of the two factors is rounded once, from double.
    discount = number(gamma)
    decay = number(gamma * gae_lambda)
    steps, num_envs, num_agents = reward.shape
    advantage = np.zeros(reward.shape, dtype=number)
    returns = np.zeros(reward.shape, dtype=number)
    for b in range(num_envs):
        for n in range(num_agents):
            carry = number(0)
            for t in range(steps - 1, -1, -1):
                next_value = number(value[t + 1, b, n])
                if terminated[t, b]:
                    next_value = number(0)
                    carry = number(0)
                elif truncated[t, b]:
                    next_value = number(0 if final_value is None else final_value[t, b, n])
                    carry = number(0)
                value_now = number(value[t, b, n])
                delta = (number(reward[t, b, n]) + discount * next_value) - value_now
                carry = delta + decay * carry
                advantage[t, b, n] = carry
                returns[t, b, n] = carry + value_now
    return advantage, returns
