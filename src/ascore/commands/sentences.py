"""What the source of a dataclass says about its fields: a sentence and a group for each.

The text under a field is its sentence. A comment that stands alone after an empty line is the title
of the fields below it. So a key is explained once, where it is defined, for readers of the code, of
the help and of the documentation.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from functools import cache

_TITLE = re.compile(r"\n[ \t]*\n {4}# (.+)(?=\n {4}\w)")


@dataclass(frozen=True)
class About:
    """What the source says about a field.

    Attributes:
        text: its sentence, in one line; "" = none.
        group: title of the section that it stands in; "" = none.
    """

    text: str
    group: str


@cache
def about_fields(kind: type) -> dict[str, About]:
    """The fields of a dataclass and of those that it inherits from, by name."""
    fields: dict[str, About] = {}
    for each in reversed(kind.__mro__):
        if "__annotations__" in vars(each) and each is not object:
            fields |= _of_class(each, fields)
    return fields


def _of_class(kind: type, inherited: dict[str, About]) -> dict[str, About]:
    source = textwrap.dedent(inspect.getsource(kind))
    titles = [(source.count("\n", 0, m.end()), m[1]) for m in _TITLE.finditer(source)]
    (tree,) = ast.parse(source).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    fields = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        name, text = node.target.id, ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = " ".join(str(after.value.value).split())
        before = inherited.get(name, About("", ""))
        group = next((title for line, title in reversed(titles) if line < node.lineno), "")
        fields[name] = About(text or before.text, group or before.group)
    return fields
