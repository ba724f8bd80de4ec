"""Learning: losses, whole updates and whole trainings against plain PyTorch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ascore.benchmark.packages import one_torch_thread, require_package
from ascore.benchmark.timing import CPU, Differs, Effort, Measure, Result, Work, interleave
from ascore.envs.factory import batch

if TYPE_CHECKING:
    from torch import Tensor

    from ascore.learning.batch import Rows
    from ascore.learning.learner import Learner
    from ascore.reference.update import Agents

Call = Callable[[], Any]

LOSSES = {"8 agents, 8 actions": (8, 8, 4096, 10.0), "3 agents, 6 actions": (3, 6, 4800, 5.0)}
"""Agents, actions, rows and the ratio that is promised."""
LARGEST_LOSS_GAP = 1e-4
"""Between gradients of a loss, as a share of the largest."""

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


def loss_gradients(name: str) -> dict[str, Call]:
    """Value and gradient of Eq. 14-16 by logits: the kernel, and the objective in PyTorch.

    Each call returns the gradient, f32 [N, M, N, A].
    """
    import torch

    from ascore.algorithms.contract import Compiled
    from ascore.algorithms.table import get_algorithm
    from ascore.algorithms.terms import Batch, Messages, taken
    from ascore.config import Config
    from ascore.learning.backends.kernel import compiled_loss

    n, a, rows, _ = LOSSES[name]
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

    def compiled() -> Tensor:
        value, _ = compiled_loss(Compiled.ANTICIPATION, logits, rows_of, said, config)
        return torch.autograd.grad(value.sum(), logits)[0]

    def plain() -> Tensor:
        log_probs = torch.log_softmax(logits, dim=-1)
        terms = algorithm.objective(rows_of, log_probs, inbox, config)
        return torch.autograd.grad((terms.policy + terms.penalty).sum(), logits)[0]

    return {"compiled": compiled, "objective in torch": plain}


def require_equal_gradients(name: str, calls: dict[str, Call]) -> None:
    """Raises Differs unless both agree up to rounding."""
    compiled, plain = (call() for call in calls.values())
    gap = float((compiled - plain).abs().max() / plain.abs().max())
    if not gap < LARGEST_LOSS_GAP:
        message = f"loss of {name}: gradients differ by {gap:g} of the largest"
        raise Differs(message)


def loss(name: str, effort: Effort) -> list[Result]:
    """The kernel against the objective in PyTorch."""
    require_package("numba")
    rows, bar = LOSSES[name][2:]
    with one_torch_thread():
        calls = loss_gradients(name)
        require_equal_gradients(name, calls)
        compiled, plain = calls.values()
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
    from ascore.learning.learner import Learner
    from ascore.learning.rollout import Collector

    config = Config.from_dict({"actor_lr": 1e-4, "critic_lr": 1e-4, **keys})
    env = batch(config.env, config.env_params, config.num_envs, config.seed, 1)
    env.reset()
    return Learner(config, env.spec), Collector(env, env.spec.horizon)


def ours(keys: dict[str, Any]) -> tuple[Call, Learner]:
    """Collection and learning as a call, and who learns."""
    learner, collector = learner_of(keys)
    number = itertools.count()

    def update() -> None:
        learner.update(collector.collect(learner.actor), next(number))

    return update, learner


def plain(like: Learner) -> tuple[Call, Agents]:
    """The same with a module per network, environments of its own, and who learns."""
    import torch

    from ascore.reference.training import one_update
    from ascore.reference.update import Agents

    config, spec = like.config, like.spec
    env = batch(config.env, config.env_params, config.num_envs, config.seed, 1)
    env.reset()
    sizes = [spec.obs_shape[0], *config.actor_hidden, spec.num_actions]
    agents = Agents(spec.num_agents, sizes, [*sizes[:-1], 1], config.actor_lr, config.critic_lr)
    draw = torch.Generator().manual_seed(0)

    def update() -> None:
        one_update(
            env,
            agents,
            spec.horizon,
            draw,
            iterations=config.iterations,
            minibatches=config.minibatches,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            penalty_weight=config.penalty_weight,
            clip_epsilon=config.clip_epsilon,
        )

    return update, agents


def training(name: str, effort: Effort) -> list[Result]:
    """Collection and learning, against PyTorch with a module per network and the same cores."""
    require_package("torch")
    keys, bar = TRAININGS[name]
    with one_torch_thread():
        fast, learner = ours(keys)
        slow, _ = plain(learner)
        steps = float(learner.spec.horizon * learner.config.num_envs)
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
    from ascore.benchmark.updates import iterations, prepared

    with one_torch_thread():
        env, num_envs, params = "predation", 64, {"num_agents": 8}
        learner, rows = prepared(env, "multihead", num_envs, "engine", **params)
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

        timing = interleave(Work(lambda: learner.iterate(rows, 0)), Work(bare), effort, CPU)
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


NETWORKS = {4096: 137, 64: 2}
"""Environments of C. Predation, eight agents, whose episodes make about so many rows."""


def network_updates(num_envs: int) -> tuple[dict[str, Call], int]:
    """The iterations of one update by four kinds of network, and the rows they are over.

    "compiled" and "heads in torch" have the same weights, and so have "separate in torch" and
    "module per network". All stand still once they have been found equal.

    Raises:
        Differs: weights after the same iterations differ by more than rounding explains.
    """
    from ascore.benchmark.updates import (
        iterations,
        prepared,
        reference,
        require_equal_weights,
        stand_still,
    )

    def made(layout: str, backend: str) -> tuple[Learner, Rows]:
        return prepared("predation", layout, num_envs, backend, num_agents=8)

    fast, stacked, apart = (
        made("multihead", "engine"), made("multihead", "torch"), made("separate", "torch")
    )  # fmt: skip
    agents, modules = reference(*apart)
    calls: dict[str, Call] = {
        "compiled": iterations(*fast),
        "heads in torch": iterations(*stacked),
        "separate in torch": iterations(*apart),
        "module per network": modules,
    }
    for call in calls.values():
        call()
    require_equal_weights("compiled", fast[0].actor.net.flat, stacked[0].actor.net.flat)
    require_equal_weights("separate in torch", apart[0].actor.net.flat, agents.rows()[0])
    for learner, _ in (fast, stacked, apart):
        stand_still(learner, agents)
    return calls, len(fast[1].raw)


def networks(size: int, effort: Effort) -> list[Result]:
    """One update's iterations: compiled against stacked heads, and against a module per network."""
    require_package("torch")
    small = size == min(NETWORKS)
    pairs = [
        ("compiled", "heads in torch", None if small else 2.0),
        ("compiled", "module per network", 25.0 if small else 10.0),
    ]
    if not small:
        pairs.append(("heads in torch", "separate in torch", 4.0))
    found = []
    with one_torch_thread():
        calls, rows = network_updates(NETWORKS[size])
        for candidate, baseline, bar in pairs:
            timing = interleave(Work(calls[candidate]), Work(calls[baseline]), effort, CPU)
            found.append(
                Result.of(
                    timing,
                    group="networks",
                    name=f"{candidate}, 8 agents, {rows:,} rows, (128, 64), 1 thread",
                    baseline=baseline,
                    unit="update",
                    bar=bar,
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
        *((f"networks, {size} rows", partial(networks, size)) for size in NETWORKS),
        ("arithmetic", partial(arithmetic, "predation, 8 agents x 64 envs")),
        ("products", partial(products, "cleanup, 2 agents x 16 envs, (1024, 256)")),
    ]
