"""What `--benchmark-json` and `--benchmark-save` write beside times: the machine, and ratios."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from ascore.benchmark.machine import describe_machine


@pytest.hookimpl
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Adds processor, load and versions as `ascore bench` describes them."""
    machine_info["ascore"] = describe_machine()


@pytest.hookimpl
def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Adds how many times as fast each side is as the others of its group, by the medians."""
    groups: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for entry in output_json["benchmarks"]:
        groups[entry["group"]].append(entry)
    for entries in groups.values():
        for entry in entries:
            entry["extra_info"]["times_as_fast_as"] = {
                other["name"]: other["stats"]["median"] / entry["stats"]["median"]
                for other in entries
                if other is not entry
            }
