"""Processes that train side by side: several runs at once, or the ranks of one.

Each is a Python of its own that makes ready, and from then on takes a few updates whenever it is
told to. So crews of several kinds can be timed in turns while the others sleep.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ascore.errors import AscoreError


class Crew:
    """Some processes that take updates together; use as a context manager.

    Args:
        keys: configuration of a run.
        count: how many processes.
        together: they are the ranks of one run; else each has a run of its own.

    Raises:
        AscoreError: a process ended; it has said why on standard error.
    """

    def __init__(self, keys: dict[str, Any], count: int, *, together: bool) -> None:
        own = dict(os.environ, LOCAL_WORLD_SIZE=str(count))
        for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            own.pop(name, None)
        if together:
            own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
            own |= {"WORLD_SIZE": str(count)}
        command = [sys.executable, "-m", "ascore.benchmark.crews", json.dumps(keys)]
        self._members = [
            subprocess.Popen(
                command,
                env={**own, **({"RANK": str(rank)} if together else {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(count)
        ]
        try:
            self.steps = sum(self._answers()) / (count if together else 1)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, updates: int) -> float:
        """Seconds until all have taken so many updates."""
        start = time.perf_counter()
        for member in self._members:
            assert member.stdin is not None
            member.stdin.write(f"{updates}\n")
            member.stdin.flush()
        self._answers()
        return time.perf_counter() - start

    def close(self) -> None:
        """Sends them home."""
        for member in self._members:
            assert member.stdin is not None
            member.stdin.close()
        for member in self._members:
            member.wait()
            assert member.stdout is not None
            member.stdout.close()

    def _answers(self) -> list[float]:
        found = []
        for member in self._members:
            assert member.stdout is not None
            line = member.stdout.readline()
            if not line:
                message = f"a process of the measurement ended with status {member.wait()}"
                raise AscoreError(message)
            found.append(float(line))
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(keys: dict[str, Any]) -> None:
    """Tells the environment steps of an update, then takes updates until nobody asks for more."""
    import torch

    from ascore.config import Config
    from ascore.envs.factory import batch
    from ascore.learning.learner import Learner
    from ascore.learning.rollout import Collector
    from ascore.runtime.ranks import joined

    config = Config.from_dict(keys)
    torch.set_num_threads(config.torch_threads)
    with joined() as ranks:
        share = ranks.share(config.num_envs)
        first = ranks.rank * share
        env = batch(
            config.env, config.env_params, share, config.seed, config.num_threads, first_env=first
        )
        env.reset()
        learner = Learner(config, env.spec, ranks)
        collector = Collector(env, env.spec.horizon)
        number = 0

        def updates(count: int) -> None:
            nonlocal number
            for _ in range(count):
                learner.update(collector.collect(learner.actor), number)
                number += 1

        updates(1)
        _tell(env.spec.horizon * config.num_envs)
        for line in sys.stdin:
            updates(int(line))
            _tell(0)


def _tell(value: float) -> None:
    print(value, flush=True)


def main(argv: Sequence[str]) -> None:
    """`python -m ascore.benchmark.crews KEYS`: one process of a crew."""
    _serve(json.loads(argv[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
