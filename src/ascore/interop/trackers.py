"""Callbacks that log the metrics of a run to Weights & Biases or to MLflow."""

from __future__ import annotations

import importlib
import math
from typing import Any

from ascore.runs.logs import flatten
from ascore.runs.record import Record, Report


def wandb_report(run: Any = None, **settings: Any) -> Report:
    """A callback for `ascore.train(..., report=...)` that logs every update to Weights & Biases.

        ascore.train(config, report=ascore.wandb_report(project="commons", config=config.to_dict()))

    Args:
        run: what `wandb.init` returned; None = call it now.
        settings: arguments of `wandb.init`, such as project, config, or mode="offline".

    Raises:
        ModuleNotFoundError: wandb is missing (extra `wandb`).
    """
    if run is None:
        run = _package("wandb").init(**settings)
    return lambda done, total, record: run.log(numbers(record), step=record["update"])


def mlflow_report(client: Any = None) -> Report:
    """A callback for `ascore.train(..., report=...)` that logs every update to MLflow.

    It logs to MLflow's active run, which `mlflow.start_run()` begins; MLflow begins one if there
    is none.

    Args:
        client: what has `log_metrics(metrics, step=...)`; None = the module mlflow.

    Raises:
        ModuleNotFoundError: mlflow is missing (extra `mlflow`).
    """
    if client is None:
        client = _package("mlflow")
    return lambda done, total, record: client.log_metrics(numbers(record), step=record["update"])


def numbers(record: Record) -> dict[str, float]:
    """The finite numbers of a record, by column as in metrics.csv."""
    flat = flatten(record)
    return {
        key: float(value)
        for key, value in flat.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _package(name: str) -> Any:
    """A package of somebody else, which has the name of its extra."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        message = f"ascore.{name}_report needs {name}; pip install 'ascore[{name}]'"
        raise ModuleNotFoundError(message, name=name) from error
