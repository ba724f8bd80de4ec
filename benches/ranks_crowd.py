"""What ranks that share out a thousand agents send, and the CPU time and memory of each.

Updates of Anticipation Sharing in C. Predation: four environments, observations of the two nearest,
three iterations of four minibatches. On a ring nearly no link leads to another rank; where each
agent hears one at random, most do. Every rank prints one line per update, and at the end a digest
of all parameters and moments, which is the same for any number of ranks. Bytes over the loopback
are those of all ranks together (Linux), and of whatever else goes over it; `unshare` gives the
ranks one of their own.

    unshare --net sh -c 'ip link set lo up; torchrun --nproc-per-node 4 benches/ranks_crowd.py'
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch

from ascore.algorithms import graph
from ascore.algorithms.table import get_algorithm
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.learning.backends import choose
from ascore.learning.backends.choose import choose_split, own_envs
from ascore.learning.learner import Learner
from ascore.learning.own_rows import OwnRows
from ascore.learning.stepping import collector_of
from ascore.runtime.ranks import Ranks, joined

NUM_ENVS = 4


def over_loopback() -> int:
    """Bytes that this system has received over its loopback."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    (line,) = (line for line in lines if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


def together(ranks: Ranks) -> int:
    """Bytes over the loopback when all ranks are here and nothing is on its way."""
    ranks.any(False)
    time.sleep(0.05)
    ranks.any(False)
    return over_loopback()


def cost_of_links(config: Config, agents: int, ranks: int, number: int, rows: int) -> int:
    """Bytes of all links of an update that lead to another rank, each with two distributions."""
    links = graph.pairs(config.graph, agents, seed=config.seed, update=number)
    each = agents // ranks
    crossing = int((links.listener // each != links.sender // each).sum())
    return crossing * 2 * 2 * 4 * rows * config.iterations


def measure(ranks: Ranks, config: Config, updates: int) -> None:
    """Trains and prints."""
    torch.set_num_threads(1)
    spec = batch(config.env, config.env_params).spec
    split = choose_split(get_algorithm(config.algorithm), config, spec, ranks)
    first, share = own_envs(split, config.num_envs, ranks)
    env = batch(config.env, config.env_params, share, config.seed, 1, first)
    env.reset()
    learner = Learner(config, env.spec, ranks)
    collector = collector_of(learner, env, spec.horizon)
    split, rows = learner.split, spec.horizon * NUM_ENVS
    heard = acted = 0
    for number in range(updates):
        sent, start = together(ranks), time.process_time()
        learner.update(collector.collect(learner.actor), number)
        seconds = time.process_time() - start
        figures: dict[str, float] = {"cpu_s": round(seconds, 3)}
        if isinstance(split, OwnRows):
            figures |= {"messages": split.bytes_heard - heard, "actions": split.bytes_acted - acted}
            heard, acted = split.bytes_heard, split.bytes_acted
        figures |= {"all_ranks": together(ranks) - sent}
        cost = cost_of_links(config, spec.num_agents, ranks.size, number, rows)
        figures |= {"all_links": cost}
        print(json.dumps({"rank": ranks.rank, "update": number, **figures}), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    digest = hashlib.sha256()
    for _, value in sorted(learner.state().items()):
        digest.update(np.ascontiguousarray(value.numpy()).tobytes())
    last = {"peak_mb": round(peak / 1e6), "digest": digest.hexdigest()[:16] if ranks.lead else ""}
    print(json.dumps({"rank": ranks.rank, **last}), flush=True)


def main() -> None:
    """Reads the options and starts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--graph", choices=("ring", "random_one"), default="ring")
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--width", type=int, default=0, help="of one hidden layer; 0 = (128, 64)")
    parser.add_argument("--gathered", action="store_true", help="gather rows, as of few agents")
    options = parser.parse_args()
    if options.gathered:
        choose.FEWEST = options.agents + 1
    config = Config(
        env_params={"num_agents": options.agents, "obs_mode": "nearest"},
        graph=options.graph,
        num_envs=NUM_ENVS,
        num_threads=1,
        minibatches=4,
        seed=7,
    )
    if options.width:
        config = config.replace(actor_hidden=(options.width,), critic_hidden=(options.width,))
    with joined() as ranks:
        measure(ranks, config, options.updates)


if __name__ == "__main__":
    main()
