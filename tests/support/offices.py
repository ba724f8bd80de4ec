"""A host and two agents as commands, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import doors  # noqa: F401 (first: without its packages, tests are skipped)
import tomli_w
from companies import free_addresses, small

from ascore.cli import main

PARTIES = ["host", "firm-a", "firm-b"]


class Office:
    """Files for a host and two agents, and their processes.

    Args:
        folder: for all of them.
        updates: of the run.
        prefixes: words in front of the command, by name.
        addresses: by name; None = free ports of this machine.
        keys: of everybody's file.
    """

    def __init__(
        self,
        folder: Path,
        updates: int,
        *,
        prefixes: dict[str, list[str]] | None = None,
        addresses: dict[str, str] | None = None,
        **keys: Any,
    ) -> None:
        self.folder, self.prefixes = folder, prefixes or {}
        assert main(["certs", "new", str(folder / "certs"), *PARTIES]) == 0
        config = small("predation", updates, num_agents=2, horizon=4, checkpoint_every=5)
        values = {k: v for k, v in config.to_dict().items() if v not in ({}, "")}
        (folder / "training.toml").write_text(tomli_w.dumps(values))
        addresses = addresses or free_addresses(PARTIES)
        for name in PARTIES:
            text = {
                "run": "trial",
                "name": name,
                "training": "training.toml",
                "folder": name,
                "certificates": "certs",
                "deadline": 2.0,
                "host": {"name": "host", "address": addresses["host"]},
                "agents": {n: addresses[n] for n in PARTIES[1:]},
                **keys,
            }
            (folder / f"{name}.toml").write_text(tomli_w.dumps(text))

    def start(self, name: str, *options: str) -> subprocess.Popen[str]:
        what, file = "host" if name == "host" else "run", str(self.folder / f"{name}.toml")
        return subprocess.Popen(
            [
                *self.prefixes.get(name, []),
                *(sys.executable, "-m", "ascore", "party", what, *options, "--config", file),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def update_of(self, name: str) -> int:
        """The last update in a party's metrics; 0 = none."""
        path = self.folder / name / "metrics.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return int(json.loads(lines[-1])["update"]) if lines else 0

    def reaches(self, name: str, update: int) -> None:
        while self.update_of(name) < update:
            time.sleep(0.05)

    def end(self, running: dict[str, subprocess.Popen[str]]) -> dict[str, str]:
        """Tells all to save and end; what they printed."""
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        output = {name: process.communicate()[0] for name, process in running.items()}
        assert {process.returncode for process in running.values()} == {130}, output
        return output
