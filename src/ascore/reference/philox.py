"""Random numbers of the reference environments, drawn from `numpy.random.Philox`.

Each (seed, environment, episode, step, domain) has its own stream, so no two environments share
numbers and any step can be replayed alone. The generator is NumPy's
Philox4x64-10; this module only defines how its 64-bit words become numbers.

Source:
    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (the generator).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTIONS", "DYNAMICS", "Stream", "action_uniforms"]

DYNAMICS = 0
"""Domain word of an environment's own draws; the step word is 0 at reset, t + 1 in step t."""

ACTIONS = 1
"""Domain word of the numbers for sampling actions; the step word is t."""

Item = TypeVar("Item")


class Stream:
    """The words of one Philox counter, consumed in order.

    Args:
        seed: first key word, 0 <= seed < 2**64.
        env_id: second key word, the number of the environment, 0 <= env_id < 2**64.
        episode: number of episodes that this environment finished or abandoned since seeding.
        step: 0 for a reset, t + 1 for the step from t to t + 1; t for `ACTIONS`.
        domain: `DYNAMICS` or `ACTIONS`.
    """

    def __init__(
        self, seed: int, env_id: int, episode: int, step: int, domain: int = DYNAMICS
    ) -> None:
        self._seed, self._env_id, self._step, self._domain = seed, env_id, step, domain
        # NumPy advances the first counter word before it fills its buffer of four, so the first
        # block in use is number 1.
        self._generator = np.random.Philox(
            key=np.array([seed, env_id], dtype=np.uint64),
            counter=np.array([0, step, episode, domain], dtype=np.uint64),
        )

    def of_episode(self, episode: int) -> Stream:
        """Return the stream of another episode with otherwise equal keys, from its start."""
        return Stream(self._seed, self._env_id, episode, self._step, self._domain)

    def word(self) -> int:
        """Return the next 64 random bits as an integer in [0, 2**64)."""
        return int(self._generator.random_raw())

    def u01(self) -> float:
        """Return a uniform double in [0, 1) that is a multiple of 2**-53."""
        return (self.word() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        """Return a uniform integer in [0, n).

        It is the high half of a 128-bit product, with a bias below n / 2**64. There is no
        rejection, so every call consumes exactly one word.
        """
        return (self.word() * n) >> 64

    def bytes(self, n: int) -> list[int]:
        """Return n uniform integers in [0, 256), eight to a word.

        The least significant byte of a word comes first. ceil(n / 8) words are drawn; bytes of the
        last one beyond the n-th are dropped.
        """
        drawn: list[int] = []
        for _ in range((n + 7) // 8):
            drawn += self.word().to_bytes(8, "little")
        return drawn[:n]

    def perm(self, n: int) -> list[int]:
        """Return a uniform permutation of 0..n-1, Fisher-Yates from the end; n - 1 words."""
        order = list(range(n))
        for k in range(n - 1, 0, -1):
            j = self.below(k + 1)
            order[k], order[j] = order[j], order[k]
        return order

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Return `count` distinct items in random order, Fisher-Yates from the front.

        Args:
            items: items to choose from; not modified.
            count: number of items, at most `len(items)`; each uses one word.
        """
        rest = list(items)
        for d in range(count):
            j = d + self.below(len(rest) - d)
            rest[d], rest[j] = rest[j], rest[d]
        return rest[:count]


def action_uniforms(
    seed: int, env_id: int, episode: int, time: int, num_agents: int
) -> NDArray[np.float32]:
    """Return the random number with which each agent samples its action.

    Args:
        seed: seed of the batch.
        env_id: number of the environment.
        episode: number of the running episode.
        time: number of steps taken in that episode.
        num_agents: N.

    Returns:
        f32[N] in [0, 1), multiples of 2**-24: the top 24 bits of word n belong to agent n.
    """
    stream = Stream(seed, env_id, episode, time, ACTIONS)
    return np.array([(stream.word() >> 40) * 2.0**-24 for _ in range(num_agents)], dtype=np.float32)
