"""Counter-based random streams of the learner: no state to save, none to lose on resume.

Environments use Philox keys (seed, environment); the learner's keys (seed, 2**63 + stream) can
meet none of them, since environments number from zero.
"""

from __future__ import annotations

import numpy as np

STREAM_ACTOR = 1
STREAM_CRITIC = 2
STREAM_MINIBATCH = 3
STREAM_GRAPH = 4

FIRST_EVALUATION_ENV = 1 << 62
"""Evaluation numbers its environments from here, so that it never replays training episodes."""


def generator(seed: int, stream: int, a: int = 0, b: int = 0, c: int = 0) -> np.random.Generator:
    """NumPy generator at a fixed place: the same arguments give the same numbers, always."""
    key = np.array([seed, (1 << 63) + stream], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, a, b, c], dtype=np.uint64))
    )
