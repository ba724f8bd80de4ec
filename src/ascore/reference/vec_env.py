"""A batch of reference environments with automatic reset, stepped one after the other.

Source:
    Same-step reset with a separate final observation, as in Gymnasium's vector environments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ascore.reference.philox import Stream, action_uniforms

__all__ = ["Telling", "TwinEnvironment", "VecEnv"]


class TwinEnvironment(Protocol):
    """Interface of an environment in a batch."""

    num_agents: int
    num_actions: int
    obs_size: int
    views: int
    horizon: int
    obs_scale: float
    """Factor by which observations are multiplied for the networks."""

    @property
    def obs_dtype(self) -> type[np.float32] | type[np.uint8]:
        """Type of the entries of an observation."""

    def reset(self, rng: Stream) -> None:
        """Start an episode."""

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Return the reward f32[N] and whether the episode terminated."""

    def obs(self) -> NDArray[np.float32] | NDArray[np.uint8]:
        """Return the observation [V, O] of the current state, or [O] if V = 1."""

    def neighbours(self) -> NDArray[np.uint8]:
        """Return u8[N, N] of the current state."""

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the current state, by name."""


@runtime_checkable
class Telling(Protocol):
    """The optional part of an environment in which returns do not show what agents did."""

    def deeds(self) -> dict[str, NDArray[np.int32]]:
        """Return what each agent did in the last step, i32[N] by kind of deed."""


class VecEnv:
    """B environments, stepped together.

    Environment b draws from streams keyed by (seed, first_env + b), independently of the batch.

    Args:
        environments: B environments of one class.
        seed: first key word of every stream, 0 <= seed < 2**64.
        first_env: number of the first environment.

    Attributes:
        obs: [B, V, O] of the environment's `obs_dtype`, the current states.
        final_obs: like `obs`, the last state of the latest finished episode; zeros before that.
        reward: f32[B, N], rewards of the last step.
        neighbours: u8[B, N, N], [b, i, j] = 1 if agent i hears agent j, of the state in `obs`.
        terminated: u8[B], whether the last step ended the episode by the rules.
        truncated: u8[B], whether the last step reached the horizon.
        episode: u64[B], number of the running episode.
        time: i32[B], steps taken in the running episode.
        deeds: of every environment, what its agents did in the last step; nothing if it tells none.
    """

    def __init__(
        self, environments: Sequence[TwinEnvironment], seed: int, first_env: int = 0
    ) -> None:
        self.environments = list(environments)
        self.seed = seed
        self.first_env = first_env
        self.num_envs = len(self.environments)
        env = self.environments[0]
        self.num_agents = env.num_agents
        self.num_actions = env.num_actions
        self.obs_size = env.obs_size
        self.views = env.views
        self.horizon = env.horizon
        self.obs_scale = env.obs_scale
        self._next_episode = [0] * self.num_envs
        self.obs: NDArray[np.float32 | np.uint8] = np.zeros(
            (self.num_envs, self.views, self.obs_size), dtype=env.obs_dtype
        )
        self.final_obs = np.zeros_like(self.obs)
        self.reward = np.zeros((self.num_envs, self.num_agents), dtype=np.float32)
        self.neighbours = np.zeros(
            (self.num_envs, self.num_agents, self.num_agents), dtype=np.uint8
        )
        self.terminated = np.zeros(self.num_envs, dtype=np.uint8)
        self.truncated = np.zeros(self.num_envs, dtype=np.uint8)
        self.episode = np.zeros(self.num_envs, dtype=np.uint64)
        self.time = np.zeros(self.num_envs, dtype=np.int32)
        self.deeds: list[dict[str, NDArray[np.int32]]] = [{}] * self.num_envs

    def reset(self, seed: int | None = None) -> None:
        """Start the next episode of every environment.

        Args:
            seed: if given, the new seed; episodes are then counted from 0 again.
        """
        if seed is not None:
            self.seed = seed
            self._next_episode = [0] * self.num_envs
        self.reward[:] = 0
        self.terminated[:] = 0
        self.truncated[:] = 0
        for b in range(self.num_envs):
            self._begin_episode(b)

    def step(self, action: NDArray[np.int32]) -> None:
        """Step every environment; start the next episode of those whose episode ended.

        Args:
            action: i32[B, N], each in 0..num_actions-1.
        """
        for b, env in enumerate(self.environments):
            rng = Stream(self.seed, self.first_env + b, int(self.episode[b]), int(self.time[b]) + 1)
            self.reward[b], terminated = env.step(rng, action[b])
            self.deeds[b] = env.deeds() if isinstance(env, Telling) else {}
            self.time[b] += 1
            self.terminated[b] = terminated
            self.truncated[b] = self.time[b] == env.horizon
            if self.terminated[b] or self.truncated[b]:
                self.final_obs[b] = env.obs()
                self._begin_episode(b)
            else:
                self.obs[b] = env.obs()
                self.neighbours[b] = env.neighbours()

    def uniforms(self) -> NDArray[np.float32]:
        """Return f32[B, N]: numbers in [0, 1) for sampling the next actions."""
        return np.stack(
            [
                action_uniforms(
                    self.seed,
                    self.first_env + b,
                    int(self.episode[b]),
                    int(self.time[b]),
                    self.num_agents,
                )
                for b in range(self.num_envs)
            ]
        )

    def inspect(self, b: int) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state of environment b, by name."""
        return self.environments[b].inspect()

    def _begin_episode(self, b: int) -> None:
        self.episode[b] = self._next_episode[b]
        self._next_episode[b] += 1
        self.time[b] = 0
        env = self.environments[b]
        env.reset(Stream(self.seed, self.first_env + b, int(self.episode[b]), 0))
        self.obs[b] = env.obs()
        self.neighbours[b] = env.neighbours()
