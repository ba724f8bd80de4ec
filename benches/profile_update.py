"""Profiles an update: milliseconds per part, for plain PyTorch and for the compiled engine.

`--side before` is plain PyTorch with one module per network (`ascore.reference`), `--side after` is
`ascore train`. Both collect and learn on the workloads of `ascore bench --group training`, in one
thread. Parts are timed by wrapping their calls; the time of a part excludes parts within it. The
figures are medians over blocks of updates.

    python benches/profile_update.py exchange --side before
    python benches/profile_update.py exchange --side after

Compiled parts cannot be wrapped. "environment" of `--side after` is a rollout with one-layer
policies, including sampling; the additional time of the real policies is "policy". To separate
forward, loss and backward, use a sampling profiler:

    perf record -D 20000 -o update.perf -- python benches/profile_update.py exchange --side after
    perf report -i update.perf --no-children --sort symbol
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from ascore.benchmark.learning import TRAININGS, learner_of, plain
from ascore.benchmark.machine import describe_machine
from ascore.benchmark.packages import one_torch_thread

BLOCKS = 7
TOTAL = "whole update"
ORDER = (
    "environment", "policy", "collection, rest", "values", "advantages", "messages", "forward",
    "loss", "backward", "forward, loss and backward", "optimiser", "the rest, in Python", TOTAL,
)  # fmt: skip


class Clock:
    """Seconds by part; the time of a part excludes parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inner: list[tuple[str, float]] = []

    def call(self, part: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function and adds its time to a part."""
        self.inner.append((part, 0.0))
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds = time.perf_counter() - start
            _, within = self.inner.pop()
            self.seconds[part] += seconds - within
            if self.inner:
                outer, already = self.inner[-1]
                self.inner[-1] = outer, already + seconds

    @property
    def part(self) -> str:
        """The part that is being timed."""
        return self.inner[-1][0] if self.inner else ""

    def wrap(self, owner: Any, name: str, part: str | Callable[[], str]) -> None:
        """Times all calls of a function attribute of a module, a class or an object."""
        function = getattr(owner, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            return self.call(part if isinstance(part, str) else part(), function, *args, **kwargs)

        setattr(owner, name, timed)


class Seen:
    """Wraps an object of a compiled class, whose attributes cannot be set, and times some calls."""

    def __init__(self, inside: Any, clock: Clock, **parts: str) -> None:
        self._inside = inside
        for name, part in parts.items():
            setattr(self, name, partial(clock.call, part, getattr(inside, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)


def before(keys: dict[str, Any], clock: Clock) -> Callable[[], object]:
    """An update in plain PyTorch."""
    import torch

    from ascore.reference import training, update

    def forward() -> str:
        if clock.part == "collection, rest":
            return "policy"
        return "forward" if torch.is_grad_enabled() else "messages"

    learner, collector = learner_of(keys)
    clock.wrap(type(collector.env), "step", "environment")
    call, agents = plain(learner)
    clock.wrap(torch.nn.Sequential, "__call__", forward)
    clock.wrap(training, "collect", "collection, rest")
    clock.wrap(training, "advantages", "advantages")
    clock.wrap(update, "_loss", "loss")
    clock.wrap(agents, "log_probs", lambda: "loss" if torch.is_grad_enabled() else "messages")
    clock.wrap(torch.Tensor, "backward", "backward")
    for optimizer in (each for pair in agents.optimizers for each in pair):
        clock.wrap(optimizer, "step", "optimiser")
        clock.wrap(optimizer, "zero_grad", "optimiser")
    return call


def after(keys: dict[str, Any], clock: Clock) -> Callable[[], object]:
    """An update as in `ascore train`, with optimiser steps in two halves, as with ranks."""
    from ascore import _core
    from ascore.algorithms import targets
    from ascore.learning.backends.engine import EngineBackend
    from ascore.runtime.ranks import Ranks

    class InHalves(Ranks):
        """A single rank that computes gradients and the rest of a step in two calls."""

        size = 2

    learner, collector = learner_of(keys)
    backend, spec = learner.backend, learner.spec
    assert isinstance(backend, EngineBackend)
    backend.gradients.ranks = InHalves()
    _, idle = learner_of(keys)
    sizes = [int(np.prod(spec.obs_shape)), spec.num_actions]
    one_layer = _core.ActingNetworks(sizes, spec.num_agents)
    one_layer.load(np.zeros((spec.num_agents, (sizes[0] + 1) * sizes[1]), dtype=np.float32))
    names = "obs", "neighbours", "action", "reward", "terminated", "truncated"
    arrays = [getattr(idle.rollout, name) for name in names]

    backend.engine = Seen(
        backend.engine, clock, log_probs="messages", set_messages="messages", values="values",
        gradient="forward, loss and backward", finish="optimiser",
    )  # fmt: skip
    collector.env = Seen(collector.env, clock, rollout="policy")
    clock.wrap(targets._core, "gae", "advantages")

    def update() -> None:
        so_far = clock.seconds["environment"]
        clock.call("environment", idle.env.rollout, one_layer, *arrays, idle.running_return)
        clock.seconds["policy"] -= clock.seconds["environment"] - so_far
        learner.update(clock.call("collection, rest", collector.collect, learner.actor), 0)

    return update


def profile(call: Callable[[], object], clock: Clock, updates: int) -> dict[str, float]:
    """Milliseconds per update by part, medians over blocks."""
    blocks: dict[str, list[float]] = {}
    for block in range(-1, BLOCKS):  # the first block is discarded
        clock.seconds.clear()
        for _ in range(updates):
            clock.call("the rest, in Python", call)
        if block >= 0:
            clock.seconds[TOTAL] = sum(clock.seconds.values())
            for part, seconds in clock.seconds.items():
                blocks.setdefault(part, []).append(seconds / updates * 1e3)
    return {part: statistics.median(values) for part, values in blocks.items()}


def main(argv: list[str] | None = None) -> int:
    """Measures and prints a table."""
    workloads = {name.split(",")[0]: name for name in TRAININGS}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", choices=workloads)
    parser.add_argument("--side", choices=("before", "after"), required=True)
    parser.add_argument("--updates", type=int, default=10, help="per block")
    options = parser.parse_args(argv)
    name, clock = workloads[options.workload], Clock()
    with one_torch_thread():
        side = {"before": before, "after": after}[options.side]
        milliseconds = profile(side(TRAININGS[name][0], clock), clock, options.updates)
    about = describe_machine()
    print(f"{name}, {options.side}; {about['cpu']}, torch {about['packages'].get('torch')}")
    for part in ORDER:
        if part in milliseconds:
            share = milliseconds[part] / milliseconds[TOTAL]
            print(f"{part:28s} {milliseconds[part]:10.3f} ms {share:6.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
