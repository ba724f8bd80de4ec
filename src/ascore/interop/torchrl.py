"""Offers the built-in environments as a batched TorchRL environment.

G games, N agents, O observation entries, A actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Bounded, Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

from ascore.interop.bounds import observation_bounds
from ascore.interop.built_in import built_in

GROUP = "agents"
"""Name of the group that holds all agents."""


def torchrl_env(
    name: str,
    num_envs: int = 1,
    *,
    seed: int | None = None,
    num_threads: int = 0,
    floats: bool = True,
    **params: Any,
) -> TorchRLView:
    """Creates G games as one TorchRL environment of batch size [G].

    Its keys are ("agents", "observation") [G, N, O], ("agents", "action") i64 [G, N],
    ("agents", "reward") f32 [G, N, 1], ("agents", "info", "neighbours") bool [G, N, N], and
    "done", "terminated", "truncated" bool [G, 1], for episodes end for all agents together.

    Args:
        name: name of the environment, with or without its version.
        num_envs: G, at least 1.
        seed: seed of the first reset, 0..2**64-1; None = a new one.
        num_threads: threads that step the games; 0 = as many as pay.
        floats: observations f32, scaled as this package's networks see them; without it they have
            the environment's own type.
        params: parameters of the environment; `ascore envs` lists them.

    Raises:
        ValueError: a name or parameter is unknown, or a value is out of range.
        TypeError: a parameter has another type.
    """
    other = "is written in Python; give it to torchrl.envs.PettingZooWrapper"
    return TorchRLView(built_in(name, num_envs, seed, num_threads, params, other), floats)


class TorchRLView(EnvBase):
    """G games that TorchRL steps and resets together.

    Attributes:
        games: the batch that is stepped.
        group_map: the one group and its agents, as TorchRL's own environments have it.
    """

    def __init__(self, games: Any, floats: bool = True) -> None:
        spec = games.spec
        g, n = games.num_envs, spec.num_agents
        super().__init__(device="cpu", batch_size=torch.Size([g]))
        self.games = games
        games.keep_neighbours()
        self.group_map = {GROUP: [f"agent_{i}" for i in range(n)]}
        self._scale = float(spec.obs_scale) if floats else None
        self._seed: int | None = None  # of the next reset, if it was set
        # Games whose last observation has been handed out; the batch has begun their next episode.
        self._waiting = np.zeros(g, dtype=np.bool_)
        low, high = (self._scaled(bound).expand(g, n, -1) for bound in observation_bounds(games))
        flag = Categorical(2, shape=(g, 1), dtype=torch.bool)
        agents = Composite(
            observation=Bounded(low, high, shape=low.shape, dtype=low.dtype),
            info=Composite(
                neighbours=Categorical(2, shape=(g, n, n), dtype=torch.bool), shape=(g, n)
            ),
            shape=(g, n),
        )
        self.observation_spec = Composite({GROUP: agents}, shape=(g,))
        self.action_spec = self._grouped("action", Categorical(spec.num_actions, shape=(g, n)))
        self.reward_spec = self._grouped("reward", Unbounded(shape=(g, n, 1)))
        self.done_spec = Composite(
            done=flag.clone(), terminated=flag.clone(), truncated=flag.clone(), shape=(g,)
        )

    def _grouped(self, key: str, spec: Any) -> Composite:
        shape = self.games.reward.shape
        inner = Composite({key: spec}, shape=shape)
        return Composite({GROUP: inner}, shape=shape[:1])

    def _scaled(self, obs: npt.NDArray[Any]) -> torch.Tensor:
        """A copy of observations or bounds as they are handed out."""
        if self._scale is None:
            return torch.from_numpy(obs.copy())
        return torch.from_numpy(np.multiply(obs, np.float32(self._scale), dtype=np.float32))

    def _observed(self, obs: npt.NDArray[Any], ended: npt.NDArray[np.bool_] | None) -> TensorDict:
        """What agents see of [G, V, O]; no agent hears another after the last step."""
        g, n = self.games.reward.shape
        neighbours = torch.from_numpy(self.games.neighbours.astype(np.bool_))
        if ended is not None:
            neighbours[torch.from_numpy(ended)] = False
        return TensorDict(
            {
                "observation": self._scaled(obs).expand(g, n, -1),
                "info": TensorDict({"neighbours": neighbours}, batch_size=(g, n)),
            },
            batch_size=(g, n),
        )

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDict:
        g = self.games.num_envs
        wanted = np.ones(g, dtype=np.bool_)
        asked = None if tensordict is None else tensordict.get("_reset", None)
        if asked is not None:
            wanted = asked.numpy().reshape(g)
        if self._seed is not None or not self._waiting[wanted].all():
            if not wanted.all():
                bad = int(np.flatnonzero(wanted & ~self._waiting)[0])
                message = (
                    f"game {bad} is in the middle of an episode and cannot be reset alone; reset "
                    "all games, or those that are done"
                )
                raise RuntimeError(message)
            self.games.reset(self._seed)
            self._seed = None
        self._waiting[wanted] = False
        flags = torch.zeros(g, 1, dtype=torch.bool)
        return TensorDict(
            {
                GROUP: self._observed(self.games.obs, None),
                "done": flags,
                "terminated": flags.clone(),
                "truncated": flags.clone(),
            },
            batch_size=self.batch_size,
        )

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        if self._waiting.any():
            bad = int(np.flatnonzero(self._waiting)[0])
            message = f"the episode of game {bad} has ended; reset it first"
            raise RuntimeError(message)
        games = self.games
        games.step(tensordict[GROUP, "action"].numpy())
        terminated, truncated = games.terminated[:, None], games.truncated[:, None]
        ended = games.terminated | games.truncated
        self._waiting = ended.copy()  # what is handed out must not change at the reset
        obs = games.obs
        if ended.any():
            obs = np.where(ended[:, None, None], games.final_obs, games.obs)
        agents = self._observed(obs, ended)
        agents["reward"] = torch.from_numpy(games.reward.copy())[:, :, None]
        return TensorDict(
            {
                GROUP: agents,
                "done": torch.from_numpy(ended[:, None]),
                "terminated": torch.from_numpy(terminated.copy()),
                "truncated": torch.from_numpy(truncated.copy()),
            },
            batch_size=self.batch_size,
        )

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            self._seed = seed
