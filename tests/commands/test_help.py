"""Help: true defaults, complete, as wide as the terminal, the same layout for every command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ascore
from ascore.cli import COMMANDS, main
from ascore.commands.options import TrainOptions
from ascore.commands.parser import options_of

GROUPS = [
    "Environment and algorithm",
    "Update: collect, then iterate",
    "Who hears whom",
    "Anticipation Sharing (Eq. 13-16)",
    "Baselines",
    "Targets (Eq. 17-18)",
    "Networks (Table 2)",
    "Differential privacy",
    "Computing",
    "Output",
]


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main([*args]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def default(text: str, option: str) -> str:
    """The default that the help of `train` shows for an option."""
    words = " ".join(text.partition(f"\n  {option} ")[2].partition("\n  --")[0].split())
    return re.findall(r"\(default: ([^)]*)\)", words)[0]


def test_options_of_train_are_grouped() -> None:
    groups = dict.fromkeys(option.group for option in options_of(TrainOptions))
    assert list(groups) == GROUPS


@pytest.mark.parametrize(
    ("words", "preset"),
    [
        (["exchange"], ascore.Config.preset("exchange")),
        (["exchange", "--preset", "paper"], ascore.Config.preset("exchange", preset="paper")),
        (["cleanup-v1"], ascore.Config.preset("cleanup")),
        ([], ascore.Config.preset("farm:Meadow", env_workers=-1)),
        (["farm:Meadow"], ascore.Config.preset("farm:Meadow", env_workers=-1)),
    ],
)
def test_defaults_are_those_that_will_be_used(
    words: list[str], preset: ascore.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "train", *words, "--help")
    for option in options_of(TrainOptions):
        value = getattr(preset, option.key, None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert default(text, option.name) == str(value)
    assert default(text, "--actor-hidden") == " ".join(map(str, preset.actor_hidden))
    named = " ".join(text.split())
    assert ("preset paper" in named) == ("paper" in words)


def test_defaults_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('env = "exchange"\npenalty_weight = 2.5\n')
    text = shown(capsys, "train", "--config", str(file), "--help")
    assert default(text, "--penalty-weight") == "2.5"
    assert default(text, "--gamma") == "0.95"


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_wide_as_the_terminal(
    command: str,
    columns: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(capsys, command, "--help")
    assert text.startswith(f"usage: ascore {COMMANDS[command].options.usage} [options]\n")
    for line in text.splitlines():
        assert len(line) <= columns or " " not in line.strip(), line
    assert all(option.name.lstrip("-") in text for option in options_of(COMMANDS[command].options))
    assert "\x1b" not in text
    assert shown(capsys, "help", command) == text


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_overview_lists_every_command(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(capsys, "--help")
    assert all(f"  {row.options.usage}" in text for row in COMMANDS.values())
    assert shown(capsys, "help") == shown(capsys, "-h") == text
    assert max(map(len, text.splitlines())) <= columns


@pytest.mark.parametrize("args", [["--help"], ["envs"], ["train", "exchange", "--help"], ["-V"]])
def test_what_only_tells_loads_no_torch(args: list[str]) -> None:
    script = (
        "import sys\nfrom ascore.cli import main\n"
        f"status = main({args})\nprint('torch' in sys.modules, 'rich' in sys.modules, status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False False 0", done.stderr
