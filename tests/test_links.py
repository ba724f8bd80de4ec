"""Links between Markdown files of the repository lead somewhere; the build checks the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    if "_build" not in path.parts
]
LINK = re.compile(r"\[[^\[\]]*(?:\[[^\]]*\][^\[\]]*)*\]\(([^()\s]+)\)")
FENCED = re.compile(r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Anchors of headings as GitHub makes them, and of labels as MyST has them."""
    plain = FENCED.sub("", text)
    slugs = set()
    for heading in re.findall(r"^#+ (.+)$", plain, re.MULTILINE):
        label = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slugs.add(re.sub(r"[^\w\- ]", "", label).replace(" ", "-"))
    return slugs


def dead(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or re.match(r"(key|metric|command)-", anchor):
            continue  # elsewhere; or a label of a generated page
        path = (page.parent / target).resolve() if target else page
        if not path.exists():
            wrong.append(link)
        elif anchor and path.suffix == ".md":
            text = path.read_text("utf-8")
            # Such a page shows another file: docs/start.md shows the README.
            for shown in re.findall(r"<!-- page: (\S+) -->", text):
                text += (path.parent / shown).read_text("utf-8")
            if anchor not in anchors(text):
                wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_dead_links_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`: c!\n\n[x](page.md#a-b-c) [y](gone.md) [z](#nowhere) [w](https://a.b)\n"
    )
    assert dead(page) == ["gone.md", "#nowhere"]
