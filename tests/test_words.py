"""One word for one thing: class names are unique, and retired words do not come back."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ascore"
OUTSIDE = ("tests", "benches", "examples")

# Class names used in several modules, with the reason.
SHARED = {
    "Keys": "configuration keys of an algorithm; one class in the file of each algorithm",
    "VecEnv": "ascore.reference has the slow twin with the same interface",
}

# Words that names of classes and functions must not contain, and what to use instead.
GONE = {
    "World": "Ranks (processes of one run), Workload (what a bench times) or Panel (of a figure)",
    "Bound": "a limit: Bound of ascore.theory; the measuring stick is the yardstick",
    "fused": "engine (compiled networks) or kernel (Numba)",
    "told": "the value",
    "found": "the value",
    "said": "the value",
}
ALLOWED = {("theory", "Bound")}

# Variables that do not name their value. The exceptions are public: an attribute of EnvError and
# one of a finding, which `ascore check-env --json` prints.
VAGUE = {"told", "found", "said"}
PUBLIC = {"errors:found", "interop.findings:found"}


PATHS = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
    for path in sorted(SOURCE.rglob("*.py"))
}


@cache
def modules() -> dict[str, ast.Module]:
    """Syntax trees by the name of the module, such as learning.batch."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in PATHS.items()}


@cache
def files_outside() -> list[str]:
    """Python files beside the package, from the root of the repository."""
    paths = (path for folder in OUTSIDE for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


def definitions(kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> dict[str, list[str]]:
    """Modules by the names of their top-level definitions."""
    places = defaultdict(list)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, kind):
                places[node.name].append(module)  # type: ignore[attr-defined]
    return places


def words(name: str) -> set[str]:
    """A name and its parts between underscores."""
    return {name.strip("_"), *name.split("_")}


def variables(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Assigned names and parameters, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_class_names_are_unique() -> None:
    several = {name: at for name, at in definitions(ast.ClassDef).items() if len(at) > 1}
    assert several.keys() == SHARED.keys(), several


@pytest.mark.parametrize("word", sorted(GONE))
def test_no_class_or_function_has_a_retired_word_in_its_name(word: str) -> None:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bearers = {
        (module, name)
        for name, at in definitions(kinds).items()
        if word in words(name)
        for module in at
    }
    assert bearers <= ALLOWED, f"say {GONE[word]}"


def vague(tree: ast.AST, allowed: Set[str] = frozenset()) -> list[str]:
    """Variables that do not name their value, with their lines."""
    bad = VAGUE - allowed
    return [f"line {line}: {name}" for name, line in variables(tree) if name in bad]


@pytest.mark.parametrize("module", PATHS)
def test_variables_name_their_value(module: str) -> None:
    public = {entry.partition(":")[2] for entry in PUBLIC if entry.startswith(f"{module}:")}
    assert vague(ast.parse(PATHS[module].read_text("utf-8")), public) == []


def test_so_do_those_of_tests_benches_and_examples() -> None:
    trees = {file: ast.parse((ROOT / file).read_text("utf-8")) for file in files_outside()}
    assert {file.partition("/")[0] for file in trees} == set(OUTSIDE)
    assert {file: bad for file, tree in trees.items() if (bad := vague(tree))} == {}


def test_the_checks_detect_violations() -> None:
    tree = ast.parse("told = 1\ndef f(said):\n    for found in said: pass\n")
    assert {name for name, _ in variables(tree)} == VAGUE
    assert vague(tree, {"said"}) == ["line 1: told", "line 3: found"]
    assert words("_what_was_told") >= {"told"}
    assert {entry.partition(":")[0] for entry in PUBLIC} <= set(modules())
    assert definitions(ast.ClassDef)["Policy"] == ["runs.policy"]
