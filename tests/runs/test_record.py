"""The record of an update: every metric is documented, and callbacks get what the file holds."""

from __future__ import annotations

import re
from typing import Any

import pytest

import ascore
from ascore.algorithms.table import ALGORITHMS
from ascore.runs.logs import read_records

QUICK: dict[str, Any] = {
    "num_envs": 2,
    "episodes": 4,
    "iterations": 1,
    "minibatches": 1,
    "actor_hidden": (4,),
    "critic_hidden": (4,),
    "env_params": {"num_agents": 2},
}


def documented(name: str) -> str | None:
    """The entry of a metric; floats_KIND and bytes_KIND stand for one per kind."""
    kind = re.sub(r"^(floats|bytes)_(?!sent$).*", r"\1_KIND", name)
    return kind if kind in ascore.METRICS else None


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The records of a short run of every algorithm, as callbacks got them."""
    records: dict[str, list[dict[str, Any]]] = {}
    guaranteed = {"preset": "private", "epsilon": 2.0}
    for name in (*ALGORITHMS, "dp"):
        keys = {**guaranteed, **QUICK} if name == "dp" else QUICK
        config = ascore.Config.preset("predation", "as" if name == "dp" else name, **keys)
        records[name] = []
        run = ascore.train(
            config,
            tmp_path_factory.mktemp(name) / "run",
            report=lambda done, total, record, kept=records[name]: kept.append(record),
        )
        assert records[name] == read_records(run.path / "metrics.jsonl")
    return records


def test_every_metric_is_documented(logged: dict[str, list[dict[str, Any]]]) -> None:
    unknown = {
        key for rows in logged.values() for row in rows for key in row if not documented(key)
    }
    assert unknown == set()


def test_every_documented_metric_is_logged(logged: dict[str, list[dict[str, Any]]]) -> None:
    seen = {documented(key) for rows in logged.values() for row in rows for key in row}
    assert set(ascore.METRICS) == seen


def test_every_kind_of_message_is_named(logged: dict[str, list[dict[str, Any]]]) -> None:
    kinds = {
        key for rows in logged.values() for row in rows for key in row
        if documented(key) == "floats_KIND"
    }  # fmt: skip
    named = set(re.findall(r"floats_[a-z]+", ascore.METRICS["floats_KIND"]))
    assert kinds <= named
    assert named - kinds <= {"floats_observation"}  # only where agents see different things


def test_shapes_are_as_documented(logged: dict[str, list[dict[str, Any]]]) -> None:
    for rows in logged.values():
        for key, value in rows[0].items():
            name = documented(key)
            assert name is not None
            per_agent = "[N" in ascore.METRICS[name] or name.startswith(("floats", "bytes"))
            assert isinstance(value, list) == per_agent, key
