"""Speed of learning: losses, updates and whole trainings against plain PyTorch."""

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
"""Agents, actions, rows and the promised ratio."""
LARGEST_LOSS_GAP = 1e-4
"""Allowed difference of a loss's gradients, relative to the largest."""

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
"""Configuration of whole updates, and the promised ratio."""


def loss_gradients(name: str) -> dict[str, Call]:
    """Calls that compute Eq. 14-16 and their gradients: the kernel, and the objective in PyTorch.

    Each call returns the gradient with respect to the logits, f32 [N, M, N, A].
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
    agents = torch.arange(n)
    old_taken = taken(old, action, agents)
    rows_of = Batch(action, advantage, advantage.abs().mean(dim=1), old_taken, agents)
    links = ~torch.eye(n, dtype=torch.bool)
    messages = Messages(sent, old_taken.diagonal(dim1=0, dim2=2), links[:, None, :])
    inbox, algorithm, config = messages.inbox(agents), get_algorithm("as"), Config()
    logits.requires_grad_()

    def compiled() -> Tensor:
        value, _ = compiled_loss(Compiled.ANTICIPATION, logits, rows_of, messages, config)
        return torch.autograd.grad(value.sum(), logits)[0]

    def plain() -> Tensor:
        log_probs = torch.log_softmax(logits, dim=-1)
        terms = algorithm.objective(rows_of, log_probs, inbox, config)
        return torch.autograd.grad((terms.policy + terms.penalty).sum(), logits)[0]

    return {"compiled": compiled, "objective in torch": plain}


def require_equal_gradients(name: str, calls: dict[str, Call]) -> None:
    """Raises Differs unless both gradients agree up to rounding."""
    compiled, plain = (call() for call in calls.values())
    gap = float((compiled - plain).abs().max() / plain.abs().max())
    if not gap < LARGEST_LOSS_GAP:
        message = f"loss of {name}: gradients differ by {gap:g} times the largest"
        raise Differs(message)


def loss(name: str, effort: Effort) -> list[Result]:
    """Times the kernel against the objective in PyTorch."""
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
    """Creates a learner and its collector."""
    from ascore.config import Config
    from ascore.learning.learner import Learner
    from ascore.learning.stepping import collector_of

    config = Config.from_dict({"actor_lr": 1e-4, "critic_lr": 1e-4, **keys})
    env = batch(config.env, config.env_params, config.num_envs, config.seed, 1)
    env.reset()
    learner = Learner(config, env.spec)
    return learner, collector_of(learner, env, env.spec.horizon)


def ours(keys: dict[str, Any]) -> tuple[Call, Learner]:
    """Collection and learning as one call, and the learner."""
    learner, collector = learner_of(keys)
    number = itertools.count()

    def update() -> None:
        learner.update(collector.collect(learner.actor), next(number))

    return update, learner


def plain(like: Learner) -> tuple[Call, Agents]:
    """The same with one module per network and separate environments, and the agents."""
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
    """Times collection and learning against PyTorch with one module per network."""
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
    """Times an update's dense arithmetic against the machine's peak of multiply-adds."""
    require_package("torch")
    from ascore import _core
    from ascore.benchmark.updates import iterations, prepared

    with one_torch_thread():
        learner, rows = prepared("predation", "multihead", 64, "engine", num_agents=8)
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
            note="messages, losses and Adam take time but count as no operations",
        )
    ]


def products(name: str, effort: Effort) -> list[Result]:
    """Times an update of large networks against only its matrix products, in PyTorch.

    Observations are replaced by ones without zeros. The environment's are so sparse that most
    products of the first layer would be skipped.
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
                if layer > 0:  # no gradient with respect to observations is needed
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
            note="only the update side also computes losses, messages and Adam",
        )
    ]


def flops(learner: Learner, rows: int) -> int:
    """Number of operations in the matrix products of K iterations, two per multiply-add."""
    config, total = learner.config, 0
    for net, passes in ((learner.actor.net, 1), (learner.critic.net, 0)):
        inner = [a * b for a, b in zip(net.sizes, net.sizes[1:], strict=False)]
        forward = sum(inner)
        backward = 2 * forward - inner[0]  # no gradient with respect to observations is needed
        count = net.flat.shape[0] * rows
        total += count * config.iterations * (forward + backward + passes * forward)
    return 2 * total


NETWORKS = {4096: 137, 64: 2}
"""Rows of an update, and the number of C. Predation environments, eight agents, that give them."""


def network_updates(num_envs: int) -> tuple[dict[str, Call], int]:
    """The iterations of one update with four kinds of networks, and their number of rows.

    "compiled" and "heads in torch" have the same weights, and so do "separate in torch" and
    "module per network". After the comparison, all learning rates are set to zero.

    Raises:
        Differs: weights after the same iterations differ by more than rounding.
    """
    from ascore.benchmark.updates import (
        iterations,
        prepared,
        reference,
        require_equal_weights,
        stand_still,
    )

    def prepare(layout: str, backend: str) -> tuple[Learner, Rows]:
        return prepared("predation", layout, num_envs, backend, num_agents=8)

    fast, stacked, separate = (
        prepare("multihead", "engine"), prepare("multihead", "torch"), prepare("separate", "torch")
    )  # fmt: skip
    agents, modules = reference(*separate)
    calls: dict[str, Call] = {
        "compiled": iterations(*fast),
        "heads in torch": iterations(*stacked),
        "separate in torch": iterations(*separate),
        "module per network": modules,
    }
    for call in calls.values():
        call()
    require_equal_weights("compiled", fast[0].actor.net.flat, stacked[0].actor.net.flat)
    require_equal_weights("separate in torch", separate[0].actor.net.flat, agents.rows()[0])
    for learner, _ in (fast, stacked, separate):
        stand_still(learner, agents)
    return calls, len(fast[1].raw)


def networks(size: int, effort: Effort) -> list[Result]:
    """Times an update's iterations: compiled against stacked heads and one module per network."""
    require_package("torch")
    small = size == min(NETWORKS)
    pairs = [
        ("compiled", "heads in torch", None if small else 2.0),
        ("compiled", "module per network", 25.0 if small else 10.0),
    ]
    if not small:
        pairs.append(("heads in torch", "separate in torch", 4.0))
    results = []
    with one_torch_thread():
        calls, rows = network_updates(NETWORKS[size])
        for candidate, baseline, bar in pairs:
            timing = interleave(Work(calls[candidate]), Work(calls[baseline]), effort, CPU)
            results.append(
                Result.of(
                    timing,
                    group="networks",
                    name=f"{candidate}, 8 agents, {rows:,} rows, (128, 64), 1 thread",
                    baseline=baseline,
                    unit="update",
                    bar=bar,
                )
            )
    return results


def loss_cases() -> list[tuple[str, Measure]]:
    """All sizes of the loss."""
    return [(f"loss, {name}", partial(loss, name)) for name in LOSSES]


def training_cases() -> list[tuple[str, Measure]]:
    """All training workloads."""
    return [(f"training, {name}", partial(training, name)) for name in TRAININGS]


def network_cases() -> list[tuple[str, Measure]]:
    """Large and small batches, the share of peak, and the bare products."""
    return [
        *((f"networks, {size} rows", partial(networks, size)) for size in NETWORKS),
        ("arithmetic", partial(arithmetic, "predation, 8 agents x 64 envs")),
        ("products", partial(products, "cleanup, 2 agents x 16 envs, (1024, 256)")),
    ]
