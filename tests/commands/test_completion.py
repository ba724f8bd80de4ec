"""Completion: shells run the script and complete commands, options, values and files."""

from __future__ import annotations

import itertools
import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from ascore.algorithms.table import ALGORITHMS
from ascore.benchmark import GROUPS
from ascore.cli import COMMANDS, main
from ascore.commands.completion import SHELLS, algorithm_names
from ascore.commands.options import Group

CASES = [
    (["tr"], {"train"}),
    (["e"], {"evaluate", "export", "envs"}),
    (["train", "pre"], {"predation"}),
    (["train", "exchange", "--pen"], {"--penalty-weight", "--penalty-gate"}),
    (["train", "exchange", "--penalty-gate", ""], {"indicator", "always"}),
    (["train", "exchange", "--algorithm", "v"], {"vps", "vs"}),
    (["export", "x", "--format", "o"], {"onnx"}),
    (["help", "do"], {"doctor"}),
    (["completion", "z"], {"zsh"}),
    (["evaluate", "--out", "x"], set()),
    (["train", "exchange", "--no-v"], {"--no-value-normalization"}),
]
# By shell: a value after "=", and the words that stand for it.
AFTER_EQUALS = {
    "bash": (["train", "exchange", "--penalty-gate", "=", "i"], {"indicator"}),
    "zsh": (["train", "exchange", "--penalty-gate=i"], {"--penalty-gate=indicator"}),
    "fish": (["train", "exchange", "--penalty-gate=i"], {"--penalty-gate=indicator"}),
}


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def found(shell: str) -> str:
    """The shell's program; skips where there is none."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    return program


@pytest.mark.parametrize(("words", "wanted"), [*CASES, AFTER_EQUALS["bash"]])
def test_bash_completes(
    words: list[str], wanted: set[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "completion.bash"
    file.write_text(script("bash", capsys))
    line = " ".join(f"'{word}'" for word in ["ascore", *words])
    program = (
        f'source "{file}"\nCOMP_WORDS=({line})\nCOMP_CWORD={len(words)}\n_ascore\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\ncomplete -p ascore'
    )
    done = subprocess.run(["bash", "-uc", program], capture_output=True, text=True)
    assert done.stderr == ""
    *replies, registered = done.stdout.splitlines()
    assert set(filter(None, replies)) == wanted
    assert "-F _ascore ascore" in registered


@pytest.mark.parametrize(("words", "wanted"), [*CASES, AFTER_EQUALS["fish"]])
def test_fish_completes(
    words: list[str], wanted: set[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fish = found("fish")
    (tmp_path / "completion").write_text(script("fish", capsys))
    (tmp_path / "home").mkdir()
    here = tmp_path / "here"
    here.mkdir()
    program = "source ../completion; and complete -C $argv[1]"
    done = subprocess.run(
        [fish, "--no-config", "-c", program, " ".join(["ascore", *words])], cwd=here,
        env={**os.environ, "HOME": str(tmp_path / "home")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == wanted


# Tab completes, or lists where that is not clear; Ctrl-X then says that all is done.
ZSHRC = """
autoload -U compinit && compinit -u -D
source "$ZDOTDIR/completion"
setopt no_list_ambiguous no_auto_menu no_always_last_prompt no_beep
PS1='> '
finish() { zle -I; print "DO""NE" }
zle -N finish
bindkey '^X' finish
"""


@pytest.mark.parametrize(("words", "wanted"), [*CASES, AFTER_EQUALS["zsh"]])
def test_zsh_completes(
    words: list[str], wanted: set[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    zsh = found("zsh")
    (tmp_path / "completion").write_text(script("zsh", capsys))
    (tmp_path / ".zshrc").write_text(ZSHRC)
    here = tmp_path / "here"
    here.mkdir()
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [zsh, "-d", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=here,
        start_new_session=True, env={**os.environ, "ZDOTDIR": str(tmp_path), "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    until(ours, "\x1b[?2004h")  # pasting is understood: zsh reads keys
    typed = " ".join(["ascore", *words])
    os.write(ours, f"{typed}\t\x18".encode())
    shown = until(ours, "DONE")
    shell.kill()
    shell.wait()
    os.close(ours)
    line, *below = shown.splitlines()
    listed = itertools.takewhile(lambda text: not text.startswith(("> ", "DONE")), below)
    names = set(" ".join(listed).split())
    if not names and line.strip() != typed.strip():  # one candidate, which stands in the line
        names = {line.split()[-1]}
    assert names == wanted, shown


def until(terminal: int, mark: str) -> str:
    """What a terminal shows until and with a mark."""
    text = ""
    while mark not in text:
        text += os.read(terminal, 4096).decode(errors="replace")
    return text


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_the_script(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    assert all(command in text for command in COMMANDS)
    assert "penalty-weight" in text
    assert "communicate-every" in text


def test_the_algorithms_are_those_of_the_table() -> None:
    assert sorted(algorithm_names()) == sorted(ALGORITHMS)


def test_the_groups_of_cases_are_those_of_the_suite() -> None:
    assert list(get_args(Group)) == list(GROUPS)


def test_a_shell_that_there_is_no_script_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "choose from: bash, zsh, fish" in capsys.readouterr().err
