"""The memory that a run needs is checked before anything is allocated."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import fresh
import limited
import numpy as np
import pytest
from trainings import SMALL

import ascore
from ascore.algorithms.table import ALGORITHMS
from ascore.config import Config
from ascore.errors import ConfigError
from ascore.learning import memory
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_estimate_is_what_is_allocated(name: str) -> None:
    config = Config(**{**SMALL, "algorithm": name})
    outside = ascore.make(config.env, config.num_envs, num_agents=4)
    learner = Learner(config, outside.spec)
    env = learner.algorithm.view.env(outside)
    needed = memory.bytes_needed(learner.spec, config, learner.algorithm, config.num_envs)
    nets = (learner.actor.net, learner.critic.net)
    adams = (learner.actor_adam, learner.critic_adam)
    tensors = [*(x for net in nets for x in (net.flat, net.grad))]
    tensors += [x for adam in adams for x in (adam.first, adam.second)]
    assert needed["networks"] == sum(x.numel() * x.element_size() for x in tensors)
    rollout = Collector(env, env.spec.horizon).rollout
    arrays = [x for x in vars(rollout).values() if isinstance(x, np.ndarray)]
    assert needed["rollout"] > 0.5 * sum(x.nbytes for x in arrays)


@pytest.mark.parametrize("backend", ["engine", "torch"])
def test_the_estimate_counts_what_critics_are_asked_about(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a copy of all observations, as large as the rollout itself where they are pictures."""
    config = Config(**{**SMALL, "backend": backend})
    outside = ascore.make("harvest", config.num_envs, num_agents=4)
    learner = Learner(config, outside.spec)
    env = learner.algorithm.view.env(outside)
    needed = memory.bytes_needed(learner.spec, config, learner.algorithm, config.num_envs)
    env.reset()
    collector = Collector(env, env.spec.horizon)
    collector.collect(learner.actor)
    asked = []
    values = learner.backend.values
    monkeypatch.setattr(
        learner.backend, "values", lambda obs: asked.append(obs.copy()) or values(obs)
    )
    learner.valuation.targets(collector.rollout, learner.algorithm, None)
    copied = asked[0].nbytes + (4 * asked[0].size if backend == "torch" else 0)
    assert asked[0].dtype == np.uint8
    assert 0.8 * copied < needed["observations"] <= copied


def test_a_run_that_cannot_fit_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 2_000_000_000)
    spec = dataclasses.replace(
        ascore.make("predation").spec, obs_shape=(84 * 84 * 3,), obs_dtype="uint8", views=8
    )
    config = Config(rollout_steps=1000)
    with pytest.raises(ConfigError, match=r"about \d.*GB.*2\.0 GB are free; lower num_envs"):
        Learner(config, spec)
    crowd = dataclasses.replace(spec, num_agents=600, views=1)
    with pytest.raises(ConfigError, match=r"networks \d.*lower actor_hidden and critic_hidden"):
        Learner(Config(rollout_steps=1, num_envs=4), crowd)
    many = dataclasses.replace(ascore.make("predation").spec, num_agents=600, obs_shape=(600,))
    with pytest.raises(
        ConfigError, match=r"messages \d.*lower num_envs.* or use fewer agents or graph = n"
    ):
        Learner(Config(actor_hidden=(1,), critic_hidden=(1,)), many)
    with pytest.raises(ConfigError, match=r"or use fewer agents$"):
        Learner(Config(actor_hidden=(1,), critic_hidden=(1,), graph="nearest", num_envs=9999), many)


measured = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="finds the memory of a process in /proc"
)


@measured
@pytest.mark.parametrize(
    "sizes",
    [
        ["--num-envs", "200000"],
        ["--num-agents", "20000", "--graph", "environment", "--num-envs", "1"],
        ["--num-agents", "60000", "--env-param", "obs_mode=nearest", "--num-envs", "1"],
    ],
    ids=["environments", "neighbours", "agents"],
)
def test_limits_of_the_process_are_seen(sizes: list[str], tmp_path: Path) -> None:
    """With little address space, a run is refused in one line and not by an allocator."""
    args = ["train", "predation", *sizes, "--rollout-steps", "30", "--num-threads", "1"]
    args += ["--out", str(tmp_path / "run")]
    status, printed = fresh.run(limited.command, 700_000_000, *args, log=tmp_path / "log")
    assert status == 1
    assert printed.startswith("ascore: this run needs about ")
    assert printed.count("\n") == 1
    assert not (tmp_path / "run").exists()


FITS: dict[str, dict[str, Any]] = {
    "engine": {"backend": "engine", "minibatches": 4},
    "engine, wide": {
        "backend": "engine",
        "env": "harvest-v1",
        "env_params": {"num_agents": 3},
        "num_envs": 128,
        "rollout_steps": 50,
        "actor_hidden": (256, 128),
        "critic_hidden": (256, 128),
    },
    "torch": {"backend": "torch", "minibatches": 4},
    "torch, whole batch": {"backend": "torch", "algorithm": "ippo"},
    "masks": {"backend": "engine", "env": "shops:Shop", "num_envs": 1000, "rollout_steps": 60},
    "masks of a centre": {
        "backend": "torch",
        "algorithm": "cppo",
        "env": "shops:Shop",
        "num_envs": 500,
        "rollout_steps": 60,
        "minibatches": 2,
    },
}
MASKED = {"counts": [6, 6, 4], "where": "info", "luck": True}


@measured
@pytest.mark.parametrize("name", FITS)
def test_what_is_let_through_fits(name: str, tmp_path: Path) -> None:
    """With no more address space than the estimate, the first update is done."""
    params = MASKED if "masks" in name else {"num_agents": 4}
    sizes = {"num_envs": 8000, "rollout_steps": 20, "env_params": params, "minibatches": 1}
    keys = {**SMALL, "torch_threads": 1, **sizes, **FITS[name]}
    assert fresh.run(limited.update, keys, log=tmp_path / "log") == (0, "done\n")


def test_masks_are_counted() -> None:
    """Of Python environments, any of which may give them; compiled ones have none."""
    spec = dataclasses.replace(ascore.make("predation", num_agents=3).spec, num_actions=40)
    config = Config(rollout_steps=10)
    algorithm = ALGORITHMS["ippo"]
    for backend, kept in (("engine", 1), ("torch", 3)):
        keys = (config.replace(backend=backend), algorithm, 2)
        compiled = memory.bytes_needed(spec, *keys)
        python = memory.bytes_needed(dataclasses.replace(spec, name="shops:Shop"), *keys)
        assert python["rollout"] - compiled["rollout"] == kept * 10 * 2 * 3 * 40


@pytest.mark.parametrize("size", [(0, "0 bytes"), (999, "999 bytes"), (1_500_000, "1.5 MB")])
def test_sizes_are_formatted_with_units(size: tuple[int, str]) -> None:
    assert memory.in_words(size[0]) == size[1]
