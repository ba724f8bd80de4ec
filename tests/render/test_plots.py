"""Learning curves: what is drawn, what is left out, and what is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ascore
from ascore.errors import AscoreWarning, RunError
from ascore.render.plots import plot_runs, smoothed

QUICK: dict[str, Any] = {
    "env": "exchange-v1",
    "env_params": {"horizon": 20},
    "num_envs": 2,
    "rollout_steps": 5,
    "actor_hidden": (4,),
    "critic_hidden": (4,),
}


def trained(out: Path, updates: int) -> ascore.Run:
    """A run that is stopped after some updates; an episode ends with every fourth."""
    count = iter(range(1, updates + 1))
    config = ascore.Config(episodes=40, **QUICK)
    return ascore.train(config, out, stop=lambda: next(count) == updates)


def test_updates_without_an_end_of_an_episode_are_gaps(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 9)
    returns = [record["team_return"] for record in run.metrics]
    assert [value is None for value in returns] == [True] * 3 + [False] + [True] * 3 + [False, True]
    plot_runs([run.path], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5_000


def test_a_picture_of_nothing_is_an_error(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 2)
    with pytest.raises(RunError, match=r"nothing to draw: no episode has ended in .*run; train"):
        plot_runs([run.path], tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


@pytest.mark.parametrize("empty", ["no episode", "no line"])
def test_runs_with_nothing_to_draw_are_named_and_the_others_drawn(
    tmp_path: Path, empty: str
) -> None:
    good, bad = trained(tmp_path / "good", 8), trained(tmp_path / "bad", 2)
    if empty == "no line":
        (bad.path / "metrics.jsonl").write_text("")
    with pytest.warns(AscoreWarning, match=f"left out, since no episode .*: {bad.path}"):
        plot_runs([good.path, bad.path], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").exists()


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 8)
    with pytest.raises(RunError, match=r"cannot write .*nowhere/x\.png: No such file"):
        plot_runs([run.path], tmp_path / "nowhere" / "x.png")
    with pytest.raises(RunError, match=r"cannot write .*x\.txt: .*choose an ending"):
        plot_runs([run.path], tmp_path / "x.txt")


def test_gaps_do_not_spread_when_curves_are_smoothed() -> None:
    values = np.array([np.nan, 1.0, np.nan, 3.0, *[2.0] * 196])
    smooth = smoothed(values)  # over four updates
    assert np.isnan(smooth[[0, 2]]).all()
    assert smooth[[1, 3, 4, 5]].tolist() == [1.0, 2.0, 2.0, 7 / 3]


def test_numbers_that_are_not_finite_are_null(tmp_path: Path, capsys: Any) -> None:
    from ascore.cli import main

    run = trained(tmp_path / "run", 40)
    assert main(["evaluate", str(run.path), "--episodes", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert result["team_return"]["ci95"] == [None, None]
    assert main(["evaluate", str(run.path), "--episodes", "1"]) == 0
    assert "over 1 episode, which gives no interval" in capsys.readouterr().out
