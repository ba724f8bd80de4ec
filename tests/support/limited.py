"""Trainings with no more address space than a run is said to need; for processes of their own."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import torch

from ascore.cli import main
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.learning import learner, memory
from ascore.learning.stepping import collector_of


def limit(more: int) -> None:
    """Leaves so many bytes of address space, beside those in use."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))


def update(keys: dict[str, Any]) -> None:
    """The first update of a run, with what it is said to need; of drawn heads, the next one too."""
    learner.require_memory = lambda *sizes: limit(sum(memory.bytes_needed(*sizes).values()))
    config = Config(**keys)
    torch.set_num_threads(1)
    outside = batch(config.env, config.env_params, config.num_envs, 5, 0)
    one = learner.Learner(config, outside.spec)
    env = one.algorithm.view.env(outside)
    env.reset()
    collector = collector_of(one, env, config.rollout_steps)
    for number in range(1 + (config.graph == "random_one")):
        one.update(collector.collect(one.actor), number)
    print("done")


def command(more: int, *args: str) -> None:
    """A command with so many bytes."""
    limit(more)
    sys.exit(main(list(args)))
