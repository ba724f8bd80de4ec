"""The page on parties says what the code does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from ascore.parties import wire
from ascore.parties.settings import PartySettings
from ascore.reading import toml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/parties.md").read_text(encoding="utf-8")


def test_the_schema_is_current() -> None:
    assert f"```proto\n{wire.schema()}```\n" in PAGE


def test_every_key_of_the_file_is_explained() -> None:
    rows = {line.split("`")[1].strip("[]") for line in PAGE.splitlines() if line.startswith("| `")}
    assert rows == {field.name for field in fields(PartySettings)} - {"file"}


def test_the_file_on_the_page_is_one(tmp_path: Path) -> None:
    (text,) = (x.split("```")[0] for x in PAGE.split("```toml\n")[1:] if x.startswith("run ="))
    assert toml(text.encode())["name"] == "host"
    (tmp_path / "host.toml").write_text(text)
    assert PartySettings.load(tmp_path / "host.toml").is_host


@pytest.mark.parametrize("page", ["parties.md", "privacy.md"])
def test_the_site_has_the_page(page: str) -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert f"\n{page.removesuffix('.md')}\n" in index
