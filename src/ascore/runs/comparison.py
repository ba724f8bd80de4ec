"""What runs reached, by setting: a small table with intervals and anchors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ascore.display import html_table, text_table
from ascore.envs.factory import anchor_values
from ascore.errors import AscoreWarning, RunError
from ascore.runs.course import final_return, with_returns
from ascore.runs.evaluation import evaluate
from ascore.runs.groups import Group, Source, by_environment, by_setting, open_runs
from ascore.runs.run import Run, data_frame
from ascore.runs.statistics import FEW, Estimate, estimate

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class ComparedSetting:
    """What the runs of one setting reached.

    Attributes:
        env: name of the environment, with the parameters that were given.
        setting: algorithm, and what tells the setting from the others.
        team_return: interquartile mean over seeds, its 95% interval (None for one run), and n.
        anchors: returns of scripted play by label.
    """

    env: str
    setting: str
    team_return: Estimate
    anchors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of `compare`: prints as a table, and shows as one in notebooks.

    Attributes:
        rows: one per environment and setting; within an environment the best first.
        source: where the returns come from, in words.
    """

    rows: tuple[ComparedSetting, ...]
    source: str

    def frame(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame, one row per setting.

        Columns: env, setting, n, team_return (interquartile mean), low and high (95% interval; NaN
        for one run), and a column per anchor.

        Raises:
            ModuleNotFoundError: pandas is missing; the message names the extra.
        """
        labels = dict.fromkeys(label for row in self.rows for label in row.anchors)
        nan = float("nan")
        rows = []
        for row in self.rows:
            low, high = row.team_return.ci95 or (nan, nan)
            values: dict[str, Any] = {
                "env": row.env, "setting": row.setting, "n": row.team_return.n,
                "team_return": row.team_return.iqm, "low": low, "high": high,
            }  # fmt: skip
            rows.append(values | {label: row.anchors.get(label, nan) for label in labels})
        return data_frame(rows, "ascore.compare(...).frame()")

    def __repr__(self) -> str:
        head, rows = self._cells()
        return "\n".join([text_table(head, rows), "", *self._notes()])

    def _repr_html_(self) -> str:
        head, rows = self._cells()
        return html_table("Team return per episode", head, rows, self._notes())

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        several = len({row.env for row in self.rows}) > 1
        head = ["environment"] * several + ["setting", "n", "team return", "95% interval"]
        rows = []
        for row in self.rows:
            value = row.team_return
            interval = "" if value.ci95 is None else f"[{value.ci95[0]:.2f}, {value.ci95[1]:.2f}]"
            cells = [row.env] * several + [row.setting, str(value.n), f"{value.iqm:.2f}", interval]
            rows.append(cells)
        return head, rows

    def _notes(self) -> list[str]:
        notes = [f"Interquartile mean over seeds of {self.source}."]
        for env, anchors in {row.env: row.anchors for row in self.rows}.items():
            if anchors:
                values = ", ".join(f"{label} {value:g}" for label, value in anchors.items())
                notes.append(f"Anchors of {env}: {values}.")
        if min(row.team_return.n for row in self.rows) < FEW:
            notes.append(f"Intervals from fewer than {FEW} runs are too narrow.")
        return notes


def compare(*runs: Source, episodes: int = 0, trust: bool = False) -> Comparison:
    """Compares what runs reached: a row per setting, with intervals over seeds, and the anchors.

    Runs that differ in nothing but their seed are one setting, as in `ascore.plot`.

    Args:
        runs: runs, run folders, or folders of runs such as a sweep's.
        episodes: new episodes to evaluate each run with; 0 = take the mean return over the last
            tenth of training, which costs nothing.
        trust: whether environments MODULE:CALLABLE that run folders name may be imported, which
            evaluation needs; what this process has trained itself always may.

    Returns:
        A table that prints well, shows in notebooks, and has a `frame()`.

    Raises:
        RunError: there is no run, or none in which an episode ended.
        TrustError: an environment would have to be imported, and `trust` is False.
        ValueError: episodes is below 0.
    """
    if episodes < 0:
        message = f"episodes = {episodes} is not allowed; it must be at least 0"
        raise ValueError(message)
    opened = open_runs(runs)
    if episodes == 0:
        opened, empty = with_returns(opened)
        _mention("no episode has ended there", "left out", empty)
        unfinished = [run for run in opened if not run.finished]
        _mention("they have not finished", "counted as far as they have come", unfinished)
    rows: list[ComparedSetting] = []
    for members in by_environment(opened):
        made = [_outcome(group, episodes, trust) for group in by_setting(members)]
        rows += sorted(made, key=lambda row: -row.team_return.iqm)
    if not rows:
        message = "there is nothing to compare: no episode has ended in these runs; train longer"
        raise RunError(message)
    source = (
        f"the mean return over {episodes:,} new episodes"
        if episodes
        else "the mean return over the last tenth of training"
    )
    return Comparison(tuple(rows), source)


def _outcome(group: Group[Run], episodes: int, trust: bool) -> ComparedSetting:
    config = group.config
    values = [
        evaluate(run, episodes=episodes, trust=trust).team_return.mean
        if episodes
        else final_return(run)
        for run in group.runs
    ]
    given = ", ".join(f"{key} {value}" for key, value in config.env_params.items())
    name = f"{config.env} ({given})" if given else config.env
    anchors = dict(anchor_values(config.env, config.env_params))
    return ComparedSetting(name, group.label, estimate([values]), anchors)


def _mention(why: str, what: str, runs: list[Run]) -> None:
    if runs:
        names = ", ".join(str(run.path) for run in runs)
        warnings.warn(f"{what}, since {why}: {names}", AscoreWarning, stacklevel=3)
