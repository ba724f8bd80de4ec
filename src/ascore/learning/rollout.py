"""Collects T steps of B environments into preallocated buffers, the only copy of the data."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ascore import _core
from ascore.envs.legal import ILLEGAL
from ascore.envs.presence import TRUNCATED, together
from ascore.envs.vec_env import VecEnv
from ascore.learning.networks import LARGEST, Actor, forward


@dataclass
class Rollout:
    """One batch. T steps, B environments, N agents, V views, O observation entries.

    Observations keep the environment's dtype; `final` lists (t, environments, observations) of
    the finished episodes.

    Where an agent has left before the others, entered after them or ended otherwise than they did,
    `present` and `left` say so. `cut` lists, like `final`, the states at which an agent was
    truncated while its episode went on: with the last observation of those that were, and the
    current one of the others.
    """

    obs: npt.NDArray[Any]  # [T, B, V, O]
    last_obs: npt.NDArray[Any]  # [B, V, O], after the last step
    action: npt.NDArray[Any]  # [T, B, N]
    reward: npt.NDArray[np.float32]  # [T, B, N]
    neighbours: npt.NDArray[np.uint8] | None  # [T, B, N, N]; None = no graph asks for them
    last_neighbours: npt.NDArray[np.uint8] | None  # [B, N, N], after the last step
    terminated: npt.NDArray[np.uint8]  # [T, B]
    truncated: npt.NDArray[np.uint8]  # [T, B]
    legal: npt.NDArray[np.uint8] | None = None  # [T, B, N, A], legal actions; None = all
    present: npt.NDArray[np.uint8] | None = None  # [T+1, B, N], who was there; None = always all
    left: npt.NDArray[np.uint8] | None = None  # [T, B, N], how agents left; None with `present`
    members: npt.NDArray[np.uint8] | None = None  # as `present`, of the agents behind a centre
    meant: list[npt.NDArray[np.uint8]] | None = None  # [T, B, N], actions of each meaning, if known
    log_probs: npt.NDArray[np.float32] | None = None  # [T, B, N, A], own policies; None = not kept
    may_leave: bool = False  # whether agents of these environments may leave alone, or enter later
    final: list[tuple[int, npt.NDArray[np.intp], npt.NDArray[Any]]] = field(default_factory=list)
    cut: list[tuple[int, npt.NDArray[np.intp], npt.NDArray[Any]]] = field(default_factory=list)
    episode_returns: list[npt.NDArray[np.float64]] = field(default_factory=list)  # [ended, N] each

    @classmethod
    def empty(cls, env: VecEnv, steps: int, *, neighbours: bool = True) -> Rollout:
        """Allocates buffers for `steps` steps of `env`, for neighbours only if they are wanted."""
        b, n = env.num_envs, env.spec.num_agents
        shape = (b, env.spec.views, *env.spec.obs_shape)
        return cls(
            obs=np.empty((steps, *shape), dtype=env.spec.obs_dtype),
            last_obs=np.empty(shape, dtype=env.spec.obs_dtype),
            action=np.empty((steps, b, n), dtype=np.int32),
            reward=np.empty((steps, b, n), dtype=np.float32),
            neighbours=np.empty((steps, b, n, n), dtype=np.uint8) if neighbours else None,
            last_neighbours=np.empty((b, n, n), dtype=np.uint8) if neighbours else None,
            terminated=np.empty((steps, b), dtype=np.uint8),
            truncated=np.empty((steps, b), dtype=np.uint8),
            may_leave=env.left is not None,
        )

    def set_ended(
        self,
        step: npt.NDArray[np.int64],
        where: npt.NDArray[np.intp],
        last: npt.NDArray[Any],
        returns: npt.NDArray[np.float64],
    ) -> None:
        """Replaces the finished episodes by these E episodes, in the order of their steps.

        Args:
            step: i64 [E], last step of each episode, ascending.
            where: [E], environment of each episode.
            last: [E, V, O], observation of the final state.
            returns: f64 [E, N].
        """
        self.final[:] = by_step(step, where, last)
        ends = itertools.accumulate(len(at) for _, at, _ in self.final)
        self.episode_returns[:] = [
            returns[end - len(at) : end] for end, (_, at, _) in zip(ends, self.final, strict=True)
        ]


def by_step(
    step: npt.NDArray[np.int64], where: npt.NDArray[np.intp], obs: npt.NDArray[Any]
) -> list[tuple[int, npt.NDArray[np.intp], npt.NDArray[Any]]]:
    """States [E], [E], [E, V, O] in the order of their steps, as one entry (t, ...) per step."""
    if not len(step):
        return []
    others = (np.flatnonzero(step[1:] != step[:-1]) + 1).tolist()  # where another step begins
    bounds = itertools.pairwise([0, *others, len(step)])
    return [(int(step[begin]), where[begin:end], obs[begin:end]) for begin, end in bounds]


class Collector:
    """Steps a batch of environments with a policy.

    Attributes:
        watch: called with the steps taken and T after every step; not while compiled code collects,
            which is fast.
        running_return: f64 [B, N], sums of rewards of the unfinished episodes.
    """

    def __init__(
        self,
        env: VecEnv,
        steps: int,
        *,
        compiled: bool = True,
        neighbours: bool = True,
        log_probs: bool = False,
    ) -> None:
        """Allocates the rollout.

        Args:
            env: the batch.
            steps: T.
            compiled: let compiled code collect, where it can.
            neighbours: record who hears whom in the environment.
            log_probs: record the policies that act, if compiled code collects.
        """
        self.env = env
        self.compiled = compiled and env.compiled
        self.watch: Callable[[int, int], None] | None = None
        self._policy: _core.ActingNetworks | None = None
        self.rollout = Rollout.empty(env, steps, neighbours=neighbours)
        self.running_return = np.zeros((env.num_envs, env.spec.num_agents))
        self._uniform = np.empty((env.num_envs, env.spec.num_agents), dtype=np.float32)
        self._legal: npt.NDArray[np.uint8] | None = None  # kept where masks have been seen
        self._log_probs: npt.NDArray[np.float32] | None = None
        if log_probs and self.compiled:
            shape = (*self.rollout.action.shape, env.spec.num_actions)
            self._log_probs = np.empty(shape, dtype=np.float32)
        self._stays = Stays(env, self.rollout)

    @torch.no_grad()
    def collect(self, actor: Actor) -> Rollout:
        """Fills the rollout; samples actions by inverse transform from the environments' streams.

        A sample depends only on (seed, environment, episode, step, agent) and the policy.
        """
        if self.compiled and actor.net.flat.shape[1] <= LARGEST:
            return self._collect_compiled(actor)
        env, rollout = self.env, self.rollout
        layers = [(weight.cpu(), bias.cpu()) for weight, bias in actor.own_layers()]
        obs_torch = torch.from_numpy(rollout.obs)
        action_torch = torch.from_numpy(rollout.action)
        uniform = torch.from_numpy(self._uniform).T.unsqueeze(-1)  # [N, B, 1]
        rollout.final.clear()
        rollout.episode_returns.clear()
        rollout.legal = rollout.log_probs = None
        self._stays.begin()
        for t in range(rollout.obs.shape[0]):
            rollout.obs[t] = env.obs
            if rollout.neighbours is not None:
                rollout.neighbours[t] = env.neighbours
            self._stays.before(t)
            env.uniforms(self._uniform)
            logits = forward(layers, per_agent_view(obs_torch[t], env.spec.obs_scale))
            legal = self._record_legal(t)
            if legal is not None:
                allowed = torch.from_numpy(legal.astype(np.bool_)).transpose(0, 1)
                logits = logits.masked_fill(~allowed, ILLEGAL)
            cdf = torch.softmax(logits, dim=-1).cumsum(dim=-1)
            action = (cdf[..., :-1] <= uniform * cdf[..., -1:]).sum(dim=-1)
            action_torch[t] = action.T
            env.step(rollout.action[t])
            rollout.reward[t] = env.reward
            rollout.terminated[t] = env.terminated
            rollout.truncated[t] = env.truncated
            self._stays.after(t)
            self.running_return += env.reward
            ended = np.flatnonzero(rollout.terminated[t] | rollout.truncated[t])
            if ended.size:
                rollout.final.append((t, ended, env.final_obs[ended]))
                rollout.episode_returns.append(self.running_return[ended])
                self.running_return[ended] = 0.0
            if self.watch is not None:
                self.watch(t + 1, len(rollout.obs))
        self._stays.end()
        self._close()
        return rollout

    def _close(self) -> None:
        """Writes down the state after the last step."""
        rollout, env = self.rollout, self.env
        rollout.last_obs[...] = env.obs
        if rollout.last_neighbours is not None:
            rollout.last_neighbours[...] = env.neighbours

    def _record_legal(self, t: int) -> npt.NDArray[np.uint8] | None:
        """Writes down and returns what is legal now, u8 [B, N, A]; None = everything."""
        legal, rollout = self.env.legal, self.rollout
        if legal is not None and rollout.legal is None:
            if self._legal is None:
                self._legal = np.empty((len(rollout.obs), *legal.shape), dtype=np.uint8)
            self._legal[:t] = 1
            rollout.legal = self._legal
        if rollout.legal is not None:
            rollout.legal[t] = 1 if legal is None else legal
        return legal

    def _collect_compiled(self, actor: Actor) -> Rollout:
        """The same in compiled code with its networks; log-probabilities differ by rounding."""
        env, rollout = self.env, self.rollout
        step, where, last, returns = env.rollout(
            self._loaded(actor),
            rollout.obs,
            rollout.neighbours,
            rollout.action,
            rollout.reward,
            rollout.terminated,
            rollout.truncated,
            self.running_return,
            self._log_probs,
        )
        rollout.log_probs = self._log_probs
        rollout.set_ended(step, where, last, returns)
        self._close()
        return rollout

    def _loaded(self, actor: Actor) -> _core.ActingNetworks:
        """Compiled networks with the actor's own policies."""
        if self._policy is None:
            sizes = [*actor.net.sizes[:-1], actor.num_actions]
            self._policy = _core.ActingNetworks(
                sizes, actor.num_agents, os.environ.get("ASCORE_SIMD", "")
            )
        self._policy.load(actor.own_flat().cpu().contiguous().numpy())
        return self._policy


class Stays:
    """Writes down who is there in a rollout, and how agents leave.

    Args:
        env: the batch.
        rollout: where to; what is None there is what needs no saying.
    """

    def __init__(self, env: VecEnv, rollout: Rollout) -> None:
        self._env, self._rollout = env, rollout
        shape = (len(rollout.obs) + 1, env.num_envs)
        if rollout.may_leave:
            self._present = np.empty((*shape, env.spec.num_agents), dtype=np.uint8)
            self._left = np.empty_like(self._present[1:])
        self._members: npt.NDArray[np.uint8] | None = None

    def begin(self) -> None:
        """Forgets the last rollout."""
        rollout = self._rollout
        rollout.present = rollout.left = rollout.members = None
        rollout.cut.clear()
        self._seen = False

    def before(self, t: int) -> None:
        """Writes down who is there at step t, or, at T, after the last one."""
        env, rollout = self._env, self._rollout
        if rollout.may_leave:
            present = env.present
            self._seen |= present is not None
            self._present[t] = 1 if present is None else present
            return
        members = env.members
        if members is not None and rollout.members is None:
            if self._members is None:
                self._members = np.empty((len(rollout.obs) + 1, *members.shape), dtype=np.uint8)
            self._members[:t] = 1
            rollout.members = self._members
        if rollout.members is not None:
            rollout.members[t] = 1 if members is None else members

    def after(self, t: int) -> None:
        """Writes down who has left with step t."""
        env, rollout = self._env, self._rollout
        if env.left is None:
            return
        self._left[t] = env.left
        if not np.count_nonzero(env.left):
            return
        alone = env.left != together(rollout.terminated[t], rollout.truncated[t], env.left.shape[1])
        if not alone.any():
            return
        self._seen = True
        going_on = (rollout.terminated[t] | rollout.truncated[t]) == 0
        cut = (env.left == TRUNCATED) & going_on[:, None]
        where = np.flatnonzero(cut.any(axis=1))
        if where.size:
            last = np.where(cut[where][..., None], env.final_obs[where], env.obs[where])
            rollout.cut.append((t, where, last))

    def end(self) -> None:
        """Hands over what is worth saying."""
        self.before(len(self._rollout.obs))
        if self._seen:
            self._rollout.present, self._rollout.left = self._present, self._left


def per_agent_view(obs: torch.Tensor, scale: float) -> torch.Tensor:
    """[..., V, O] of any dtype -> f32 [M, O] if all agents share a view, else [N, M, O].

    `scale` is the environment's `obs_scale`; observations are multiplied by it.
    """
    views, size = obs.shape[-2:]
    flat = obs.reshape(-1, views, size).to(torch.float32)
    if scale != 1.0:
        flat = flat * scale
    return flat[:, 0] if views == 1 else flat.transpose(0, 1)
