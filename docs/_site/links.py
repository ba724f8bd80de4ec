"""Checks a built site: every link within it leads somewhere, and no page fetches from elsewhere.

python docs/_site/links.py FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOREIGN = re.compile(r"""(?:url\(|@import )["']?((?:https?:)?//[^)"']+)""")
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """The anchors of a page, its links, and what it fetches when it is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag links to."""
        values = {key: value or "" for key, value in attrs}
        self.anchors |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") not in (
            "search",
            "index",
            "next",
            "prev",
            "genindex",
        ):
            self.fetched.append(values["href"])
        if tag in FETCHED and FETCHED[tag] in values:
            self.fetched.append(values[FETCHED[tag]])


def wrong(folder: Path) -> Iterator[str]:
    """A sentence for every dead link, and for everything that comes from elsewhere."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(folder)
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.fetched and parts.scheme != "data":
                    yield f"{name} fetches {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{name} links to {link}, which is not there"
            elif target in pages and unquote(parts.fragment) not in {"", *pages[target].anchors}:
                yield f"{name} links to {link}, which has no such anchor"
    for path in sorted(folder.rglob("*.css")):
        for url in re.findall(
            r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)", path.read_text()
        ):
            yield f"{path.relative_to(folder)} fetches {url}"


def main() -> None:
    """Exits with 1 if something is wrong."""
    folder = Path(sys.argv[1]).resolve()
    problems = list(wrong(folder))
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    count = len(list(folder.rglob("*.html")))
    if not count:
        sys.exit(f"{folder} holds no page")
    if problems:
        sys.exit(f"{len(problems)} problems in {count} pages")
    print(f"{count} pages, every link within them leads somewhere")


if __name__ == "__main__":
    main()
