"""Exchange as attackers see it: all see whose box is opened, but not what its food is worth."""

from __future__ import annotations

import numpy as np

from ascore.envs.vec_env import VecEnv
from ascore.errors import ConfigError
from ascore.privacy.games import F32, I32, AnyArray

# The actions that move by one cell along (x, y); y grows downwards.
MOVES = {1: (-1, 0), 2: (1, 0), 3: (0, 1), 4: (0, -1)}
OPEN = 5


class ExchangeGame:
    """See `Insight`."""

    def __init__(self, env: VecEnv) -> None:
        for key, value in {"eaten": "minus_one", "food": "immediate", "open_range": 0}.items():
            if env.params[key] != value:
                message = (
                    f"the attacks on Exchange read {key} = {value}, not {env.params[key]}; "
                    f"leave out {key}"
                )
                raise ConfigError(message)
        self._n, self._cells = env.spec.num_agents, env.params["size"] - 1
        self._gain = env.params["gain"]

    def _places(self, obs: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
        """(column, row) of agents and boxes, [S, N, 2] each, and which are closed, bool [S, N]."""
        pairs = obs[:, 0].reshape(len(obs), 2 * self._n, 2)
        cells = np.rint(pairs * self._cells).astype(np.int64)
        return cells[:, : self._n], cells[:, self._n :], pairs[:, self._n :, 0] >= 0

    def acts(self, obs: AnyArray, agent: int) -> F32:
        """Of each other agent's closed box, the next agent's first: to open it, to go to it."""
        agents, boxes, closed = self._places(obs)
        acts = np.zeros((len(obs), 2 * (self._n - 1), 6), dtype=np.float32)
        for place in range(self._n - 1):
            box = (agent + 1 + place) % self._n
            way = boxes[:, box] - agents[:, agent]
            here = closed[:, box] & (way == 0).all(axis=1)
            acts[here, 2 * place, OPEN] = 1
            for action, (x, y) in MOVES.items():
                nearer = np.sign(way[:, 0] * x + way[:, 1] * y)
                acts[:, 2 * place + 1, action] = np.where(closed[:, box], nearer, 0)
        return acts

    def situations(self, obs: AnyArray, agent: int) -> F32:
        """Whether its own box is closed, and somebody else is on it; how many others are closed."""
        agents, boxes, closed = self._places(obs)
        on = (agents == boxes[:, [agent]]).all(axis=2) & closed[:, [agent]]
        on[:, agent] = False
        others = closed.sum(axis=1) - closed[:, agent]
        columns = [np.ones(len(obs)), closed[:, agent], on.any(axis=1), others]
        return np.stack(columns, axis=1).astype(np.float32)

    def unit(self, obs: AnyArray, after: AnyArray, action: I32) -> F32:
        """The gain of the agents whose boxes are opened."""
        opened = self._places(obs)[2] & ~self._places(after)[2]
        unit: F32 = np.where(opened, self._gain, 0.0).astype(np.float32)
        return unit
