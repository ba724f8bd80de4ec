"""Plots of runs: learning curves with the anchors, such as selfish and cooperative play."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ascore.envs.factory import anchor_values
from ascore.errors import AscoreWarning, RunError
from ascore.runs.files import unwritable
from ascore.runs.session import Run

# Okabe-Ito palette, for colour-blind readers.
COLOURS = {
    "as": "#0072B2",
    "ippo": "#D55E00",
    "cppo": "#000000",
    "vps": "#E69F00",
    "vs": "#CC79A7",
    "ps": "#009E73",
}
OTHER = "#56B4E9"
SMOOTHING = 0.02  # width of the moving average as a share of a run's updates

Against = Literal["both", "episodes", "bytes"]


def plot_runs(paths: Sequence[str | Path], out: str | Path, against: Against = "both") -> None:
    """Draws team return against training episodes and against bytes sent, with the anchors.

    One curve per run. A run that sends nothing cannot be drawn on a logarithmic axis of bytes; a
    dotted line shows its final return.

    Runs that have no finished episode in their log are left out with a warning.

    Args:
        paths: run folders, or folders of runs.
        out: picture to write; its suffix sets the format.
        against: quantity on the horizontal axis; "both" draws two panels.

    Raises:
        RunError: a path holds no run, runs of different environments are mixed, no run has anything
            to draw, or the picture cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    runs = _with_returns([run for path in paths for run in _runs(Path(path))])
    names = {(run.config.env, tuple(sorted(run.config.env_params.items()))) for run in runs}
    if len(names) != 1:
        message = (
            "runs of different environments cannot be plotted together: "
            f"{sorted(n for n, _ in names)}"
        )
        raise RunError(message)
    kinds = ["episodes", "bytes"] if against == "both" else [against]
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(5.2 * len(kinds) + 2, 4.2), layout="constrained", squeeze=False,
        sharey=True,
    )  # fmt: skip
    for axes, kind in zip(panels[0], kinds, strict=True):
        _panel(axes, runs, kind)
    panels[0, 0].set_ylabel("team return per episode")
    panels[0, -1].legend(loc="best", framealpha=1.0, edgecolor="white")
    agents = len(runs[0].metrics[0]["bytes_sent"])
    figure.suptitle(f"{runs[0].config.env}, {agents} agents", fontsize=12)
    try:
        figure.savefig(out, dpi=150)
    except OSError as error:
        raise unwritable(Path(out), error) from error
    except ValueError as error:  # no such format
        message = f"cannot write {out}: {error}; choose an ending such as .png, .pdf or .svg"
        raise RunError(message) from error
    finally:
        plt.close(figure)


def _panel(axes: Any, runs: Sequence[Run], kind: str) -> None:
    labelled: set[str] = set()
    for run in runs:
        algorithm = run.config.algorithm
        smooth = smoothed(_team_returns(run))
        label = None if algorithm in labelled else algorithm.upper()
        labelled.add(algorithm)
        style = {"color": COLOURS.get(algorithm, OTHER), "label": label, "alpha": 0.85}
        if kind == "episodes":
            x = np.array([r["episodes"] for r in run.metrics], dtype=np.float64)
        else:
            x = np.cumsum([float(sum(r["bytes_sent"])) for r in run.metrics])
        known = np.isfinite(smooth)
        if kind == "bytes" and x[-1] == 0:
            axes.axhline(smooth[known][-1], linestyle=":", linewidth=1.6, **style)
        else:
            axes.plot(x[known], smooth[known], linewidth=1.6, **style)
    config = runs[0].config
    for label, value in anchor_values(config.env, config.env_params):
        axes.axhline(value, color="0.45", linewidth=0.9, linestyle="--")
        axes.annotate(
            f"{label} {value:g}",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="0.3",
        )
    axes.set_xlabel(
        "training episodes" if kind == "episodes" else "cumulative bytes sent by all agents"
    )
    if kind == "bytes" and any(
        sum(map(sum, (r["bytes_sent"] for r in run.metrics))) for run in runs
    ):
        axes.set_xscale("log")
    axes.grid(alpha=0.25)
    axes.margins(y=0.09)


def _runs(path: Path) -> list[Run]:
    if (path / "metrics.jsonl").exists():
        return [Run.open(path)]
    inner = sorted(p.parent for p in path.glob("*/metrics.jsonl"))
    if not inner:
        message = f"{path} holds no run; give a folder written by `ascore train`"
        raise RunError(message)
    return [Run.open(p) for p in inner]


def _team_returns(run: Run) -> npt.NDArray[np.float64]:
    """Team return of every update; NaN where no episode ended."""
    returns = [record["team_return"] for record in run.metrics]
    return np.array([np.nan if value is None else value for value in returns], dtype=np.float64)


def _with_returns(runs: Sequence[Run]) -> list[Run]:
    """The runs in which at least one episode ended; says which ones are left out."""
    drawn = [run for run in runs if np.isfinite(_team_returns(run)).any()]
    names = ", ".join(str(run.path) for run in runs if run not in drawn)
    if names and not drawn:
        message = (
            f"there is nothing to draw: no episode has ended in {names}; train longer, or use "
            "rollout_steps that reach the end of an episode"
        )
        raise RunError(message)
    if names:
        message = f"left out, since no episode has ended there: {names}"
        warnings.warn(message, AscoreWarning, stacklevel=3)
    return drawn


def smoothed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean over the last few updates; those in which no episode ended do not count."""
    width = max(1, int(len(values) * SMOOTHING))
    known = np.isfinite(values)
    padded = np.concatenate([np.full(width - 1, values[0]), values])
    counted = np.isfinite(padded)
    ones = np.ones(width)
    total = np.convolve(np.where(counted, padded, 0.0), ones, mode="valid")
    count = np.convolve(counted, ones, mode="valid")
    smooth: npt.NDArray[np.float64] = np.where(known, total / np.maximum(count, 1.0), np.nan)
    return smooth
