"""Every promise of docs/reliability.md names the test that holds it, and those tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "reliability.md").read_text("utf-8")
PLACE = re.compile(r"`(tests/[\w/]+\.py)`((?:(?::|,| and)?\s+`test_\w+`)*)")


def named() -> list[tuple[str, list[str]]]:
    """Files of tests that the page names, and the tests named right after each."""
    return [(file, re.findall(r"test_\w+", tests)) for file, tests in PLACE.findall(TEXT)]


def defined(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def promises() -> list[str]:
    """Rows of the first table, and the items of the lists of what files and letters cannot do."""
    table = TEXT.partition("## What is promised")[2].partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    files = TEXT.partition("A file cannot:")[2].partition("\n\nParties read")[0]
    letters = TEXT.partition("None of these can\n")[2].partition("\n\nPython and C++")[0]
    return rows + [item for text in (files, letters) for item in re.split(r"\n- ", text)[1:]]


def test_every_promise_names_a_test() -> None:
    assert len(promises()) >= 28
    for promise in promises():
        places = PLACE.findall(promise)
        assert places, promise
        assert any(tests for _, tests in places), promise


def test_every_test_that_is_named_exists() -> None:
    assert len(named()) >= 16
    for file, tests in named():
        assert set(tests) <= defined(file), file
    mentioned = set(re.findall(r"`(test_\w+)`", TEXT))
    assert mentioned == {test for _, tests in named() for test in tests}
