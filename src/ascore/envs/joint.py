"""Many agents as one central agent: joint actions, all observations, the team's reward.

B environments, N agents, A_i actions of agent i, J joint actions: the product of all A_i; V views
of O entries.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs import legal as masks
from ascore.envs.actions import check_actions
from ascore.envs.array_core import ArrayCore
from ascore.envs.vec_env import Spec, VecEnv
from ascore.errors import ConfigError

MOST = 2**20
"""Joint actions that one network can have outputs for, whatever limit is set."""

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


def joint_spec(spec: Spec, limit: int) -> Spec:
    """Sizes of the environment for the central agent: one agent with J actions.

    Raises:
        ConfigError: J exceeds the limit.
    """
    joint = math.prod(spec.action_counts)
    if joint > min(limit, MOST):
        product = "*".join(map(str, spec.action_counts))
        equal = f"{spec.num_actions}**{spec.num_agents}"
        count = f"{joint:,}" if joint < 10**15 else product if spec.padded else equal
        each = "up to " if spec.padded else ""
        most = f"joint_action_limit = {limit:,}; raise it, or" if limit < MOST else f"{MOST:,};"
        message = (
            f"{spec.name} has {count} joint actions "
            f"({spec.num_agents} agents, {each}{spec.num_actions} actions each), more than {most} "
            "use fewer agents"
        )
        raise ConfigError(message)
    names = itertools.product(*(spec.action_names[:count] for count in spec.action_counts))
    return dataclasses.replace(
        spec,
        num_agents=1,
        num_actions=joint,
        action_counts=(joint,),
        obs_shape=(spec.views * spec.obs_shape[0],),
        views=1,
        action_names=tuple("+".join(actions) for actions in names),
    )


def decode(
    joint: npt.NDArray[np.integer[Any]], action_counts: Sequence[int]
) -> npt.NDArray[np.int32]:
    """Splits joint actions [...] into actions i32 [..., N]; agent 0 is the leading digit."""
    digits = np.unravel_index(joint, tuple(action_counts))
    return np.stack(digits, axis=-1).astype(np.int32)


def joint_env(env: VecEnv) -> VecEnv:
    """Wraps an environment for the central agent."""
    return VecEnv(JointCore(env), env.spec.name)


class JointCore(ArrayCore):
    """One central agent in place of N, with the interface of a compiled batch.

    Its observation is the N views concatenated (or the shared view), its reward the sum of the
    private rewards, and it has no neighbours.
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        spec = joint_spec(env.spec, math.prod(env.spec.action_counts))
        b = env.num_envs
        self.num_envs, self.num_threads, self.params = b, env.num_threads, env.params
        self.num_agents, self.num_actions, self.views = 1, spec.num_actions, 1
        self.obs_size, self.obs_scale = spec.obs_shape[0], spec.obs_scale
        self.horizon, self.action_names = spec.horizon, spec.action_names
        self.obs = env.obs.reshape(b, 1, -1)  # a view of the wrapped environment's buffer
        self.final_obs = env.final_obs.reshape(b, 1, -1)
        self.reward = np.zeros((b, 1), dtype=np.float32)
        self.neighbours = np.zeros((b, 1, 1), dtype=np.uint8)
        self.terminated = env.terminated.view(np.uint8)
        self.truncated = env.truncated.view(np.uint8)
        self.episode, self.time = env.episode, env.time
        self._uniform = np.empty((b, env.spec.num_agents), dtype=np.float32)

    def reset(self, seed: int | None = None) -> None:
        """As the wrapped environment."""
        self._env.reset(seed)
        self.reward[:] = 0

    def close(self) -> None:
        """As the wrapped environment."""
        self._env.close()

    def step(self, action: npt.NDArray[np.int32]) -> None:
        """Steps with joint actions i32 [B, 1], each 0..J-1."""
        spec = self._env.spec
        name = f"the centre of {spec.name}"
        check_actions(action, self.reward.shape, (self.num_actions,), name)
        actions = decode(action[:, 0], spec.action_counts)
        self._env.step(np.ascontiguousarray(actions))
        self._env.reward.sum(axis=1, keepdims=True, out=self.reward)

    @property
    def members(self) -> U8 | None:
        """Who of the agents is there, u8 [B, N]; None where all are. The centre always is."""
        return self._env.present

    @property
    def legal(self) -> U8 | None:
        """Legal joint actions u8 [B, 1, J]: those of actions that are all legal; None = all."""
        legal = self._env.legal
        return None if legal is None else masks.joint(legal, self._env.spec.action_counts)[:, None]

    def uniforms(self, out: F32) -> None:
        """Fills `out`, f32 [B, 1], with the random numbers of agent 0."""
        self._env.uniforms(self._uniform)
        out[:] = self._uniform[:, :1]

    def inspect(
        self, index: int, action: npt.NDArray[np.int32] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """As the wrapped environment; `action` holds the agents' own actions, i32 [B, N]."""
        return self._env.inspect(index, action)

    def save_state(self, first: int = 0, count: int | None = None) -> U8:
        """As the wrapped environment."""
        return self._env.save_state(first, count)

    def load_state(self, state: U8, first: int = 0, count: int | None = None) -> None:
        """As the wrapped environment."""
        self._env.load_state(state, first, count)
        self._env.reward.sum(axis=1, keepdims=True, out=self.reward)
