"""Ranks that do not come: whom a rank waits for is said, and signals end the wait."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ascore.errors import RankError
from ascore.runtime import meeting
from ascore.runtime.ranks import joined, restarts

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", meeting.TIMEOUT,
         "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")  # fmt: skip


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def variables(rank: int, port: int, **others: str) -> dict[str, str]:
    two = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
    return {**two, "MASTER_PORT": str(port), **others}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WORLD_SIZE", "x", r"WORLD_SIZE = 'x' is not a whole number from 1 on"),
        ("WORLD_SIZE", "0", r"WORLD_SIZE = '0' is not"),
        ("WORLD_SIZE", "-2", r"WORLD_SIZE = '-2' is not"),
        ("WORLD_SIZE", "2.0", r"WORLD_SIZE = '2.0' is not"),
        ("RANK", "2", r"RANK = '2' is not a whole number from 0 to 1"),
        ("RANK", "one", r"RANK = 'one' is not"),
        ("RANK", "", r"RANK is not set; start them with torchrun"),
        ("MASTER_ADDR", "", r"2 ranks cannot meet: MASTER_ADDR is not set"),
        ("MASTER_ADDR", "no-such-host.invalid", r"MASTER_ADDR = 'no-such-host.invalid' is no"),
        ("MASTER_PORT", "70000", r"MASTER_PORT = '70000' is not a whole number from 0 to 65535"),
        ("MASTER_PORT", "http", r"MASTER_PORT = 'http' is not"),
        ("LOCAL_WORLD_SIZE", "two", r"LOCAL_WORLD_SIZE = 'two' is not"),
        (meeting.TIMEOUT, "abc", r"ASCORE_RANK_TIMEOUT = 'abc' is not a number of seconds above 0"),
        (meeting.TIMEOUT, "nan", r"ASCORE_RANK_TIMEOUT = 'nan' is not"),
        (meeting.TIMEOUT, "inf", r"ASCORE_RANK_TIMEOUT = 'inf' is not"),
        (meeting.TIMEOUT, "-1", r"ASCORE_RANK_TIMEOUT = '-1' is not"),
        (meeting.TIMEOUT, "1e300", r"ASCORE_RANK_TIMEOUT = '1e300' is not"),
    ],
)  # fmt: skip
def test_odd_variables_are_named(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
):
    for key, usual in variables(1, free_port(), **{name: value}).items():
        monkeypatch.setenv(key, usual)
    with pytest.raises(RankError, match=message), joined():
        pass


@pytest.mark.parametrize("name", ["TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"])
def test_odd_counts_of_restarts_are_named(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "often")
    with pytest.raises(RankError, match=f"{name} = 'often' is not a whole number"):
        restarts()


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch):
    for name in NAMES:
        monkeypatch.setenv(name, "")
    with joined() as ranks:
        assert ranks.size == 1
    assert restarts() == 0
    assert meeting.timeout() == meeting.DEFAULT_TIMEOUT
    monkeypatch.setenv(meeting.TIMEOUT, " 2.5 ")
    assert meeting.timeout() == 2.5


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for key, value in variables(0, port).items():
            monkeypatch.setenv(key, value)
        message = rf"^MASTER_PORT = {port} is in use.*choose another"
        with pytest.raises(RankError, match=message), joined():
            pass


@pytest.mark.parametrize(("rank", "whom"), [(0, "rank 1"), (1, "rank 0")])
def test_others_that_do_not_come_in_time_are_named(
    rank: int, whom: str, monkeypatch: pytest.MonkeyPatch
):
    for key, value in variables(rank, free_port(), **{meeting.TIMEOUT: "0.5"}).items():
        monkeypatch.setenv(key, value)
    begin = time.monotonic()
    message = rf"cannot meet: {whom} did not come within 0.5 seconds \(ASCORE_RANK_TIMEOUT\)"
    with pytest.raises(RankError, match=message), joined():
        pass
    assert time.monotonic() - begin < 60


def test_a_rank_that_keeps_the_store_needs_no_way_to_its_own_address(
    monkeypatch: pytest.MonkeyPatch,
):
    """192.0.2.1 is nobody's: PyTorch would try it in silence, deaf to signals, for ten minutes."""
    there = {"MASTER_ADDR": "192.0.2.1", meeting.TIMEOUT: "0.5"}
    for key, value in variables(0, free_port(), **there).items():
        monkeypatch.setenv(key, value)
    message = "cannot meet: rank 1 did not come within 0.5 seconds"
    with pytest.raises(RankError, match=message), joined():
        pass
    monkeypatch.setenv("MASTER_ADDR", "no-such-host.invalid")
    with pytest.raises(RankError, match=r"MASTER_ADDR = 'no-such-host\.invalid' is not"), joined():
        pass


def test_absent_ranks_are_counted():
    assert meeting._names([3]) == "rank 3"
    assert meeting._names(range(1, 12)) == "ranks 1, 2, 3, 4, 5, 6, 7, 8 and 3 more"


TRAIN = [sys.executable, "-m", "ascore", "train", "predation", "--num-envs", "8",
         "--episodes", "1000000", "--evaluate", "0", "--out"]  # fmt: skip


def start(out: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TRAIN, str(out)], env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )


def lines_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if re.search(pattern, line):
            return lines
    pytest.fail("".join(lines))


@pytest.mark.parametrize(
    ("number", "rank", "whom"), [(signal.SIGINT, 0, "rank 1"), (signal.SIGTERM, 1, "rank 0")]
)
def test_a_rank_alone_says_whom_it_waits_for_and_a_signal_ends_it(
    number: signal.Signals, rank: int, whom: str, tmp_path: Path
):
    port = free_port()
    process = start(tmp_path / "run", **variables(rank, port))
    text = f"ascore: rank {rank} of 2 waits for {whom} at 127.0.0.1:{port}"
    assert lines_until(process, "waits for")[-1].strip() == text
    begin = time.monotonic()
    process.send_signal(number)
    assert process.communicate()[1] == ""
    assert process.returncode == 130
    assert time.monotonic() - begin < 60  # the wait would be ten minutes
    assert not (tmp_path / "run").exists()


def test_a_second_signal_ends_a_wait_for_a_rank_that_does_not_answer(tmp_path: Path):
    port = free_port()
    first, second = (start(tmp_path / "run", **variables(rank, port)) for rank in (0, 1))
    lines_until(first, "update 1 of ")
    second.send_signal(signal.SIGSTOP)
    time.sleep(1.0)  # by now the first waits for it
    begin = time.monotonic()
    for _ in range(2):
        first.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # else the system makes one of both
    output = first.communicate()[1]
    assert time.monotonic() - begin < 120
    second.kill()
    second.communicate()
    assert first.returncode == 128 + signal.SIGTERM
    assert "ended in the middle of a wait for another rank" in output
