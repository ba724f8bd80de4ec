"""The paper's figures: their cells, data files and pictures, and continuing after a stop."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lines import without_waiting
from PIL import Image

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.envs.factory import anchor_values
from ascore.experiments import results, sizes, studies, sweeps, tables
from ascore.experiments.studies import MAIN, PANELS, STUDIES

PAPER = [name for name, study in STUDIES.items() if study.in_paper]
TINY = {"actor_hidden": (4,), "critic_hidden": (4,), "num_envs": 2, "episodes": 8, "minibatches": 1}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrinks all studies to the smallest trainings that still have curves."""
    real = studies.config_of

    def config_of(*args: Any) -> Config:
        return real(*args).replace(**TINY, iterations=1)

    monkeypatch.setattr(studies, "config_of", config_of)
    monkeypatch.setattr(results, "config_of", config_of)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = main(list(args))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def names(figure: str, preset: str = "tuned", budget: Any = "small") -> list[str]:
    return [cell.name for cell in studies.cells([figure], preset, budget, 200, 1)]


# ---------------------------------------------------------------------- what is run


def test_figure_2_is_five_environments_by_four_algorithms_and_one_that_shares_nothing():
    algorithms = ["as", "vps", "vs", "ps", "ippo"]
    assert names("fig2") == [f"tuned/{panel}/{a}/s0" for panel in MAIN for a in algorithms]
    assert [PANELS[panel].env for panel in MAIN] == [
        "cleanup", "harvest", "predation", "navigation", "exchange",
    ]  # fmt: skip


def test_figure_3_is_sparse():
    listed = studies.cells(["fig3"], "tuned", "paper", 200, 1)
    assert [c.config.env_params["num_agents"] for c in listed] == [20] * 5 + [30] * 5
    speaking = [c.config for c in listed if c.config.algorithm != "ippo"]
    assert {(config.graph, config.communicate_every) for config in speaking} == {("random_one", 2)}
    assert [c.config.algorithm for c in listed] == ["as", "vps", "vs", "ps", "ippo"] * 2
    rates = [c.config.actor_lr for c in listed]
    preset = Config.preset("predation").actor_lr
    assert rates == [preset, preset, preset, min(preset, 2e-4), preset] * 2
    literal = studies.cells(["fig3"], "paper", "paper", 200, 1)
    assert {c.config.actor_lr for c in literal} == {1e-4}


def test_figure_4_has_the_paper_s_weights_with_the_paper_s_preset():
    listed = studies.cells(["fig4"], "paper", "paper", 200, 1)
    weights = [c.config.penalty_weight for c in listed]
    assert weights == pytest.approx([900, 1000, 1100, 0.01, 0.1, 1, 0.03, 0.1, 0.3])
    tuned = studies.cells(["fig4"], "tuned", "small", 200, 1)
    base = [Config.preset(env).penalty_weight for env in ("cleanup", "harvest", "predation")]
    factors = [c.config.penalty_weight / base[i // 3] for i, c in enumerate(tuned)]
    assert factors == pytest.approx([0.9, 1, 1.1, 0.1, 1, 10, 0.3, 1, 3])


def test_figure_5_removes_the_penalties_and_nothing_else():
    listed = studies.cells(["fig5"], "tuned", "paper", 200, 1)
    assert len(listed) == 10
    for whole, without in zip(listed[::2], listed[1::2], strict=True):
        assert whole.config.penalty_weight > 0
        assert without.config == whole.config.replace(penalty_weight=0.0)


def test_figure_6_has_two_agents_and_figure_7_shares_its_run():
    listed = studies.cells(["fig6"], "tuned", "small", 200, 1)
    made = [ascore.make(c.config.env, **c.config.env_params) for c in listed]
    assert {env.spec.num_agents for env in made} == {2}
    assert [c.config.algorithm for c in listed] == ["ippo", "as", "cppo"] * 3
    assert names("fig7") == ["tuned/predation-n2/as/s0"]
    assert set(names("fig7")) < set(names("fig6"))


def test_all_figures_together_run_each_cell_once():
    listed = studies.cells(list(STUDIES), "tuned", "small", 200)
    assert len({c.name for c in listed}) == len(listed)
    assert len(listed) == studies.SEEDS["small"] * len(
        {name for figure in STUDIES for name in names(figure)}
    )
    assert {(c.config.num_threads, c.config.torch_threads) for c in listed} == {(1, 1)}
    assert [c.config.seed for c in listed] == sorted(c.config.seed for c in listed)


def test_budgets_differ_in_length_alone():
    small = studies.cells(list(STUDIES), "tuned", "small", 200, 1)
    full = studies.cells(list(STUDIES), "tuned", "full", 200, 1)
    for a, b in zip(small, full, strict=True):
        assert a.name == b.name
        assert a.config.episodes < b.config.episodes
        assert a.config == b.config.replace(episodes=a.config.episodes)
    assert studies.cells(list(STUDIES), "tuned", "paper", 200, 1) == full


def test_a_crowd_is_the_paper_s_with_more_agents_and_no_special_case():
    listed = {c.name: c.config for c in studies.cells(["crowd"], "tuned", "full", 200)}
    assert {c.env_params["num_agents"] for c in listed.values()} == {20, 30, 100, 300, 1000}
    count = [sum(f"crowd-n{n}/as-nearest/" in name for name in listed) for n in studies.CROWDS]
    assert count == [5, 5, 5, 5, 3]
    speaking = [c for c in listed.values() if c.algorithm != "ippo"]
    assert {c.communicate_every for c in speaking} == {2}
    assert {(c.graph, c.graph_degree) for c in speaking if c.graph != "random_one"} == {
        ("nearest", 2)
    }
    for algorithm in ("as", "vs", "ippo"):
        alike = [
            c.replace(seed=0, env_params={"obs_mode": c.env_params["obs_mode"]})
            for c in listed.values()
            if c.algorithm == algorithm and c.graph != "random_one"
        ]
        assert alike == alike[:1] * len(alike)
    assert not studies.cells(["crowd"], "paper", "paper", 200, 1)


def test_every_panel_can_be_normalised():
    for study in STUDIES.values():
        for panel in study.panels:
            panel = PANELS[panel]
            for preset in ("tuned", "paper"):
                config = Config.preset(panel.env, preset=preset, env_params=dict(panel.params))
                anchors = dict(anchor_values(config.env, config.env_params))
                assert results.normalized(anchors[panel.zero], anchors, panel.zero) == 0.0
                assert results.normalized(anchors["cooperative"], anchors, panel.zero) == 1.0


# ---------------------------------------------------------------------- from runs to pictures


@pytest.mark.usefixtures("tiny")
def test_reproduce_writes_data_and_draws_them_and_redraws_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """All of the paper's figures, with some of their panels."""
    some = {"predation-n2", "predation-n8", "predation-n20", "exchange"}
    for name in PAPER:
        panels = {key: lines for key, lines in STUDIES[name].panels.items() if key in some}
        monkeypatch.setitem(STUDIES, name, replace(STUDIES[name], panels=panels))
    out = tmp_path / "out"
    args = ["reproduce", "all", "--seeds", "1", "--evaluate", "3", "--out", str(out)]
    status, output, err = run(capsys, *args)
    assert status == 0, err
    cells = {name for figure in PAPER for name in names(figure)}
    assert f"{len(cells)}/{len(cells)} " in err
    for study in map(STUDIES.__getitem__, PAPER):
        folder = out / f"{study.name}-tuned"
        assert f"picture and table written to {folder}" in output
        with Image.open(folder / f"{study.name}.png") as picture:
            assert min(picture.size) > 400
        record = json.loads((folder / results.RECORD).read_text())
        assert record["command"].startswith("ascore reproduce all --seeds 1")
        assert record["machine"]["cores"] >= 1
        assert record["panels"].keys() == study.panels.keys()
        with open(folder / results.FINALS, newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == sum(map(len, study.panels.values()))
        page = (folder / "README.md").read_text()
        assert "| 1 |" in page
        assert tables.few_runs(1) in page
        assert "Missing" not in page

    # A run's row agrees with its own evaluation.
    findings = results.read(out / "fig2-tuned")
    (row,) = findings.rows("exchange", "vs")
    evaluation = ascore.evaluate(out / "runs/tuned/exchange/vs/s0", episodes=3)
    assert row["team_return"] == pytest.approx(evaluation.team_return.mean, rel=1e-5)
    assert row["normalized"] == pytest.approx((evaluation.team_return.mean + 9) / 15, rel=1e-4)
    assert row["boxes_open_reached"] == pytest.approx(evaluation.milestones["boxes_open"].reached)

    # More seeds are added to the existing runs.
    args[1], args[3] = "fig3", "2"
    status, _, err = run(capsys, *args)
    assert status == 0
    assert "5 of 10 runs were already done" in err
    assert results.read(out / "fig3-tuned").returns("predation-n20", "vps-sparse").shape == (2,)

    # Pictures come from the data alone.
    shutil.rmtree(out / "runs")
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    before = {path.relative_to(out): path.read_bytes() for path in out.glob("*/*")}
    for path in [*moved.glob("*/*.png"), *moved.glob("*/README.md")]:
        path.unlink()
    status, output, _ = run(capsys, "reproduce", "--redraw", str(moved), "--json")
    assert status == 0
    assert len(json.loads(output)["pictures"]) == len(PAPER)
    assert {p.relative_to(moved): p.read_bytes() for p in moved.glob("*/*")} == before
    record = json.loads((moved / "fig3-tuned" / results.RECORD).read_text())
    record["notes"] = ["Two runs are of another machine."]
    (moved / "fig3-tuned" / results.RECORD).write_text(json.dumps(record))
    assert run(capsys, "reproduce", "--redraw", str(moved / "fig3-tuned"))[0] == 0
    assert record["notes"][0] in (moved / "fig3-tuned" / "README.md").read_text()


@pytest.mark.usefixtures("tiny")
def test_costs_are_drawn_against_the_number_of_agents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    panels = {key: STUDIES["crowd"].panels[key] for key in ("crowd-n20", "crowd-n30")}
    monkeypatch.setitem(STUDIES, "crowd", replace(STUDIES["crowd"], panels=panels))
    out = tmp_path / "out"
    args = ("reproduce", "crowd", "--seeds", "2", "--evaluate", "2", "--out", str(out))
    assert run(capsys, *args)[0] == 0
    folder = out / "crowd-tuned"
    findings = results.read(folder)
    for panel, lines in panels.items():
        for series in lines:
            for row in findings.rows(panel, series.key):
                assert 50e6 < row["peak_memory"] < 5e9
                assert (row["bytes_sent"] == 0) == (series.algorithm == "ippo")
    (axes, *_) = sizes.draw(findings).axes
    assert [line.get_label() for line in axes.lines if line.get_label()[0] != "_"] == [
        "AS, 2 nearest", "AS, 1 at random", "PS, 1 at random", "VPS, 2 nearest", "VS, 2 nearest",
        "Independent PPO",
    ]  # fmt: skip
    line = next(line for line in axes.lines if line.get_label() == "Independent PPO")
    rows = findings.returns("crowd-n30", "ippo")
    assert line.get_xdata().tolist() == [20, 30]
    assert line.get_ydata()[1] == pytest.approx(rows.mean() / 30)

    picture = (folder / "crowd.png").read_bytes()
    (folder / "crowd.png").unlink()
    assert run(capsys, "reproduce", "--redraw", str(folder))[0] == 0
    assert (folder / "crowd.png").read_bytes() == picture
    record = json.loads((folder / results.RECORD).read_text())
    del record["panels"]["crowd-n20"]["env_params"]["num_agents"]
    (folder / results.RECORD).write_text(json.dumps(record))
    status, _, err = run(capsys, "reproduce", "--redraw", str(folder))
    assert status == 1
    assert "panel crowd-n20" in err
    assert len(err.splitlines()) == 1


@pytest.mark.usefixtures("tiny")
def test_a_sweep_goes_on_with_the_list_of_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    figure = ["reproduce", "fig7", "--seeds", "1", "--evaluate", "2", "--out", str(tmp_path)]
    assert run(capsys, *figure, "--slurm")[0] == 0
    status, output, err = run(capsys, "sweep", "--out", str(tmp_path))
    assert status == 0, err
    assert "sweep.md" in output
    assert (tmp_path / "sweep.md").read_text().startswith("```sh\nascore sweep --out")
    status, output, err = run(capsys, *figure)
    assert status == 0
    assert "1 of 1 runs were already done" in err
    assert "picture and table written" in output


@pytest.mark.usefixtures("tiny")
def test_curves_are_means_over_stretches_of_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(TINY, "episodes", 200)
    out = str(tmp_path)
    assert run(capsys, "reproduce", "fig7", "--seeds", "2", "--evaluate", "2", "--out", out)[0] == 0
    findings = results.read(tmp_path / "fig7-tuned")
    x, curves = findings.curve("predation-n2", "as", "anticipation_mse_1")
    logged = [
        ascore.Run.open(tmp_path / f"runs/tuned/predation-n2/as/s{s}").metrics for s in (0, 1)
    ]
    assert len(x) == results.POINTS
    assert x[-1] == logged[0][-1]["episodes"] == 200
    for seed in (0, 1):
        values = np.array([record["anticipation_mse"][1] for record in logged[seed]])
        parts = [part.mean() for part in np.array_split(values, results.POINTS)]
        assert curves[seed] == pytest.approx(parts, rel=1e-5)


@pytest.mark.usefixtures("tiny")
def test_what_fails_is_named_and_the_rest_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    real = studies.config_of

    def config_of(*args: Any) -> Config:
        config = real(*args)
        return config.replace(actor_lr=1e38) if args[-1] == 1 else config

    monkeypatch.setattr(studies, "config_of", config_of)
    args = ["reproduce", "fig7", "--seeds", "2", "--evaluate", "2", "--out", str(tmp_path)]
    status, output, err = run(capsys, *args)
    assert status == 1
    assert "ascore: tuned/predation-n2/as/s1 failed: update 0: " in err
    assert "1 of 2 cells failed; run the same command again to retry them" in err
    assert "picture and table written to" in output
    page = (tmp_path / "fig7-tuned/README.md").read_text()
    assert "Missing: `tuned/predation-n2/as/s1`, update 0: " in page
    assert "| 1 |" in page


PROGRAM = """
import sys
from ascore.cli import main
from ascore.experiments import results, studies
real = studies.config_of
def config_of(*args):
    return real(*args).replace(**eval(sys.argv[1]))
studies.config_of = results.config_of = config_of
if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.usefixtures("tiny")
def test_a_killed_study_goes_on_to_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """After kill -9 and the same command again, all data equal those of an uninterrupted study."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    monkeypatch.setitem(TINY, "episodes", 160)
    args = ["reproduce", "fig7", "--seeds", "2", "--evaluate", "5", "--workers", "2", "--out"]
    keys = repr(TINY | {"iterations": 1})
    command = [sys.executable, str(program), keys, *args, str(tmp_path / "parts")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    log = tmp_path / "parts/runs/tuned/predation-n2/as/s1/metrics.jsonl"
    while not log.exists() or log.read_text().count("\n") < 20:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The workers notice, save, and unlock their folders; until then the second command is refused.
    while run(capsys, *args, str(tmp_path / "parts"))[0] != 0:
        time.sleep(0.1)
    assert run(capsys, *args, str(tmp_path / "whole"))[0] == 0
    for name in (results.CURVES, results.FINALS):
        texts = []
        for out in ("whole", "parts"):
            rows = (tmp_path / out / "fig7-tuned" / name).read_text()
            parsed = list(csv.DictReader(rows.splitlines()))
            texts.append([{k: v for k, v in row.items() if k != "seconds"} for row in parsed])
        assert texts[0] == texts[1]


def test_a_stopped_study_says_how_to_go_on_and_draws_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ascore.commands.experiments.stop_on_signal", lambda: lambda: True)
    status, output, err = run(capsys, "reproduce", "fig7", "--seeds", "1", "--out", str(tmp_path))
    assert (status, output) == (130, "")
    assert (
        "stopped with 1 of 1 cells left, all saved; run the same command again to continue" in err
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["reproduce"], "reproduce needs a figure, as in: ascore reproduce fig2"),
        (["reproduce", "fig9"], "unknown figure 'fig9'; choose from: fig2, fig3"),
        (["reproduce", "--redraw", "nowhere"], "nowhere holds no record.json"),
        (["sweep", "exchange", "--set", "gama=1,2"], "unknown key 'gama'"),
        (["sweep", "exchange", "--set", "gamma"], "--set 'gamma' is not KEY=VALUE,VALUE"),
        (["sweep", "exchange", "--set", "gamma=2"], "gamma = 2"),
        (["sweep", "exchange", "--set", "seed=1,2"], "have their own options"),
        (["sweep", "exchange", "--set", "env.side=4"], "side"),
        (["sweep", "exchange", "--seeds", "4..0"], "0 comes before 4"),
        (["sweep", "exchange", "--seeds", "a"], "seeds = 'a' is not allowed"),
        (["sweep", "exchange", "--algorithm", "ppo"], "unknown algorithm 'ppo'"),
        (["sweep", "--out", "nowhere"], "cells.json cannot be read"),
        (["sweep", "exchange", "--workers", "-1"], "workers = -1 is not allowed"),
    ],
)
def test_bad_options_are_one_line(
    args: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *args)
    # 2 where the line cannot be read, 1 where what it names is not there or not allowed
    assert (status, out) == (2 if "as in:" in message or "KEY=" in message else 1, "")
    assert message in err
    assert len(without_waiting(err)) == 1


# ---------------------------------------------------------------------- sweeps


SWEEP = ["sweep", "predation", "--set", "env.num_agents=2", "--set", "episodes=8",
         "--set", "num_envs=2", "--set", "actor_hidden=[4],[4,4]", "--set", "critic_hidden=[4]",
         "--evaluate", "4"]  # fmt: skip


@pytest.mark.parametrize(("columns", "last"), [(60, "team return"), (80, "best"), (120, "seconds")])
def test_the_table_of_a_sweep_fits_a_terminal(columns: int, last: str) -> None:
    """Its first three columns are always there."""
    table = [
        {"setting": f"as/penalty_weight={weight}", "seed": seed, "seconds": 9.0,
         "team_return": -179.95 + seed, "lowest_return": -91.5, "nash_welfare": 0.25}
        for weight in (1, 3) for seed in (0, 1, 2)
    ]  # fmt: skip
    lines = sweeps.as_text(table, columns).splitlines()
    assert lines[0].split()[:4] == ["setting", "runs", "team", "return"]
    assert lines[0].endswith(last)
    assert lines[1].split()[:2] == ["as/penalty_weight=1", "3"]
    assert max(map(len, lines)) <= columns
    assert " ".join(lines[4:]).startswith("Intervals from 3 runs are too narrow: below 10, a")


def test_a_sweep_is_every_combination(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    args = [*SWEEP, "--algorithm", "as", "ippo", "--seeds", "0..1", "--out", str(tmp_path)]
    status, output, err = run(capsys, *args)
    assert status == 0, err
    assert "8/8" in err
    with open(tmp_path / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["setting"], row["seed"]) for row in rows] == [
        (f"{algorithm}/actor_hidden={sizes}", str(seed))
        for seed in (0, 1) for algorithm in ("as", "ippo") for sizes in ("4", "4-4")
    ]  # fmt: skip
    config = Config.load(tmp_path / "runs/ippo/actor_hidden=4-4/s1/config.toml")
    assert (config.algorithm, config.actor_hidden, config.seed) == ("ippo", (4, 4), 1)
    assert config.env_params == {"num_agents": 2}
    returns = [float(r["team_return"]) for r in rows if r["setting"] == "as/actor_hidden=4"]
    line = next(x for x in output.splitlines() if x.startswith("  as/actor_hidden=4 "))
    assert f"  2  {np.mean(returns):.2f} [" in re.sub(r"   +", "  ", line)
    assert json.loads((tmp_path / "sweep.json").read_text())["command"].startswith("ascore sweep")
    page = (tmp_path / "sweep.md").read_text()
    assert page.startswith("```sh\nascore sweep predation")
    assert f"| as/actor_hidden=4 | 2 | {np.mean(returns):.2f} [" in page
    assert "![Learning curves by setting](sweep.png)" in page
    assert f"picture written to {tmp_path / 'sweep.png'}" in output
    with Image.open(tmp_path / "sweep.png") as picture:
        assert min(picture.size) > 400
    assert run(capsys, "plot", str(tmp_path), "--out", str(tmp_path / "again.png"))[0] == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "sweep.png").read_bytes()

    again = json.loads(run(capsys, "sweep", "--out", str(tmp_path), "--json")[1])
    assert [cell["team_return"] for cell in again["cells"]] == pytest.approx(
        [float(row["team_return"]) for row in rows], rel=1e-5
    )
    assert again["picture"] == str(tmp_path / "sweep.png")


def test_a_sweep_without_matplotlib_has_its_tables_and_says_how_to_get_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in ("ascore.render.plots", "ascore.render.charts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    status, output, err = run(capsys, *SWEEP, "--seeds", "0", "--out", str(tmp_path))
    assert status == 0
    assert "tables written to" in output
    assert "picture written" not in output
    assert "no picture, since matplotlib is missing; pip install 'ascore[plot]', then: " in err
    assert f"ascore plot {tmp_path}" in err
    assert (tmp_path / "sweep.md").exists()
    assert not (tmp_path / "sweep.png").exists()


def test_the_same_list_runs_as_a_job_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs the script as Slurm does: bash, with the number of the task in a variable."""
    out = tmp_path / "my sweep"
    args = [*SWEEP, "--seeds", "0..1", "--out", str(out)]
    status, output, _ = run(capsys, *args, "--slurm")
    assert status == 0
    assert output == (
        f"4 cells; adapt the limits in the script, then: sbatch {out / 'array.sbatch'}\n"
        f"when the jobs are done, for the tables and pictures: ascore sweep --out '{out}'\n"
    )
    script = out / "array.sbatch"
    text = script.read_text()
    assert "#SBATCH --array=0-3\n" in text
    assert not (out / "runs").exists()
    subprocess.run(
        ["bash", script], env={"SLURM_ARRAY_TASK_ID": "2", "PATH": "/usr/bin:/bin"},
        capture_output=True, check=True,
    )  # fmt: skip
    assert [path.parent.name for path in out.glob("runs/*/*/*/evaluation.json")] == ["s1"]
    status, _, err = run(capsys, "sweep", "--out", str(out))
    assert status == 0
    assert "1 of 4 runs were already done" in err
    status, _, err = run(capsys, "sweep", "--out", str(out), "--cell", "4")
    assert status == 1
    assert "--cell 4 is outside 0..3" in err


def test_seeds_and_values_are_read_as_written():
    assert sweeps.seeds("0..4") == [0, 1, 2, 3, 4]
    assert sweeps.seeds("3") == [3]
    assert sweeps.seeds("7, 0..2,1") == [7, 0, 1, 2]
    assert sweeps.values("1,2") == ["1", "2"]
    assert sweeps.values("[64,64],[128]") == ["[64,64]", "[128]"]
    assert sweeps.values("complete") == ["complete"]
