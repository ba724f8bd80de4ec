"""The workflows of GitHub Actions agree with the package, and nothing in them changes by itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text()
SUPPORTED = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit_and_say_which_version_that_is(file: Path) -> None:
    uses = re.findall(r"uses: (.*)", file.read_text())
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", use)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_tools_are_pinned_and_jobs_may_only_read_unless_they_publish(file: Path) -> None:
    text = file.read_text()
    installed = re.findall(r"pip install (?!-c constraints)(.*)", text)
    assert [name for line in installed for name in line.split() if "==" not in name] == []
    assert text.count("\npermissions:\n  contents: read\n") == 1
    assert re.findall(r"(\w[\w-]*): write", text.partition("\n  publish:")[0]) == []


def test_every_supported_version_is_tested_and_has_wheels() -> None:
    tests = (ROOT / ".github/workflows/tests.yml").read_text()
    (tested,) = re.findall(r"python: \[(.*)\]", tests)
    assert re.findall(r'"([\d.]+)"', tested) == SUPPORTED
    (built,) = re.findall(r"^build = \[(.*)\]", PROJECT, re.MULTILINE)
    wheels = [f"cp{version.replace('.', '')}-*" for version in SUPPORTED]
    assert re.findall(r'"([^"]+)"', built) == [*wheels, "cp314t-*"]
