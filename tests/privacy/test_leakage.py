"""`ascore privacy leakage`: games are recorded once, attacked, and shown as table and picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ascore.cli import main
from ascore.config import Config
from ascore.errors import ConfigError, RunError
from ascore.privacy import leakage
from ascore.privacy.leakage import FLOOR, Plan, findings, read
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
    with pytest.raises(RunError, match="recorded with other settings"):
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
        ({"games": 3}, "games = 3 is too few"),
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
