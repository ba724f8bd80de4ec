"""Advantages, value targets, and the normalisation of targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ascore import _core

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]


def gae(
    reward: F32,
    value: F32,
    terminated: U8,
    truncated: U8,
    *,
    final_value: F32 | None = None,
    gamma: float = 0.99,
    gae_lambda: float = 0.98,
) -> tuple[F32, F32]:
    """Generalised advantage estimates and lambda-returns.

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t),   A_t = delta_t + gamma lambda A_{t+1}

    Args:
        reward: f32 [T, B, N].
        value: f32 [T+1, B, N]; value[T] belongs to the observation after the last step.
        terminated: u8 or bool [T, B], or [T, B, N] where agents end one by one; the next value is 0
            and the sum is cut.
        truncated: likewise; the next value is `final_value`, and the sum is cut.
        final_value: f32 [T, B, N], V of the last observation of an episode, read only where
            truncated; None closes truncated episodes with 0.
        gamma: discount factor.
        gae_lambda: lambda.

    Returns:
        advantage and returns (advantage + value), f32 [T, B, N] each.

    Raises:
        ValueError: shapes differ or an array is not C-contiguous.
        TypeError: wrong dtype.

    Source: Schulman et al. 2016; Eq. 17.
    """
    if isinstance(terminated, np.ndarray) and terminated.ndim == 3:
        # To the recursion, every agent is an environment of its own.
        alone = gae(
            reward.reshape(len(reward), -1, 1),
            value.reshape(len(value), -1, 1),
            terminated.reshape(len(terminated), -1),
            truncated.reshape(len(truncated), -1),
            final_value=None if final_value is None else final_value.reshape(len(reward), -1, 1),
            gamma=gamma,
            gae_lambda=gae_lambda,
        )
        return alone[0].reshape(reward.shape), alone[1].reshape(reward.shape)
    advantage = np.empty_like(reward)
    returns = np.empty_like(reward)
    terminated, truncated = (
        f.view(np.uint8) if isinstance(f, np.ndarray) and f.dtype == np.bool_ else f
        for f in (terminated, truncated)
    )
    _core.gae(
        reward, value, terminated, truncated, final_value, gamma, gae_lambda, advantage, returns
    )
    return advantage, returns


@dataclass(frozen=True)
class Targets:
    """What an update learns from, in units of reward."""

    advantage: F32  # [T, B, N]
    returns: F32  # [T, B, N], what the critic regresses on
    value: F32  # [T, B, N], what the critic said


def compute_targets(
    reward: F32,
    value: F32,
    terminated: U8,
    truncated: U8,
    final_value: F32,
    *,
    gamma: float,
    gae_lambda: float,
    time_limit: str,
    value_target: str,
) -> Targets:
    """Advantages by Eq. 17 and critic targets by Eq. 18 or its lambda-return.

    `time_limit = terminal` closes an episode at its horizon with 0, `bootstrap` with V(s_T).
    `value_target = monte_carlo` is the discounted sum of rewards: the lambda-return at lambda 1.
    Shapes as in `gae`.
    """
    closing = final_value if time_limit == "bootstrap" else None
    advantage, returns = gae(
        reward,
        value,
        terminated,
        truncated,
        final_value=closing,
        gamma=gamma,
        gae_lambda=gae_lambda,
    )
    if value_target == "monte_carlo":
        _, returns = gae(
            reward, value, terminated, truncated, final_value=closing, gamma=gamma, gae_lambda=1.0
        )
    return Targets(advantage, returns, value[:-1])


@dataclass(frozen=True)
class Counted:
    """What comes of what agents take others to earn."""

    rewards: F32 | None  # [T, B, N], in place of own rewards
    bonus: F32 | None  # [T, B, N], of advantages, in units of their spread


def with_bonus(advantage: F32, bonus: F32, present: U8 | None = None) -> F32:
    """Advantages and a coefficient in units of their spread, per agent over its rows.

        A_i + std(A_i) b_i

    Args:
        advantage: f32 [T, B, N].
        bonus: b, f32 [T, B, N].
        present: u8 [T, B, N], which rows are whose; None = all are everybody's.
    """
    _, spread = spread_of(advantage, present)
    total: F32 = (advantage + spread * bonus).astype(np.float32)
    return total


def spread_of(values: F32, present: U8 | None = None) -> tuple[F64, F64]:
    """Mean and standard deviation of every agent's rows, f64 [N] each; 0 without any.

    Args:
        values: f32 [T, B, N].
        present: u8 [T, B, N], which rows are whose; None = all are everybody's.
    """
    own = np.ones(values.shape) if present is None else (present != 0).astype(np.float64)
    count = np.maximum(own.sum(axis=(0, 1)), 1.0)
    mean = (values * own).sum(axis=(0, 1)) / count
    square = (np.square(values - mean) * own).sum(axis=(0, 1)) / count
    return mean, np.sqrt(square)


def moments(returns: F32) -> F64:
    """Mean and mean square of targets f32 [T, B, N], f64 [2, N]."""
    flat = returns.reshape(-1, returns.shape[-1]).astype(np.float64)
    return np.stack([flat.mean(axis=0), np.square(flat).mean(axis=0)])


class ValueNormalizer:
    """Running mean and deviation of the targets, per agent (PopArt, van Hasselt et al. 2016).

    Exponential averages with bias correction, so that the first batch of an agent counts in full.

    Attributes:
        mean, std: f64 [N], units of reward; 0 and 1 before an agent's first batch.
        weight: f64 [N], sum of the weights of an agent's batches.
    """

    DECAY = 0.98  # about fifty updates: follows returns that change as the policies learn
    SMALLEST_STD = 1e-3  # reward units; below it, targets are constant for all purposes

    def __init__(self, num_agents: int) -> None:
        self.weight = np.zeros(num_agents)
        self.sums = np.zeros((2, num_agents))
        self.mean = np.zeros(num_agents)
        self.std = np.ones(num_agents)

    def update(self, of_batch: F64, who: npt.NDArray[np.bool_] | None = None) -> None:
        """Takes in the `moments` f64 [2, N] of one update's targets.

        Args:
            of_batch: the moments.
            who: bool [N], which agents had any; the others' stay as they are. None = all.
        """
        weight = self.DECAY * self.weight + (1 - self.DECAY)
        sums = self.DECAY * self.sums + (1 - self.DECAY) * of_batch
        if who is not None:
            weight, sums = np.where(who, weight, self.weight), np.where(who, sums, self.sums)
        self.weight, self.sums = weight, sums
        self._refresh()

    def _refresh(self) -> None:
        known = self.weight > 0
        mean, square = self.sums / np.where(known, self.weight, 1.0)
        std = np.maximum(np.sqrt(np.maximum(square - mean * mean, 0.0)), self.SMALLEST_STD)
        self.mean, self.std = mean, np.where(known, std, 1.0)

    def state(self) -> dict[str, F64]:
        """What a checkpoint keeps: the largest weight f64 [1], and all where they differ."""
        kept = {"weight": self.weight.max(keepdims=True), "sums": self.sums}
        return kept if (self.weight == self.weight[0]).all() else {**kept, "weights": self.weight}

    def load_state(self, state: dict[str, F64]) -> None:
        """Restores `state()`."""
        self.sums = state["sums"].copy()
        self.weight = np.broadcast_to(state.get("weights", state["weight"]), self.mean.shape).copy()
        self._refresh()
