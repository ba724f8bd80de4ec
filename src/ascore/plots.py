"""Pictures of runs: what happened, beside what selfish and cooperative play would give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ascore.errors import RunError
from ascore.factory import anchor_values
from ascore.training import Run

# Okabe-Ito palette: told apart by colour-blind readers.
COLOURS = {"as": "#0072B2", "ippo": "#D55E00"}
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SMOOTHING = 0.02  # share of a run's updates averaged over


def plot_runs(paths: Sequence[str | Path], out: str | Path) -> None:
    """Draws team return against training episodes, one curve per run, with the anchors.

    Args:
        paths: run folders, or folders of runs.
        out: picture to write; the ending chooses the format.

    Raises:
        RunError: a path holds no run, or runs of different environments are mixed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    runs = [run for path in paths for run in _runs(Path(path))]
    names = {(run.config.env, tuple(sorted(run.config.env_params.items()))) for run in runs}
    if len(names) != 1:
        message = (
            f"runs of different environments cannot share a picture: {sorted(n for n, _ in names)}"
        )
        raise RunError(message)
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    labelled: set[str] = set()
    for run in runs:
        algorithm = run.config.algorithm
        episodes = np.array([r["episodes"] for r in run.metrics])
        team = np.array(
            [np.nan if r["team_return"] is None else r["team_return"] for r in run.metrics]
        )
        colour = COLOURS.get(algorithm, OTHERS[len(labelled) % len(OTHERS)])
        label = None if algorithm in labelled else algorithm.upper()
        labelled.add(algorithm)
        axes.plot(episodes, _smooth(team), color=colour, label=label, linewidth=1.6, alpha=0.85)
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
    axes.set_xlabel("training episodes")
    axes.set_ylabel("team return per episode")
    axes.set_title(f"{config.env}: each agent sees its own reward only")
    axes.grid(alpha=0.25)
    axes.margins(y=0.09)
    axes.legend(loc="best", framealpha=1.0, edgecolor="white")
    try:
        figure.savefig(out, dpi=150)
    except (OSError, ValueError) as error:
        message = f"cannot write the picture {out}: {error}; choose another --out"
        raise RunError(message) from error
    finally:
        plt.close(figure)


def _runs(path: Path) -> list[Run]:
    if (path / "metrics.jsonl").exists():
        return [Run.open(path)]
    inner = sorted(p.parent for p in path.glob("*/metrics.jsonl"))
    if not inner:
        message = f"{path} holds no run; give a folder written by `ascore train`"
        raise RunError(message)
    return [Run.open(p) for p in inner]


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    width = max(1, int(len(values) * SMOOTHING))
    padded = np.concatenate([np.full(width - 1, values[0]), values])
    smooth: npt.NDArray[np.float64] = np.convolve(padded, np.full(width, 1.0 / width), mode="valid")
    return smooth
