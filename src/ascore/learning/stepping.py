"""Steps all environments on every rank, where each has the rows of its own agents alone.

In every step a rank chooses for its own agents, and the ranks exchange what was chosen: a bit for
each agent and environment where there are two actions, else a byte.

R ranks, N agents, n = N/R of them of this rank, T steps, B environments.
"""

from __future__ import annotations

import numpy as np

from ascore import _core
from ascore.envs.vec_env import VecEnv
from ascore.learning.anticipations import meanings
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.learner import Learner
from ascore.learning.networks import Actor
from ascore.learning.own_rows import OwnRows
from ascore.learning.rollout import Collector, Rollout


def collector_of(learner: Learner, env: VecEnv, steps: int) -> Collector:
    """What collects rows for a learner.

    Args:
        learner: says which.
        env: the environments of this rank, as the learner sees them.
        steps: T.
    """
    if isinstance(learner.split, OwnRows):
        return OwnCollector(env, steps, learner.split)
    compiled = learner.config.backend != "torch"
    return Collector(
        env,
        steps,
        compiled=compiled,
        neighbours=learner.reads_neighbours,
        log_probs=reads_log_probs(learner),
    )


def reads_log_probs(learner: Learner) -> bool:
    """Whether an update begins with the policies of those who acted, where a rollout has them.

    Else it computes them: where others hear them too, and where a step starts from the activations
    of that pass.
    """
    alone = learner.actor.heads == 1 and not learner.algorithm.sends_policies
    several = learner.split is None and learner.config.minibatches > 1
    return alone and several and isinstance(learner.backend, EngineBackend)


class OwnCollector(Collector):
    """Steps a batch of environments together with other ranks.

    Args:
        env: the batch, the same on all ranks.
        steps: T.
        split: whose agents are whose.

    Attributes:
        running_return: f64 [B, n].
    """

    def __init__(self, env: VecEnv, steps: int, split: OwnRows) -> None:
        self.env, self.watch, self.split = env, None, split
        b, n, everybody = env.num_envs, split.mine.stop, env.spec.num_agents
        seen = (b, n, *env.spec.obs_shape)
        self._meanings = list(meanings(env.spec.name).values())
        self.rollout = Rollout(
            obs=np.empty((steps, *seen), dtype=env.spec.obs_dtype),
            last_obs=np.empty(seen, dtype=env.spec.obs_dtype),
            action=np.empty((steps, b, everybody), dtype=np.uint8),
            reward=np.empty((steps, b, n), dtype=np.float32),
            neighbours=None,
            last_neighbours=None,
            terminated=np.empty((steps, b), dtype=np.uint8),
            truncated=np.empty((steps, b), dtype=np.uint8),
            meant=[np.empty((steps, b, everybody), dtype=np.uint8) for _ in self._meanings],
        )
        self.running_return = np.zeros((b, n))
        self._policy: _core.ActingNetworks | None = None

    def collect(self, actor: Actor) -> Rollout:
        """Fills the rollout; all ranks must call it together."""
        env, rollout, own = self.env, self.rollout, self.split.agents
        policy = self._loaded(actor)
        meant = list(zip(self._meanings, rollout.meant or [], strict=True))
        mine = np.empty(rollout.reward.shape[1:], dtype=np.int32)
        rollout.final.clear()
        rollout.episode_returns.clear()
        for t in range(len(rollout.obs)):
            env.choose(policy, own.start, rollout.obs[t], mine)
            for meaning, actions in meant:
                actions[t] = meaning(env.obs)
            everybodys = self.split.actions(mine, env.spec.num_actions)
            env.step(everybodys)
            rollout.action[t] = everybodys
            rollout.reward[t] = env.reward[:, own]
            rollout.terminated[t] = env.terminated
            rollout.truncated[t] = env.truncated
            self.running_return += rollout.reward[t]
            ended = np.flatnonzero(rollout.terminated[t] | rollout.truncated[t])
            if ended.size:
                rollout.final.append((t, ended, env.final_obs[ended][:, own]))
                rollout.episode_returns.append(self.running_return[ended])
                self.running_return[ended] = 0.0
        rollout.last_obs[...] = env.obs[:, own]
        return rollout
