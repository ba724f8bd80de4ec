"""`ascore privacy leakage`: games are recorded once, attacked, and shown as table and picture."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ascore.cli import main
from ascore.config import Config
from ascore.errors import ConfigError, RunError
from ascore.privacy import leakage
from ascore.privacy.leakage import FLOOR, Plan, findings, read
from ascore.runs.lock import alone
from ascore.runtime.pool import Outcome

ALGORITHMS = (FLOOR, "as", "vs", "vps", "ps")
LINE = ["privacy", "leakage", "duel.toml", "--blocks", "3", "--games", "6", "--out", "leak"]


def in_this_process(
    tasks: Mapping[str, leakage.BlockTask], work: Any, *rest: Any, **more: Any
) -> list[Outcome]:
    def report(done: int, total: int, record: dict[str, Any]) -> None: ...

    return [
        Outcome(name, "done", result=work(task, report, lambda: False))
        for name, task in tasks.items()
    ]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with a measurement, and the object that the command printed."""
    folder = tmp_path_factory.mktemp("leakage")
    config = Config.preset(
        "predation",
        episodes=48,
        num_envs=8,
        iterations=2,
        actor_hidden=(8,),
        critic_hidden=(8,),
        env_params={"num_agents": 2},
    )
    (folder / "duel.toml").write_text(config.dump())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(leakage.pool, "run", in_this_process)
        assert main(LINE) == 0
    return folder, json.loads((folder / "leak" / "leakage.json").read_text())


def plan(folder: Path, **changes: Any) -> Plan:
    return Plan("duel", Config.load(folder / "duel.toml").replace(**changes), blocks=3, games=6)


def test_every_algorithm_floor_and_ceiling_are_in_the_table(
    measured: tuple[Path, dict[str, Any]],
) -> None:
    folder, values = measured
    rows = {row["algorithm"]: row for row in values["best"]}
    assert set(rows) == {*ALGORITHMS, "open"}
    assert rows["open"]["auc"]["mean"] > 0.95
    assert rows["open"]["attack"] == "rewards"
    assert rows[FLOOR]["lift"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert rows[FLOOR]["attack"] == "actions"
    assert rows["vs"]["auc"]["low"] <= rows["vs"]["auc"]["mean"] <= rows["vs"]["auc"]["high"]
    assert rows["as"]["bytes_sent"] > rows[FLOOR]["bytes_sent"] == 0
    for name in ("leakage.md", "leakage.csv", "attacks.csv", "leakage.png"):
        assert (folder / "leak" / name).stat().st_size > 100
    text = (folder / "leak" / "leakage.md").read_text()
    assert "| duel | AS | neighbour |" in text
    assert len((folder / "leak" / "leakage.csv").read_text().splitlines()) == 1 + len(rows)
    assert {row["attack"] for row in values["each"] if row["algorithm"] == "as"} == {
        "actions", "distributions", "changes", "signs"
    }  # fmt: skip


def test_games_are_recorded_once(
    measured: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, values = measured
    monkeypatch.chdir(folder)
    monkeypatch.setattr(leakage.pool, "run", in_this_process)

    def never(config: Config) -> Any:
        raise AssertionError(config)

    monkeypatch.setattr(leakage, "record", never)
    assert main([*LINE, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["best"] == values["best"]


def test_recordings_of_other_settings_and_damaged_ones_are_refused(
    measured: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = measured
    file = folder / "leak" / "games" / "duel" / "as" / "0003.npz"
    mine = plan(folder)
    assert read(file, mine.config("as", 3)).bytes_sent > 0
    with pytest.raises(RunError, match=r"^\S* was recorded with other settings; choose another"):
        read(file, plan(folder, gamma=0.9).config("as", 3))
    damaged = tmp_path / "0003.npz"
    damaged.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RunError, match=r"is damaged .* remove it"):
        read(damaged, mine.config("as", 3))
    with pytest.raises(RunError, match="damaged"):
        findings(mine, (FLOOR, "cppo"), folder / "leak")


def test_all_algorithms_play_the_same_games(measured: tuple[Path, dict[str, Any]]) -> None:
    mine = plan(measured[0])
    weights = {mine.config(name, 5).env_params["weights"] for name in ALGORITHMS}
    assert len(weights) == 1
    assert len({mine.config("as", s).env_params["weights"] for s in range(20)}) == 20


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"blocks": 2}, "blocks = 2 is outside 3..20"),
        ({"games": 3}, "games = 3 is outside 4..10000; fewer are too few to compare"),
        ({"games": 10**8}, "games = 100000000 is outside 4..10000"),
        ({"base": Config.preset("predation", env_params={"num_agents": 1})}, "somebody who lis"),
        ({"base": Config.preset("harvest")}, "harvest-v1 has no private weights"),
    ],
)
def test_plans_that_make_no_sense_are_refused(changes: dict[str, Any], sentence: str) -> None:
    base = Config.preset("predation", env_params={"num_agents": 2})
    with pytest.raises(ConfigError, match=sentence):
        Plan(**{"name": "x", "base": base, **changes})


def test_the_command_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "leakage"]) == 2
    assert "privacy needs leakage, and a run folder or a file" in capsys.readouterr().err
    assert main(["privacy", "leakage", "none.toml"]) == 1
    assert "none.toml cannot be read" in capsys.readouterr().err


def test_a_file_imports_no_algorithm(
    measured: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Which algorithms are trained is said by the line, so that of the file is not looked at."""
    folder, values = measured
    text = (folder / "duel.toml").read_text()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    (tmp_path / "duel.toml").write_text(text.replace('"as"', '"trap:NAME"'))
    monkeypatch.setattr(leakage.pool, "run", in_this_process)
    line = [str(tmp_path / "duel.toml") if part == "duel.toml" else part for part in LINE]
    assert main([*line, "--json"]) == 0  # those games are recorded already
    assert json.loads(capsys.readouterr().out)["best"] == values["best"]
    (tmp_path / "duel.toml").write_text(text.replace('"predation-v1"', '"trap:NAME"'))
    assert main(line) == 1
    assert "trap:NAME has no private weights; choose from:" in capsys.readouterr().err


def test_folders_of_others_and_games_of_one_name_are_refused_before_anything_is_written(
    measured: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (measured[0] / "duel.toml").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leakage.pool, "run", in_this_process)
    for folder in ("a/run", "b/run", "..."):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "config.toml").write_text(text)
    Path("mine").mkdir()
    Path("mine/leakage.json").write_text("mine")
    Path("file").write_text("mine")
    Path("theirs/games").mkdir(parents=True)
    Path("theirs/leakage.md").write_text("theirs")
    there = sorted(tmp_path.rglob("*"))
    for targets, out, sentence in (
        (["a/run", "b/run"], "new", "two targets are called run; rename one"),
        (["..."], "new", "a target is called '...', which would hide its folder"),
        (["a/run"], "mine", "mine is not empty: it holds leakage.json; choose another --out"),
        (["a/run"], "a/run", "a/run already holds a run"),
        (["a/run"], "file", "cannot write file: "),
        (["a/run"], "theirs", "theirs is not empty: it holds games, leakage.md; choose another"),
    ):
        assert main(["privacy", "leakage", *targets, *LINE[3:-1], out]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"ascore: {sentence}"), error
    assert sorted(tmp_path.rglob("*")) == there
    assert Path("mine/leakage.json").read_text() == "mine"


def test_a_second_writer_of_a_measurement_is_told_who_writes(
    measured: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(measured[0])
    with alone(Path("leak")):
        assert main(LINE) == 1
    message = f"ascore: leak is being written by process {os.getpid()} on "
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)


def test_damaged_recordings_are_named_whatever_the_damage(
    measured: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Never another error than that, nor a wait, nor numbers that are not finite."""
    game = plan(measured[0])
    whole = (measured[0] / "leak" / "games" / "duel" / "as" / "0000.npz").read_bytes()
    config, file = game.config("as", 0), tmp_path / "game.npz"
    rng, refused = random.Random(0), 0
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 5, 40))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)
        try:
            read(file, config)
        except RunError as error:
            refused += 1
            assert str(file) in str(error)  # noqa: PT017
    assert refused > 1000
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(RunError, match="is a pipe, not a regular file"):
        read(file, config)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(RunError, match="is a symbolic link"):
        read(file, config)


def test_what_fails_alike_everywhere_is_told_once(
    measured: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(tasks: Mapping[str, leakage.BlockTask], *rest: Any, **more: Any) -> list[Outcome]:
        return [Outcome(name, "failed", reason="no space") for name in tasks]

    monkeypatch.chdir(measured[0])
    monkeypatch.setattr(leakage.pool, "run", failing)
    assert main(LINE) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "ascore: duel/ippo/0 and 14 more: no space"
    assert main([*LINE, "--algorithm", "team"]) == 1  # before anything is trained
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("ascore: the attacks cannot read what team sends; choose from: as,")
