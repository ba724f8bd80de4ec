"""Estimates the memory of a run before any of it is allocated."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ascore.algorithms.contract import Algorithm
from ascore.config import Config
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning.networks import LARGEST

REMEDIES = {
    "rollout": "lower num_envs or rollout_steps",
    "observations": "lower num_envs or rollout_steps",
    "networks": "lower actor_hidden and critic_hidden, or use fewer agents",
    "messages": "lower num_envs or rollout_steps, or use fewer agents",
}
"""Remedies, by the part that needs most memory."""


def bytes_needed(spec: Spec, config: Config, algorithm: Algorithm, num_envs: int) -> dict[str, int]:
    """Lower bound of the bytes that one process allocates, by part.

    Args:
        spec: sizes as the learner sees them.
        config: configuration of the run.
        algorithm: algorithm of the run.
        num_envs: number of environments of this process.
    """
    n, a, o = spec.num_agents, spec.num_actions, math.prod(spec.obs_shape)
    heads = n if algorithm.head_per_agent else 1
    rows = (config.rollout_steps or spec.horizon) * num_envs
    entry = np.dtype(spec.obs_dtype).itemsize
    # Per row: observation, neighbours, two flags; and per agent action, reward, value, advantage,
    # return and normalised return.
    rollout = rows * (spec.views * o * entry + n * n + 2 + n * 6 * 4)
    trunks = heads if config.actor == "separate" else 1
    actor = n * trunks * _parameters((o, *config.actor_hidden, heads // trunks * a))
    seen = o if algorithm.critic_view is None else algorithm.critic_view.size(spec)
    critic = n * _parameters((seen, *config.critic_hidden, 1))
    # Critics are asked about a copy with the last states; PyTorch turns bytes into float32.
    floats = config.backend in ("torch", "kernel") or algorithm.compiled is None
    floats = floats or max(actor, critic) > n * LARGEST  # the engine refuses them
    width = entry + (4 if floats and entry < 4 else 0)
    return {
        "rollout": rollout,
        "observations": rows * spec.views * o * width,
        "networks": 4 * 4 * (actor + critic),  # parameters, gradients and two moments
        "messages": 4 * n * rows * heads * a,
    }


def require_memory(spec: Spec, config: Config, algorithm: Algorithm, num_envs: int) -> None:
    """Checks that a run fits in memory.

    Raises:
        ConfigError: it does not fit; the message names the needed and free memory and a remedy.
    """
    needed, free = bytes_needed(spec, config, algorithm, num_envs), free_bytes()
    total = sum(needed.values())
    if free is None or total <= free:
        return
    parts = ", ".join(f"{part} {in_words(size)}" for part, size in needed.items())
    most = max(needed, key=lambda part: needed[part])
    message = (
        f"this run needs at least {in_words(total)} of memory ({parts}) but only {in_words(free)} "
        f"are free; {REMEDIES[most]}"
    )
    raise ConfigError(message)


def free_bytes() -> int | None:
    """Memory in bytes that this process can still allocate; None if unknown."""
    limits = [*_of_the_machine(), *_of_the_group(), *_of_the_process()]
    return max(0, min(limits)) if limits else None


def in_words(size: int) -> str:
    """Formats a number of bytes, such as "3.1 GB"."""
    amount, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"


def _parameters(sizes: Sequence[int]) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))


def _of_the_machine() -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return [int(line.split()[1]) * 1024]
    return []


def _of_the_group() -> list[int]:
    """Limit of a container or batch system (cgroup v2)."""
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        return [
            int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        ]
    return []


def _of_the_process() -> list[int]:
    """Limit of `ulimit -v`."""
    try:
        import resource  # not on Windows
    except ImportError:
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return []
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return [limit - pages * os.sysconf("SC_PAGE_SIZE")]
    return []
