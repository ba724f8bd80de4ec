"""The site: Sphinx, Furo and MyST over the pages of this folder; `.ci/site` builds it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_site"))

import ascore  # noqa: E402 (the path comes first)

project = "ascore"
author = "ascore contributors"
copyright = "ascore contributors"
version = release = ascore.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "breathe",
    "outside",
    "generated",
    "undocumented",
]
exclude_patterns = ["_build", "_site"]
smartquotes = False  # --option must stay two dashes
suppress_warnings = [
    "config.cache",
    "duplicate_declaration.cpp",  # the namespace is declared in every header
    "myst.header",  # tables of `ascore bench --markdown` begin at H4
]

# MyST: headings get the anchors that GitHub gives them.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
nb_execution_mode = "force"
nb_merge_streams = True  # lines of progress, as on a terminal, in place of a box each
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = -1

# Python: what a docstring says under Attributes stands with the attributes.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# C++ and C: Doxygen's XML of the headers, written by `undocumented` when a build begins.
breathe_projects = {
    name: str(ROOT / "docs" / "_build" / "doxygen" / name / "xml") for name in ("core", "python")
}
breathe_default_project = "core"
breathe_domain_by_extension = {"h": "c", "hpp": "cpp"}

# Nothing in a page comes from elsewhere, so that it opens from disk and without a network.
html_theme = "furo"
html_title = "ascore"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
