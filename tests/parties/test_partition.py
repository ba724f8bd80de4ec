"""A partition: a party in a network of its own, whose only cable is pulled and put back."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from offices import Office


def ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True)


@pytest.fixture
def cable() -> Iterator[tuple[str, str, str, str]]:
    """A network namespace, this end of its cable, and the addresses of both ends."""
    number = os.getpid() % 50_000
    space, here, there = (f"as{end}{number}" for end in "nvw")
    net = f"10.{200 + number // 1000}.{number // 4 % 250}"
    near, far = f"{net}.{number % 4 * 4 + 1}", f"{net}.{number % 4 * 4 + 2}"
    steps = (
        ("netns", "add", space),
        ("link", "add", here, "type", "veth", "peer", "name", there),
        ("link", "set", there, "netns", space),
        ("addr", "add", f"{near}/30", "dev", here),
        ("link", "set", here, "up"),
        ("-n", space, "addr", "add", f"{far}/30", "dev", there),
        ("-n", space, "link", "set", there, "up"),
        ("-n", space, "link", "set", "lo", "up"),
    )
    try:
        for step in steps:
            try:
                result = ip(*step)
            except FileNotFoundError:
                pytest.skip("needs `ip` of iproute2")
            if result.returncode:
                pytest.skip(f"no network namespaces here: {result.stderr.strip()}")
        yield space, here, near, far
    finally:
        if Path("/usr/sbin/ip").exists() or Path("/sbin/ip").exists():
            ip("link", "del", here)
            ip("netns", "del", space)


def test_a_partition_heals_and_training_goes_on(
    cable: tuple[str, str, str, str], tmp_path: Path
) -> None:
    space, here, near, far = cable
    office = Office(
        tmp_path,
        1_000_000,
        prefixes={"firm-b": ["ip", "netns", "exec", space]},
        addresses={"host": f"{near}:7000", "firm-a": f"{near}:7001", "firm-b": f"{far}:7002"},
        deadline=1.0,
    )

    def others() -> list[int]:
        """With how many others firm-a trained, update by update."""
        path = tmp_path / "firm-a/metrics.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line)["others"] for line in lines]

    running = {name: office.start(name) for name in ("host", "firm-a", "firm-b")}
    office.reaches("firm-b", 5)
    assert ip("link", "set", here, "down").returncode == 0
    while others()[-1] != 0:  # firm-a goes on alone
        time.sleep(0.05)
    assert all(process.poll() is None for process in running.values())
    assert ip("link", "set", here, "up").returncode == 0
    while others()[-1] != 1:  # and is no longer alone
        time.sleep(0.05)
    office.reaches("firm-b", office.update_of("firm-a"))
    office.end(running)
    together = others()
    assert together[:5] == [1] * 5
    assert set(together) == {0, 1}
