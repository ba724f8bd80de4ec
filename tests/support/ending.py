"""Trainings that do not end well, for processes of their own."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import ascore
from ascore.config import Config
from ascore.errors import RunError


def killed(config: Config, out: Path, at: int) -> None:
    """Kill -9 when so many updates are done."""

    def report(done: int, total: int, record: dict[str, Any]) -> None:
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    ascore.train(config, out, report=report)


def killed_again(run: Path, at: int) -> None:
    """As `killed`, of a run that goes on; what is in memory is lost."""

    def report(done: int, total: int, record: dict[str, Any]) -> None:
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    ascore.resume(run, report=report)


def on_a_full_disk(config: Config, out: Path, at: int, share: float) -> None:
    """From then on no file can grow beyond a share of what the last checkpoint took."""

    def report(done: int, total: int, record: dict[str, Any]) -> None:
        if done == at:
            size = max(p.stat().st_size for p in out.rglob("*") if p.is_file())
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), -1))

    try:
        ascore.train(config, out, report=report)
    except RunError as error:
        print(error)


def among_others(config: Config, out: Path, start: Path) -> None:
    """Begins once a file is there."""
    while not start.exists():
        time.sleep(0.001)
    ascore.train(config, out)
