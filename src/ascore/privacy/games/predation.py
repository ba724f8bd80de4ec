"""C. Predation as attackers see it: who approaches is seen by all, what it costs is not."""

from __future__ import annotations

import numpy as np

from ascore.envs.vec_env import VecEnv
from ascore.errors import ConfigError
from ascore.privacy.games import F32, I32, AnyArray

LEFT, RIGHT = 0, 1


class PredationGame:
    """See `Insight`."""

    def __init__(self, env: VecEnv) -> None:
        for key, value in {"obs_mode": "full", "mixed": "literal", "approach": "sign"}.items():
            if env.params[key] != value:
                message = (
                    f"the attacks on C. Predation read {key} = {value}, not {env.params[key]}; "
                    f"leave out {key}"
                )
                raise ConfigError(message)

    def acts(self, obs: AnyArray, agent: int) -> F32:
        """Towards the prey rather than away, where the agent is left of it, and right of it."""
        left = obs[:, 0, agent] < 0
        acts = np.zeros((len(obs), 2, 2), dtype=np.float32)
        acts[left, 0] = (-1.0, 1.0)
        acts[~left, 1] = (1.0, -1.0)
        return acts

    def situations(self, obs: AnyArray, agent: int) -> F32:
        """Which side of the prey an agent is on; nothing else matters for rewards."""
        left = obs[:, 0, agent] < 0
        return np.stack([np.ones(len(obs)), left], axis=1).astype(np.float32)

    def unit(self, obs: AnyArray, after: AnyArray, action: I32) -> F32:
        """-1 to those who approach together with all, -4 to those who do without some."""
        approaches = np.where(obs[:, 0] < 0, action == RIGHT, action == LEFT) & (obs[:, 0] != 0)
        together = approaches.all(axis=1, keepdims=True)
        unit: F32 = np.where(approaches, np.where(together, -1.0, -4.0), 0.0).astype(np.float32)
        return unit
