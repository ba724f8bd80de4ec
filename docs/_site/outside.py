"""Brings Markdown from outside this folder into the site, and mends links that lead outside.

A page that consists of `<!-- page: ../README.md -->` shows that file. Links from any page to a
file that has become a page lead to the page; links to other files outside become downloads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

PAGE = re.compile(r"^<!-- page: (\S+) -->\n?", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL)


def shown() -> dict[Path, Path]:
    """Files outside this folder that have become pages -> the pages."""
    pages = {}
    for page in DOCS.rglob("*.md"):
        for source in PAGE.findall(page.read_text("utf-8")):
            pages[(page.parent / source).resolve()] = page
    return pages


def mended(text: str, folder: Path, page: Path, pages: dict[Path, Path]) -> str:
    """The text with links that work from the page.

    Args:
        text: Markdown.
        folder: folder that its links are relative to.
        page: where it is shown.
        pages: files outside that have become pages.
    """

    def link(match: re.Match[str]) -> str:
        image, label, whole = match.groups()
        target, hash_, anchor = whole.partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = (folder / target).resolve()
        if path.is_dir() and (path / "README.md").is_file():
            path = path / "README.md"
        path = pages.get(path, path)
        if not path.exists():
            message = f"{page.relative_to(ROOT)}: the link to {whole} leads nowhere"
            raise ValueError(message)
        if path.is_dir():  # a folder of the repository, such as examples/algorithm
            return label
        relative = os.path.relpath(path, page.parent)
        if not image and path.suffix != ".md":
            return f"{{download}}`{label.strip('`')} <{relative}>`"
        return f"{image}[{label}]({relative}{hash_}{anchor})"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(link, text[end:])])


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Replaces the text of a page before it is parsed."""
    page = Path(str(app.env.doc2path(name)))
    if page.suffix != ".md":
        return
    pages = app.config.outside_pages
    text = PAGE.sub("", source[0])
    parts = [mended(text, page.parent, page, pages)]
    for outside in PAGE.findall(source[0]):
        file = (page.parent / outside).resolve()
        app.env.note_dependency(str(file))
        parts.append(mended(file.read_text("utf-8"), file.parent, page, pages))
    source[0] = "".join(parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the extension."""
    app.add_config_value("outside_pages", shown(), "")
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
