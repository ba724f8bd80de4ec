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
from ascore.algorithms import graph
from ascore.algorithms.table import ALGORITHMS
from ascore.config import Config
from ascore.errors import ConfigError
from ascore.learning import memory
from ascore.learning.learner import Learner
from ascore.learning.own_rows import OwnRows
from ascore.learning.rollout import Collector
from ascore.learning.stepping import collector_of
from ascore.learning.stored_heads import head_size
from ascore.runs import session
from ascore.runtime.ranks import Ranks


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


class Apart(Ranks):
    """One of four ranks."""

    rank, size = 1, 4


def test_a_rank_with_agents_of_its_own_is_asked_for_these_alone() -> None:
    config = Config(**{**SMALL, "env_params": {"num_agents": 40, "obs_mode": "nearest"}})
    config = config.replace(graph="ring")
    spec = ascore.make(config.env, **config.env_params).spec
    ranks = Apart()
    learner = Learner(config, spec, ranks)
    split = learner.split
    assert isinstance(split, OwnRows)
    keys = (spec, config, learner.algorithm, config.num_envs)
    needed, alone = memory.bytes_needed(*keys, split), memory.bytes_needed(*keys)
    nets, adams = (learner.actor, learner.critic), (learner.actor_adam, learner.critic_adam)
    tensors = [x for net in nets for x in (net.net.flat, net.net.grad)]
    tensors += [x for adam in adams for x in (adam.first, adam.second)]
    assert needed["networks"] == sum(x.numel() * x.element_size() for x in tensors)
    assert needed["networks"] == alone["networks"] // 4
    assert needed["targets"] == alone["targets"] // 4
    assert needed["ranks"] == 0
    rollout = collector_of(learner, ascore.make(config.env, 4, **config.env_params), 5).rollout
    assert rollout.obs.shape[2] == 10
    ranks.rank = 0  # which writes checkpoints
    assert memory.bytes_needed(*keys, split)["ranks"] == 3 * alone["networks"] // 4


def test_ranks_that_gather_rows_are_asked_for_all_of_them() -> None:
    config = Config(**{**SMALL, "env_params": {"num_agents": 4}, "num_envs": 8})
    spec = ascore.make(config.env, **config.env_params).spec
    learner = Learner(config, spec, Apart())
    keys = (spec, config, learner.algorithm)
    needed, alone = (memory.bytes_needed(*keys, *x) for x in ((2, learner.split), (8,)))
    for part in ("networks", "messages", "targets", "observations"):
        assert needed[part] == alone[part], part
    assert needed["rollout"] > 2 * alone["rollout"]


def test_heads_that_wait_to_be_drawn_are_counted() -> None:
    """Links are drawn anew in every update, and what was learned for each is kept."""
    config = Config(**{**SMALL, "graph": "random_one", "num_envs": 1, "episodes": 60})
    n, algorithm = 30, ALGORITHMS["as"]
    spec = ascore.make(config.env, num_agents=n).spec
    updates = config.updates(spec.horizon)
    links = set()
    for number in range(updates):
        drawn = graph.pairs("random_one", n, seed=config.seed, update=number)
        links |= set(zip(drawn.listener.tolist(), drawn.sender.tolist(), strict=True))
    counted = memory.bytes_needed(spec, config, algorithm, 1)
    kept = 3 * 4 * head_size(Learner(config, spec).actor) * len(links)
    # With a second set of actors, while heads change, and a copy of what is kept, as more comes.
    assert kept < counted["heads"] < counted["networks"] + 2 * kept
    still = config.replace(graph_redraw=False)
    assert memory.bytes_needed(spec, still, algorithm, 1)["heads"] == 0


def test_a_run_is_refused_before_its_environments_are_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, real = [], session.batch

    def batch(name: str, params: Any, count: int, *args: Any, **kwargs: Any) -> Any:
        made.append(count)
        return real(name, params, count, *args, **kwargs)

    monkeypatch.setattr(session, "batch", batch)
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000)
    with pytest.raises(ConfigError, match=r"only 1\.0 MB are free; end other programs"):
        ascore.train(Config(**SMALL), tmp_path / "run")
    assert made == [1]
    assert not (tmp_path / "run").exists()


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
    "one at random": {
        "backend": "engine",
        "env_params": {"num_agents": 400, "obs_mode": "nearest"},
        "graph": "random_one",
        "num_envs": 16,
        "actor_hidden": (128, 64),
        "minibatches": 4,
    },
    "sampled messages": {
        "backend": "engine",
        "message_form": "sampled-64",
        "env_params": {"num_agents": 16},
        "num_envs": 100,
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
    """With no more address space than the estimate, the first update is done.

    Where heads are drawn anew, those of the second replace others.
    """
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
