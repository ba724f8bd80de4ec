"""Learning curves: what is drawn, what is left out, and what is an error."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

import ascore
from ascore.errors import AscoreWarning, RunError
from ascore.render import charts
from ascore.render.plots import plot, plot_runs
from ascore.runs.course import smoothed

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
    """Before anything is read or drawn."""
    for name, why in [
        ("/proc/nowhere/x.png", "No such file or directory"),
        ("x.txt", "its ending names no format; choose"),
        ("folder", "Is a directory"),
        ("/proc/x.png", "No such file or directory"),
    ]:
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(RunError, match=rf"cannot write .*{name}: {why}"):
            plot_runs(["no run"], tmp_path / name)


def test_gaps_do_not_spread_when_curves_are_smoothed() -> None:
    values = np.array([np.nan, 1.0, np.nan, 3.0, *[2.0] * 196])
    mean = smoothed(values)  # over four updates
    assert np.isnan(mean[[0, 2]]).all()
    assert mean[[1, 3, 4, 5]].tolist() == [1.0, 2.0, 2.0, 7 / 3]


def test_numbers_that_are_not_finite_are_null(tmp_path: Path, capsys: Any) -> None:
    from ascore.cli import main

    run = trained(tmp_path / "run", 40)
    assert main(["evaluate", str(run.path), "--episodes", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert result["team_return"]["ci95"] == [None, None]
    assert main(["evaluate", str(run.path), "--episodes", "1"]) == 0
    assert "over 1 episode, which gives no interval" in capsys.readouterr().out


# ---- one curve per setting -------------------------------------------------------------------


def sweep(folder: Path, algorithms: dict[str, float], seeds: int = 3, **keys: Any) -> Path:
    """Runs that go from random play to the given return, by algorithm."""
    for name, final in algorithms.items():
        for seed in range(seeds):
            returns = list(np.linspace(-120.0, final - seed, 50))
            sent = 0 if name == "ippo" else 1000
            made_run(
                folder / name / f"s{seed}", returns, algorithm=name, seed=seed, bytes_sent=sent,
                **keys,
            )  # fmt: skip
    return folder


def texts(figure: Any) -> list[str]:
    """Everything that is written on a picture."""
    written = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    titles = [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]
    caption = figure._supxlabel.get_text().replace("\n", " ")
    return [*(text.get_text() for text in written), *titles, caption]


def curves(axes: Any) -> list[Any]:
    """The lines of the settings; lines without a name are anchors and marks."""
    return [line for line in axes.get_lines() if not line.get_label().startswith("_")]


def test_seeds_make_one_curve_with_its_name_and_their_number(tmp_path: Path) -> None:
    figure = plot(sweep(tmp_path, {"as": -60.0, "ippo": -178.0}), against="episodes")
    (axes,) = figure.axes
    assert [line.get_label() for line in curves(axes)] == ["AS", "IPPO"]
    middle = curves(axes)[0].get_ydata()
    assert middle[-1] == pytest.approx(-61.0)  # of -60, -61 and -62
    words = texts(figure)
    assert {"AS", "IPPO", "cooperative \N{MINUS SIGN}60", "predation-v1, 2 agents"} <= set(words)
    assert "n = 3, with 95% bootstrap band; moving average" not in words[-1]
    assert (
        "Interquartile mean over seeds, n = 3, with 95% bootstrap band; not smoothed." in words[-1]
    )
    assert axes.get_xlabel() == "training episodes"
    assert axes.get_ylabel() == "team return per episode"


def test_smoothing_is_stated(tmp_path: Path) -> None:
    made_run(tmp_path / "run", list(np.linspace(-120, -60, 200)))
    assert "One run per curve; moving average over 4 updates (2%)." in texts(plot(tmp_path))[-1]


def test_settings_of_a_sweep_are_told_apart(tmp_path: Path) -> None:
    for weight in (1.0, 3.0):
        sweep(tmp_path / f"{weight}", {"as": -60.0 - weight}, penalty_weight=weight)
    (axes, _) = plot(tmp_path).axes
    assert [line.get_label() for line in curves(axes)] == [
        "AS, penalty_weight 1", "AS, penalty_weight 3",
    ]  # fmt: skip


def test_curves_that_cover_each_other_differ_without_colour(tmp_path: Path) -> None:
    names = ["as", "ippo", "cppo", "vps", "vs", "ps"]
    figure = plot(sweep(tmp_path, dict.fromkeys(names, -179.0)), against="episodes")
    lines = curves(figure.axes[0])
    assert len({line.get_marker() for line in lines}) == len(names)
    places = [set(line.get_markevery()) for line in lines]
    assert all(not one & other for one, other in combinations(places, 2))


@pytest.mark.parametrize("against", ["episodes", "both"])
@pytest.mark.parametrize("count", [1, 6])
def test_nothing_is_cut_off_and_no_label_is_over_another(
    tmp_path: Path, against: Any, count: int
) -> None:
    names = dict.fromkeys(["as", "ippo", "cppo", "vps", "vs", "ps"][:count], -60.0)
    figure = plot(sweep(tmp_path, names, seeds=2), against=against)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    page = figure.bbox
    for axes in figure.axes:
        boxes = [text.get_window_extent(renderer) for text in axes.texts if text.get_text()]
        labels = [
            Text.get_window_extent(text, renderer)
            for text in axes.texts
            if text.arrow_patch is not None
        ]
        for box in [*boxes, axes.get_tightbbox(renderer)]:
            assert box.x0 >= page.x0 - 1
            assert box.x1 <= page.x1 + 1
            assert box.y0 >= page.y0 - 1
            assert box.y1 <= page.y1 + 1
        assert not any(one.shrunk(1, 0.8).overlaps(other.shrunk(1, 0.8))
                       for one, other in combinations(labels, 2))  # fmt: skip


@pytest.mark.parametrize("updates", [2, 6, 10, 50, 400, 3000])
def test_bytes_have_units_and_no_label_over_another(tmp_path: Path, updates: int) -> None:
    """Whether the axis spans a part of a power of ten or several."""
    made_run(tmp_path / "run", list(np.linspace(-120, -60, updates)), bytes_sent=61_440)
    figure = plot(tmp_path, against="bytes")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks()]
    labels = [t.label1 for t in ticks if t.label1.get_text() and low <= t.get_loc() <= high]
    assert 2 <= len(labels) <= 9
    assert all(text.get_text().endswith(("kB", "MB", "GB")) for text in labels)
    assert {text.get_fontsize() for text in labels} == {charts.SMALL}
    boxes = [text.get_window_extent(renderer) for text in labels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_an_axis_shows_what_counts_and_says_what_it_cuts(tmp_path: Path) -> None:
    returns = [-788.0 * 0.8**k - 14 for k in range(50)]
    made_run(tmp_path / "run", returns, env_params={"num_agents": 2})
    axes = plot(tmp_path, against="episodes").axes[0]
    low, high = axes.get_ylim()
    assert -250 < low < -180  # selfish play
    assert -14 < high < 10
    assert "\N{UPWARDS ARROW} from \N{MINUS SIGN}802" in texts(axes.figure)


def test_a_dip_in_mid_run_is_on_the_axis() -> None:
    """Only what comes before a curve has first come near its end is cut."""
    dip = [47.2] * 4 + [44.4] * 2 + [46.0, 47.5, 48.0, 48.8]
    axes, curve = Figure().add_subplot(), np.array(dip)
    charts.show_what_counts(axes, [curve], {})
    low, high = axes.get_ylim()
    assert low < 44.4 < 48.8 < high < 50
    assert not axes.texts
    charts.show_what_counts(axes, [np.append([-30.0, -30.0, 48.0], curve)], {})
    low, high = axes.get_ylim()
    assert 40 < low < 44.4
    assert [text.get_text() for text in axes.texts] == ["\N{UPWARDS ARROW} from \N{MINUS SIGN}30"]


def test_several_environments_have_a_panel_each(tmp_path: Path) -> None:
    for agents in (2, 3):
        sweep(tmp_path / str(agents), {"as": -60.0}, env_params={"num_agents": agents})
    titles = [axes.get_title("left") for axes in plot(tmp_path).axes]
    assert titles == ["predation-v1, 2 agents", "predation-v1, 3 agents"]


def test_a_run_that_stopped_early_is_named(tmp_path: Path) -> None:
    made_run(tmp_path / "a", [-100.0] * 50)
    made_run(tmp_path / "b", [-100.0] * 20, seed=1)
    assert "Ends with its shortest run: AS." in texts(plot(tmp_path))[-1]


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")]
)
def test_the_suffix_sets_the_format_and_the_same_runs_make_the_same_file(
    tmp_path: Path, suffix: str, start: bytes
) -> None:
    run = made_run(tmp_path / "run", [-100.0, -70.0])
    data = []
    for name in ("one", "two"):
        plot_runs([run.path], tmp_path / f"{name}{suffix}")
        data.append((tmp_path / f"{name}{suffix}").read_bytes())
    assert data[0].startswith(start)
    assert data[0] == data[1]


def test_a_panel_is_as_wide_as_a_column(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", [-100.0, -70.0], bytes_sent=0)
    assert plot(run).get_figwidth() == charts.COLUMN == 3.3


def test_the_backend_and_pyplot_are_left_alone(tmp_path: Path) -> None:
    made_run(tmp_path / "run", [-100.0, -70.0])
    lines = (
        "import sys, ascore",
        f"figure = ascore.plot({str(tmp_path)!r})",
        "assert figure._repr_png_().startswith(b'\\x89PNG')",
        "print('matplotlib.pyplot' in sys.modules)",
        "import matplotlib.figure",
        "print(isinstance(figure, matplotlib.figure.Figure))",
        "import matplotlib as mpl",
        "print(mpl.rcParams._get('backend') is mpl.rcsetup._auto_backend_sentinel)",
    )
    out = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True,
        env={"PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert out.stdout.split() == ["False", "True", "True"]


@pytest.mark.parametrize(
    ("values", "gap", "places"),
    [
        ([0.0, 1.0], 0.5, [0.0, 1.0]),
        ([0.0, 0.0], 0.5, [-0.25, 0.25]),
        ([0.0, 0.1, 5.0], 1.0, [-0.45, 0.55, 5.0]),
        ([0.0, 0.0, 1.0], 1.0, [-2 / 3, 1 / 3, 4 / 3]),
    ],
)
def test_labels_move_apart_as_little_as_possible(
    values: list[float], gap: float, places: list[float]
) -> None:
    assert charts.spread(values, gap) == pytest.approx(places)


def test_numbers_have_a_minus_sign_and_no_needless_digits() -> None:
    assert [charts.number(v) for v in (-9.0, 0.061, 13.99, -788.07, -0.001, 1234.5)] == [
        "\N{MINUS SIGN}9", "0.06", "13.99", "\N{MINUS SIGN}788.07", "0", "1234",
    ]  # fmt: skip
