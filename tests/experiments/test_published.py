"""What the README states of the published results is what their data say."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ascore.envs.factory import anchor_values
from ascore.experiments import results
from ascore.runs.statistics import iqm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("table", ROOT / "docs/results/table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_readme_is_that_of_the_data(script: ModuleType) -> None:
    text = (ROOT / "README.md").read_text()
    _, _, rest = text.partition(script.BEGIN)
    inside, mark, _ = rest.partition(script.END)
    assert mark
    assert inside.strip() == script.table(), "write it again: python docs/results/table.py --write"


def test_a_row_of_the_table_by_hand(script: ModuleType) -> None:
    findings = results.read(ROOT / "docs/results/fig2-tuned")
    (row,) = [line for line in script.table().splitlines() if line.startswith("| Cleanup")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    ours = float(iqm(findings.returns("cleanup", "as")))
    alone = float(iqm(findings.returns("cleanup", "ippo")))
    assert cells[1:3] == [f"**{ours:.1f}**", f"{alone:.1f}"]
    assert cells[4:] == ["0.1", "0", "55.1"]


@pytest.mark.parametrize("figure", ["fig2", "fig3", "fig6"])
def test_anchors_of_the_data_are_those_of_the_environments(figure: str) -> None:
    record = results.read(ROOT / f"docs/results/{figure}-tuned").record
    for entry in record["panels"].values():
        assert entry["anchors"] == dict(anchor_values(entry["env"], entry["env_params"]))


def test_the_data_of_predation_agree_with_figure_6() -> None:
    findings = results.read(ROOT / "docs/results/fig6-tuned")
    lines = (ROOT / "docs/results/predation-n2.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    assert len(rows) == 30
    for series in ("as", "ippo", "cppo"):
        stated = [float(value) for name, _, value, _ in rows if name == series]
        assert stated == [round(value, 1) for value in findings.returns("predation-n2", series)]


def test_the_curves_of_predation_end_where_their_runs_do() -> None:
    """Points are means over 1/60 of training, final returns over 200 episodes of evaluation."""
    folder = ROOT / "docs/results"
    lines = (folder / "predation-n2.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    finals = {(r[0], r[1]): float(r[2]) for r in rows if r[0] in ("vs", "vps", "ps")}
    with (folder / "predation-n2-curves.csv").open() as file:
        points = list(csv.DictReader(file))
    assert len(points) == 15 * results.POINTS
    ends = {(point["algorithm"], point["seed"]): point for point in points}
    assert ends.keys() == finals.keys()
    for run, point in ends.items():
        assert point["episodes"] == "12000"
        # Standard errors of both means are below 0.4, and policies still change a little.
        assert abs(float(point["team_return"]) - finals[run]) < 2.0
