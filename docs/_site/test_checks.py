"""The checks of the site find what they are for: a name without a sentence, a dead link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from links import wrong
from outside import mended
from sphinx.errors import ExtensionError
from undocumented import as_rest, require_sentences, undocumented


@dataclass
class Half:
    """A record.

    Attributes:
        stated: has a sentence.
    """

    stated: int
    unstated: int
    below: int = 0
    """Has a sentence, too."""
    behind: int = 0  # and this one

    def silent(self) -> None: ...


def test_names_without_a_sentence_are_found() -> None:
    assert list(undocumented("Half", Half)) == ["Half.unstated", "Half.silent"]


def test_a_module_with_one_is_refused() -> None:
    module = ModuleType("shop")
    module.sell = lambda: None
    module.sell.__module__ = "shop"
    with pytest.raises(ExtensionError, match=r"shop\.sell"):
        require_sentences(module)


def test_docstrings_are_plain_text() -> None:
    lines = ["Mean |A| of *all* `rows`, x_ apart.", "", "    L = |A|", "", "Args:", "    n: N."]
    as_rest(None, "function", "f", test_docstrings_are_plain_text, None, lines)  # type: ignore[arg-type]
    assert lines == [
        r"Mean \|A\| of \*all\* ``rows``, x\_ apart.", "", "::", "", "    L = |A|", "", "Args:",
        r"    n: N\.",
    ]  # fmt: skip


def test_dead_links_and_foreign_scripts_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="x"></h1><a href="b.html#y">b</a><a href="#x">x</a>')
    (tmp_path / "b.html").write_text('<a href="c.html">c</a><script src="https://e.org/s.js">')
    assert list(wrong(tmp_path)) == [
        "a.html links to b.html#y, which has no such anchor",
        "b.html links to c.html, which is not there",
        "b.html fetches https://e.org/s.js",
    ]


def test_links_out_of_docs_are_mended_or_refused() -> None:
    docs = Path(__file__).resolve().parent.parent
    page, pages = docs / "theory.md", {docs.parent / "README.md": docs / "start.md"}
    given = "[a](../README.md#x) [b](../LICENSE) [c](https://e.org)\n```\n[d](gone)\n```\n"
    assert mended(given, docs, page, pages) == (
        "[a](start.md#x) {download}`b <../LICENSE>` [c](https://e.org)\n```\n[d](gone)\n```\n"
    )
    with pytest.raises(ValueError, match="leads nowhere"):
        mended("[e](gone.md)", docs, page, pages)
