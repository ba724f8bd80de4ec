"""Independent PPO on a PettingZoo environment with TorchRL, one process and one thread.

Follows TorchRL's own independent PPO (sota-implementations/multiagent/mappo_ippo.py) module by
module: `Collector`, `MultiAgentMLP` without shared parameters, `ProbabilisticActor`,
`ValueOperator`, GAE of `ClipPPOLoss`, `TensorDictReplayBuffer` without replacement, one Adam. It
differs only in settings that must equal this package's: sizes, batch, iterations, minibatches,
learning rates, clipping and discount, and neither gradient clipping nor an entropy bonus.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, SamplerWithoutReplacement, TensorDictReplayBuffer
from torchrl.envs import PettingZooWrapper, SerialEnv
from torchrl.modules import MultiAgentMLP, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss, ValueEstimators

from ascore.config import Config
from ascore.interop.pettingzoo import parallel_env

# TorchRL warns that it is tested with PettingZoo 1.24.3; the interface used here has not changed.
warnings.filterwarnings("ignore", message="PettingZoo in TorchRL is tested")
logging.getLogger("torchrl").setLevel(logging.WARNING)

AGENTS = "agent"
"""TorchRL's name for the group of "agent_0", "agent_1", ..."""
ACTION, OBS, LOGITS = (AGENTS, "action"), (AGENTS, "observation"), (AGENTS, "logits")


class NoInfo(BaseParallelWrapper):
    """Removes infos, which nothing here reads and TorchRL would copy in every step."""

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, ...]:
        obs, _ = super().reset(seed, options)
        return obs, {agent: {} for agent in obs}

    def step(self, actions: Any) -> tuple[Any, ...]:
        obs, reward, terminated, truncated, _ = super().step(actions)
        return obs, reward, terminated, truncated, {agent: {} for agent in obs}


def single(config: Config, seed: int) -> ParallelEnv[str, Any, Any]:
    """Creates one environment for TorchRL."""
    return NoInfo(parallel_env(config.env, seed=seed, **config.env_params))


def environments(config: Config) -> SerialEnv:
    """B environments stepped one after the other, because the benchmark has one thread."""

    def wrapped(seed: int) -> PettingZooWrapper:
        return PettingZooWrapper(single(config, seed))

    seeds = range(config.seed, config.seed + config.num_envs)
    return SerialEnv(
        config.num_envs,
        wrapped,
        create_env_kwargs=[{"seed": seed} for seed in seeds],
        num_threads=1,
    )


def rollouts(config: Config, env: SerialEnv, steps: int, policy: Any = None) -> Any:
    """An endless iterator of batches [B, T]; actions are uniform without a policy."""
    return iter(
        Collector(
            env,
            policy,
            frames_per_batch=config.num_envs * steps,
            total_frames=-1,
            auto_register_policy_transforms=False,  # there is no recurrent policy
        )
    )


class Ippo:
    """N independent PPO agents with separate networks.

    Args:
        config: an IPPO configuration with equal hidden widths and batches of whole episodes.
        steps: T, the length of an episode.
    """

    def __init__(self, config: Config, steps: int) -> None:
        torch.manual_seed(config.seed)
        self.config, self.steps = config, steps
        env = environments(config)
        agents, size = env.observation_spec_unbatched[OBS].shape
        actions = env.full_action_spec_unbatched[ACTION].space.n

        def networks(outputs: int, hidden: tuple[int, ...]) -> MultiAgentMLP:
            return MultiAgentMLP(
                n_agent_inputs=size,
                n_agent_outputs=outputs,
                n_agents=agents,
                centralized=False,
                share_params=False,
                num_cells=list(hidden),
                activation_class=torch.nn.ReLU,
            )

        policy = ProbabilisticActor(
            TensorDictModule(
                networks(actions, config.actor_hidden), in_keys=[OBS], out_keys=[LOGITS]
            ),
            spec=env.full_action_spec_unbatched,
            in_keys=[LOGITS],
            out_keys=[ACTION],
            distribution_class=torch.distributions.Categorical,
            return_log_prob=True,
        )
        value = ValueOperator(networks(1, config.critic_hidden), in_keys=[OBS])
        self.loss = ClipPPOLoss(
            policy,
            value,
            clip_epsilon=config.clip_epsilon,
            entropy_coeff=config.entropy_bonus,
            loss_critic_type="l2",
            normalize_advantage=config.advantage_normalization,
        )
        self.loss.set_keys(
            reward=(AGENTS, "reward"),
            action=ACTION,
            done=(AGENTS, "done"),
            terminated=(AGENTS, "terminated"),
        )
        self.loss.make_value_estimator(
            ValueEstimators.GAE, gamma=config.gamma, lmbda=config.gae_lambda
        )
        networks_of = {
            "actor": (self.loss.actor_network_params, config.actor_lr),
            "critic": (self.loss.critic_network_params, config.critic_lr),
        }
        self.adam = torch.optim.Adam(
            [{"params": list(p.parameters()), "lr": lr} for p, lr in networks_of.values()],
            eps=config.adam_epsilon,
        )
        rows = config.num_envs * steps
        self.minibatch = rows // config.minibatches
        self.buffer = TensorDictReplayBuffer(
            storage=LazyTensorStorage(rows),
            sampler=SamplerWithoutReplacement(),
            batch_size=self.minibatch,
        )
        self.batches = rollouts(config, env, steps, policy)

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(x.numel() for group in self.adam.param_groups for x in group["params"])

    def collect(self) -> TensorDictBase:
        """Collects T steps of B environments, [B, T]."""
        return next(self.batches)

    def learn(self, batch: TensorDictBase) -> None:
        """Computes advantages, then does K iterations over the minibatches."""
        with torch.no_grad():
            self.loss.value_estimator(
                batch,
                params=self.loss.critic_network_params,
                target_params=self.loss.target_critic_network_params,
            )
        self.buffer.extend(batch.reshape(-1))
        for _ in range(self.config.iterations * self.config.minibatches):
            losses = self.loss(self.buffer.sample())
            total = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
            total.backward()
            self.adam.step()
            self.adam.zero_grad()

    def stand_still(self) -> None:
        """Sets every learning rate to zero; the amount of work stays the same."""
        for group in self.adam.param_groups:
            group["lr"] = 0.0

    def team_return(self, batch: TensorDictBase) -> float:
        """Mean team return over the episodes of a batch."""
        return float(batch["next", AGENTS, "reward"].sum()) / self.config.num_envs
