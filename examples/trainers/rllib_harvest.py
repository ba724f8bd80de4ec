"""Trains RLlib's PPO on a built-in environment, one policy per agent.

    pip install 'ascore[pettingzoo]' 'ray[rllib]==2.60.0' torch
    python rllib_harvest.py [--env cleanup]

`floats=True` gives observations as numbers of the size that networks expect; without it, those of
Harvest and Cleanup are bytes.
"""

from __future__ import annotations

import argparse
from typing import Any

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

import ascore


def built_in(config: dict[str, Any]) -> ParallelPettingZooEnv:
    """An environment of ascore as RLlib wants to see it."""
    return ParallelPettingZooEnv(ascore.parallel_env(floats=True, **config))


def settings(name: str) -> PPOConfig:
    """Independent PPO: every agent has networks of its own."""
    register_env("ascore", built_in)
    names = built_in({"name": name}).par_env.possible_agents
    return (
        PPOConfig()
        .environment("ascore", env_config={"name": name})
        .multi_agent(policies=set(names), policy_mapping_fn=lambda agent, *_, **__: agent)
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=2000, minibatch_size=500, num_epochs=2)
        .debugging(seed=0)
    )


def main(name: str, updates: int) -> None:
    """Trains and prints what agents earn per episode."""
    algorithm = settings(name).build_algo()
    try:
        for update in range(1, updates + 1):
            result = algorithm.train()["env_runners"]
            returns = sorted(result.get("agent_episode_returns_mean", {}).items())
            earned = ", ".join(f"{agent} {mean:.2f}" for agent, mean in returns)
            print(f"update {update}: {earned}", flush=True)
    finally:
        algorithm.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="harvest")
    parser.add_argument("--updates", type=int, default=3)
    options = parser.parse_args()
    main(options.env, options.updates)
