"""Speed of advantage estimates: compiled core against torch loop, Numba loop and plain Python."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ascore import _core
from ascore.benchmark.packages import one_torch_thread, require_package
from ascore.benchmark.timing import CPU, Differs, Effort, Measure, Result, Work, interleave
from ascore.reference import gae_float32

if TYPE_CHECKING:
    from torch import Tensor

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

GAMMA, GAE_LAMBDA = 0.99, 0.98
SHAPE = (300, 128, 8)
NAME = f"gae, {SHAPE[0]} steps x {SHAPE[1]} envs x {SHAPE[2]} agents, 1 thread"


@dataclass(frozen=True)
class Inputs:
    """Inputs of an estimate: rewards f32 [T, B, N], values f32 [T+1, B, N], flags u8 [T, B]."""

    reward: F32
    value: F32
    terminated: U8
    truncated: U8
    final_value: F32

    @classmethod
    def random(cls, shape: tuple[int, int, int] = SHAPE) -> Inputs:
        """Random inputs; one step in a thousand ends an episode, so most rows have no end."""
        rng = np.random.default_rng(0)
        steps, *rest = shape
        flags = rng.random((2, steps, rest[0])) < 1 / 1000
        return cls(
            reward=rng.standard_normal(shape, dtype=np.float32),
            value=rng.standard_normal((steps + 1, *rest), dtype=np.float32),
            terminated=flags[0].astype(np.uint8),
            truncated=flags[1].astype(np.uint8),
            final_value=rng.standard_normal(shape, dtype=np.float32),
        )


Estimate = Callable[[], tuple[Any, Any]]
"""Advantage and returns, f32 [T, B, N], as arrays or tensors."""


def compiled(given: Inputs) -> Estimate:
    """The compiled core, writing to arrays that are allocated once."""
    advantage, returns = np.empty_like(given.reward), np.empty_like(given.reward)

    def call() -> tuple[F32, F32]:
        _core.gae(
            **vars(given), gamma=GAMMA, gae_lambda=GAE_LAMBDA, advantage=advantage, returns=returns
        )
        return advantage, returns

    return call


def plain_python(given: Inputs) -> Estimate:
    """A plain Python loop over single numbers."""
    return partial(gae_float32, **vars(given), gamma=GAMMA, gae_lambda=GAE_LAMBDA)


def torch_loop(given: Inputs) -> Estimate:
    """The usual PyTorch loop over [B, N] rows, with torch.where at the ends of episodes."""
    import torch

    reward, value, final_value = map(
        torch.from_numpy, (given.reward, given.value, given.final_value)
    )
    terminated, truncated = (
        torch.from_numpy(f).bool() for f in (given.terminated, given.truncated)
    )
    discount, decay = float(np.float32(GAMMA)), float(np.float32(GAMMA * GAE_LAMBDA))
    zero = torch.zeros(())

    def call() -> tuple[Tensor, Tensor]:
        advantage = torch.empty_like(reward)
        carry = torch.zeros_like(reward[0])
        for t in range(reward.shape[0] - 1, -1, -1):
            next_value = torch.where(truncated[t, :, None], final_value[t], value[t + 1])
            next_value = torch.where(terminated[t, :, None], zero, next_value)
            carry = torch.where((terminated[t] | truncated[t])[:, None], zero, carry)
            carry = ((reward[t] + discount * next_value) - value[t]) + decay * carry
            advantage[t] = carry
        return advantage, advantage + value[:-1]

    return call


def numba_loop(given: Inputs) -> Estimate:
    """A Numba loop over [B, N] rows from last to first, without floating-point contraction."""
    loop = importlib.import_module("numba").njit(_rows)
    discount, decay = np.float32(GAMMA), np.float32(GAMMA * GAE_LAMBDA)
    advantage, returns = np.empty_like(given.reward), np.empty_like(given.reward)
    carry = np.empty_like(given.reward[0])

    def call() -> tuple[F32, F32]:
        carry.fill(0)
        loop(*vars(given).values(), discount, decay, carry, advantage, returns)
        return advantage, returns

    return call


def _rows(
    reward: F32,
    value: F32,
    terminated: U8,
    truncated: U8,
    final_value: F32,
    discount: np.float32,
    decay: np.float32,
    carry: F32,
    advantage: F32,
    returns: F32,
) -> None:
    steps, num_envs, num_agents = reward.shape
    for t in range(steps - 1, -1, -1):
        for b in range(num_envs):
            ends = terminated[t, b] | truncated[t, b]
            for n in range(num_agents):
                next_value = value[t + 1, b, n]
                if ends:
                    carry[b, n] = 0
                    next_value = np.float32(0) if terminated[t, b] else final_value[t, b, n]
                value_now = value[t, b, n]
                delta = (reward[t, b, n] + discount * next_value) - value_now
                carry[b, n] = delta + decay * carry[b, n]
                advantage[t, b, n] = carry[b, n]
                returns[t, b, n] = carry[b, n] + value_now


BASELINES: dict[str, tuple[str | None, Callable[[Inputs], Estimate], float | None]] = {
    "torch loop": ("torch", torch_loop, 25.0),
    "Numba loop": ("numba", numba_loop, 2.5),
    "plain Python": (None, plain_python, None),
}
"""By name: the required package, the function that builds it, and the promised ratio."""

BYTES_BAR = 1 / 1.5
"""An estimate takes at most one and a half times as long as copying its bytes."""


def bits(estimate: Estimate) -> bytes:
    """The results of an estimate as bytes."""
    return b"".join(np.asarray(part).tobytes() for part in estimate())


def against(baseline: str, effort: Effort) -> list[Result]:
    """Times the compiled core against one of `BASELINES`; results must be bit-identical."""
    package, build, bar = BASELINES[baseline]
    require_package(package)
    given = Inputs.random()
    ours, theirs = compiled(given), build(given)
    with one_torch_thread() if package == "torch" else nullcontext():
        if bits(ours) != bits(theirs):
            message = f"gae: the compiled core and the {baseline} differ"
            raise Differs(message)
        timing = interleave(Work(ours), Work(theirs), effort, CPU)
    return [Result.of(timing, group="gae", name=NAME, baseline=baseline, unit="call", bar=bar)]


def against_bytes(effort: Effort) -> list[Result]:
    """Times the compiled core against copying the rewards and values."""
    given = Inputs.random()
    targets = np.empty_like(given.reward), np.empty_like(given.reward)

    def move() -> None:
        np.copyto(targets[0], given.reward)
        np.copyto(targets[1], given.value[:-1])

    timing = interleave(Work(compiled(given)), Work(move), effort, CPU)
    return [
        Result.of(
            timing, group="gae", name=NAME, baseline="moving the bytes", unit="call", bar=BYTES_BAR
        )
    ]


def cases() -> list[tuple[str, Measure]]:
    """One case per baseline."""
    loops: list[tuple[str, Measure]] = [
        (f"gae against {name}", partial(against, name)) for name in BASELINES
    ]
    return [*loops, ("gae against moving the bytes", against_bytes)]
