"""Standard streams that are closed, full, or lack letters."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from ascore.cli import main
from ascore.commands.output import standard_streams

NAMES = "gini –, written to name\udce9"
"""A letter that Latin-1 lacks, and a file's name that is no text."""


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Runs a line with $ASCORE as the command."""
    text = f'ascore() {{ "{sys.executable}" -m ascore "$@"; }}; {line}'
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("encoding", "bytes_"),
    [
        ("utf-8", b"gini \xe2\x80\x93, written to name\xe9"),
        ("latin-1", b"gini ?, written to name\xe9"),
        ("ascii", b"gini ?, written to name\xe9"),
    ],
)
def test_whatever_is_printed_can_be(
    encoding: str, bytes_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    standard_streams()
    print(NAMES, end="", flush=True)
    assert printed.getvalue() == bytes_


def test_a_closed_stream_gives_its_number_to_no_file() -> None:
    program = (
        "from ascore.commands.output import standard_streams; standard_streams(); import sys; "
        "print('out'); print('err', file=sys.stderr); "
        "sys.exit(open(sys.executable, 'rb').fileno())"
    )
    done = shell(f'"{sys.executable}" -c "{program}" <&- >&- 2>&-')
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_an_object_is_all_of_standard_output_whatever_is_closed() -> None:
    done = shell("ascore envs predation --json 2>&-")
    assert done.returncode == 0
    assert list(json.loads(done.stdout)) == ["predation-v1"]
    done = shell("ascore envs predation --json >&-")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("ascore envs nowhere --json 2>&-")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("line", ["--version", "envs predation"])
def test_a_full_disk_behind_standard_output_is_named(line: str) -> None:
    done = shell(f"unset PYTHONUNBUFFERED; ascore {line} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == (
        "ascore: standard output cannot be written: No space left on device; free some space, or "
        "send it elsewhere\n"
    )


def test_a_program_that_calls_the_command_line_keeps_its_streams(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["--version"]) == 0
    assert sys.stderr is None
    assert capsys.readouterr().out.startswith("ascore ")
