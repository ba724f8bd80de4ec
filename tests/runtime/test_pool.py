"""The pool of workers: a failure ends one worker only, and nothing is done twice."""

from __future__ import annotations

import multiprocessing.forkserver
import multiprocessing.process
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pool_works import damaged, misbehave, touch, wait

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.errors import RunError
from ascore.experiments import cells
from ascore.experiments.cells import Cell, Task, run_all
from ascore.runs import checkpoint
from ascore.runs.lock import alone
from ascore.runtime import pool
from ascore.runtime.progress import Progress

SUPPORT = Path(__file__).parents[1] / "support"
KEYS: dict[str, Any] = {
    "env": "predation-v1", "env_params": {"num_agents": 2}, "episodes": 40, "num_envs": 4,
    "actor_hidden": (8,), "critic_hidden": (8,), "checkpoint_every": 3, "num_threads": 1,
}  # fmt: skip


def quiet() -> Progress:
    return Progress(quiet=True)


def cell(seed: int, **keys: Any) -> Cell:
    return Cell(f"s{seed}", Config(**{**KEYS, **keys}, seed=seed), 5)


def statuses(outcomes: list[pool.Outcome]) -> dict[str, str]:
    return {outcome.name: outcome.status for outcome in outcomes}


def same(a: Path, b: Path, but: tuple[str, ...] = ()) -> None:
    one, two = checkpoint.load(a).arrays, checkpoint.load(b).arrays
    assert one.keys() == two.keys()
    for key in one.keys() - but:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)


# ---------------------------------------------------------------------- processes


def test_every_task_has_a_process_with_one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASCORE_TEST", "passed on")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    tasks = {str(number): number for number in range(5)}
    outcomes = pool.run(tasks, touch, 2, quiet())
    assert [outcome.name for outcome in outcomes] == list(tasks)
    results = [outcome.result for outcome in outcomes]
    assert len({entry["pid"] for entry in results} | {os.getpid()}) == 6
    assert {entry["threads"] for entry in results} == {1}
    assert {entry["omp"] for entry in results} == {"1"}
    assert {entry["variable"] for entry in results} == {"passed on"}
    assert [entry["task"] for entry in results] == list(range(5))
    assert all(outcome.cpu_seconds > 0 for outcome in outcomes)
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_pinned_workers_have_a_core_each():
    cores = sorted(os.sched_getaffinity(0))
    outcomes = pool.run({"a": 0, "b": 1}, touch, len(cores[:2]), quiet(), pin=True)
    assert {entry for o in outcomes for entry in o.result["cores"]} <= set(cores)
    assert all(len(outcome.result["cores"]) == 1 for outcome in outcomes)


def test_workers_never_outnumber_cores_or_tasks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool, "usable_processors", lambda: 4)
    assert [pool.fit_workers(w, 100) for w in (0, 1, 3, 4, 99)] == [4, 1, 3, 4, 4]
    assert [pool.fit_workers(w, 2) for w in (0, 1, 3)] == [2, 1, 2]
    assert pool.fit_workers(0, 0) == 1
    with pytest.raises(ValueError, match=r"workers = -1 is not allowed"):
        pool.fit_workers(-1, 5)


def test_no_more_processes_than_workers(tmp_path: Path):
    """While two tasks wait to be stopped, the third has not started, and it never does."""
    tasks = {name: tmp_path / name for name in "abc"}

    def stop() -> bool:
        begun = sorted(path.stem for path in tmp_path.glob("*.begun"))
        assert begun in ([], ["a"], ["b"], ["a", "b"])
        return len(begun) == 2

    outcomes = pool.run(tasks, wait, 2, quiet(), stop=stop)
    assert statuses(outcomes) == {"a": "stopped", "b": "stopped", "c": "waiting"}
    assert sorted(path.stem for path in tmp_path.glob("*.saved")) == ["a", "b"]


def test_a_failed_worker_is_reported_and_ends_no_other(capsys: pytest.CaptureFixture[str]):
    names = ["kill", "fine", "leave", "fault", "user", "fine too", "unsendable"]
    outcomes = pool.run({name: name for name in names}, misbehave, 2, quiet())
    reasons = {outcome.name: outcome.reason for outcome in outcomes if outcome.reason}
    assert "pickle" in reasons.pop("unsendable")
    assert reasons == {
        "kill": "its process was killed by SIGKILL; it ran out of memory, or someone killed it",
        "leave": "its process exited with status 3",
        "fault": "ZeroDivisionError: fault",
        "user": "seed = -1 is not allowed",
    }
    assert [o.result for o in outcomes if o.status == "done"] == ["fine", "fine too"]
    assert "raise ZeroDivisionError(task)" in capsys.readouterr().err  # where it happened


def test_workers_whose_pool_is_killed_save_and_end(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from ascore.runtime.progress import Progress; from ascore.runtime import pool\n"
        "from pool_works import wait\n"
        "if __name__ == '__main__':\n"
        "    pool.run({'a': Path(sys.argv[1]) / 'a'}, wait, 1, Progress(quiet=True))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    process = subprocess.Popen([sys.executable, script, tmp_path, SUPPORT])
    while not (tmp_path / "a.begun").exists():
        time.sleep(0.02)
        assert process.poll() is None
    process.kill()
    process.wait()
    while not (tmp_path / "a.saved").exists():
        time.sleep(0.02)


def test_a_temporary_folder_with_too_long_a_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / ("x" * 120)
    far.mkdir()
    server = multiprocessing.forkserver.ForkServer()  # the one of other tests has its socket
    monkeypatch.setattr(
        multiprocessing.forkserver, "connect_to_new_process", server.connect_to_new_process
    )
    monkeypatch.setitem(multiprocessing.process.current_process()._config, "tempdir", str(far))
    monkeypatch.setattr(tempfile, "tempdir", str(far))
    with pytest.raises(RunError, match=rf"{far}, has too long a name .* set TMPDIR to another"):
        pool.run({"a": 0}, touch, 1, quiet())


def test_the_view_counts_what_ended(capsys: pytest.CaptureFixture[str]):
    with Progress(total=3) as progress:
        progress.skip(1)
        pool.run({"x": "fine", "y": "user"}, misbehave, 1, progress, ended=lambda o: "all well")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 of 3 runs were already done"
    assert lines[1].startswith("2/3 x: all well, ")
    assert lines[1].endswith(" left")  # of one run, after one that ended
    assert lines[2].startswith("3/3 y: failed: seed = -1 is not allowed, ")
    assert lines[2].endswith(" s")


def test_a_run_that_is_to_be_continued_has_not_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """After Ctrl-C the view and the last line count the same."""
    with Progress(total=3) as progress:
        pool.run({"x": "fine", "y": "user"}, misbehave, 1, progress, stop=lambda: True)
        progress.end("z", "stopped", counted=False)
    assert "1/3 x: done" in capsys.readouterr().err
    assert progress.ended == 1


# ---------------------------------------------------------------------- cells


def test_killed_full_and_diverging_runs_are_named_and_continued(tmp_path: Path):
    """A worker is killed, a disk fills up, a run diverges: the rest finish. Then all but one do."""
    whole = tmp_path / "whole"
    good = [cell(seed) for seed in range(4)]
    for entry in good:
        ascore.train(entry.config, whole / entry.name)
    diverging = cell(9, actor_lr=1e38, critic_lr=1e38)
    runs = tmp_path / "runs"
    how = {"s1": "kill", "s2": "disk"}
    tasks = {c.name: (Task(c, runs / c.name), how.get(c.name, "")) for c in [*good, diverging]}
    outcomes = pool.run(tasks, damaged, 2, quiet())
    assert statuses(outcomes) == {
        "s0": "done", "s1": "failed", "s2": "failed", "s3": "done", "s9": "failed",
    }  # fmt: skip
    reasons = {outcome.name: outcome.reason for outcome in outcomes}
    assert "SIGKILL" in reasons["s1"]
    assert "cannot write" in reasons["s2"]
    assert "free some space" in reasons["s2"]
    assert "not finite" in reasons["s9"] or "is nan" in reasons["s9"]

    before = {name: (runs / name / cells.RESULT).stat().st_mtime_ns for name in ("s0", "s3")}
    outcomes = run_all([*good, diverging], runs, 2, quiet())
    assert statuses(outcomes) == {
        "s0": "done", "s1": "done", "s2": "done", "s3": "done", "s9": "failed",
    }  # fmt: skip
    assert before == {
        name: (runs / name / cells.RESULT).stat().st_mtime_ns for name in ("s0", "s3")
    }
    for entry in good:  # continued from its checkpoint, bit for bit
        same(whole / entry.name, runs / entry.name)
        assert outcomes[good.index(entry)].result == cells.result(runs / entry.name)


def test_stopped_cells_go_on_where_they_were(tmp_path: Path):
    entry = cell(3, episodes=400)
    whole = ascore.train(entry.config, tmp_path / "whole").path
    runs = tmp_path / "runs"

    def begun() -> bool:
        path = runs / "s3" / "metrics.jsonl"
        return path.exists() and path.stat().st_size > 0

    outcomes = run_all([entry], runs, 1, quiet(), stop=begun)
    assert statuses(outcomes) == {"s3": "stopped"}
    done = checkpoint.load(runs / "s3").update
    assert 0 < done < 100
    outcomes = run_all([entry], runs, 1, quiet())
    assert statuses(outcomes) == {"s3": "done"}
    same(whole, runs / "s3")


def test_a_cell_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path):
    entry = cell(3)
    whole = ascore.train(entry.config, tmp_path / "whole").path
    folder = tmp_path / "runs" / "s3"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(entry.config.dump())
    first = (whole / "metrics.jsonl").read_text().splitlines(keepends=True)[0]
    (folder / "metrics.jsonl").write_text(first)
    assert statuses(run_all([entry], tmp_path / "runs", 1, quiet())) == {"s3": "done"}
    same(whole, folder)


def test_a_folder_of_another_configuration_is_refused(tmp_path: Path):
    run_all([cell(3)], tmp_path, 1, quiet())
    with pytest.raises(RunError, match=r"holds a run with gamma = 0.99, not 0.5; choose another"):
        run_all([cell(3, gamma=0.5)], tmp_path, 1, quiet())
    (tmp_path / "s3" / cells.RESULT).unlink()
    (outcome,) = run_all([cell(3, gamma=0.5)], tmp_path, 1, quiet())
    assert "holds a run with gamma = 0.99, not 0.5" in outcome.reason


def test_two_processes_never_work_on_one_folder(tmp_path: Path):
    task = Task(cell(3), tmp_path / "s3")
    lock = cells._lock(task.folder)
    with alone(task.folder, lock), pytest.raises(RunError, match="s3 is being written by process"):
        cells.work(task, lambda *_: None, lambda: False)
    assert cells.work(task, lambda *_: None, lambda: False)["seed"] == 3


def test_a_damaged_result_names_itself(tmp_path: Path):
    run_all([cell(3)], tmp_path, 1, quiet())
    (tmp_path / "s3" / cells.RESULT).write_text("{")
    with pytest.raises(RunError, match=r"evaluation\.json is damaged .*remove it"):
        run_all([cell(3)], tmp_path, 1, quiet())


def test_lists_of_cells_read_back(tmp_path: Path):
    listed = [cell(0), cell(1, algorithm="ippo", penalty_weight=0.5)]
    cells.write_list(tmp_path / "new", listed)
    assert cells.read_list(tmp_path / "new") == listed
    (tmp_path / "new" / cells.LIST).write_text('[{"name": "x", "episodes": 3}]')
    with pytest.raises(ValueError, match="has no 'config'"):
        cells.read_list(tmp_path / "new")
    with pytest.raises(RunError, match=r"cells\.json cannot be read"):
        cells.read_list(tmp_path)


def test_an_interrupted_command_saves_and_the_same_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    mud = tmp_path / "mud"
    mud.touch()  # what is to be interrupted takes long
    command = [
        sys.executable, "-m", "ascore", "sweep", "python_envs:Muddy", "--set", f"env.mud={mud}",
        "--set", "num_envs=2", "--set", "episodes=200", "--set", "checkpoint_every=100000",
        "--set", "actor_hidden=[8]", "--set", "critic_hidden=[8]", "--seeds", "0,1",
        "--workers", "1", "--evaluate", "5", "--out", str(tmp_path),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=SUPPORT
    )
    log = tmp_path / "runs/as/s0/metrics.jsonl"
    while not log.exists() or log.stat().st_size == 0:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, output = process.communicate()
    assert process.returncode == 130
    assert (
        "stopped with 2 of 2 cells left, all saved; run the same command again to continue"
        in output
    )
    assert 0 < checkpoint.load(tmp_path / "runs/as/s0").update < 100
    mud.unlink()
    assert main(command[3:]) == 0
    assert re.search(r"^  as +2 ", capsys.readouterr().out, re.MULTILINE)
    config = Config.load(tmp_path / "runs/as/s0/config.toml")
    whole = ascore.train(config, tmp_path / "whole").path
    same(whole, tmp_path / "runs/as/s0", but=("env",))  # pickled
