"""What a round of messages costs three parties over gRPC with TLS, against an update.

    python parties_round.py [--num-envs 16] [--rounds 60]

Three processes exchange distributions of Exchange's sizes (T = 300, N = 3) with all that parties
do: composing, logging, sending, checking. Printed are the median seconds of a round in a party,
those of an update of the trainer on the same rows (all three agents, in one process), and what the
rounds of an update add to it; and the bytes of a letter against the ledger's count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ascore
from ascore.config import Config
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector
from ascore.parties import wire
from ascore.parties.agreed import agreed
from ascore.parties.audit import AuditLog
from ascore.parties.certificates import Credentials, new
from ascore.parties.courier import Courier
from ascore.parties.letters import Letters
from ascore.parties.network import Network

FIRMS = ("firm-a", "firm-b", "firm-c")
STEPS = 300
PORT = 7300


def config(num_envs: int) -> Config:
    return Config.preset(
        "exchange",
        num_envs=num_envs,
        rollout_steps=STEPS,
        env_params={"num_agents": 3},
    )


def party(folder: Path, name: str, num_envs: int, rounds: int) -> None:
    """Exchanges random distributions, and prints the median seconds of a round."""
    settings = config(num_envs)
    spec = ascore.make("exchange", num_agents=3).spec
    addresses = {firm: f"127.0.0.1:{PORT + k}" for k, firm in enumerate(FIRMS)}
    files = folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key"
    log = AuditLog(folder / f"{name}.jsonl", name)
    network = Network(
        name,
        addresses[name],
        {firm: at for firm, at in addresses.items() if firm != name},
        Credentials(*files, name, print),
        log,
        lambda _: None,
    )
    letters = Letters(network, "bench", agreed(settings, FIRMS), log)
    counts = spec.action_counts
    courier = Courier(letters, FIRMS, FIRMS.index(name), counts, 1, 60.0)
    rows, actions = STEPS * num_envs, spec.num_actions
    logits = torch.randn(3, rows, 3, actions, generator=torch.manual_seed(0))
    log_probs = torch.log_softmax(logits, dim=-1)
    neighbours = ~torch.eye(3, dtype=torch.bool)[:, None, :]
    seconds = []
    for number in range(rounds):
        courier.begin(range(3))
        start = time.perf_counter()
        _, links = courier.deliver(log_probs, neighbours, number, 0)
        seconds.append(time.perf_counter() - start)
        assert links is neighbours, courier.late
    print(json.dumps({"round": float(np.median(seconds[10:]))}), flush=True)
    letters.close()


def update(settings: Config, repeats: int = 7) -> float:
    """Median seconds of an update of the trainer, without collecting."""
    env = ascore.make("exchange", settings.num_envs, num_agents=3)
    learner, collector = Learner(settings, env.spec), Collector(env, STEPS)
    env.reset()
    seconds = []
    for number in range(repeats):
        rollout = collector.collect(learner.actor)
        start = time.perf_counter()
        learner.update(rollout, number)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--party", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.party:
        party(Path(options.party[0]), options.party[1], options.num_envs, options.rounds)
        return
    settings = config(options.num_envs)
    whole = update(settings)
    with tempfile.TemporaryDirectory() as place:
        new(Path(place) / "certs", FIRMS)
        line = [sys.executable, __file__, "--num-envs", str(options.num_envs)]
        line += ["--rounds", str(options.rounds), "--party", f"{place}/certs"]
        processes = [subprocess.Popen([*line, firm], stdout=subprocess.PIPE) for firm in FIRMS]
        rounds = [json.loads(process.communicate()[0])["round"] for process in processes]
    spec = ascore.make("exchange", num_agents=3).spec
    rows, actions = STEPS * settings.num_envs, spec.num_actions
    numbers = np.zeros((rows, actions), np.float32).tobytes()
    body: dict[str, Any] = {"rows": rows, "own_actions": actions, "listener_actions": actions}
    content = wire.compose(
        "bench", b"k" * 32, "firm-a", 0, 0, wire.DISTRIBUTIONS, **body, own=numbers,
        anticipation=numbers,
    )  # fmt: skip
    each, k = max(rounds), settings.iterations
    print(f"rows of an update           {rows:,}, rounds {k}")
    print(f"an update of the trainer    {1e3 * whole:.2f} ms")
    print(f"a round in a party          {1e3 * each:.2f} ms (slowest of three)")
    print(f"the rounds of an update add {k * each / whole:.1%}")
    print(f"bytes of a letter           {len(content):,}: {2 * len(numbers):,} by the ledger and "
          f"{len(content) - 2 * len(numbers)} around them")  # fmt: skip


if __name__ == "__main__":
    main()
