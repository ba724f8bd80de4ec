"""Lists of cells from elsewhere: their folders stay where the runs are, nothing else is removed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ascore.cli import main
from ascore.config import Config
from ascore.errors import ConfigError, RunError
from ascore.experiments import cells, sweeps
from ascore.experiments.cells import Cell, Task
from ascore.experiments.slurm import write_script

FINISHED = Path(__file__).parents[1] / "fixtures" / "d09de0d" / "sweep" / "runs" / "as" / "s0"

TINY = Config(
    env="predation-v1", env_params={"num_agents": 2}, algorithm="ippo", episodes=4, num_envs=2,
    actor_hidden=(4,), critic_hidden=(4,), minibatches=1, iterations=1, keep_checkpoints=50,
)  # fmt: skip


def listed(out: Path, *names: str) -> Path:
    """A folder with a list of cells of these names, as somebody might send it."""
    out.mkdir(exist_ok=True)
    entries = [Cell(name, TINY, 2).to_dict() for name in names]
    (out / cells.LIST).write_text(json.dumps(entries))
    return out


def work(folder: Path) -> Any:
    task = Task(Cell("as/s0", TINY, 2), folder)
    return cells.work(task, lambda *_: None, lambda: False)


@pytest.mark.parametrize(
    "name", ["../../precious", "../../precious/", "{}", "as/../../../precious"]
)
def test_a_cell_outside_the_folder_is_refused_and_nothing_is_touched(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    out = listed(tmp_path / "sweep", name.format(precious))
    assert main(["sweep", "--out", str(out)]) == 1
    printed = capsys.readouterr().err
    assert str(out / cells.LIST) in printed
    assert "would leave the folder of the runs" in printed
    assert len(printed.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        "cells.json", "precious", "sweep", "thesis.txt",
    ]  # fmt: skip
    assert (precious / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a//b", "a/", "/a", ".a", "a/.s0.lock", "a\n", "\x1b[2J"]
)
def test_names_that_are_no_path_below_the_runs_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="names a cell"):
        cells.read_list(listed(tmp_path, name))
    with pytest.raises(RunError, match="names a cell"):
        cells.write_list(tmp_path / "new", [Cell(name, TINY, 2)])
    assert not (tmp_path / "new").exists()


def test_cells_do_not_share_folders(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="'as/s0' twice"):
        cells.read_list(listed(tmp_path, "as/s0", "as/s0"))
    with pytest.raises(RunError, match="'as/s0/deep' within the folder of the cell 'as/s0'"):
        cells.read_list(listed(tmp_path, "as/s0/deep", "as/s0"))
    names = ["as/s0", "as/s0-2", "mine:ALGORITHM/actor_lr=1e-05/s0"]
    assert [cell.name for cell in cells.read_list(listed(tmp_path, *names))] == names


def test_a_cell_behind_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept.txt").write_text("kept")
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "as").symlink_to(elsewhere)
    with pytest.raises(RunError, match="as is a symbolic link"):
        cells.run_all([Cell("as/s0", TINY, 2)], runs, 1, None)  # type: ignore[arg-type]
    assert [p.name for p in elsewhere.iterdir()] == ["kept.txt"]


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "s0"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("somebody's")
    with pytest.raises(RunError, match=r"is not empty: it holds metrics\.jsonl"):
        work(folder)
    assert [p.name for p in folder.iterdir()] == ["metrics.jsonl"]
    assert (folder / "metrics.jsonl").read_text() == "somebody's"


def test_a_run_without_a_checkpoint_begins_again_and_other_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "s0"
    folder.mkdir()
    (folder / "config.toml").write_text(TINY.dump())
    (folder / "metrics.jsonl").write_text('{"update": 1, "half a rec')
    (folder / "notes.txt").write_text("mine")
    assert work(folder)["updates"] == 2
    assert (folder / "notes.txt").read_text() == "mine"
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2


def test_locks_and_parts_are_not_written_through_links(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs")
    (tmp_path / ".s0.lock").symlink_to(target)
    with pytest.raises(RunError, match=r"\.s0\.lock"):
        work(tmp_path / "s0")
    (tmp_path / f".{cells.LIST}.part").symlink_to(target)
    cells.write_list(tmp_path, [Cell("as/s0", TINY, 2)])
    assert target.read_text() == "theirs"


def nested(_: Any) -> str:
    return "[" * 200_000


def without(key: str) -> Callable[[list[dict[str, Any]]], str]:
    def change(entries: list[dict[str, Any]]) -> str:
        return json.dumps([{k: v for k, v in entries[0].items() if k != key}])

    return change


def having(**values: Any) -> Callable[[list[dict[str, Any]]], str]:
    return lambda entries: json.dumps([{**entries[0], **values}])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nested, "nested too deeply"),
        (lambda _: "{}", "holds no list of cells"),
        (lambda _: "[1]", "has no 'name'"),
        (lambda _: '[{"name": "a", "name": "b"}]', "the key 'name' twice"),
        (without("config"), "has no 'config'"),
        (having(name=3), "is damaged"),
        (having(episodes="many"), "is damaged"),
        (having(episodes=True), "is damaged"),
        (having(episodes=0), "is damaged"),
        (having(config=[]), "is damaged"),
        (having(config={"actor_lr": float("nan")}), "NaN, which is no number"),
        (having(config={"envs": 3}), "unknown key 'envs'"),
    ],
)  # fmt: skip
def test_a_damaged_list_is_refused_by_name(
    change: Callable[[list[dict[str, Any]]], str], words: str, tmp_path: Path
) -> None:
    path = listed(tmp_path, "as/s0") / cells.LIST
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises((RunError, ConfigError), match=words) as caught:
        cells.read_list(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", [cells.LIST, cells.RESULT])
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder"])
def test_only_regular_files_are_read(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else __file__)
    with pytest.raises(RunError, match=r"not a regular file|is a symbolic link"):
        cells.read_list(tmp_path) if name == cells.LIST else cells.result(tmp_path)


@pytest.mark.parametrize("name", ["cells.json", "sweep.json", "sweep.csv", "sweep.md", "sweep.png"])
def test_a_file_of_somebody_else_is_not_written_over(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text('["mine"]')
    assert main(["sweep", "predation", "--seeds", "0", "--slurm", "--out", str(tmp_path)]) == 1
    assert f"{name} was not written by a sweep or a study" in capsys.readouterr().err
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, '["mine"]')]
    cells.write_list(tmp_path / "new", [Cell("as/s0", TINY, 2)])
    (tmp_path / "new" / "sweep.csv").write_text("ours, since a list stands beside it")
    cells.write_list(tmp_path / "new", [Cell("as/s1", TINY, 2)])
    assert [cell.name for cell in cells.read_list(tmp_path / "new")] == ["as/s1"]


def finished(folder: Path) -> dict[str, Any]:
    """What a cell that an earlier version has finished has written, put into a folder."""
    text = (FINISHED / cells.RESULT).read_text()
    (folder / cells.RESULT).write_text(text)
    return dict(json.loads(text))


def changed(values: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a place such as "evaluation.entropy"."""
    key, _, rest = place.partition(".")
    return {**values, key: changed(values[key], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("seconds", None),
        ("bytes_sent", "many"),
        ("evaluation", []),
        ("evaluation.team_return", 3),
        ("evaluation.team_return.mean", float("nan")),
        ("evaluation.team_return.mean", True),
        ("evaluation.team_return.ci95", [1]),
        ("evaluation.agent_return", []),
        ("evaluation.agent_return", [1.0, 10**400]),
        ("evaluation.entropy", None),
        ("evaluation.milestones", None),
        ("evaluation.milestones", {"done": {"reached": 1.0}}),
        ("evaluation.deeds", None),
        ("evaluation.measures", {"peace": "much"}),
    ],
)
def test_a_damaged_result_is_named_before_anything_is_made_of_it(
    place: str, value: Any, tmp_path: Path
) -> None:
    whole = finished(tmp_path)
    assert cells.whole_result(tmp_path) == whole
    path = tmp_path / cells.RESULT
    path.write_text(json.dumps(changed(whole, place, value)))
    with pytest.raises(RunError, match=rf"{path} is damaged \(.*{place.split('.')[-1]}"):
        cells.whole_result(tmp_path)


def test_a_table_has_what_all_of_its_rows_have() -> None:
    row = {"setting": "as", "team_return": 1.0, "lowest_return": 1.0, "nash_welfare": 1.0}
    row |= {"seconds": 1.0, "peace": 0.5, "door_steps": 3.0}
    older = {k: v for k, v in row.items() if k not in ("peace", "door_steps")}
    assert "door_steps | peace" in sweeps.as_markdown([row, row])
    assert "door_steps" not in sweeps.as_markdown([row, older])
    assert sweeps.as_markdown([row, older]) == sweeps.as_markdown([older, row])


def test_more_seeds_than_a_list_can_have_are_refused_before_they_are_listed() -> None:
    assert len(sweeps.seeds("0..9999")) == 10_000
    with pytest.raises(ValueError, match=r"seeds = '0\.\.99999999999' are more than 10,000"):
        sweeps.seeds("0..99999999999")


@pytest.mark.parametrize("name", ["two\nlines", "name\udce9"])
def test_a_script_is_not_written_for_a_name_that_it_cannot_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a script cannot hold the name"):
        write_script(tmp_path / name, 1, "python", {}, trust=False)
    assert not (tmp_path / name).exists()


def test_a_sweep_in_a_folder_whose_name_is_no_text_has_its_tables(tmp_path: Path) -> None:
    out = tmp_path / "name\udce9"
    sweep = ["sweep", "predation", "--algorithm", "ippo", "--seeds", "0", "--evaluate", "2"]
    sweep += ["--set", "episodes=4", "--set", "num_envs=2", "--set", "env.num_agents=2"]
    assert main([*sweep, "--out", str(out)]) == 0
    assert f"--out {tmp_path}/name?" in (out / "sweep.md").read_text().replace("'", "")


def test_a_sweep_stays_in_its_folder_wherever_an_environment_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    given = ["python_envs:Roaming", "--algorithm", "ippo", "--seeds", "0..1", "--evaluate", "2"]
    settings = ["--set", "episodes=8", "num_envs=2", f"env.folder={there}"]
    argv = ["sweep", *given, *(w for v in settings[1:] for w in ("--set", v)), "--out", "out"]
    for _ in range(2):  # the second time all cells are done
        assert main(argv) == 0
        assert Path.cwd() == here
        assert not list(there.iterdir())
    assert {path.name for path in here.iterdir()} == {"out"}
    assert (here / "out" / "sweep.csv").read_text().count("\n") == 3
    for seed in (0, 1):
        assert (here / "out" / "runs" / "ippo" / f"s{seed}" / "evaluation.json").is_file()


def test_a_key_that_an_algorithm_does_not_read_is_not_set_for_it() -> None:
    base = Config.preset("predation")
    weights = {"penalty_weight": [1.0, 3.0], "gamma": [0.5, 0.9]}
    made = sweeps.grid(base, ["as", "ippo"], weights, [4], 1)
    assert [cell.name for cell in made if cell.config.algorithm == "ippo"] == [
        "ippo/gamma=0.5/s4",
        "ippo/gamma=0.9/s4",
    ]
    assert len(made) == 6
    assert all(cell.config.penalty_weight == base.penalty_weight for cell in made[4:])
    alone = sweeps.grid(base, ["ippo"], weights, [4], 1)  # nobody reads it: the user is told
    assert {cell.config.penalty_weight for cell in alone} == {1.0}
    own = sweeps.grid(base, ["ia", "as"], {"algorithm.alpha": [1.0, 5.0]}, [4], 1)
    assert [cell.name for cell in own] == [
        "ia/algorithm.alpha=1.0/s4",
        "ia/algorithm.alpha=5.0/s4",
        "as/s4",
    ]


@pytest.mark.parametrize("command", ["sweep predation", "reproduce fig7"])
def test_tables_of_evaluations_need_some(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*command.split(), "--evaluate", "0", "--out", str(out)]) == 1
    assert "evaluate = 0 is not allowed" in capsys.readouterr().err
    assert not out.exists()


def test_what_a_key_changes_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = "--set episodes=16 --set graph=ring --seeds 0,1 --workers 1 --evaluate 1"
    argv = ["sweep", "predation", "--algorithm", "ippo", *settings.split()]
    assert main([*argv, "--out", str(tmp_path / "out")]) == 0
    err = capfd.readouterr().err
    assert err.count("graph = ring changes nothing") == 1, err
    assert "Warning" not in err
