"""The page of `ascore report`: its numbers, its sentences, and what hostile folders cannot do."""

from __future__ import annotations

import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pages
import pytest

import ascore
from ascore.cli import main
from ascore.envs.factory import anchor_values
from ascore.errors import RunError
from ascore.experiments import sweeps
from ascore.experiments.cells import read_list
from ascore.experiments.tables import shown
from ascore.report import build, curves, html, page
from ascore.report.build import Written, report
from ascore.report.concerns import concerns
from ascore.report.configuration import command, differences
from ascore.report.settings import chapters
from ascore.report.sources import Shelf, entries
from ascore.runs.course import Quantity, course, smoothed
from ascore.runs.groups import by_setting, open_runs
from ascore.runs.statistics import estimate

MACHINE = {"cpu": "some processor", "cores": 2}


def written(paths: list[Path], out: Path, **options: Any) -> Written:
    options = {"episodes": 0, **options}
    return report(paths, out, command="ascore report x", machine=MACHINE, **options)


def read(*paths: Path) -> Any:
    shelf = Shelf()
    return chapters([shelf.read(entry) for entry in entries(list(paths))])


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, texts by table, and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.cells: list[list[str]] = []
        self._inside, self._cell = "", False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
            self._cell = True
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""
        elif tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)
            if self._cell:
                self.cells[-1][-1] += data

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


# ---------------------------------------------------------------------- numbers


def test_numbers_of_a_sweep_are_those_of_its_table(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, settings={"penalty_weight": [1.0, 10.0]})
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    rows = sweeps.rows(read_list(tmp_path), tmp_path / "runs")
    returns_of: dict[str, list[float]] = {}
    for row in rows:
        returns_of.setdefault(row["setting"], []).append(row["team_return"])
    labels = {
        "as/penalty_weight=1.0": "AS, penalty_weight 1",
        "as/penalty_weight=10.0": "AS, penalty_weight 10",
        "ippo": "IPPO",
    }
    assert returns_of.keys() == labels.keys()
    for setting, returns in returns_of.items():
        wanted = shown(estimate([returns])).replace("-", html.MINUS)
        (row,) = [
            cells for cells in seen.cells if cells[0][2:] == labels[setting] and "runs" in cells[2]
        ]
        assert row[1:3] == [wanted, "5 runs"]
        assert row[3] == html.decimal(min(returns))
        assert row[4] == html.decimal(max(returns))


@pytest.mark.parametrize("updates", [120, 700])
def test_curves_of_a_sweep_are_those_of_the_picture(tmp_path: Path, updates: int) -> None:
    pages.write_sweep(tmp_path, 3, updates=updates)
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    charts = {chart["id"]: chart for chart in seen.data["chapters"][0]["charts"]}
    groups = by_setting(open_runs([tmp_path]))
    assert [group.label for group in groups] == ["AS", "IPPO"]
    quantities: dict[str, Quantity] = {"return": "episodes", "bytes": "bytes"}
    for name, quantity in quantities.items():
        for group, curve in zip(groups, charts[name]["curves"], strict=True):
            drawn = course(group, quantity)
            assert len(curve["x"]) == min(updates, 200)
            for key, values in zip(
                ("x", "mid", "low", "high"), (drawn.x, drawn.middle, drawn.low, drawn.high),
                strict=True,
            ):  # fmt: skip
                np.testing.assert_allclose(curve[key], values, rtol=1e-5)  # six digits are kept
    anchors = dict(anchor_values("predation-v1", {"num_agents": 2}))
    assert dict(charts["return"]["marks"]) == anchors
    assert anchors == {"random": -120.0, "selfish": -180.0, "cooperative": -60.0}


def test_long_curves_keep_some_of_their_points(tmp_path: Path) -> None:
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(2000))
    (chapter,) = read(run)
    most = curves.points(1)
    chart = curves.team_curves(chapter, most)[0]
    (curve,) = chart["curves"]
    values = smoothed(np.array([r["team_return"] for r in ascore.Run.open(run).metrics]))
    assert len(curve["x"]) == most == 200
    np.testing.assert_allclose(
        curve["mid"], np.interp(curve["x"], 32 * np.arange(1, 2001), values), rtol=1e-4
    )
    assert f"at most {most} points" in page.compose([chapter], [], made()).skeleton


def made() -> dict[str, Any]:
    return {"command": "ascore report x", "time": "now", "machine": MACHINE}


def test_a_run_is_evaluated_as_by_evaluate(tmp_path: Path, capsys: Any) -> None:
    config = pages.config(episodes=64, num_envs=8, minibatches=1)
    run = ascore.train(config, tmp_path / "run")
    seen = Reader(written([run.path], tmp_path / "r.html", episodes=40).path.read_text("utf-8"))
    assert main(["evaluate", str(run.path), "--episodes", "40"]) == 0
    out = capsys.readouterr().out
    value = re.search(r"team return (.*) over 40 episodes", out)
    assert value is not None
    wanted = re.sub(r"\s+", " ", value[1].strip()).replace("-", html.MINUS)
    (row,) = [cells for cells in seen.cells if "40 episodes" in cells]
    assert row[:2] == ["A AS", wanted]
    agents = re.search(r"per agent +(.*)", out)
    assert agents is not None
    wanted = agents[1].replace("-", html.MINUS)
    assert ["A AS", *wanted.split()] in [cells[:3] for cells in seen.cells]
    assert "not evaluated" not in seen.text


def test_seeds_of_one_setting_belong_together_outside_sweeps_too(tmp_path: Path) -> None:
    for seed in range(3):
        pages.write_run(tmp_path / f"a{seed}", pages.config(seed=seed), pages.records(60, seed))
    other = pages.config(penalty_weight=3.0, num_threads=2)
    pages.write_run(tmp_path / "b", other, pages.records(60))
    (chapter,) = read(tmp_path)
    assert [len(setting.readings) for setting in chapter.settings] == [3, 1]
    assert [setting.label for setting in chapter.settings] == [
        "AS, penalty_weight 10", "AS, penalty_weight 3",
    ]  # fmt: skip


def test_settings_are_those_of_pictures_and_comparisons(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, 2, settings={"penalty_weight": [1.0, 10.0], "actor_lr": [0.1, 0.2]})
    (chapter,) = read(tmp_path)
    seen = [(setting.label, [r.path for r in setting.readings]) for setting in chapter.settings]
    groups = by_setting(open_runs([tmp_path]))
    assert sorted(seen) == sorted((g.label, [run.path for run in g.runs]) for g in groups)
    assert len(seen) == 6
    rows = ascore.compare(tmp_path).rows
    assert {row.setting for row in rows} == {label for label, _ in seen}


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    pages.write_run(tmp_path / "a", pages.config(), pages.records(50, end=-100.0), finished=False)
    pages.write_run(tmp_path / "b", pages.config(num_threads=2), pages.records(60))
    (chapter,) = read(tmp_path)
    (setting,) = chapter.settings
    assert [reading.status for reading in setting.readings] == ["repeated", "finished"]
    assert [reading.path.name for reading in setting.drawn] == ["b"]  # which is further
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    assert "2 runs, 1 finished, 1 repeated." in seen.text
    assert f"it is the same run as {tmp_path / 'b'}, which counts" in seen.text


def test_an_algorithm_of_another_process_is_a_setting_all_the_same(tmp_path: Path) -> None:
    lines = pages.records(60)
    pages.write_run(tmp_path / "a", pages.config(algorithm="registered-elsewhere"), lines)
    taken = {"algorithm": "x", "gamma": 3.0}  # keys of its own that are called like others
    other = pages.config(algorithm="m:X", algorithm_params=taken)
    pages.write_run(tmp_path / "b", other, lines)
    (chapter,) = read(tmp_path)
    assert [setting.label for setting in chapter.settings] == ["REGISTERED-ELSEWHERE", "X"]


def test_environments_have_a_section_each(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, 1, settings={"env.num_agents": [2, 3]})
    both = read(tmp_path)
    assert [chapter.params for chapter in both] == [{"num_agents": 2}, {"num_agents": 3}]
    assert [dict(chapter.anchors)["cooperative"] for chapter in both] == [-60.0, -90.0]
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    links = [attrs["href"] for tag, attrs in seen.elements if tag == "a"]
    assert links == ["#main", "#chapter-0", "#chapter-1"]


def test_unfinished_runs_wait_until_their_setting_has_no_finished_one(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, 2, algorithms=("as",), done=lambda index: index == 0)
    (chapter,) = read(tmp_path)
    assert [r.status for r in chapter.settings[0].readings] == ["finished", "unfinished"]
    assert [r.updates for r in chapter.settings[0].drawn] == [100]
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    assert "2 runs, 1 finished, 1 unfinished." in seen.text
    assert "One unfinished run is not in curves and tables" in seen.text


def test_fairness_is_computed_in_each_run(tmp_path: Path) -> None:
    swapped = [pages.records(60, **{"return": values}) for values in ([3.0, 1.0], [1.0, 3.0])]
    for seed, lines in enumerate(swapped):
        pages.write_run(tmp_path / f"{seed}", pages.config(seed=seed), lines)
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    # Means over runs are equal; in each run one earns 3 and the other 1: Gini = 2/(2*4) = 0.25.
    assert ["A AS", "2.00", "2.00", "1.00", "2.00", "0.250"] in seen.cells


def test_the_gini_coefficient_needs_shares(tmp_path: Path) -> None:
    lines = pages.records(60, **{"return": [-1.0, 3.0]})
    pages.write_run(tmp_path / "run", pages.config(), lines)
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    assert ["A AS", f"{html.MINUS}1.00", "3.00", f"{html.MINUS}1.00", "4.00", "–"] in seen.cells


def test_bytes_are_those_of_the_metrics(tmp_path: Path) -> None:
    lines = pages.records(60, bytes_sent=1000)
    pages.write_run(tmp_path / "run", pages.config(), lines)
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    row = ["A AS", "distribution", "60.0 kB", "60.0 kB", "1.0 kB", "120.0 kB"]
    assert row in seen.cells


def test_a_setting_that_sends_nothing_has_no_curve_over_bytes(tmp_path: Path) -> None:
    pages.write_sweep(
        tmp_path, 1, make=lambda cell, k: {"bytes_sent": 0 if "ippo" in cell.name else 10}
    )
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    (chart,) = [c for c in seen.data["chapters"][0]["charts"] if c["id"] == "bytes"]
    assert [bool(curve["x"]) for curve in chart["curves"]] == [True, False]
    assert "Not drawn, as nothing is sent: B." in seen.text


def test_who_sends_nothing_has_sent_nothing(tmp_path: Path) -> None:
    pages.write_run(tmp_path / "run", pages.config(), pages.records(60, bytes_sent=0))
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    assert ["A AS", "nothing", "0 B", "0 B", "0 B", "0 B"] in seen.cells
    assert "bytes" not in {chart["id"] for chart in seen.data["chapters"][0]["charts"]}


# ---------------------------------------------------------------------- what looks wrong

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "entropy": ({"entropy": [0.69, 0.69]}, "Entropy is at uniform: 0.690 of 0.693 nats"),
    "early": (
        {"entropy": lambda share: [0.7 * (share < 0.1)] * 2, "end": -100.0},
        "Entropy collapsed early: below 5% of uniform play after 15% of training",
    ),
    "collapse": (
        {"team_return": lambda share: -100.0 + 40 * share if share < 0.6 else -140.0},
        "The team return collapsed: −78.90 after 55%",
    ),
    "fall": ({"end": -178.0}, "The team return fell: −1"),
    "clip": (
        {"clip_fraction": [0.2, 0.41]},
        "Clip fraction is too high: 0.41 for agent 1 over the second half",
    ),
    "discrepancy": (
        {"discrepancy": lambda share: [0.2 * share] * 2},
        "Discrepancy is not falling: 0.19",
    ),
    "variance": (
        {"explained_variance": [0.5, -0.25]},
        "Explained variance is −0.25 for agent 1 at the end",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_looks_wrong_is_a_sentence(tmp_path: Path, case: str) -> None:
    metrics, sentence = WRONG[case]
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(200, **metrics))
    result = written([run], tmp_path / "r.html")
    assert len(result.concerns) == 1, result.concerns
    text = result.concerns[0].sentence.replace("-", html.MINUS)
    assert text.startswith(sentence)
    assert text.count(".") >= 2  # what is wrong, and what helps
    seen = Reader(result.path.read_text("utf-8"))
    assert result.concerns[0].sentence in seen.text


def test_nothing_is_wrong_with_a_run_that_learns(tmp_path: Path) -> None:
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(200))
    result = written([run], tmp_path / "r.html")
    assert result.concerns == []
    assert "Nothing looks wrong in the run." in Reader(result.path.read_text("utf-8")).text


def test_a_policy_that_is_right_may_be_sure(tmp_path: Path) -> None:
    metrics = {"entropy": lambda share: [0.7 * (share < 0.1)] * 2, "end": -60.0}
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(200, **metrics))
    assert written([run], tmp_path / "r.html").concerns == []


def test_returns_that_do_not_vary_say_nothing_of_the_critic(tmp_path: Path) -> None:
    metrics = {"explained_variance": [-3e7, -2e6]}
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(200, **metrics))
    assert written([run], tmp_path / "r.html").concerns == []


def test_short_runs_are_not_judged(tmp_path: Path) -> None:
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(39, entropy=[0.693] * 2))
    result = written([run], tmp_path / "r.html")
    assert result.concerns == []
    assert "One run has fewer than 40 updates" in Reader(result.path.read_text("utf-8")).text


def test_a_real_run_that_cannot_learn_is_at_uniform(tmp_path: Path) -> None:
    config = pages.config(actor_lr=0.0, episodes=400, num_envs=8, minibatches=1, iterations=1)
    run = ascore.train(config, tmp_path / "run")
    (chapter,) = read(run.path)
    kinds = [concern.kind for concern in concerns(chapter, chapter.settings[0])]
    assert "entropy" in kinds


# ---------------------------------------------------------------------- configuration

CHANGES: list[dict[str, Any]] = [
    {},
    {"actor_lr": 0.5, "actor_hidden": (8, 4), "advantage_normalization": True, "seed": 7},
    {"algorithm": "vs", "shares": "advantage", "value_normalization": False},
    {"algorithm": "ia", "algorithm_params": {"alpha": 2.0}},
    {"graph": "matrix", "graph_matrix": "01,10", "env_params": {"num_agents": 2, "horizon": 9}},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_the_command_trains_the_same_configuration(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from ascore.commands import training

    config = pages.config(**changes)
    given: list[Any] = []
    monkeypatch.setattr(training, "_train_and_show", lambda made, *_: given.append(made) or 0)
    assert main(shlex.split(command(config))[1:]) == 0
    assert given == [config]


def test_a_configuration_is_what_differs_from_the_nearest_preset() -> None:
    paper = ascore.Config.preset("predation", preset="paper").replace(penalty_weight=7.0)
    assert differences(paper) == ("paper", {"penalty_weight": (0.1, 7.0)})
    own = ascore.Config.preset("farm:Meadow", gamma=0.5, num_threads=3, seed=4)
    assert differences(own) == ("tuned", {"gamma": (0.95, 0.5)})
    assert own.differences() == (
        "tuned", {"seed": (0, 4), "gamma": (0.95, 0.5), "num_threads": (0, 3)},
    )  # fmt: skip
    other = ascore.Config(env="predation-v99", gamma=0.5)  # a version that has no preset
    assert differences(other) == ("", {"gamma": (0.99, 0.5)})


# ---------------------------------------------------------------------- files of strangers

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)",
    "&lt;b&gt;",
    "a\u202eb\x00c\ud800",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(tmp_path: Path, name: str) -> None:
    legal = re.sub("[\0\ud800]", "", name)  # others are refused as configurations
    config = pages.config(env="farm:Meadow", env_params={legal: "x"})
    config = config.replace(algorithm=f"mod:{name}" if "\ud800" not in name else "mod:x")
    lines = pages.records(60)
    for line in lines:
        line[f"bytes_{name}"] = [1, 2]
        line[name] = name
    folder = tmp_path / re.sub(r"[\0/]|[\ud800-\udfff]", "_", name)
    pages.write_run(folder, config, lines)
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), "utf-8"
    )
    text = written([folder], tmp_path / "r.html").path.read_text("utf-8")
    harmless = pages.write_run(tmp_path / "harmless", pages.config(env="farm:Meadow"), lines)
    plain = Reader(written([harmless], tmp_path / "h.html").path.read_text("utf-8"))
    seen = Reader(text)
    kinds = {tag for tag, _ in seen.elements}
    assert kinds <= {tag for tag, _ in plain.elements} | {"code", "b", "ul", "li"}
    assert "img" not in kinds
    handlers = [key for _, attrs in seen.elements for key in attrs if key.startswith("on")]
    assert handlers == []
    assert len(seen.scripts) == 2
    assert seen.scripts[1] == plain.scripts[1]
    assert seen.data["chapters"]
    for letter in "\u202e\x00":
        assert letter not in text


def test_json_in_a_script_cannot_break_out() -> None:
    text = html.data({"</script>": ["<!--", "]]>", "&amp;", "'"]})
    assert not set("<>&'") & set(text)
    assert json.loads(text) == {"</script>": ["<!--", "]]>", "&amp;", "'"]}


def test_the_scripts_cannot_end_early() -> None:
    for name in ("vendor/uPlot.iife.min.js", "vendor/LICENSE.uPlot", "chart.js", "page.js"):
        assert "</script" not in page.asset(name).lower()
        assert "<!--" not in page.asset(name)
    for name in ("vendor/uPlot.min.css", "page.css"):
        assert "</style" not in page.asset(name).lower()
        assert not re.search(r"url\(|@import", page.asset(name))


ODD: list[Any] = [
    None, "text", True, [], {}, [[1]], 10**400, 1e308, -1e308, [None, "x"], [1e308] * 3,
    float("inf"), float("nan"), [1.0] * 300,
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
def test_odd_metrics_are_left_out(tmp_path: Path, value: Any) -> None:
    keys = pages.records(1)[0].keys() - {"update"}
    run = pages.write_run(tmp_path / "run", pages.config(), [])
    lines = [{"update": k + 1, **dict.fromkeys(keys, value)} for k in range(60)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = written([run], tmp_path / "r.html")
    assert result.size < 300_000
    assert Reader(result.path.read_text("utf-8")).data["chapters"]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
def test_odd_evaluations_are_dashes(tmp_path: Path, value: Any) -> None:
    pages.write_sweep(tmp_path, 1, algorithms=("as",))
    (file,) = tmp_path.rglob("evaluation.json")
    odd = dict.fromkeys(pages.evaluation(0.0), value)
    file.write_text(json.dumps({"evaluation": odd}))
    assert written([tmp_path], tmp_path / "r.html").runs == 1
    odd = pages.evaluation(0.0) | {"team_return": {"mean": value, "ci95": value, "n": value}}
    file.write_text(json.dumps({"evaluation": odd}))
    assert written([tmp_path], tmp_path / "r.html").runs == 1


def test_one_damaged_run_does_not_hide_the_others(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, 2, algorithms=("as",))
    (tmp_path / "runs/as/s1/metrics.jsonl").write_text('{"update": 1}\n{"upd\n')
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    assert "1 finished, 1 unreadable" in seen.text
    assert "is damaged (line 2 is no record)" in seen.text
    (tmp_path / "runs/as/s0/metrics.jsonl").write_text("x\n")
    with pytest.raises(RunError, match="line 1 is no record"):
        written([tmp_path], tmp_path / "r.html")


def test_a_run_that_may_not_be_read_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.write_sweep(tmp_path, 2, algorithms=("as",))
    exists = Path.exists

    def refuse(path: Path) -> bool:
        if path.parent == tmp_path / "runs/as/s1":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refuse)
    seen = Reader(written([tmp_path], tmp_path / "r.html").path.read_text("utf-8"))
    assert "1 finished, 1 unreadable" in seen.text
    assert "cannot be read: Permission denied; change its permissions" in seen.text


def test_metrics_are_not_read_through_a_link(tmp_path: Path) -> None:
    run = pages.write_run(tmp_path / "run", pages.config(), pages.records(50))
    os.replace(run / "metrics.jsonl", tmp_path / "elsewhere")
    (run / "metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is a symbolic link"):
        written([run], tmp_path / "r.html")


def test_environments_of_strangers_are_not_imported(tmp_path: Path) -> None:
    config = pages.config(env="antigravity:fly", env_params={})
    run = pages.write_run(tmp_path / "run", config, pages.records(50))
    result = written([run], tmp_path / "r.html", episodes=10)
    text = Reader(result.path.read_text("utf-8")).text
    assert "not evaluated: " in text
    import sys

    assert "antigravity" not in sys.modules


# ---------------------------------------------------------------------- the file and the command


def test_a_sweep_of_twenty_runs_stays_below_three_megabytes(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, 5, settings={"penalty_weight": [1.0, 3.0, 10.0]}, updates=1500)
    result = written([tmp_path], tmp_path / "r.html")
    assert result.runs == 20
    assert result.size < 1_000_000


def test_a_page_loads_nothing(tmp_path: Path) -> None:
    pages.write_sweep(tmp_path, 2)
    text = written([tmp_path], tmp_path / "r.html").path.read_text("utf-8")
    seen = Reader(text)
    for tag, attrs in seen.elements:
        assert "src" not in attrs, tag
        assert tag != "link" or attrs["href"] == "data:,"
        assert tag != "a" or str(attrs["href"]).startswith("#")
    (policy,) = [a["content"] for t, a in seen.elements if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "connect-src 'none'" in policy
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert "Copyright (c) 2022 Leon Sorokin" in text
    assert "<title>predation-v1 – ascore report</title>" in text


def test_the_command_writes_and_says_what_looks_wrong(tmp_path: Path, capsys: Any) -> None:
    pages.write_sweep(tmp_path / "sweep", 2, make=lambda cell, k: {"clip_fraction": [0.5, 0.1]})
    out = tmp_path / "deep" / "page.html"
    assert main(["report", str(tmp_path / "sweep"), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("as/s0: Clip fraction is too high: 0.50 for agent 0")
    assert re.fullmatch(rf"page about 4 runs written to {out} \([\d.]+ kB\)", lines[-1])
    text = out.read_text("utf-8")
    assert f"ascore report {tmp_path}/sweep --out" in text
    assert "ascore sweep predation --set penalty_weight=1,10" in text
    assert main(["report", str(tmp_path / "sweep"), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["runs"] == 4
    assert result["bytes"] == out.stat().st_size
    assert {c["kind"] for c in result["concerns"]} >= {"clip fraction"}


def refused(argv: list[str], capsys: Any) -> str:
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("ascore: ")
    return str(err)


def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(pages.write_run(tmp_path / "run", pages.config(), pages.records(50)))
    out = ["--out", str(tmp_path / "r.html")]
    assert "holds no run; give a folder" in refused(["report", str(tmp_path / "x"), *out], capsys)
    bad = ["--out", str(tmp_path / "r.png")]
    assert "choose one that ends in .html" in refused(["report", run, *bad], capsys)
    assert "must be at least 0" in refused(["report", run, *out, "--evaluate", "-1"], capsys)
    (tmp_path / "file").write_text("")
    into = ["--out", str(tmp_path / "file" / "r.html")]
    assert "cannot write" in refused(["report", run, *into], capsys)
    monkeypatch.setattr(build, "entries", None)  # nothing is done before it is known
    assert "cannot write /proc/r.html: " in refused(
        ["report", run, "--out", "/proc/r.html"], capsys
    )
    monkeypatch.undo()
    (tmp_path / "run" / "config.toml").write_text("env = 3\n")
    assert "env = 3 is not allowed" in refused(["report", run, *out], capsys)
    (tmp_path / "cells.json").write_text("{}")
    assert "holds no list of cells" in refused(["report", str(tmp_path), *out], capsys)
    assert not (tmp_path / "r.html").exists()


def test_replays_are_embedded_and_what_has_none_says_why(tmp_path: Path) -> None:
    config = pages.config(episodes=16, num_envs=8, minibatches=1)
    run = ascore.train(config, tmp_path / "run")
    bare = pages.write_run(tmp_path / "bare", pages.config(seed=3, gamma=0.1), pages.records(50))
    seen = Reader(
        written([run.path, bare], tmp_path / "r.html", with_replays=True).path.read_text("utf-8")
    )
    (image,) = [attrs for tag, attrs in seen.elements if tag == "img"]
    assert str(image["src"]).startswith("data:image/gif;base64,R0lGOD")
    assert image["alt"] == f"First evaluation episode of {run.path}, at most 100 steps"
    assert "has no replay: " in seen.text


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, after WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


PAIRS = [
    ("ink", "paper"), ("ink", "panel"), ("muted", "paper"), ("muted", "panel"),
    ("link", "paper"), ("wrong", "wrong-paper"), ("right", "right-paper"),
]  # fmt: skip


@pytest.mark.parametrize(("front", "back"), PAIRS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(front: str, back: str, scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", page.asset("page.css"), re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in blocks)
    assert light.keys() == dark.keys()
    colours = light if scheme == "light" else dark
    assert contrast(colours[front], colours[back]) >= 4.5
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


def test_curves_differ_without_colour() -> None:
    styles = [page._style(k, "") for k in range(56)]
    assert len({(s["colour"], tuple(s["dash"])) for s in styles}) == 56
    assert len({tuple(s["dash"]) for s in styles[:8]}) == 8


def test_codes_of_settings() -> None:
    assert [html.decimal(-0.5), html.decimal(math.nan)] == [f"{html.MINUS}0.50", "–"]
    from ascore.report.settings import code

    assert [code(k) for k in (0, 25, 26, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip
