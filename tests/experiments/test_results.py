"""Results of a study from somebody else: drawn, or refused in one line, at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lines import without_waiting

from ascore.cli import main
from ascore.errors import RunError
from ascore.experiments import results

PUBLISHED = Path(__file__).parents[2] / "docs" / "results" / "fig2-tuned"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of published results, without their picture and page."""
    out = tmp_path / "theirs"
    out.mkdir()
    for name in (results.RECORD, results.FINALS, results.CURVES):
        shutil.copy(PUBLISHED / name, out)
    return out


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads((folder / results.RECORD).read_text())
    change(record)
    (folder / results.RECORD).write_text(json.dumps(record))


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says; it has written nothing."""
    before = sorted(folder.parent.rglob("*"))
    assert main(["reproduce", "--redraw", str(folder)]) == 1
    assert sorted(folder.parent.rglob("*")) == before
    (err,) = without_waiting(capsys.readouterr().err)
    assert err.startswith(f"ascore: {folder} holds no results of a study: ")
    return err


def test_what_is_published_is_drawn(folder: Path) -> None:
    assert main(["reproduce", "--redraw", str(folder)]) == 0
    assert (folder / "fig2.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "README.md").read_text() == (PUBLISHED / "README.md").read_text()


@pytest.mark.parametrize("name", [results.RECORD, results.FINALS, results.CURVES])
@pytest.mark.parametrize("kind", ["link", "pipe", "long", "folder"])
def test_only_regular_files_of_bounded_length_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    path = folder / name
    path.unlink()
    if kind == "link":
        path.symlink_to("/dev/zero")
        words = f"{path} is a symbolic link"
    elif kind == "pipe":
        os.mkfifo(path)
        words = f"{path} is a pipe, not a regular file"
    elif kind == "folder":
        path.mkdir()
        words = f"{path} is a folder, not a regular file"
    else:
        with open(path, "wb") as file:
            file.truncate(2**40)  # sparse
        words = f"{path} has {2**40} bytes, of which at most"
    assert words in refused(folder, capsys)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(figure="../elsewhere"), "record.json has figure = ../elsewhere"),
        (lambda r: r.update(kind="pie"), "record.json has kind = pie"),
        (lambda r: r.pop("machine"), "record.json has no 'machine'"),
        (lambda r: r.update(panels={}), "record.json has panels = {}"),
        (lambda r: r.update(training_seconds="9"), "record.json has training_seconds = 9"),
        (lambda r: r["panels"].update(x={}), "panel x has no 'title'"),
        (lambda r: next(iter(r["panels"].values())).update(series={"as": {}}), "has no 'label'"),
    ],
)
def test_a_record_is_checked_before_anything_is_drawn(
    folder: Path, capsys: pytest.CaptureFixture[str], change: Callable[..., None], words: str
) -> None:
    edited(folder, change)
    assert words in refused(folder, capsys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "record.json is no table"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ('{"title": 1, "title": 2}', "the key 'title' twice"),
    ],
)
def test_a_damaged_record_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (folder / results.RECORD).write_text(text)
    assert words in refused(folder, capsys)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("predation-n2,as,0", "curves.csv lacks an entry, or has one too many, in row 1"),
        ("predation-n2,as,0,team_return,64,1,2", "curves.csv lacks an entry"),
        ("predation-n2,as,0,team_return,64,much", "could not convert string to float"),
        ("predation-n2,as,inf,team_return,64,1", "cannot convert float infinity"),
        ("predation-n2,as,0,team_return,64," + "9" * 200_000, "curves.csv is damaged: field"),
    ],
)
def test_a_damaged_row_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], row: str, words: str
) -> None:
    columns = "panel,series,seed,metric,episodes,value"
    (folder / results.CURVES).write_text(f"{columns}\n{row}\n")
    assert words in refused(folder, capsys)


def test_a_picture_is_never_written_through_a_link(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("fig2.png", "README.md"):
        (folder / name).symlink_to(precious)
    assert main(["reproduce", "--redraw", str(folder)]) == 0
    assert precious.read_text() == "mine"
    assert (folder / "fig2.png").read_bytes().startswith(b"\x89PNG")


def test_a_study_names_the_damaged_line_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"update": 1, "episodes": 2}\n{"upd\n')
    with pytest.raises(RunError, match=r"metrics.jsonl is damaged \(line 2 is no record\)"):
        results._curves(tmp_path, ["team_return"], 1)
    (tmp_path / "metrics.jsonl").unlink()
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(RunError, match="is a pipe, not a regular file"):
        results._curves(tmp_path, ["team_return"], 1)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link"),
        (os.mkfifo, "is a pipe, not a regular file"),
        (lambda path: path.write_text("[" * 100_000), "nested too deeply"),
        (lambda path: path.write_text("{}"), "sweep.json has no 'command'"),
    ],
)
def test_a_damaged_record_of_a_sweep_is_named_before_anything_runs(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    write: Callable[[Path], None],
    words: str,
) -> None:
    sweep = ["sweep", "predation", "--algorithm", "ippo", "--set", "episodes=8", "--seeds", "0"]
    assert main([*sweep, "--out", str(tmp_path), "--slurm"]) == 0
    (tmp_path / "sweep.json").unlink()
    write(tmp_path / "sweep.json")
    capsys.readouterr()
    assert main(["sweep", "--out", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert err.startswith(f"ascore: {tmp_path / 'sweep.json'} is damaged (")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
