"""Progress of training that is started from Python: lines, a terminal's bar, a notebook's bar."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

import ascore

CONFIG = ascore.Config.preset(
    "predation", num_envs=2, episodes=6, env_params={"num_agents": 2}, actor_hidden=(4,),
    critic_hidden=(4,),
)  # fmt: skip


class Cell:
    """Stands in for IPython's display of a notebook's cell."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def module(self, *, kernel: bool) -> dict[str, types.ModuleType]:
        package, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
        shell = types.SimpleNamespace(kernel=object()) if kernel else types.SimpleNamespace()
        package.get_ipython = lambda: shell  # type: ignore[attr-defined]
        display.HTML = lambda text: text  # type: ignore[attr-defined]
        display.display = self.display  # type: ignore[attr-defined]
        return {"IPython": package, "IPython.display": display}

    def display(self, page: str, *, display_id: bool) -> Any:
        assert display_id
        self.pages.append(page)
        return types.SimpleNamespace(update=self.pages.append)


def test_lines_on_standard_error_and_the_callback_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []
    ascore.train(CONFIG, tmp_path / "run", progress=True, report=lambda done, *_: seen.append(done))
    assert seen == [1, 2, 3]
    err = capsys.readouterr().err
    assert "as: update 1 of 3, team return -" in err
    assert "as: update 3 of 3" in err


def test_nothing_is_shown_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ascore.train(CONFIG, tmp_path / "run")
    ascore.resume(run.path, episodes=8)
    assert capsys.readouterr() == ("", "")


def test_a_notebook_gets_one_bar_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = Cell()
    for name, module in cell.module(kernel=True).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("ascore.runs.showing.PAUSE", 0.0)
    run = ascore.train(CONFIG, tmp_path / "<run>", progress=True)
    assert len(cell.pages) == 3
    assert '<progress value="1" max="3"' in cell.pages[0]
    assert "as: update 1 of 3, team return -" in cell.pages[0]
    assert cell.pages[-1].endswith("finished</div>")
    ascore.resume(run.path, episodes=8, progress=True)
    assert "&lt;run&gt;: update 4 of 4" in cell.pages[-1]
    assert capsys.readouterr() == ("", "")


def test_an_ipython_shell_without_a_kernel_gets_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = Cell()
    for name, module in cell.module(kernel=False).items():
        monkeypatch.setitem(sys.modules, name, module)
    ascore.train(CONFIG, tmp_path / "run", progress=True)
    assert cell.pages == []
    assert "update 3 of 3" in capsys.readouterr().err
