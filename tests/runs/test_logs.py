"""Metrics of a run: damage is found at the start and named, and a run goes on without them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import ending
import fresh
import pytest
from test_folders import CONFIG, columns, names, records, same, stopping_after

import ascore
from ascore.errors import AscoreWarning, CheckpointError, RunError
from ascore.runs import logs
from ascore.runs.session import Run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ascore.train(CONFIG, tmp_path_factory.mktemp("whole") / "run").path


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped after 14 of 28 updates."""
    out = tmp_path_factory.mktemp("half") / "run"
    return ascore.train(CONFIG, out, stop=stopping_after(14)).path


@pytest.fixture
def run(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "run"))


def missing(path: Path) -> None:
    path.unlink()


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def zeros_within(path: Path) -> None:
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + b"\0" * 50 + data[half + 50 :])


def twice(path: Path) -> None:
    """A line twice, as two writers leave it, and as many bytes as before."""
    lines = path.read_bytes().splitlines(keepends=True)
    wanted = path.stat().st_size
    path.write_bytes(b"".join([*lines[:4], *lines[3:]])[:wanted])


def shifted(path: Path) -> None:
    """As long or longer, but of another run."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], *lines[6:], *lines[:9]]))


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def nested(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes((b"[" * size)[: size - 1] + b"\n")


@pytest.mark.parametrize("name", ["metrics.jsonl", "metrics.csv"])
@pytest.mark.parametrize(
    "how", [missing, short, zeros, zeros_within, twice, shifted, link, pipe, nested]
)
def test_damage_is_named_at_the_start_and_there_is_a_way_on(
    run: Path, whole: Path, name: str, how: object
):
    other = run / ({"metrics.jsonl", "metrics.csv"} - {name}).pop()
    how(run / name)  # type: ignore[operator]
    before = other.read_bytes()
    with pytest.raises(CheckpointError, match=rf"{name} .*--new-log") as caught:
        ascore.resume(run)
    assert other.name not in str(caught.value)
    assert other.read_bytes() == before
    assert names(run) == ["00000012", "00000014"]
    again = ascore.resume(run, new_log=True)
    assert again.summary["updates"] == 28
    if name == "metrics.csv":
        assert records(run) == records(whole)
        assert columns(run) == ["update", *map(str, range(15, 29))]
    else:
        assert records(run) == records(whole)[14:]
        assert columns(run) == columns(whole)
    assert (run / f"{name}.old").exists() == (how is not missing)


def test_a_run_goes_on_again_after_its_log_began_anew(run: Path, whole: Path):
    (run / "metrics.jsonl").unlink()
    ascore.resume(run, new_log=True, stop=stopping_after(5))
    ascore.resume(run)
    assert records(run) == records(whole)[14:]
    (run / "metrics.jsonl").unlink()
    run_without_records = ascore.resume(run, new_log=True)
    assert run_without_records.summary["entropy"] is None
    assert run_without_records.metrics == []


def test_new_logs_change_nothing_where_nothing_is_wrong(run: Path, whole: Path):
    ascore.resume(run, new_log=True)
    same(whole, run)
    assert not list(run.glob("*.old"))


def test_a_line_that_is_being_written_is_left_out(run: Path):
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(b'{"update": 15, "tea')
    assert [r["update"] for r in Run.open(run).metrics] == list(range(1, 15))


def test_reading_names_the_file_and_the_line(run: Path):
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join([*lines[:4], b"{\n", *lines[4:]]))
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged \(line 5 is no record\)"):
        _ = Run.open(run).metrics
    (run / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl cannot be read: No such file"):
        _ = Run.open(run).metrics
    with pytest.raises(RunError, match=r"summary\.json cannot be read"):
        _ = Run.open(run).summary
    (run / "summary.json").write_text("{")
    with pytest.raises(RunError, match=r"summary\.json cannot be read.*ascore resume"):
        _ = Run.open(run).summary


def test_a_run_that_lost_its_checkpoints_is_not_begun_again_over_its_records(run: Path):
    before = (run / "metrics.jsonl").read_bytes()
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match="goes to update 14, but the checkpoints until then"):
        ascore.resume(run)
    assert (run / "metrics.jsonl").read_bytes() == before
    ascore.resume(run, new_log=True)
    assert (run / "metrics.jsonl.old").read_bytes() == before
    assert len(records(run)) == 28


def test_somebody_elses_records_are_not_overwritten(tmp_path: Path):
    (tmp_path / "config.toml").write_text(CONFIG.dump())
    (tmp_path / "metrics.jsonl").write_text("theirs\n")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged \(line 1 is no record"):
        ascore.resume(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == "theirs\n"


def test_tensorboard_has_every_point_of_a_run_that_went_on(tmp_path: Path):
    """It is stopped and resumed, killed and resumed, and gone back."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = CONFIG.replace(tensorboard=True, keep_checkpoints=100)
    run = ascore.train(config, tmp_path / "run", stop=stopping_after(5)).path
    time.sleep(1.1)  # TensorBoard sorts files by the second in which they begin
    assert fresh.run(ending.killed_again, run, 13, log=tmp_path / "log")[0] == -signal.SIGKILL
    time.sleep(1.1)
    ascore.resume(run)
    time.sleep(1.1)
    with pytest.warns(AscoreWarning, match="later than 00000021"):
        ascore.resume(run, checkpoint_name="21")
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    points = events.Scalars("kl_0")
    assert [point.step for point in points] == list(range(1, 29))
    wanted = [record["kl"][0] for record in records(run)]
    assert [point.value for point in points] == pytest.approx(wanted)


@pytest.mark.parametrize("text", [bytes(200_000), b"update\n" + b"1" * 200_000])
def test_a_field_longer_than_any_number_is_damage(tmp_path: Path, text: bytes):
    (tmp_path / "metrics.csv").write_bytes(text)
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    wrong = logs.damage(tmp_path, {"metrics.csv": len(text), "metrics.jsonl": 0, "update": 0})
    assert wrong == {
        "metrics.csv": f"{tmp_path / 'metrics.csv'} is damaged (field larger than field limit "
        "(131072))"
    }


def test_records_are_not_read_through_a_link(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text('{"update": 1}\n')
    (tmp_path / "metrics.jsonl").symlink_to(elsewhere)
    with pytest.raises(RunError, match=r"metrics.jsonl is a symbolic link"):
        logs.read_records(tmp_path / "metrics.jsonl", of_run=False)
    assert logs.read_records(elsewhere, of_run=False) == [{"update": 1}]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("team_return", "x"),
        ("team_return", [1]),
        ("episodes", 10**400),
        ("entropy", 3),
        ("bytes_sent", [None]),
        ("bytes_sent", ...),
        ("entropy", ...),
        ("episodes", ...),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_record_without_what_is_drawn_is_named(key: str, value: Any, run: Path) -> None:
    """`...` = the key is missing. Found when a run goes on, and when it is drawn."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines()
    record = json.loads(lines[2])
    del record[key]
    lines[2] = json.dumps(record if value is ... else {**record, key: value})
    text = "\n".join(lines) + "\n"
    path.write_text(text + " " * max(0, path.stat().st_size - len(text)))
    with pytest.raises(RunError, match=rf"metrics.jsonl is damaged \(line 3 has .*{key}"):
        ascore.plot(run)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl.*--new-log"):
        ascore.resume(run)
