"""Gaussian noise from the operating system's entropy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

_entropy: Callable[[int], bytes] = os.urandom


def normal(*shape: int) -> F64:
    """Independent standard normal numbers, which nobody can draw again.

    By Box and Muller's transform of 53-bit numbers; no number is larger than 8.6 in size, where a
    normal one is once in 1e17.
    """
    count = int(np.prod(shape))
    half = (count + 1) // 2
    words = np.frombuffer(_entropy(16 * half), dtype="<u8").reshape(2, half) >> np.uint64(11)
    radius = np.sqrt(-2.0 * np.log((words[0] + 1.0) * 2.0**-53))
    angle = words[1] * (2.0 * np.pi * 2.0**-53)
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[:count].reshape(shape)


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Draws noise that can be drawn again: for tests, since it protects nothing.

    No key, option or variable of the environment leads here.
    """
    global _entropy
    before, stream = _entropy, np.random.Generator(np.random.Philox(seed))
    _entropy = stream.bytes
    try:
        yield
    finally:
        _entropy = before
