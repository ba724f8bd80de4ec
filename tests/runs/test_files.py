"""Paths that users give, and whether a result can be written there before it is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run
from policies import random_policy

import ascore
from ascore.errors import RunError
from ascore.experiments.cells import write_list
from ascore.interop.onnx import export_onnx
from ascore.parties import audit, certificates
from ascore.privacy.places import claimed
from ascore.render.plots import plot_runs
from ascore.render.replay import replay
from ascore.report.build import report
from ascore.runs.files import as_path, require_writable, write_out

ABOUT: dict[str, Any] = {"command": "", "machine": {}, "episodes": 0}


@pytest.mark.parametrize("wrong", ["a\0b", "a\ud800b", Path("a\0b")], ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda run, path: ascore.Run.open(path),
        lambda run, path: ascore.load_policy(path),
        lambda run, path: ascore.evaluate(path),
        lambda run, path: ascore.resume(path),
        lambda run, path: ascore.compare(run, path),
        lambda run, path: ascore.plot(path),
        lambda run, path: ascore.export_policy(path, "x"),
        lambda run, path: ascore.export_policy(random_policy("exchange", [], 1.0), path),
        lambda run, path: ascore.train(ascore.Config(env="exchange", episodes=1), path),
        lambda run, path: export_onnx(random_policy("exchange", [], 1.0), path),
        lambda run, path: plot_runs([run], path),
        lambda run, path: replay(path, "x.gif"),
        lambda run, path: replay("exchange", path),
        lambda run, path: report([path], "x.html", **ABOUT),
        lambda run, path: report([run], path, **ABOUT),
        lambda run, path: write_list(path, []),
        lambda run, path: certificates.new(path, ["host"]),
        lambda run, path: audit.reconcile(path, path),
        lambda run, path: claimed(path, ["game"]).__enter__(),
    ],
)
def test_a_path_that_nothing_can_have_is_named(
    tmp_path: Path, call: Callable[[Path, Any], object], wrong: Any
) -> None:
    run = made_run(tmp_path / "run", [1.0, 2.0]).path
    with pytest.raises(RunError) as caught:
        call(run, wrong)
    expected = f"the path {str(wrong)!r} is not possible: it must be text in UTF-8 without NUL"
    assert str(caught.value) == expected


def test_names_in_any_bytes_are_paths() -> None:
    """The system's names need not be text; Python gives them in this form."""
    assert as_path(os.fsdecode(b"\xff")) == Path("\udcff")


@pytest.mark.parametrize("wrong", [3, None, b"x", ["x"]])
def test_what_is_no_path_is_named(wrong: Any) -> None:
    with pytest.raises(TypeError) as caught:
        as_path(wrong)
    assert str(caught.value) == f"{wrong!r} is no path; give text or a pathlib.Path"


def test_trying_a_place_leaves_it_as_it_was(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("kept")
    for name in ("old", "new", "deeper/down/new"):
        require_writable(tmp_path / name)
    assert os.listdir(tmp_path) == ["old"]
    assert old.read_text() == "kept"


def test_a_place_that_is_refused_is_one_where_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for place in ("folder", "file/x", "x" * 255, "/proc/x", "."):
        for attempt in (require_writable, lambda path: write_out(path, b"")):
            with pytest.raises(RunError, match="choose another"):
                attempt(tmp_path / place if place != "." else Path(place))

    def withheld(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", withheld)
    with pytest.raises(RunError, match="x: Permission denied; change the permissions or choose"):
        require_writable(tmp_path / "x")
