"""Counter-based random streams in Python, which have no state to save and restore.

Environments use Philox keys (seed, environment), numbered from zero, so the learner's keys
(seed, 2**63 + stream) never coincide with them.
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
STREAM_ABSENT = 7
STREAM_PRIVATE = 8
STREAM_WEIGHTS = 9
STREAM_REWARD_MODEL = 10
STREAM_MESSAGE = 11

_ACTIONS = 1  # domain word of the numbers for sampling actions, as in the compiled core

FIRST_EVALUATION_ENV = 1 << 62
"""Number of the first evaluation environment; training never gets this far."""


def generator(seed: int, stream: int, a: int = 0, b: int = 0, c: int = 0) -> np.random.Generator:
    """NumPy generator for fixed arguments: equal arguments always give the same numbers."""
    key = np.array([seed, (1 << 63) + stream], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, a, b, c], dtype=np.uint64))
    )


def episode_seed(seed: int, env: int, episode: int) -> int:
    """Seed 0..2**31-1 of an episode of a Python environment; all generators accept 31 bits."""
    return int(generator(seed, STREAM_EPISODE_SEED, env, episode).integers(0, 1 << 31))


def action_uniforms(
    seed: int, env: int, episode: int, time: int, count: int
) -> npt.NDArray[np.float32]:
    """The numbers f32 [count] in [0, 1) that compiled environments draw at this point."""
    words = np.random.Philox(
        key=np.array([seed, env], dtype=np.uint64),
        counter=np.array([0, time, episode, _ACTIONS], dtype=np.uint64),
    ).random_raw(count)
    return ((words >> np.uint64(40)) * 2.0**-24).astype(np.float32)
