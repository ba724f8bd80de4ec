"""Learning: losses, whole updates and whole trainings against plain PyTorch."""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ascore.factory import batch

from .packages import one_torch_thread, require_package
from .timing import CPU, Differs, Effort, Measure, Result, Work, interleave

if TYPE_CHECKING:
    from ascore.learner import Learner

LOSSES = {"8 agents, 8 actions": (8, 8, 4096, 10.0), "3 agents, 6 actions": (3, 6, 4800, 5.0)}
"""Agents, actions, rows and the ratio that is promised."""

TRAININGS: dict[str, tuple[dict[str, Any], float]] = {
    "exchange, 3 agents x 1 env": ({"env": "exchange-v1", "num_envs": 1, "minibatches": 1}, 15.0),
    "predation, 8 agents x 64 envs": (
        {"env": "predation-v1", "num_envs": 64, "env_params": {"num_agents": 8}},
        12.0,
    ),
    "cleanup, 2 agents x 16 envs, (1024, 256)": (
        {
            "env": "cleanup-v1",
            "num_envs": 16,
            "actor_hidden": [1024, 256],
            "critic_hidden": [1024, 256],
        },
        2.5,
    ),
}
"""Configuration of whole updates, and the ratio that is promised."""


def loss(name: str, effort: Effort) -> list[Result]:
    """Value and gradient of Eq. 14-16 by the kernel, against the objective in PyTorch."""
    require_package("numba")
    import torch

    from ascore.algorithms import get_algorithm
    from ascore.config import Config
    from ascore.objectives import Batch, Messages, taken

    n, a, rows, bar = LOSSES[name]
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(n, rows, n, a, generator=draw)
    sent, old = (
        torch.log_softmax(logits + 0.3 * torch.randn(logits.shape, generator=draw), -1)
        for _ in range(2)
    )
    action = torch.randint(0, a, (rows, n), generator=draw)
    advantage = torch.randn(n, rows, generator=draw)
    everybody = torch.arange(n)
    done = taken(old, action, everybody)
    rows_of = Batch(action, advantage, advantage.abs().mean(dim=1), done, everybody)
    links = ~torch.eye(n, dtype=torch.bool)
    said = Messages(sent, done.diagonal(dim1=0, dim2=2), links[:, None, :])
    inbox, algorithm, config = said.inbox(everybody), get_algorithm("as"), Config()
    logits.requires_grad_()

    def compiled() -> Any:
        value, _ = algorithm.kernel(logits, rows_of, said, config)
        return torch.autograd.grad(value.sum(), logits)[0]

    def plain() -> Any:
        log_probs = torch.log_softmax(logits, dim=-1)
        terms = algorithm.objective(rows_of, log_probs, inbox, config)
        return torch.autograd.grad((terms.policy + terms.penalty).sum(), logits)[0]

    with one_torch_thread():
        gap = float((compiled() - plain()).abs().max() / plain().abs().max())
        if not gap < 1e-4:
            message = f"loss of {name}: gradients differ by {gap:g} of the largest"
            raise Differs(message)
        timing = interleave(Work(compiled), Work(plain), effort, CPU)
    return [
        Result.of(
            timing,
            group="loss",
            name=f"value and gradient, {name}, {rows} rows, 1 thread",
            baseline="objective in torch",
            unit="call",
            bar=bar,
        )
    ]


def learner_of(keys: dict[str, Any]) -> tuple[Learner, Any]:
    """A learner and what collects for it."""
    from ascore.config import Config
    from ascore.learner import Learner
    from ascore.rollout import Collector

    config = Config.from_dict({"actor_lr": 1e-4, "critic_lr": 1e-4, **keys})
    env = batch(config.env, config.env_params, config.num_envs, config.seed, 1)
    env.reset()
    return Learner(config, env.spec), Collector(env, env.spec.horizon)


def training(name: str, effort: Effort) -> list[Result]:
    """Collection and learning, against PyTorch with a module per network and the same cores."""
    require_package("torch")
    import torch

    from ascore.reference.training import one_update
    from ascore.reference.update import Agents

    keys, bar = TRAININGS[name]
    with one_torch_thread():
        learner, collector = learner_of(keys)
        config, spec = learner.config, learner.spec
        count = iter(range(1 << 40))
        slow_env = batch(config.env, config.env_params, config.num_envs, config.seed, 1)
        slow_env.reset()
        sizes = [spec.obs_shape[0], *config.actor_hidden, spec.num_actions]
        agents = Agents(spec.num_agents, sizes, [*sizes[:-1], 1], config.actor_lr, config.critic_lr)
        draw = torch.Generator().manual_seed(0)

        def fast() -> None:
            learner.update(collector.collect(learner.actor), next(count))

        def slow() -> None:
            one_update(
                slow_env,
                agents,
                spec.horizon,
                draw,
                iterations=config.iterations,
                minibatches=config.minibatches,
                gamma=config.gamma,
                lam=config.gae_lambda,
                penalty_weight=config.penalty_weight,
                clip_epsilon=config.clip_epsilon,
            )

        steps = float(spec.horizon * config.num_envs)
        timing = interleave(Work(fast, steps), Work(slow, steps), effort, CPU)
    return [
        Result.of(
            timing,
            group="training",
            name=f"{name}, 1 thread",
            baseline="N*N modules in torch",
            unit="environment step",
            bar=bar,
            note="same environments, rows, iterations and minibatches; learning included",
        )
    ]


def arithmetic(name: str, effort: Effort) -> list[Result]:
    """Share of the multiply-adds the machine can do that an update's dense arithmetic reaches."""
    require_package("torch")
    from ascore import _core

    from .updates import iterations, workload

    with one_torch_thread():
        env, num_envs, params = "predation", 64, {"num_agents": 8}
        learner, rows = workload(env, "multihead", num_envs, "fused", **params)
        call = iterations(learner, rows)
        operations = float(flops(learner, len(rows.raw)))

        def peak() -> None:
            _core.fma_peak(200_000)

        done, _ = _core.fma_peak(1)
        timing = interleave(Work(call, operations), Work(peak, done * 200_000), effort, CPU)
    return [
        Result.of(
            timing,
            group="networks",
            name=f"{name}, 1 thread",
            baseline="multiply-adds in registers",
            unit="operation",
            bar=0.5,
            note="messages, losses and Adam take time and count no operations",
        )
    ]


def products(name: str, effort: Effort) -> list[Result]:
    """An update of large networks, against the bare matrix products it is made of, by PyTorch.

    Observations without zeros take the place of the environment's, since those are so sparse that
    most of the first layer's products are never computed.
    """
    require_package("torch")
    import torch

    with one_torch_thread():
        learner, collector = learner_of({**TRAININGS[name][0], "actor_lr": 0.0, "critic_lr": 0.0})
        config, agents = learner.config, learner.spec.num_agents
        rows = learner.prepare(collector.collect(learner.actor), 0)[2]
        draw = np.random.default_rng(0)
        raw = draw.integers(1, 3, rows.raw.shape, dtype=rows.raw.dtype)
        rows = dataclasses.replace(rows, raw=raw)
        part = len(raw) // config.minibatches
        calls = []
        for net in (learner.actor.net, learner.critic.net):
            for layer, (n_in, n_out) in enumerate(itertools.pairwise(net.sizes)):
                x, weight, slope = (
                    torch.randn(shape) for shape in ((part, n_in), (n_in, n_out), (part, n_out))
                )
                y, back, gradient = map(torch.empty_like, (slope, x, weight))
                calls.append(partial(torch.mm, x, weight, out=y))
                calls.append(partial(torch.mm, x.T, slope, out=gradient))
                if layer > 0:  # nobody asks for the gradient by the observations
                    calls.append(partial(torch.mm, slope, weight.T, out=back))
        repeats = config.iterations * config.minibatches * agents

        def bare() -> None:
            for _ in range(repeats):
                for call in calls:
                    call()

        timing = interleave(Work(lambda: learner.iterate(rows, 0, {})), Work(bare), effort, CPU)
    return [
        Result.of(
            timing,
            group="networks",
            name=f"update, {name}, no zeros observed, 1 thread",
            baseline="its products alone, by torch.mm",
            unit="update",
            bar=0.6,
            note="losses, messages and Adam take time on one side only",
        )
    ]


def flops(learner: Learner, rows: int) -> int:
    """Operations of the matrix products of K iterations, two per multiply-add."""
    config, total = learner.config, 0
    for net, passes in ((learner.actor.net, 1), (learner.critic.net, 0)):
        inner = [a * b for a, b in zip(net.sizes, net.sizes[1:], strict=False)]
        forward = sum(inner)
        backward = 2 * forward - inner[0]  # nobody asks for the gradient by the observations
        count = net.flat.shape[0] * rows
        total += count * config.iterations * (forward + backward + passes * forward)
    return 2 * total


def networks(size: int, effort: Effort) -> list[Result]:
    """One update's iterations: compiled against stacked heads, and against a module per network."""
    require_package("torch")
    from .updates import iterations, reference, stand_still, workload

    envs = {4096: 137, 64: 2}[size]
    found = []
    params = {"num_agents": 8}
    with one_torch_thread():
        fast, rows = workload("predation", "multihead", envs, "fused", **params)
        stacked, stacked_rows = workload("predation", "multihead", envs, "torch", **params)
        apart, apart_rows = workload("predation", "separate", envs, "torch", **params)
        agents, modules = reference(apart, apart_rows)
        for learner in (fast, stacked, apart):
            stand_still(learner, agents)
        name = f"8 agents, {len(rows.raw):,} rows, (128, 64), 1 thread"
        pairs = [
            ("compiled", fast, rows, "heads in torch", iterations(stacked, stacked_rows), 2.0),
            ("compiled", fast, rows, "module per network", modules, 10.0 if size > 64 else 25.0),
        ]
        if size > 64:
            slow = iterations(apart, apart_rows)
            pairs.append(("heads in torch", stacked, stacked_rows, "separate in torch", slow, 4.0))
        for candidate, learner, data, baseline, call, bar in pairs:
            timing = interleave(Work(iterations(learner, data)), Work(call), effort, CPU)
            found.append(
                Result.of(
                    timing,
                    group="networks",
                    name=f"{candidate}, {name}",
                    baseline=baseline,
                    unit="update",
                    bar=bar if not (size == 64 and baseline == "heads in torch") else None,
                )
            )
    return found


def loss_cases() -> list[tuple[str, Measure]]:
    """Both sizes."""
    return [(f"loss, {name}", partial(loss, name)) for name in LOSSES]


def training_cases() -> list[tuple[str, Measure]]:
    """All workloads."""
    return [(f"training, {name}", partial(training, name)) for name in TRAININGS]


def network_cases() -> list[tuple[str, Measure]]:
    """Large and small batches, and the share of the machine."""
    return [
        ("networks, 4096 rows", partial(networks, 4096)),
        ("networks, 64 rows", partial(networks, 64)),
        ("arithmetic", partial(arithmetic, "predation, 8 agents x 64 envs")),
        ("products", partial(products, "cleanup, 2 agents x 16 envs, (1024, 256)")),
    ]
