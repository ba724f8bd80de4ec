"""Who may import whom: rooms point one way, and no permission is stale."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "ascore"

# Room: the rooms whose modules it may import, for types only or at first use included. A file at
# the root is a room of its own, and "" is the package itself.
ARROWS = {
    "": "_core algorithms config envs errors interop render runs",
    "__main__": "cli",
    "algorithms": "_core coercion config envs errors presets streams",
    "benchmark": "_core algorithms config envs errors interop learning reference runtime",
    "cli": "_core commands errors",
    "coercion": "envs errors reading",
    "commands": "_core algorithms benchmark config envs errors experiments interop render report"
    " parties privacy runs runtime",
    "config": "coercion display envs errors presets reading",
    "display": "",
    "dp": "errors",
    "envs": "_core errors runtime streams",
    "errors": "",
    "experiments": "algorithms config envs errors reading render runs runtime scripted streams",
    "interop": "_core algorithms config envs errors learning render runs",
    "learning": "_core algorithms config dp envs errors runtime streams",
    "parties": "algorithms config envs errors learning reading runs streams",
    "presets": "envs errors reading",
    "privacy": (
        "algorithms config envs errors experiments learning reading render runs runtime streams"
    ),
    "reading": "",
    "reference": "",
    "render": "envs errors runs scripted streams",
    "report": "config envs errors experiments reading render runs",
    "runs": "_core algorithms config display envs errors learning reading runtime streams",
    "runtime": "_core errors",
    "scripted": "envs",
    "streams": "",
    "theory": "",
}
ALLOWED = {room: set(others.split()) for room, others in ARROWS.items()}


def modules() -> dict[str, Path]:
    """Every module below `ascore`, by its name there; the package itself is ""."""
    paths = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def imported(module: str, path: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever it stands in the file."""
    package = ["ascore", *module.split(".")] if module else ["ascore"]
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def arrows(module: str, path: Path) -> set[str]:
    """Modules of this package that a module imports."""
    known = {*modules(), "_core"} - {""}
    targets = set()
    for name in imported(module, path):
        top, _, rest = name.partition(".")
        if top != "ascore":
            continue
        while rest not in known and rest:  # the last part may be a name within a module
            rest = rest.rpartition(".")[0]
        targets.add(rest)
    return targets


def room_of(module: str) -> str:
    return module.partition(".")[0]


@cache
def imports() -> dict[str, set[str]]:
    """Every module -> the modules of this package that it imports."""
    return {module: arrows(module, path) - {module} for module, path in modules().items()}


def between_rooms() -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {room_of(module): set() for module in modules()}
    for module, others in imports().items():
        rooms[room_of(module)] |= {room_of(other) for other in others} - {room_of(module)}
    return rooms


def test_rooms_import_what_the_table_allows_and_all_of_it() -> None:
    assert between_rooms() == ALLOWED


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        for other in graph.get(ahead.pop(), set()) - reached:
            reached.add(other)
            ahead.append(other)
    return reached


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_no_room_leads_back_to_itself(room: str) -> None:
    assert room not in reachable(room, ALLOWED)


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_module_leads_back_to_itself(module: str) -> None:
    assert module not in reachable(module, imports())


def test_an_arrow_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "policy.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "from ascore.envs import table\n"
        "if TYPE_CHECKING:\n    from ascore.config import Config\n"
        "def f():\n    import ascore.runs.files\n    from ..learning import learner\n"
    )
    assert arrows("runs.policy", file) == {"envs.table", "config", "runs.files", "learning.learner"}


def test_the_reference_stands_alone() -> None:
    """An oracle that called what it checks would check nothing."""
    assert ALLOWED["reference"] == set()
    assert [room for room in ALLOWED if "reference" in ALLOWED[room]] == ["benchmark"]


def test_the_command_line_loads_the_slow_twins_only_to_measure() -> None:
    script = "import sys, ascore.cli\nprint([m for m in sys.modules if 'ascore.reference' in m])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
