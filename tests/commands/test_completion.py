"""Completion: bash runs the script and completes commands, options, values and files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import get_args

import pytest

from ascore.algorithms.table import ALGORITHMS
from ascore.benchmark import GROUPS
from ascore.cli import COMMANDS, main
from ascore.commands.completion import ALGORITHM_NAMES, SHELLS
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
]


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize(("words", "wanted"), CASES)
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


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_the_script(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    assert all(command in text for command in COMMANDS)
    assert "penalty-weight" in text
    assert "communicate-every" in text


def test_the_algorithms_are_those_of_the_table() -> None:
    assert list(ALGORITHM_NAMES) == list(ALGORITHMS)


def test_the_groups_of_cases_are_those_of_the_suite() -> None:
    assert list(get_args(Group)) == list(GROUPS)


def test_a_shell_that_there_is_no_script_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "choose from: bash, zsh, fish" in capsys.readouterr().err
