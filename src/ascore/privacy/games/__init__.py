"""What an attacker knows of a game: one module per environment in which something can be private.

S states, V views, O observation entries, N agents, A actions. All of it can be computed from states
and actions, which every agent observes, and from rules that every agent knows.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv

AnyArray = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


class Insight(Protocol):
    """What the attacks ask of a game.

    Args:
        env: a batch of it.

    Raises:
        ConfigError: its observations do not show the state as the attacks read it.
    """

    def __init__(self, env: VecEnv) -> None: ...

    def acts(self, obs: AnyArray, agent: int) -> F32:
        """What an agent's actions mean where it stands: f32 [S, C, A].

        An entry is 1 where the action does what column C is about, -1 where it does the opposite,
        and 0 where it has no bearing on it.

        Args:
            obs: [S, V, O].
            agent: whose actions.
        """

    def situations(self, obs: AnyArray, agent: int) -> F32:
        """What matters for an agent's reward, f32 [S, D]; column 0 is 1."""

    def unit(self, obs: AnyArray, after: AnyArray, action: I32) -> F32:
        """What the weighed event pays each agent where its weight is 1, f32 [S, N].

        Args:
            obs: states before the step, [S, V, O].
            after: states after it, of the same episode.
            action: i32 [S, N].
        """
