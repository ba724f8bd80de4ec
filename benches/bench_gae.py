"""Generalised advantage estimates: the compiled core, a torch loop over rows, and naive Python.

All three write the same bits, which is checked before anything is timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ascore import _core
from ascore.reference import gae_float32

STEPS, NUM_ENVS, NUM_AGENTS = 300, 128, 8
GAMMA, LAM = 0.99, 0.98


@pytest.fixture(scope="module")
def case() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shape = (STEPS, NUM_ENVS, NUM_AGENTS)
    flags = rng.random((2, STEPS, NUM_ENVS)) < 1 / 1000  # most rows hold no end
    return {
        "reward": rng.standard_normal(shape, dtype=np.float32),
        "value": rng.standard_normal((STEPS + 1, *shape[1:]), dtype=np.float32),
        "terminated": flags[0].astype(np.uint8),
        "truncated": flags[1].astype(np.uint8),
        "final_value": rng.standard_normal(shape, dtype=np.float32),
        "gamma": GAMMA,
        "lam": LAM,
    }


@pytest.fixture(scope="module")
def expected(case: dict[str, Any]) -> bytes:
    return answer(*gae_float32(**case))


def answer(advantage: Any, returns: Any) -> bytes:
    return np.asarray(advantage).tobytes() + np.asarray(returns).tobytes()


def torch_loop(
    reward: torch.Tensor,
    value: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    final_value: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loop most PyTorch code has, over [B, N] rows, with the cuts as selections."""
    decay = float(np.float32(GAMMA * LAM))
    discount = float(np.float32(GAMMA))
    advantage = torch.empty_like(reward)
    carry = torch.zeros_like(reward[0])
    zero = torch.zeros(())
    for t in range(reward.shape[0] - 1, -1, -1):
        following = torch.where(truncated[t, :, None], final_value[t], value[t + 1])
        following = torch.where(terminated[t, :, None], zero, following)
        carry = torch.where((terminated[t] | truncated[t])[:, None], zero, carry)
        carry = ((reward[t] + discount * following) - value[t]) + decay * carry
        advantage[t] = carry
    return advantage, advantage + value[:-1]


@pytest.mark.benchmark(group="gae")
def test_compiled(benchmark: Any, case: dict[str, Any], expected: bytes) -> None:
    advantage, returns = (np.empty_like(case["reward"]) for _ in range(2))
    arguments = {**case, "advantage": advantage, "returns": returns}
    _core.gae(**arguments)
    assert answer(advantage, returns) == expected
    benchmark.pedantic(_core.gae, kwargs=arguments, rounds=100, warmup_rounds=10)


@pytest.mark.benchmark(group="gae")
def test_torch_loop(benchmark: Any, case: dict[str, Any], expected: bytes) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    arrays = {name: torch.from_numpy(a) for name, a in case.items() if isinstance(a, np.ndarray)}
    for flag in ("terminated", "truncated"):
        arrays[flag] = arrays[flag].bool()
    assert answer(*torch_loop(**arrays)) == expected
    benchmark.pedantic(torch_loop, kwargs=arrays, rounds=10, warmup_rounds=2)
    torch.set_num_threads(threads)


@pytest.mark.benchmark(group="gae")
def test_reference(benchmark: Any, case: dict[str, Any], expected: bytes) -> None:
    result = benchmark.pedantic(gae_float32, kwargs=case, rounds=3, warmup_rounds=1)
    assert answer(*result) == expected
