"""Estimates the memory of a run before any of it is allocated."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

import numpy as np

from ascore.algorithms.coarsening import Full, Sampled, form_of
from ascore.algorithms.contract import Algorithm
from ascore.config import Config
from ascore.envs.factory import is_external
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning.agent_split import AgentSplit
from ascore.learning.inferred import LARGEST_PART
from ascore.learning.networks import LARGEST, parameters
from ascore.learning.own_rows import OwnRows
from ascore.learning.seats import (
    asks_environment,
    drawn_anew,
    heads_needed,
    links_needed,
    others_met,
)

REMEDIES = {
    "rollout": "lower num_envs or rollout_steps",
    "observations": "lower num_envs or rollout_steps",
    "networks": "lower actor_hidden and critic_hidden, or use fewer agents{links}",
    "messages": "lower num_envs or rollout_steps, or use fewer agents{links}",
    "targets": "lower num_envs or rollout_steps, or use fewer agents",
    "heads": "set graph_redraw = false or communicate_every = 1, or use fewer agents",
    "ranks": "use fewer agents or smaller networks",
    "models": "lower kept (algorithm_params), num_envs, rollout_steps or critic_hidden",
    "process": "end other programs",
    "passes": "raise minibatches, or lower num_envs, rollout_steps, actor_hidden or critic_hidden",
}
"""Remedies, by the part that needs most memory; `links`: `FEWER_LINKS` where there can be fewer."""

FEWER_LINKS = " or graph = nearest, in which each hears graph_degree others"

CHUNK = 768
"""Rows for which the engine keeps one gradient per network (`kChunk` in C++)."""

KEPT_BYTES = 4 * 2**20
"""What the engine keeps of hidden layers between two passes, at most (`kMostKept` in C++)."""

MOST_PACKED, FEWEST = 2**20, 8
"""Floats of parameters and gradients that the engine lays out at a time, and the agents of which it
does so in any case (`kMostPacked`, `kFewest` in C++)."""

LINK_BYTES = 100
"""Of a link in the lists of an update: who hears whom, in both directions, and how often."""

TARGET_BYTES = 80
"""Per row and agent, beside the rollout: values, sums in double precision, normalised advantages,
indices of actions, and copies between them."""

ALWAYS_HEARD = 64
"""Agents up to which environments write down who hears whom (`kAlwaysHeard` in C++)."""

LIBRARY_BYTES, SPARE_PERCENT = 120_000_000, 10
"""What libraries take when they are first used, and of every hundred bytes, what is lost between
those that are in use."""

TORCH_BYTES, NUMBA_BYTES = 100_000_000, 250_000_000
"""What PyTorch's compiler takes, which its optimisers load in their first step, and Numba's."""


def bytes_needed(
    spec: Spec,
    config: Config,
    algorithm: Algorithm,
    num_envs: int,
    split: AgentSplit | None = None,
) -> dict[str, int]:
    """About how many bytes one process allocates in a run, by part.

    What exists at different times is counted as if it existed together, so that a run that is let
    through does not fail later for want of memory. The process as it is, threads, and what a run
    that goes on reads from its checkpoint are not counted.

    Args:
        spec: sizes as the learner sees them.
        config: configuration of the run.
        algorithm: algorithm of the run.
        num_envs: number of environments that this process steps.
        split: which agents it trains; None = all.
    """
    own = split if isinstance(split, OwnRows) else None
    everybody, a, o = spec.num_agents, spec.num_actions, math.prod(spec.obs_shape)
    n = everybody if own is None else own.mine.stop
    known = n + (0 if own is None else others_met(algorithm, config, everybody, own.agents))
    views = min(spec.views, n)
    heads = heads_needed(algorithm, config, everybody)
    # Ranks that train some agents on all rows gather them: packed, unpacked and merged.
    gathers = split is not None and own is None and split.ranks.size > 1
    steps = config.rollout_steps or spec.horizon
    rows = steps * (config.num_envs if gathers else num_envs)
    part = -(-rows // config.minibatches)
    entry = np.dtype(spec.obs_dtype).itemsize
    # Per row: observation, neighbours where the graph asks for them, two flags; and per agent
    # action, reward, value, advantage, return and normalised return.
    asked = asks_environment(algorithm, config)
    rollout = rows * (views * o * entry + n * n * asked + 2 + n * 6 * 4)
    if own is not None:  # what everybody does, and what that means
        rollout += rows * 2 * everybody
    rollout *= 3 if gathers else 1
    environment = 2 * spec.views * o * entry + 40 * everybody
    environment += everybody**2 * (2 * asked + (everybody <= ALWAYS_HEARD))
    rollout += num_envs * environment
    trunks = heads if config.actor == "separate" else 1
    one_actor = trunks * parameters((o, *config.actor_hidden, heads // trunks * a))
    seen = o if algorithm.critic_view is None else algorithm.critic_view.size(spec)
    one_critic = parameters((seen, *config.critic_hidden, 1))
    actor, critic = n * one_actor, n * one_critic
    # Critics are asked about a copy with the last states; PyTorch turns bytes into float32.
    floats = config.backend in ("torch", "kernel") or algorithm.compiled is None
    floats = floats or max(actor, critic) > n * LARGEST  # the engine refuses them
    width = entry + (4 if floats and entry < 4 else 0)
    masked = is_external(spec.name)  # any of these may give masks, kept as they are and as flags
    if masked:
        rollout += rows * n * a * (3 if floats else 1)
    if floats:
        passes = _by_pytorch(config, n, trunks, rows, part)
        passes += 4 * part * n * heads * 12 * (a + 1)  # the objective with its graph
        passes += 4 * spec.views * o * (2 * rows + part * (1 + heads * (trunks > 1)))  # inputs
        passes += TORCH_BYTES
        passes += NUMBA_BYTES * (algorithm.compiled is not None and config.backend != "torch")
    else:
        each = _padded(one_actor) + _padded(one_critic)
        together = min(n, max(FEWEST, config.torch_threads, MOST_PACKED // (2 * each)))
        passes = 4 * (-(-part // CHUNK) + 1) * together * each + KEPT_BYTES
        widths = sum((*config.actor_hidden, *config.critic_hidden))
        passes += 2 * 4 * CHUNK * widths * config.torch_threads  # layers of a chunk, one per thread
    copies = 2 + algorithm.sends_policies + 4 * (config.anticipation == "correction")
    copies += floats * (1 + masked)
    of_one = 4 * a * copies + 16 + algorithm.sends_policies * _of_form(config.message_form, a)
    messages = rows * known * heads * of_one + LINK_BYTES * links_needed(
        algorithm, config, everybody
    )
    networks = 4 * 4 * (actor + critic)  # parameters, gradients and two moments
    needed = {
        "rollout": rollout,
        "observations": rows * views * o * width,
        "networks": networks,
        "messages": messages,
        "targets": TARGET_BYTES * rows * n,
        "passes": passes,
        "heads": _set_aside(spec, config, algorithm, n, actor, one_actor // trunks),
        "ranks": 0,
        "models": _of_models(spec, config, algorithm, rows),
    }
    if gathers:  # everybody's actors, once more
        needed["ranks"] = 4 * actor
    elif own is not None and own.ranks.lead:  # a checkpoint of all agents
        needed["ranks"] = 3 * networks // 4 * own.ranks.size
    needed["process"] = LIBRARY_BYTES + sum(needed.values()) * SPARE_PERCENT // 100
    return needed


def _of_form(text: str, a: int) -> int:
    """Bytes of a distribution over `a` actions as receivers take it, and of what finds it: numbers
    drawn, twice for a moment, an order, sums in double precision.
    """
    form = form_of(text)
    if form == Full():
        return 0
    return 40 * a + (32 * form.count if isinstance(form, Sampled) else 0)


def _of_models(spec: Spec, config: Config, algorithm: Algorithm, rows: int) -> int:
    """Bytes of models of rewards: networks, what they keep, and what a step of theirs reads.

    Args:
        spec: sizes as the learner sees them.
        config: of the run.
        algorithm: of the run.
        rows: of the batch.
    """
    if algorithm.infers is None:
        return 0
    n, o = spec.num_agents, math.prod(spec.obs_shape)
    entry, kept = np.dtype(spec.obs_dtype).itemsize, algorithm.infers.kept(config)
    inputs = 2 * o + spec.num_actions
    networks = 4 * 4 * n * parameters((inputs, *config.critic_hidden, 1))
    part = min(rows, max(LARGEST_PART, -(-rows // config.minibatches)))
    step = 4 * 2 * n * part * (inputs + 2 * sum(config.critic_hidden))
    return networks + n * kept * 2 * o * entry + step + rows * min(spec.views, n) * o * entry


def _set_aside(
    spec: Spec, config: Config, algorithm: Algorithm, n: int, actor: int, network: int
) -> int:
    """Bytes of copies of heads: while they change, while they wait, and while nothing moves them.

    Args:
        spec: sizes as the learner sees them.
        config: of the run.
        algorithm: of the run.
        n: number of agents whose networks are here.
        actor: number of parameters of their actors.
        network: of one network of an actor.
    """
    copies = 0
    last = ([math.prod(spec.obs_shape), *config.actor_hidden][-1] + 1) * spec.num_actions
    head = network if config.actor == "separate" else last
    if algorithm.sends_policies and config.communicate_every > 1:
        copies += 13 * actor  # parameters and moments, and which of them only anticipations use
    if drawn_anew(algorithm, config, spec.num_agents):
        met = spec.num_agents - 1
        updates = config.updates(spec.horizon) / config.communicate_every
        drawn = n * met * -math.expm1(-updates / met)
        # Those kept, with two moments; one of the three is copied twice as more come.
        copies += 4 * 4 * actor + int(drawn) * (4 * head * 5 + 8)
    return copies


def _by_pytorch(config: Config, n: int, trunks: int, rows: int, part: int) -> int:
    """Bytes of hidden layers, kept for the gradients of a minibatch or passed through by all rows.

    Args:
        config: widths of the layers.
        n: number of agents.
        trunks: networks of an agent's actor.
        rows: of the batch.
        part: of a minibatch.
    """
    widths = [
        [n * trunks * size for size in config.actor_hidden],
        [n * size for size in config.critic_hidden],
    ]
    widest = max((size for layers in widths for size in layers), default=0)
    kept = sum(map(sum, widths)) + 3 * widest
    return 4 * max(part * kept, rows * 2 * widest)


def _padded(count: int) -> int:
    """Parameters as vector registers hold them: rows are filled up."""
    return count * 3 // 2


def require_memory(
    spec: Spec,
    config: Config,
    algorithm: Algorithm,
    num_envs: int,
    split: AgentSplit | None = None,
) -> None:
    """Checks that a run fits in memory.

    Args:
        spec: as in `bytes_needed`.
        config: likewise.
        algorithm: likewise.
        num_envs: likewise.
        split: likewise.

    Raises:
        ConfigError: it does not fit; the message names the needed and free memory and a remedy.
    """
    needed, free = bytes_needed(spec, config, algorithm, num_envs, split), free_bytes()
    total = sum(needed.values())
    if free is None or total <= free:
        return
    parts = ", ".join(f"{part} {in_words(size)}" for part, size in needed.items() if size)
    most = max(needed, key=lambda part: needed[part])
    everybody = algorithm.by_link and config.graph in ("complete", "environment", "contacts")
    remedy = REMEDIES[most].format(links=FEWER_LINKS if everybody else "")
    message = (
        f"this run needs about {in_words(total)} of memory ({parts}) but only {in_words(free)} "
        f"are free; {remedy}"
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
