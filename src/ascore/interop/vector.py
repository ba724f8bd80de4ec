"""Offers the built-in environments as one Gymnasium vector environment.

Trainers for single agents that take a vector environment then train one policy for all agents.
G games, N agents, O observation entries, A actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector.utils import batch_space

from ascore.interop.bounds import observation_bounds
from ascore.interop.built_in import built_in

if int(gymnasium.__version__.partition(".")[0]) < 1:  # its vector environments were others before
    _message = (
        f"vector_env needs gymnasium 1.0 or later, and {gymnasium.__version__} is installed; "
        "pip install -U gymnasium"
    )
    raise ImportError(_message)

Obs = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def vector_env(
    name: str,
    num_envs: int = 1,
    *,
    seed: int | None = None,
    num_threads: int = 0,
    floats: bool = False,
    agent_indicator: bool = False,
    copy: bool = True,
    **params: Any,
) -> VectorView:
    """Creates G games as a `gymnasium.vector.VectorEnv` of G * N sub-environments.

    Sub-environment g * N + i is agent i in game g: its observation, its reward. All agents of a
    game act in the same step, and their episodes end together.

    Args:
        name: name of the environment, with or without its version.
        num_envs: G, at least 1.
        seed: seed of episodes that are reset without one, 0..2**64-1; None = a new one each time.
        num_threads: threads that step the games; 0 = as many as pay.
        floats: observations f32, scaled as this package's networks see them, for networks that
            take no bytes; without it they have the environment's own type.
        agent_indicator: append N entries to every observation, 1 at the agent's number, else 0.
            Where all agents see the same state, a shared policy cannot tell them apart otherwise.
        copy: return new arrays; without it, arrays that the next step overwrites.
        params: parameters of the environment; `ascore envs` lists them.

    Raises:
        ValueError: a name or parameter is unknown, or a value is out of range.
        TypeError: a parameter has another type.
    """
    other = (
        "is written in Python; a vector of such environments is made by their own packages, such "
        "as gymnasium or SuperSuit"
    )
    games = built_in(name, num_envs, seed, num_threads, params, other)
    return VectorView(games, floats, agent_indicator, copy)


class VectorView(gymnasium.vector.VectorEnv[Obs, Any, Any]):
    """G games as G * N sub-environments that restart in the step that ends them.

    In such a step, `infos["final_obs"]` holds the last observations of the episodes that ended and
    `infos["_final_obs"]` says which these are, as in Gymnasium's `SAME_STEP` mode.

    Attributes:
        games: the batch that is stepped.
        num_envs: G * N.
    """

    def __init__(self, games: Any, floats: bool, agent_indicator: bool, copy: bool) -> None:
        spec = games.spec
        g, n = games.num_envs, spec.num_agents
        self.games = games
        self.num_envs = g * n
        self.copy = copy
        self.metadata = {"name": spec.name, "render_modes": []}
        modes = getattr(gymnasium.vector, "AutoresetMode", None)
        if modes is not None:  # Gymnasium below 1.1 has no names for them
            self.metadata["autoreset_mode"] = modes.SAME_STEP
        self._scale = np.float32(spec.obs_scale) if floats else None
        low, high = (self._scaled(bound) for bound in observation_bounds(games))
        if agent_indicator:
            low = np.concatenate([low, np.zeros(n, low.dtype)])
            high = np.concatenate([high, np.ones(n, high.dtype)])
        self.single_observation_space = gymnasium.spaces.Box(low, high, low.shape, low.dtype.type)
        self.single_action_space = gymnasium.spaces.Discrete(spec.num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._shape = (g, n)
        # Views of one agent each, in the environment's own type, are handed out as they lie.
        self._plain = spec.views == n and self._scale is None and not agent_indicator
        self._batch = np.zeros((g, n, len(low)), low.dtype)
        if agent_indicator:
            self._batch[:, :, -n:] = np.eye(n, dtype=low.dtype)
        self._obs = (games.obs if self._plain else self._batch).reshape(self.num_envs, -1)
        self._reward: F32 = games.reward.reshape(-1)
        self._none: Flags = np.zeros(self.num_envs, dtype=np.bool_)
        self._none.flags.writeable = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, dict[str, Any]]:
        """Starts episode 0 of a seed in every game, or the next episode without one.

        Args:
            seed: one seed for all games, whose episodes still differ.
            options: there are none.

        Raises:
            ValueError: there is a list of seeds, or an option.
        """
        if seed is not None and not isinstance(seed, (int, np.integer)):
            message = f"seed = {seed!r} is not one number; one seed serves all games, which differ"
            raise ValueError(message)
        if options:
            message = (
                f"option {next(iter(options))!r} is unknown; reset takes none, and games restart "
                "by themselves"
            )
            raise ValueError(message)
        self.games.reset(seed)
        return self._observations(), {}

    def step(self, actions: Any) -> tuple[Obs, F32, Flags, Flags, dict[str, Any]]:
        """Takes one step of all agents in all games.

        Args:
            actions: whole numbers 0..A-1, [G * N]; i32 is fastest.

        Returns:
            obs [G * N, O], rewards f32 [G * N], terminations and truncations bool [G * N], infos.

        Raises:
            ValueError: the shape differs or an action is out of range; the state is unchanged.
            TypeError: actions are no whole numbers.
        """
        games = self.games
        action = np.asarray(actions)
        if action.size != self.num_envs:
            message = f"actions have shape {action.shape}; it must be ({self.num_envs},)"
            raise ValueError(message)
        games.step(action.reshape(self._shape))
        copy = self.copy
        terminated = truncated = self._none
        infos: dict[str, Any] = {}
        if np.count_nonzero(games.terminated) or np.count_nonzero(games.truncated):
            terminated = np.repeat(games.terminated, self._shape[1])
            truncated = np.repeat(games.truncated, self._shape[1])
            ended = terminated | truncated
            final = np.full(self.num_envs, None, dtype=object)
            last = self._seen(games.final_obs).reshape(self.num_envs, -1)
            for k in np.flatnonzero(ended):
                final[k] = last[k].copy()
            infos = {"final_obs": final, "_final_obs": ended}
        elif copy:
            terminated, truncated = terminated.copy(), truncated.copy()
        reward = self._reward.copy() if copy else self._reward
        return self._observations(), reward, terminated, truncated, infos

    def close_extras(self, **_: Any) -> None:
        """Closes the batch."""
        self.games.close()

    def _observations(self) -> Obs:
        if not self._plain:
            self._seen(self.games.obs)
        return self._obs.copy() if self.copy else self._obs

    def _seen(self, obs: Obs) -> Obs:
        """What agents see of [G, V, O]: the array itself or the filled batch, [G, N, O']."""
        if self._plain:
            return obs
        out = self._batch[:, :, : obs.shape[2]]
        if self._scale is None:
            out[:] = obs
        else:
            np.multiply(obs, self._scale, out=out)
        return self._batch

    def _scaled(self, bound: Obs) -> Obs:
        return bound if self._scale is None else bound.astype(np.float32) * self._scale
