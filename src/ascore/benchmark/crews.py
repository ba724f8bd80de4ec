"""Processes that train in parallel: several runs, or the ranks of one run.

Each process prepares a training and then does a number of updates on each request. So crews of
several kinds can be timed alternately while the others sleep.
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
    """Several processes that do updates at the same time; use as a context manager.

    Args:
        keys: configuration of a run.
        count: number of processes.
        together: whether they are the ranks of one run; otherwise each has its own run.

    Raises:
        AscoreError: a process exited; its message is on standard error.
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
        """Seconds that all processes need for this number of updates."""
        start = time.perf_counter()
        for member in self._members:
            assert member.stdin is not None
            member.stdin.write(f"{updates}\n")
            member.stdin.flush()
        self._answers()
        return time.perf_counter() - start

    def close(self) -> None:
        """Ends the processes and waits for them."""
        for member in self._members:
            assert member.stdin is not None
            member.stdin.close()
        for member in self._members:
            member.wait()
            assert member.stdout is not None
            member.stdout.close()

    def _answers(self) -> list[float]:
        answers = []
        for member in self._members:
            assert member.stdout is not None
            line = member.stdout.readline()
            if not line:
                message = f"a measured process exited with status {member.wait()}"
                raise AscoreError(message)
            answers.append(float(line))
        return answers


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(keys: dict[str, Any]) -> None:
    """Answers with the environment steps per update, then does updates as requested on stdin."""
    import torch

    from ascore.algorithms.table import get_algorithm
    from ascore.config import Config
    from ascore.envs.factory import batch
    from ascore.learning.backends.choose import choose_split, own_envs
    from ascore.learning.learner import Learner
    from ascore.learning.stepping import collector_of
    from ascore.runtime.ranks import joined

    config = Config.from_dict(keys)
    torch.set_num_threads(config.torch_threads)
    with joined() as ranks:
        spec = batch(config.env, config.env_params).spec
        split = choose_split(get_algorithm(config.algorithm), config, spec, ranks)
        first, share = own_envs(split, config.num_envs, ranks)
        env = batch(
            config.env, config.env_params, share, config.seed, config.num_threads, first_env=first
        )
        env.reset()
        learner = Learner(config, env.spec, ranks)
        collector = collector_of(learner, env, env.spec.horizon)
        number = 0

        def updates(count: int) -> None:
            nonlocal number
            for _ in range(count):
                learner.update(collector.collect(learner.actor), number)
                number += 1

        updates(1)
        _answer(env.spec.horizon * config.num_envs)
        for line in sys.stdin:
            updates(int(line))
            _answer(0)


def _answer(value: float) -> None:
    print(value, flush=True)


def main(argv: Sequence[str]) -> None:
    """Runs one process of a crew: `python -m ascore.benchmark.crews KEYS`."""
    _serve(json.loads(argv[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
