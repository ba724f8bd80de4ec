"""What ranks that share out a thousand agents send, and the CPU time and memory of each.

Updates of Anticipation Sharing in C. Predation: four environments, a ring, observations of the two
nearest, three iterations of four minibatches. Every rank prints one line per update, and at the end
a digest of all parameters and moments, which is the same for any number of ranks. Bytes over the
loopback are those of all ranks together (Linux), and of whatever else goes over it; `unshare` gives
the ranks one of their own.

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

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector
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


def measure(ranks: Ranks, agents: int, updates: int, width: int) -> None:
    """Trains and prints."""
    torch.set_num_threads(1)
    config = Config(
        env_params={"num_agents": agents, "obs_mode": "nearest"},
        graph="ring",
        num_envs=NUM_ENVS,
        num_threads=1,
        minibatches=4,
        seed=7,
        **({"actor_hidden": (width,), "critic_hidden": (width,)} if width else {}),
    )
    share = ranks.share(NUM_ENVS)
    env = batch(config.env, config.env_params, share, config.seed, 1, ranks.rank * share)
    env.reset()
    learner = Learner(config, env.spec, ranks)
    collector = Collector(env, env.spec.horizon, neighbours=learner.reads_neighbours)
    heard = 0
    for number in range(updates):
        sent, start = together(ranks), time.process_time()
        learner.update(collector.collect(learner.actor), number)
        seconds = time.process_time() - start
        total = 0 if learner.split is None else learner.split.bytes_heard
        figures = {"cpu_s": round(seconds, 2), "messages": total - heard}
        figures |= {"all_ranks": together(ranks) - sent}
        print(json.dumps({"rank": ranks.rank, "update": number, **figures}), flush=True)
        heard = total
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    digest = hashlib.sha256()
    for _, value in sorted(learner.state().items()):
        digest.update(np.ascontiguousarray(value.numpy()).tobytes())
    last = {"peak_mb": round(peak / 1e6), "digest": digest.hexdigest()[:16]}
    print(json.dumps({"rank": ranks.rank, **last}), flush=True)


def main() -> None:
    """Reads the options and starts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--width", type=int, default=0, help="of one hidden layer; 0 = (128, 64)")
    options = parser.parse_args()
    with joined() as ranks:
        measure(ranks, options.agents, options.updates, options.width)


if __name__ == "__main__":
    main()
