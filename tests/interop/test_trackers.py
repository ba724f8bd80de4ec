"""Callbacks for Weights & Biases and MLflow, with stand-ins that keep what they are given."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

import ascore

CONFIG = ascore.Config(
    env="exchange-v1", env_params={"horizon": 20}, num_envs=2, rollout_steps=10, episodes=4,
    actor_hidden=(4,), critic_hidden=(4,),
)  # fmt: skip


def columns(run: ascore.Run) -> dict[int, dict[str, float]]:
    """The finite numbers of metrics.csv, by update."""
    lines = (run.path / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    return {
        int(row["update"]): {k: float(v) for k, v in row.items() if v not in ("", "nan")}
        for row in rows
    }


class Kept:
    """Stands in for a run of either service."""

    def __init__(self) -> None:
        self.logged: dict[int, dict[str, float]] = {}

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.logged[step] = metrics

    log_metrics = log


@pytest.mark.parametrize("make", [ascore.wandb_report, ascore.mlflow_report])
def test_every_update_is_logged_with_its_number(make: Any, tmp_path: Path) -> None:
    kept = Kept()
    run = ascore.train(CONFIG, tmp_path / "run", report=make(kept))
    wanted = columns(run)
    assert kept.logged == wanted
    assert "team_return" not in wanted[1]  # no episode ended: left out, not NaN
    assert "team_return" in wanted[2]


def test_wandb_is_started_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kept, given = types.ModuleType("wandb"), Kept(), {}

    def init(**settings: Any) -> Kept:
        given.update(settings)
        return kept

    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    ascore.wandb_report(project="commons", mode="offline")(1, 2, {"update": 1, "x": [1.5, 2.0]})
    assert given == {"project": "commons", "mode": "offline"}
    assert kept.logged == {1: {"update": 1.0, "x_0": 1.5, "x_1": 2.0}}


def test_mlflow_logs_to_its_active_run(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kept = types.ModuleType("mlflow"), Kept()
    module.log_metrics = kept.log_metrics  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    ascore.mlflow_report()(1, 2, {"update": 1, "return": [float("nan"), 2.0]})
    assert kept.logged == {1: {"update": 1.0, "return_1": 2.0}}


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ModuleNotFoundError,
        match=rf"ascore.{name}_report needs {name}; pip install 'ascore\[{name}\]'",
    ):
        getattr(ascore, f"{name}_report")()
