"""Trains BenchMARL's algorithms on a built-in environment.

    pip install 'ascore[torchrl]' && pip install --no-deps benchmarl==1.5.2 hydra-core omegaconf
    pip install pyyaml tqdm "antlr4-python3-runtime==4.9.*"
    python benchmarl_harvest.py

BenchMARL 1.5.2 asks for an older TorchRL than the one that ascore needs, hence `--no-deps`, but
works with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torchrl.collectors

# BenchMARL 1.5.2 knows TorchRL's collector by the name that it had before TorchRL 0.14.
torchrl.collectors.SyncDataCollector = torchrl.collectors.Collector

from benchmarl.algorithms import IppoConfig  # noqa: E402
from benchmarl.environments.common import Task, TaskClass  # noqa: E402
from benchmarl.experiment import Experiment, ExperimentConfig  # noqa: E402
from benchmarl.models.mlp import MlpConfig  # noqa: E402

import ascore  # noqa: E402


class BuiltIn(TaskClass):
    """An environment of ascore as BenchMARL wants to see it."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int, device: Any
    ) -> Callable[[], Any]:
        config = copy.deepcopy(self.config)
        name = config.pop("name")
        return lambda: ascore.torchrl_env(name, num_envs, seed=seed, **config).to(device)

    def supports_continuous_actions(self) -> bool:
        return False

    def supports_discrete_actions(self) -> bool:
        return True

    def has_render(self, env: Any) -> bool:
        return False

    def max_steps(self, env: Any) -> int:
        return int(env.games.spec.horizon)

    def group_map(self, env: Any) -> dict[str, list[str]]:
        return dict(env.group_map)

    def observation_spec(self, env: Any) -> Any:
        spec = env.observation_spec_unbatched.clone()
        for group in env.group_map:
            for key in set(spec[group].keys()) - {"observation"}:
                del spec[group][key]
        return spec

    def action_spec(self, env: Any) -> Any:
        return env.full_action_spec_unbatched

    def state_spec(self, env: Any) -> None:
        return None

    def action_mask_spec(self, env: Any) -> None:
        return None

    def info_spec(self, env: Any) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "ascore"


class Games(Task):
    HARVEST = None

    @staticmethod
    def associated_class() -> type[TaskClass]:
        return BuiltIn


def experiment(folder: str, updates: int = 3) -> Experiment:
    """Independent PPO on Harvest with sixteen games at a time."""
    config = ExperimentConfig.get_from_yaml()
    config.max_n_iters, config.max_n_frames = updates, None
    config.on_policy_collected_frames_per_batch = 1600
    config.on_policy_n_envs_per_worker = 16
    config.on_policy_n_minibatch_iters, config.on_policy_minibatch_size = 2, 400
    config.evaluation, config.render, config.loggers = False, False, []
    config.create_json, config.save_folder = False, folder
    return Experiment(
        task=Games.HARVEST.get_task(config={"name": "harvest", "num_agents": 4}),
        algorithm_config=IppoConfig.get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        critic_model_config=MlpConfig.get_from_yaml(),
        seed=0,
        config=config,
    )


if __name__ == "__main__":
    experiment(".").run()
