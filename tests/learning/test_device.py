"""Updates on other devices: PyTorch's path, the same results, and refusals."""

from __future__ import annotations

import pytest
import torch

import ascore
from ascore.algorithms.table import ALGORITHMS
from ascore.algorithms.terms import taken
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.errors import ConfigError
from ascore.learning import learner as learners
from ascore.learning.backends.pytorch import PyTorchBackend
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")


def small(algorithm: str = "as", **keys) -> Config:
    base = {
        "env": "predation-v1",
        "env_params": {"num_agents": 2, "horizon": 12},
        "algorithm": algorithm,
        "num_envs": 4,
        "minibatches": 2,
        "actor_hidden": [16, 8],
        "critic_hidden": [16, 8],
        "actor_lr": 1e-3,
        "critic_lr": 1e-3,
    }
    return Config.from_dict({**base, **keys})


def made(config: Config) -> tuple[Learner, Collector]:
    outside = batch(config.env, config.env_params, config.num_envs, config.seed, 1)
    learner = Learner(config, outside.spec)
    env = learner.algorithm.view.env(outside)
    env.reset()
    return learner, Collector(env, env.spec.horizon)


@pytest.mark.parametrize("device", ["cuda:99", "cuda:7"])
def test_a_missing_gpu_is_refused_with_a_remedy(device):
    with pytest.raises(ConfigError, match=rf"device = {device} does not exist.*use device = cpu"):
        made(small(device=device))


@pytest.mark.parametrize(("device", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_gpus_are_counted(device, count, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(ConfigError, match=rf"device = {device} does not exist.* sees {count} GPUs"):
        made(small(device=device))


@pytest.mark.parametrize("device", ["gpu", "meta", "tpu:0", ""])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ConfigError, match="it must be cpu, cuda or cuda:N"):
        made(small(device=device))


@pytest.mark.parametrize("backend", ["engine", "kernel"])
def test_compiled_backends_stay_on_the_cpu(backend, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=f"backend = {backend} computes on the CPU"):
        made(small(device="cuda", backend=backend))


@pytest.mark.parametrize("algorithm", ["as", "ippo", "vs", "ps"])
def test_everything_a_step_reads_is_where_the_networks_are(algorithm, monkeypatch):
    """PyTorch's meta device cannot be mixed with the CPU, like a GPU."""
    config = small(algorithm, device="cuda", time_limit="terminal")
    meta = torch.device("meta")
    here = made(small(algorithm, time_limit="terminal"))
    rollout = here[1].collect(here[0].actor)
    links, targets, _ = here[0].prepare(rollout, 0)
    monkeypatch.setattr(learners, "usable_device", lambda config, ranks: meta)
    learner, _ = made(config)
    rows = learner.rows(rollout, targets, links)
    backend = learner.backend
    assert isinstance(backend, PyTorchBackend)
    backend.begin(rows)
    log_probs = backend.log_probs()
    old = taken(log_probs, rows.action, torch.arange(learner.spec.num_agents, device=meta))
    backend.refer(old, learner.exchange.messages(log_probs, old, rows.neighbours))
    parts = [None, torch.arange(3, device=meta)]
    for part in parts:
        sums = backend.gradients.sums
        names = backend.differentiate(slice(None), part, len(rows.raw), sums)
        assert sums.device == meta
        assert "value_loss" in names
    for net in (learner.actor.net, learner.critic.net):
        for leaf in (net.flat, net.grad):
            assert leaf.device == meta
    for adam in (learner.actor_adam, learner.critic_adam):
        for buffer in (adam.parameters, adam.gradients, adam.first, adam.second, adam.steps):
            assert buffer.device == meta


@needs_gpu
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_twenty_updates_on_a_gpu_equal_those_on_the_cpu(algorithm):
    """Both learn from rollouts of the CPU's policy, so that rounding cannot change an action.

    Adam divides by the size of a gradient, so a gradient near rounding error can move its weight by
    a visible part of a step of 1e-3. Therefore the mean is bounded, not the largest entry.
    """
    config = small(algorithm, backend="torch")
    cpu, collector = made(config)
    gpu, _ = made(config.replace(device="cuda"))
    before = cpu.actor.net.flat.detach().clone()
    for number in range(20):
        rollout = collector.collect(cpu.actor)
        cpu.update(rollout, number)
        gpu.update(rollout, number)
    ours, theirs = gpu.actor.net.flat.detach().cpu(), cpu.actor.net.flat.detach()
    assert (theirs - before).abs().mean() > 1e-3
    assert (ours - theirs).abs().mean() < 2e-4


@needs_gpu
def test_a_run_on_a_gpu_trains_saves_and_acts(tmp_path):
    run = ascore.train(small(device="cuda", episodes=40), out=tmp_path / "run")
    assert run.config.device == "cuda"
    assert ascore.evaluate(run, episodes=8).team_return.n == 8
