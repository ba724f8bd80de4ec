"""Run folders belong to one run and one writer, and nothing in them is lost that was wanted."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ending
import fresh
import numpy as np
import pytest

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.errors import AscoreWarning, CheckpointError, RunError
from ascore.runs import checkpoint, files
from ascore.runs.folder import new_folder
from ascore.runs.lock import LOCK, alone

KEYS: dict[str, Any] = {
    "env": "predation-v1",
    "env_params": {"num_agents": 2},
    "episodes": 40,
    "num_envs": 4,
    "rollout_steps": 11,
    "minibatches": 1,
    "iterations": 1,
    "actor_hidden": (4,),
    "critic_hidden": (4,),
    "checkpoint_every": 3,
    "seed": 5,
}  # 28 updates
CONFIG = Config(**KEYS)


def arrays(path: Path) -> dict[str, Any]:
    return checkpoint.load(path).arrays


def same(a: Path, b: Path) -> None:
    one, two = arrays(a), arrays(b)
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)
    assert records(a) == records(b)
    assert columns(a) == columns(b)


def records(path: Path) -> list[dict[str, Any]]:
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def columns(path: Path) -> list[str]:
    """First column of metrics.csv, with its name."""
    return [line.partition(",")[0] for line in (path / "metrics.csv").read_text().splitlines()]


def names(path: Path) -> list[str]:
    return [p.name for p in checkpoint.folders(path)]


def content(path: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def stopping_after(updates: int) -> Any:
    count = iter(range(1, 1_000_000))
    return lambda: next(count) == updates


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    return ascore.train(CONFIG, tmp_path_factory.mktemp("whole") / "run").path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


# ---------------------------------------------------------------------- one folder, one run


@pytest.mark.parametrize(
    "there",
    [
        ["checkpoints/00002000/model.pt", "metrics.jsonl", "summary.json"],
        ["checkpoints/00000003/x"],
        ["metrics.csv"],
        ["a b.txt"],
        [".hidden"],
    ],
)
def test_a_folder_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, there: list[str]):
    out = tmp_path / "theirs"
    for name in there:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
    before = content(out)
    first = min(name.partition("/")[0] for name in there)
    with pytest.raises(RunError, match=rf"theirs is not empty: it holds {re.escape(first)}"):
        ascore.train(CONFIG, out)
    assert content(out) == before


def test_an_empty_folder_is_taken_and_so_is_one_left_by_a_start_that_was_killed(tmp_path: Path):
    for there in ([], [LOCK, ".config.toml.part"]):
        out = tmp_path / f"run{len(there)}"
        out.mkdir()
        for name in there:
            (out / name).write_text("")
        assert ascore.train(CONFIG.replace(episodes=2), out).finished


@pytest.mark.parametrize("words", [["--out", ""], ["--out="]])
def test_a_folder_without_a_name_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for command in ("train", "sweep"):
        assert main([command, "predation", "--episodes", "2", *words]) == 2
        assert "--out has an empty name" in capsys.readouterr().err
    with pytest.raises(RunError, match="has an empty name"):
        ascore.train(CONFIG, "")
    with pytest.raises(RunError, match="has an empty name"):
        ascore.resume("")
    assert list(tmp_path.iterdir()) == []


def test_a_parent_of_several_runs_is_refused_if_one_is_there(tmp_path: Path):
    (tmp_path / "out" / "mine-ALGORITHM").mkdir(parents=True)
    (tmp_path / "out" / "mine-ALGORITHM" / "config.toml").write_text("")
    with pytest.raises(RunError, match="mine-ALGORITHM already holds a run"):
        new_folder(CONFIG, tmp_path / "out", ["as", "mine:ALGORITHM"])


def test_default_folders_are_claimed_by_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ready, paths = threading.Barrier(8), []

    def claim() -> None:
        ready.wait()
        paths.extend(new_folder(CONFIG, None, ["as"]) for _ in range(20))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 160
    wanted = {"predation-as-s5", *(f"predation-as-s5-{k}" for k in range(2, 161))}
    assert {p.name for p in paths} == {p.name for p in (tmp_path / "runs").iterdir()} == wanted


def test_of_processes_that_train_into_one_folder_only_one_does(tmp_path: Path):
    out = tmp_path / "run"
    start, logs = tmp_path / "start", [tmp_path / f"log-{number}" for number in range(3)]
    started = [fresh.start(ending.among_others, CONFIG, out, start, log=log) for log in logs]
    start.touch()
    for process in started:
        process.join()
    assert sorted(process.exitcode or 0 for process in started) == [0, 1, 1]
    for process, log in zip(started, logs, strict=True):
        if process.exitcode:
            error = log.read_text()
            assert re.search("is being written by process|already holds a run", error), error
    assert len(records(out)) == 28


# ---------------------------------------------------------------------- one run, one writer


def test_a_second_writer_is_told_who_writes(run: Path):
    before = content(run)

    def second(done: int, total: int, record: dict[str, Any]) -> None:
        who = f"is being written by process {os.getpid()} on {re.escape(socket.gethostname())}"
        with pytest.raises(RunError, match=who):
            ascore.resume(run)
        with pytest.raises(RunError, match="already holds a run"):
            ascore.train(CONFIG, run)

    longer = ascore.resume(run, episodes=42, report=second)
    assert longer.summary["updates"] == len(records(run)) == 29
    assert before.keys() - content(run).keys() == {
        f"checkpoints/00000027/{name}" for name in (checkpoint.MANIFEST, checkpoint.TENSORS)
    }


def test_the_lock_goes_with_its_holder_even_if_it_leaves_a_child(run: Path):
    """A child made by fork holds all its parent's files open."""
    program = (
        "import os, time, warnings, ascore\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"  # of fork beside threads
        "def report(done, total, record):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.close(1)\n"
        "        time.sleep(1000)\n"
        "    print(child, flush=True)\n"
        "    time.sleep(1000)\n"
        f"ascore.resume({str(run)!r}, episodes=60, report=report)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    with pytest.raises(RunError, match=f"written by process {holder.pid} on"):
        ascore.resume(run)
    holder.kill()
    holder.communicate()
    assert ascore.resume(run).finished
    os.kill(child, 9)  # it lived on all the while


def test_a_file_system_without_locks_is_named(run: Path, monkeypatch: pytest.MonkeyPatch):
    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(AscoreWarning, match=rf"{run.name} has no locks \(Function not implemented"):
        assert ascore.resume(run).finished


def test_a_lock_is_never_written_through_a_link(run: Path, tmp_path: Path):
    (tmp_path / "precious").write_text("precious")
    (run / LOCK).unlink()
    (run / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(RunError, match=r"\.lock.*a link lies in its place"):
        ascore.resume(run)
    assert (tmp_path / "precious").read_text() == "precious"
    (run / LOCK).unlink()
    os.mkfifo(run / LOCK)
    with pytest.raises(RunError, match="not a regular file"):
        ascore.resume(run)


def test_a_lock_can_lie_elsewhere_and_is_free_afterwards(tmp_path: Path):
    path = tmp_path / "elsewhere"
    for _ in range(2):
        with (
            alone(tmp_path / "nowhere", path),
            pytest.raises(RunError, match="nowhere is being"),
            alone(tmp_path / "nowhere", path),
        ):
            pass


# ---------------------------------------------------------------------- names among checkpoints


def test_only_eight_digits_name_a_checkpoint(run: Path):
    folder = run / "checkpoints"
    assert names(run) == ["00000027", "00000028"]
    kept = ["00000028.best", "9-before-tuning", "000000099", "best", "00000028 (copy)"]
    for name in kept:
        shutil.copytree(folder / "00000028", folder / name)
    (folder / "00000099").write_text("a file")
    assert names(run) == ["00000027", "00000028"]
    assert checkpoint.find(run).name == "00000028"
    ascore.resume(run, episodes=60)
    assert names(run) == ["00000041", "00000042"] or len(names(run)) == 2
    for name in kept:
        assert content(folder / name).keys() == {checkpoint.MANIFEST, checkpoint.TENSORS}
    assert (folder / "00000099").read_text() == "a file"
    assert records(run)[-1]["update"] == len(records(run)) == 41


# ---------------------------------------------------------------------- going back


def test_going_back_sets_later_checkpoints_aside(run: Path, whole: Path):
    for name in ("00000003", "00000015"):
        assert name not in names(run)
    before = content(run)
    with pytest.warns(AscoreWarning, match="later than 00000027 are now in .*abandoned-after-0"):
        ascore.resume(run, checkpoint_name="27", stop=stopping_after(1), episodes=60)
    aside = run / "abandoned-after-00000027"
    assert names(run) == ["00000027", "00000028"]
    assert names(aside) == ["00000028"]
    assert checkpoint.load(run).config["episodes"] == 60
    assert checkpoint.load(aside).config["episodes"] == 40
    for name, data in content(aside).items():
        assert data == before[name], name
    assert {"config.toml", "metrics.jsonl", "metrics.csv", "summary.json"} < content(aside).keys()
    same(whole, aside)
    assert ascore.resume(run).summary["updates"] == 41
    assert ascore.resume(aside).summary["updates"] == 28  # a run folder too


def test_a_run_goes_on_after_going_back_and_being_killed_at_once(tmp_path: Path):
    """Older checkpoint, stopped before the first save: what is printed then works."""
    config = CONFIG.replace(keep_checkpoints=100, episodes=20)
    run = ascore.train(config, tmp_path / "run").path
    longer = ascore.train(config.replace(episodes=40), tmp_path / "longer").path

    def killed(done: int, total: int, record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.warns(AscoreWarning, match="abandoned"), pytest.raises(KeyboardInterrupt):
        ascore.resume(run, checkpoint_name="6", episodes=40, report=killed)
    assert names(run) == ["00000003", "00000006"]
    assert names(run / "abandoned-after-00000006") == ["00000009", "00000012", "00000014"]
    with pytest.warns(AscoreWarning, match="abandoned"):
        ascore.resume(run, checkpoint_name="3", episodes=40)
    assert names(run / "abandoned-after-00000003") == ["00000006"]
    same(longer, run)


@pytest.mark.parametrize("moves", range(1, 5))
def test_killed_while_setting_aside_loses_nothing(
    tmp_path: Path, moves: int, monkeypatch: pytest.MonkeyPatch
):
    """At every moment there is a newest checkpoint that the metrics fit."""
    run = ascore.train(CONFIG.replace(keep_checkpoints=4), tmp_path / "run").path
    whole = shutil.copytree(run, tmp_path / "whole")
    assert names(run) == ["00000021", "00000024", "00000027", "00000028"]
    real, left = os.replace, iter(range(moves))

    def replace(source: Any, target: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with contextlib.suppress(KeyboardInterrupt):
        checkpoint.set_aside(run, 21)
    monkeypatch.undo()
    everything = {p.name for p in run.rglob("checkpoints/*")}
    assert everything == {"00000021", "00000024", "00000027", "00000028"}
    again = ascore.resume(Path(shutil.copytree(run, tmp_path / "again")))
    same(whole, again.path)


# ---------------------------------------------------------------------- before the first checkpoint


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
):
    """All say the same: ascore resume."""
    out = tmp_path / "my run"

    def killed(done: int, total: int, record: dict[str, Any]) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ascore.train(CONFIG, out, report=killed)
    assert names(out) == []
    assert len(records(out)) == 2
    command = f"ascore resume '{out}'"
    with pytest.raises(RunError, match=f"already holds a run; continue it with `{command}`"):
        ascore.train(CONFIG, out)
    with pytest.raises(CheckpointError, match=rf"begin it again .* with `{command}`"):
        ascore.evaluate(out)
    same(whole, ascore.resume(out).path)


def test_a_finished_run_without_checkpoints_is_not_begun_again(run: Path):
    shutil.rmtree(run / "checkpoints")
    before = content(run)
    with pytest.raises(CheckpointError, match="finished run without its checkpoints; restore them"):
        ascore.resume(run)
    assert content(run) == before


# ---------------------------------------------------------------------- another working directory

WANDER = ["train", "python_envs:Wanderer", "--episodes", "4", "--num-envs", "2",
          "--actor-hidden", "4", "--critic-hidden", "4", "--evaluate", "2", "--json"]  # fmt: skip


@pytest.mark.parametrize("words", [["--out", "here/run"], [], ["--compare", "ippo"]])
def test_an_environment_that_changes_the_working_directory(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([*WANDER, *words]) == 0
    written = {p.parent for p in tmp_path.rglob("config.toml")}
    assert {p.parent for p in tmp_path.rglob("metrics.csv")} == written
    assert {p.parent for p in tmp_path.rglob("summary.json")} == written
    assert len(written) == (2 if "--compare" in words else 1)
    for run in json.loads(capfd.readouterr().out)["runs"]:
        assert tmp_path / run["path"] in written


def test_resuming_and_the_api_in_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    config = Config(env="python_envs:Wanderer", episodes=4, num_envs=2, actor_hidden=(4,),
                    critic_hidden=(4,), minibatches=1, iterations=1)  # fmt: skip
    run = ascore.train(config, "run", stop=stopping_after(1))
    assert run.path == tmp_path / "run"  # "run" would lead elsewhere by now
    monkeypatch.chdir(tmp_path)
    again = ascore.resume("run")
    assert Path.cwd() != tmp_path
    assert (again.path, again.finished, len(again.metrics)) == (tmp_path / "run", True, 2)


# ---------------------------------------------------------------------- pruning


def test_a_checkpoint_half_removed_is_none(run: Path, monkeypatch: pytest.MonkeyPatch):
    def die(path: Any, ignore_errors: bool = False) -> None:
        if Path(path).is_dir():
            (Path(path) / checkpoint.MANIFEST).unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        ascore.resume(run, episodes=42)
    monkeypatch.undo()
    assert names(run) == ["00000028", "00000029"]
    assert (run / "checkpoints" / ".00000027.old").is_dir()
    assert ascore.resume(run).summary["updates"] == 29
    assert not list(run.rglob("*.old"))


# ---------------------------------------------------------------------- file systems


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_folders(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
):
    real = os.fsync

    def fsync(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    assert ascore.train(CONFIG.replace(episodes=2), tmp_path / "run").finished


def test_a_failed_sync_of_a_folder_is_not_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fsync(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match="Input/output error"):
        files.write_atomic(tmp_path / "x", b"")


def test_a_failed_clean_up_does_not_hide_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def read_only(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(RunError, match=r"cannot write .*x: Read-only .*copy the run to another"):
        files.write_atomic(tmp_path / "x", b"")


def test_a_missing_checkpoint_names_those_that_are_there(run: Path):
    with pytest.raises(CheckpointError, match="no checkpoint 5; choose from: 00000027, 00000028"):
        ascore.resume(run, checkpoint_name="5")
