"""Tables of what runs reached, their course, and runs as data frames."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import PER_UPDATE, made_run

import ascore
from ascore.errors import AscoreWarning
from ascore.runs.course import course, final_return
from ascore.runs.groups import by_setting

FEW = "Intervals from fewer than 10 runs are too narrow."


def ended_at(folder: Path, algorithm: str, values: list[float], **keys: Any) -> list[ascore.Run]:
    """A run per value, which is its return throughout."""
    return [
        made_run(folder / f"{algorithm}-{seed}", [v] * 10, algorithm=algorithm, seed=seed, **keys)
        for seed, v in enumerate(values)
    ]


def test_a_row_per_setting_with_interquartile_mean_and_interval(tmp_path: Path) -> None:
    ended_at(tmp_path, "ippo", [-180.0])
    ended_at(tmp_path, "as", [-60.0, -61.0, -62.0, -63.0, -100.0])
    table = ascore.compare(tmp_path)
    best, other = table.rows
    assert (best.setting, best.team_return.n, best.team_return.iqm) == ("AS", 5, -62.0)
    assert best.team_return.ci95 is not None
    low, high = best.team_return.ci95
    assert -100 <= low < -62 < high <= -60
    assert (other.setting, other.team_return.n, other.team_return.ci95) == ("IPPO", 1, None)
    assert best.anchors == {"random": -120, "selfish": -180, "cooperative": -60}
    lines = repr(table).splitlines()
    assert lines[0].split("  ")[0] == "setting"
    assert lines[1].startswith("AS       5       -62.00  [")
    assert lines[2] == "IPPO     1      -180.00"
    assert lines[-2].endswith("random -120, selfish -180, cooperative -60.")
    assert lines[-1] == FEW


def test_several_environments_have_a_column(tmp_path: Path) -> None:
    ended_at(tmp_path / "two", "as", [-60.0])
    ended_at(tmp_path / "three", "as", [-90.0], env_params={"num_agents": 3})
    text = repr(ascore.compare(tmp_path))
    assert text.startswith("environment ")
    assert "predation-v1 (num_agents 3)" in text


def test_unfinished_runs_count_and_are_named(tmp_path: Path) -> None:
    made_run(tmp_path / "whole", [-60.0] * 10)
    made_run(tmp_path / "part", [-70.0] * 3, seed=1, finished=False)
    with pytest.warns(AscoreWarning, match=r"counted as far as they have come.*part"):
        (row,) = ascore.compare(tmp_path).rows
    assert row.team_return.iqm == -65.0


def test_runs_without_an_episode_are_left_out_by_name(tmp_path: Path) -> None:
    made_run(tmp_path / "whole", [-60.0] * 10)
    made_run(tmp_path / "empty", [None] * 3, seed=1)
    with pytest.warns(AscoreWarning, match=r"left out, since no episode has ended there: .*empty"):
        assert ascore.compare(tmp_path).rows[0].team_return.n == 1
    with (
        pytest.warns(AscoreWarning, match="left out"),
        pytest.raises(ascore.RunError, match="nothing to compare"),
    ):
        ascore.compare(tmp_path / "empty")


def test_html_is_escaped(tmp_path: Path) -> None:
    run = made_run(tmp_path / "<b>bold", [-60.0] * 10, algorithm="no_such:<script>")
    for page in (ascore.compare(run)._repr_html_(), run._repr_html_(), run.config._repr_html_()):
        assert "<table>" in page
        assert "<script>" not in page
        assert "<b>" not in page
        assert "&lt;script&gt;" in page


def test_new_episodes_can_be_played(tmp_path: Path) -> None:
    config = ascore.Config.preset("predation", num_envs=2, episodes=2, env_params={"num_agents": 2})
    run = ascore.train(config, tmp_path / "run")
    (row,) = ascore.compare(run, episodes=3).rows
    assert row.team_return.iqm == ascore.evaluate(run, episodes=3).team_return.mean
    with pytest.raises(ValueError, match="episodes = -1 is not allowed; it must be at least 0"):
        ascore.compare(run, episodes=-1)


def test_the_final_return_is_that_of_the_summary(tmp_path: Path) -> None:
    config = ascore.Config.preset(
        "predation", num_envs=2, episodes=60, env_params={"num_agents": 2}
    )
    run = ascore.train(config, tmp_path / "run")
    assert final_return(run) == run.summary["team_return"]


def test_a_course_ends_with_its_shortest_run(tmp_path: Path) -> None:
    long = made_run(tmp_path / "long", [float(k) for k in range(40)])
    short = made_run(tmp_path / "short", [float(k) + 2 for k in range(20)], seed=1)
    (group,) = by_setting([long, short])
    line = course(group, "episodes")
    assert line.ends_early
    assert (line.x[0], line.x[-1]) == (PER_UPDATE, 20 * PER_UPDATE)
    at = line.x / PER_UPDATE - 1
    assert np.allclose(line.middle, at + 1)  # the mean of at and at + 2
    assert (line.low <= line.middle).all()


def test_bytes_are_summed_over_agents_and_updates(tmp_path: Path) -> None:
    (group,) = by_setting([made_run(tmp_path / "run", [-60.0] * 5, bytes_sent=100)])
    line = course(group, "bytes")
    assert line.x.tolist() == [200, 400, 600, 800, 1000]
    assert line.sends
    assert np.isnan(line.low).all()  # one run has no interval


def test_a_run_and_a_comparison_as_data_frames(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    run = made_run(tmp_path / "run", [None, -60.0, -62.0])
    frame = run.frame()
    assert list(frame.columns) == [
        "update", "episodes", "team_return", "return_0", "return_1", "entropy_0", "entropy_1",
        "bytes_sent_0", "bytes_sent_1", "seconds",
    ]  # fmt: skip
    assert frame["update"].tolist() == [1, 2, 3]
    assert pandas.isna(frame["team_return"][0])
    assert frame["return_1"][2] == -31.0
    table = ascore.compare(run).frame()
    assert table.loc[0, ["env", "setting", "n", "team_return", "selfish"]].tolist() == [
        "predation-v1 (num_agents 2)", "AS", 1, -62.0, -180.0,
    ]  # fmt: skip
    assert pandas.isna(table["low"][0])


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run(tmp_path / "run", [-60.0])
    table = ascore.compare(run)
    monkeypatch.setitem(sys.modules, "pandas", None)
    for call, name in ((run.frame, "run.frame"), (table.frame, r"ascore.compare\(...\).frame")):
        with pytest.raises(
            ModuleNotFoundError, match=rf"{name}\(\) needs pandas; pip install 'ascore\[pandas\]'"
        ):
            call()
