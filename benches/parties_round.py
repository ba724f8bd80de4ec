"""What a round of messages costs three parties over gRPC with TLS, against an update.

    python parties_round.py [--num-envs 16] [--updates 15]

Three processes exchange distributions of Exchange's sizes (T = 300, N = 3) with all that parties
do: composing, logging, sending, checking. Printed are, as medians of the slowest of the three:
the seconds of a round; those of an update of a party, rounds included; those of an update of the
trainer on the same rows (all three agents in one process and one thread); and the bytes of a letter
against the ledger's count.
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
        num_threads=1,
        num_envs=num_envs,
        rollout_steps=STEPS,
        env_params={"num_agents": 3},
    )


def party(folder: Path, name: str, num_envs: int, updates: int) -> None:
    """Trains one agent, and prints the median seconds of an update and of a round."""
    settings = config(num_envs)
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
    env = ascore.make("exchange", num_envs, num_agents=3)
    counts, iterations = env.spec.action_counts, settings.iterations
    courier = Timed(letters, FIRMS, FIRMS.index(name), counts, iterations, 60.0)
    learner = Learner(settings, env.spec, delivery=courier)
    env.reset()
    rollout = Collector(env, STEPS).collect(learner.actor)
    seconds, cpu = [], []
    for number in range(updates):
        courier.begin(range(3))
        start, used = time.perf_counter(), time.process_time()
        learner.update(rollout, number)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
        assert not courier.late
    medians = {
        "update": np.median(seconds[2:]),
        "cpu": np.median(cpu[2:]),
        "round": np.median(courier.seconds_of_rounds[2 * iterations :]),
    }
    print(json.dumps({key: float(value) for key, value in medians.items()}), flush=True)
    letters.close()


class Timed(Courier):
    """A courier that notes how long its rounds take."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seconds_of_rounds: list[float] = []

    def deliver(self, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        start = time.perf_counter()
        delivered = super().deliver(*args)
        self.seconds_of_rounds.append(time.perf_counter() - start)
        return delivered


def update(settings: Config, updates: int) -> float:
    """Median seconds of an update of the trainer, without collecting."""
    env = ascore.make("exchange", settings.num_envs, num_agents=3)
    learner, collector = Learner(settings, env.spec), Collector(env, STEPS)
    env.reset()
    rollout = collector.collect(learner.actor)
    seconds = []
    for number in range(updates):
        start = time.perf_counter()
        learner.update(rollout, number)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--updates", type=int, default=15)
    parser.add_argument("--party", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.party:
        party(Path(options.party[0]), options.party[1], options.num_envs, options.updates)
        return
    settings = config(options.num_envs)
    whole = update(settings, options.updates)
    with tempfile.TemporaryDirectory() as place:
        new(Path(place) / "certs", FIRMS)
        line = [sys.executable, __file__, "--num-envs", str(options.num_envs)]
        line += ["--updates", str(options.updates), "--party", f"{place}/certs"]
        processes = [subprocess.Popen([*line, firm], stdout=subprocess.PIPE) for firm in FIRMS]
        parties = [json.loads(process.communicate()[0]) for process in processes]
    spec = ascore.make("exchange", num_agents=3).spec
    rows, actions = STEPS * settings.num_envs, spec.num_actions
    numbers = np.zeros((rows, actions), np.float32).tobytes()
    body: dict[str, Any] = {"rows": rows, "own_actions": actions, "listener_actions": actions}
    content = wire.compose(
        "bench", b"k" * 32, "firm-a", 0, 0, wire.DISTRIBUTIONS, **body, own=numbers,
        anticipation=numbers,
    )  # fmt: skip
    one, each, cpu = (max(p[key] for p in parties) for key in ("update", "round", "cpu"))
    print(f"rows of an update           {rows:,}, rounds {settings.iterations}")
    print(f"an update of the trainer    {1e3 * whole:.2f} ms")
    print(f"an update of a party        {1e3 * one:.2f} ms, {1e3 * cpu:.2f} ms of a processor; "
          f"{one / whole:.2f} times the trainer's")  # fmt: skip
    print(f"a round of it               {1e3 * each:.2f} ms, {each / whole:.1%} of the trainer's")
    print(f"bytes of a letter           {len(content):,}: {2 * len(numbers):,} by the ledger and "
          f"{len(content) - 2 * len(numbers)} around them")  # fmt: skip


if __name__ == "__main__":
    main()
