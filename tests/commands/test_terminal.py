"""What a person sees: a terminal of 60, 80 and 120 columns, without colour, dumb, and a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

import pyte
import pytest

WIDTHS = (60, 80, 120)
TRAIN = ["train", "predation", "--num-agents", "2", "--episodes", "640", "--num-envs", "4",
         "--evaluate", "4", "--out", "run"]  # fmt: skip
VIEW = """
import time
from ascore.runtime.progress import Progress

record = {"team_return": -123.456, "entropy": [0.5, 0.7]}
with Progress() as progress:
    progress.expect(["as", "ippo", "a-longer-name"])
    time.sleep(0.8)
    progress.update("as", 1, 400, record)
    time.sleep(0.4)
    progress.update("as", 2, 400, record)
    progress.update("ippo", 399, 400, record)
    progress.update("ippo", 400, 400, record)
    time.sleep(0.3)
"""


TEXTS = (
    ["--help"], ["train", "--help"], ["party", "--help"], ["certs", "--help"], ["report", "--help"],
    ["watch", "--help"], ["envs"], ["envs", "harvest"],
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a terminal showed.

    Attributes:
        raw: all that was written to it.
        screens: its lines after every piece of it.
        status: how the program ended.
    """

    raw: str
    screens: list[list[str]]
    status: int

    @property
    def last(self) -> list[str]:
        """The lines at the end."""
        return self.screens[-1]


def on_terminal(argv: list[str], columns: int, here: Path, **environment: str) -> Seen:
    """Runs Python on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    screen = pyte.Screen(columns, 50)
    stream = pyte.ByteStream(screen)
    unset = ("COLUMNS", "NO_COLOR", "LINES")
    usual = {k: v for k, v in os.environ.items() if k not in unset}
    program = subprocess.Popen(
        [sys.executable, *argv], stdin=theirs, stdout=theirs, stderr=theirs, cwd=here,
        env=usual | {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"} | environment,
    )  # fmt: skip
    os.close(theirs)
    raw, screens = b"", []
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        raw += piece
        stream.feed(piece)
        screens.append([line.rstrip() for line in screen.display if line.strip()])
    os.close(ours)
    return Seen(raw.decode(), screens, program.wait())


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_bar_says_in_words_what_is_left(columns: int, tmp_path: Path) -> None:
    seen = on_terminal(["-c", VIEW], columns, tmp_path)
    assert seen.status == 0
    assert "-:-" not in seen.raw
    rows = {line.split()[0]: line for line in seen.last}
    assert set(rows) == {"as", "ippo", "a-longer-name"}
    assert "2 of 400 updates, about " in rows["as"]
    assert re.search(r"about \d+ (s|min) left", rows["as"])
    assert "400 of 400 updates, in " in rows["ippo"]
    assert rows["a-longer-name"].endswith("starting")
    for row in rows.values():
        assert len(row) <= columns
    assert ("team return -123.46" in rows["as"]) == (columns > 60)
    assert ("entropy 0.60" in rows["as"]) == (columns > 80)


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_colour_where_none_is_wanted(columns: int, tmp_path: Path) -> None:
    plain = on_terminal(["-c", VIEW], columns, tmp_path, NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3\d[;m]", plain.raw)
    assert "2 of 400 updates" in "\n".join(plain.last)


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_dumb_terminal_gets_lines(columns: int, tmp_path: Path) -> None:
    seen = on_terminal(["-c", VIEW], columns, tmp_path, TERM="dumb")
    assert "\x1b" not in seen.raw
    lines = seen.raw.splitlines()
    assert lines[0] == "as, ippo, a-longer-name: starting"
    assert lines[1] == "as: update 1 of 400, team return -123.46, entropy 0.60"
    assert lines[-1].startswith("ippo: update 400 of 400, team return -123.46, entropy 0.60, in ")


def test_a_pipe_gets_lines(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", VIEW], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert done.stderr.startswith("as, ippo, a-longer-name: starting\nas: update 1 of 400, ")


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("words", TEXTS, ids=" ".join)
def test_texts_fit_and_titles_are_bold(words: list[str], columns: int, tmp_path: Path) -> None:
    seen = on_terminal(["-m", "ascore", *words], columns, tmp_path)
    plain = on_terminal(["-m", "ascore", *words], columns, tmp_path, NO_COLOR="1")
    assert (seen.status, plain.status) == (0, 0)
    assert ("\x1b[1m" in seen.raw) == (words != ["envs"])
    assert "\x1b" not in plain.raw
    for line in plain.raw.splitlines():
        assert len(line) <= max(columns, 62), line


def test_a_training_on_a_narrow_terminal(tmp_path: Path) -> None:
    seen = on_terminal(["-m", "ascore", *TRAIN], 60, tmp_path)
    assert seen.status == 0
    assert any("of 160 updates" in line for lines in seen.screens for line in lines)
    assert "-:-" not in seen.raw
    assert "team return per episode on predation-v1" in seen.last
    assert "  anchors: random -120, selfish -180, cooperative -60" in seen.last
    assert any(line.endswith("over 4 episodes") for line in seen.last)
    assert "run written to run" in seen.last


def test_errors_are_one_line_on_a_terminal_too(tmp_path: Path) -> None:
    seen = on_terminal(["-m", "ascore", "train", "exchange", "--gama", "1"], 80, tmp_path)
    assert seen.status == 2
    assert "\x1b" not in seen.raw
    assert seen.raw.startswith("ascore: train has no option --gama; did you mean '--gamma'?")
