"""Counter-based random streams in Python: no state to save, none to lose on resume.

Environments use Philox keys (seed, environment); the learner's keys (seed, 2**63 + stream) can
meet none of them, since environments number from zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STREAM_ACTOR = 1
STREAM_CRITIC = 2
STREAM_MINIBATCH = 3
STREAM_GRAPH = 4
STREAM_EPISODE_SEED = 5
STREAM_BOOTSTRAP = 6

_ACTIONS = 1  # domain word of the numbers that agents draw actions with, as in the compiled core

FIRST_EVALUATION_ENV = 1 << 62
"""Evaluation numbers its environments from here, so that it never replays training episodes."""


def generator(seed: int, stream: int, a: int = 0, b: int = 0, c: int = 0) -> np.random.Generator:
    """NumPy generator at a fixed place: the same arguments give the same numbers, always."""
    key = np.array([seed, (1 << 63) + stream], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, a, b, c], dtype=np.uint64))
    )


def episode_seed(seed: int, env: int, episode: int) -> int:
    """Seed 0..2**31-1 of one episode of one Python environment; any generator takes 31 bits."""
    return int(generator(seed, STREAM_EPISODE_SEED, env, episode).integers(0, 1 << 31))


def action_uniforms(
    seed: int, env: int, episode: int, time: int, count: int
) -> npt.NDArray[np.float32]:
    """The numbers f32 [count] in [0, 1) that the compiled environments draw in this place."""
    words = np.random.Philox(
        key=np.array([seed, env], dtype=np.uint64),
        counter=np.array([0, time, episode, _ACTIONS], dtype=np.uint64),
    ).random_raw(count)
    return ((words >> np.uint64(40)) * 2.0**-24).astype(np.float32)
