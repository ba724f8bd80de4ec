"""The README's BibTeX and CITATION.cff cite the same works."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bibtex() -> list[dict[str, str]]:
    """The fields of every entry in the README, in their order."""
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```bibtex\n(.*?)```", text, re.DOTALL)
    entries = re.split(r"^@", block, flags=re.MULTILINE)[1:]
    return [dict(re.findall(r"^  (\w+) *= \{(.*)\},?$", entry, re.MULTILINE)) for entry in entries]


def citation() -> tuple[str, str]:
    """The lines about the software, and those about the paper."""
    software, paper = (ROOT / "CITATION.cff").read_text().split("references:\n")
    return software, paper


def test_bibtex_cites_the_paper_as_the_citation_file_does() -> None:
    article, paper = bibtex()[0], citation()[1]
    for key, field in (
        ("title", "title"), ("journal", "journal"), ("volume", "volume"), ("pages", "start"),
        ("year", "year"),
    ):  # fmt: skip
        assert re.findall(rf"^ +(?:- )?{field}: (.*)$", paper, re.MULTILINE) == [article[key]]
    authors = re.findall(r"family-names: (.*)\n +given-names: (.*)", paper)
    assert " and ".join(f"{family}, {given}" for family, given in authors) == article["author"]
    assert f'"arXiv:{article["eprint"]}"' in paper


def test_bibtex_cites_the_software_as_the_citation_file_does() -> None:
    software, lines = bibtex()[1], citation()[0]
    for key in ("title", "version", "license"):
        (value,) = re.findall(rf"^{key}: (.*)$", lines, re.MULTILINE)
        assert value.strip('"') == software[key]
