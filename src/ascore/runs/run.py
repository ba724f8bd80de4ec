"""A run folder, opened: its configuration, metrics, summary and policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascore.config import Config
from ascore.display import html_table
from ascore.envs.factory import anchor_values, is_external
from ascore.errors import AscoreError, RunError
from ascore.reading import JSON_LIMIT, read_regular, unreadable
from ascore.runs.files import as_path
from ascore.runs.folder import CONFIG, no_run, resume_command
from ascore.runs.logs import METRICS, flatten, read_records
from ascore.runs.policy import Policy, load_policy

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Run:
    """A run folder: config.toml, metrics.jsonl, metrics.csv, summary.json, checkpoints/.

    Attributes:
        path: the folder.
        config: configuration of the run.
    """

    path: Path
    config: Config

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Opens an existing run folder; RunError names the runs in a folder that holds several."""
        folder = as_path(path)
        if not (folder / CONFIG).exists():
            raise RunError(no_run(folder))
        return cls(folder, Config.load(folder / CONFIG, links=False))

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """One record per update; `ascore.METRICS` says what each metric means.

        Raises:
            RunError: metrics.jsonl is missing or damaged.
        """
        return read_records(self.path / METRICS)

    def frame(self) -> pandas.DataFrame:
        """The metrics as a pandas DataFrame: one row per update, one column per metric.

        `ascore.METRICS` says what each metric means. A metric with a value per agent has a column
        per agent, such as `return_0` and `return_1`, as in metrics.csv. NaN = no value, such as
        the team return of an update in which no episode ended.

        Raises:
            ModuleNotFoundError: pandas is missing; the message names the extra.
            RunError: metrics.jsonl is missing or damaged.
        """
        return data_frame([flatten(record) for record in self.metrics], "run.frame()")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Summary of a finished run.

        Raises:
            RunError: summary.json is missing, as it is until the run has finished, or damaged.
        """
        path = self.path / "summary.json"
        try:
            values = json.loads(read_regular(path, JSON_LIMIT))
        except (OSError, ValueError, RecursionError) as error:
            message = unreadable(path, error, f"`{resume_command(self.path)}` writes it")
            raise RunError(message) from error
        if not isinstance(values, dict):
            message = f"{path} holds no summary; `{resume_command(self.path)}` writes it anew"
            raise RunError(message)
        return values

    @property
    def finished(self) -> bool:
        """Whether all updates are done."""
        return (self.path / "summary.json").exists()

    @property
    def policy(self) -> Policy:
        """Policy of the newest checkpoint."""
        return load_policy(self.path)

    def __repr__(self) -> str:
        what = f"{self.config.algorithm} on {self.config.env}, seed {self.config.seed}"
        outcome = "; ".join([self._outcome(), *filter(None, [self._anchors()])])
        return f"Run({str(self.path)!r}: {what}; {outcome})"

    def _repr_html_(self) -> str:
        rows = [("outcome", self._outcome())]
        if anchors := self._anchors():
            rows.append(("anchors", anchors))
        rows.append(("configuration", repr(self.config)))
        title = f"{self.config.algorithm} on {self.config.env}, seed {self.config.seed}"
        return html_table(title, (), [("folder", str(self.path)), *rows])

    def _outcome(self) -> str:
        """How the run ended; a damaged folder must not make it impossible to look at."""
        try:
            if not self.finished:
                return f"not finished, {len(self.metrics):,} updates logged"
            summary = self.summary
            value = summary["team_return"]
            shown = "no episode ended" if value is None else f"team return {value:.2f} at the end"
            return f"finished, {summary['episodes']:,} episodes; {shown} of training"
        except (AscoreError, KeyError, TypeError, ValueError) as error:
            return f"cannot be read: {error}"

    def _anchors(self) -> str:
        if is_external(self.config.env):
            return ""
        try:
            values = anchor_values(self.config.env, self.config.env_params)
        except (TypeError, ValueError):
            return ""
        text = ", ".join(f"{label} {value:g}" for label, value in values)
        return f"anchors: {text}" if text else ""


def data_frame(rows: list[dict[str, Any]], name: str) -> pandas.DataFrame:
    """Rows as a DataFrame.

    Args:
        rows: with the same keys.
        name: what needs pandas, for the error.

    Raises:
        ModuleNotFoundError: pandas is missing.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        message = f"{name} needs pandas; pip install 'ascore[pandas]'"
        raise ModuleNotFoundError(message, name="pandas") from error
    return pandas.DataFrame(rows)
