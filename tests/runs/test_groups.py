"""Runs by setting: what belongs together, what a setting is called, and which folders hold runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run

import ascore
from ascore.errors import AscoreWarning, RunError
from ascore.runs.groups import by_environment, by_setting, open_runs

FLAT = [-100.0] * 4


def test_runs_that_differ_in_their_seed_are_one_setting(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / f"s{seed}", FLAT, seed=seed) for seed in (2, 0, 1)]
    (group,) = by_setting(runs)
    assert group.label == "AS"
    assert [run.config.seed for run in group.runs] == [0, 1, 2]


def test_a_setting_is_named_by_what_differs_and_by_nothing_else(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path / f"{weight}-{seed}", FLAT, seed=seed, penalty_weight=weight)
        for weight in (1.0, 0.25)
        for seed in (0, 1)
    ]
    assert [group.label for group in by_setting(runs)] == [
        "AS, penalty_weight 1", "AS, penalty_weight 0.25",
    ]  # fmt: skip


def test_keys_that_an_algorithm_does_not_read_are_no_setting(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path / f"ippo-{weight}-{seed}", FLAT, algorithm="ippo", seed=seed,
                 penalty_weight=weight)
        for seed, weight in enumerate((1.0, 3.0))
    ]  # fmt: skip
    runs.append(made_run(tmp_path / "as", FLAT, penalty_weight=3.0))
    groups = by_setting(runs)
    assert [(group.label, len(group.runs)) for group in groups] == [("IPPO", 2), ("AS", 1)]


def test_a_common_key_that_differs_between_algorithms_is_named(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path / "as", FLAT, actor_lr=1e-3),
        made_run(tmp_path / "ippo", FLAT, algorithm="ippo", actor_lr=1e-4),
    ]
    labels = [group.label for group in by_setting(runs)]
    assert labels == ["AS, actor_lr 0.001", "IPPO, actor_lr 0.0001"]


def test_where_a_run_was_computed_is_no_setting(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path / "a", FLAT, seed=0, backend="torch", num_threads=1),
        made_run(tmp_path / "b", FLAT, seed=1, backend="engine", num_threads=2),
    ]
    assert len(by_setting(runs)) == 1


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / name, FLAT) for name in ("first", "second")]
    with pytest.warns(AscoreWarning, match=r"left out .*second: it is the same run as .*first"):
        (group,) = by_setting(runs)
    assert group.runs == (runs[0],)


def test_environments_are_told_apart_by_their_parameters(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path / f"n{n}-s{seed}", FLAT, seed=seed, env_params={"num_agents": n})
        for n in (2, 3)
        for seed in (0, 1)
    ]
    assert [len(members) for members in by_environment(runs)] == [2, 2]


def test_an_algorithm_of_somebody_else_is_not_imported(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", FLAT, algorithm="no_such_module:MINE")
    assert [group.label for group in by_setting([run])] == ["MINE"]


def test_the_runs_of_a_sweep_are_found_in_their_folders(tmp_path: Path) -> None:
    names = ["as/penalty_weight=1/s0", "as/penalty_weight=3/s0", "ippo/s0"]
    for name in names:
        made_run(tmp_path / "runs" / name, FLAT)
    (tmp_path / "elsewhere").mkdir()
    made_run(tmp_path / "elsewhere" / "other", FLAT)
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    runs = open_runs([tmp_path / "runs", tmp_path / "runs" / "ippo"])
    assert [str(run.path.relative_to(tmp_path / "runs")) for run in runs] == names


def test_a_folder_without_runs_and_no_folder_at_all_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run; give a folder written by `ascore train`"):
        open_runs([tmp_path])
    with pytest.raises(RunError, match="there is no run to look at; give a folder"):
        open_runs([])


def test_a_folder_that_may_not_be_entered_is_passed_over_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run(tmp_path / "open", [-90.0, -60.0])
    (tmp_path / "lost+found").mkdir()
    scanned = os.scandir

    def refuse(path: str | Path) -> Any:
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(AscoreWarning, match=r"lost\+found cannot be read: Permission denied"):
        assert [run.path for run in open_runs([tmp_path])] == [tmp_path / "open"]


def test_runs_and_paths_may_be_mixed(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", FLAT)
    assert open_runs([run, str(run.path)]) == [run]
    assert isinstance(run, ascore.Run)


def test_of_a_run_without_metrics_what_is_missing_is_named_and_no_other_is_shown(
    tmp_path: Path,
) -> None:
    run, before = tmp_path / "run", tmp_path / "run" / "abandoned-after-00000002"
    for folder in (run, before):
        made_run(folder, FLAT)
    assert [each.path for each in open_runs([tmp_path])] == [run]
    (run / "metrics.jsonl").unlink()
    message = rf"^{run}/metrics\.jsonl is missing; .*: ascore resume {run} --new-log$"
    with pytest.raises(RunError, match=message):
        open_runs([run])
    assert [each.path for each in open_runs([before])] == [before]
