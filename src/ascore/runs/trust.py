"""When a named module may be imported: if the user typed it, not if only a file names it.

`env = MODULE:CALLABLE` and `algorithm = MODULE:NAME` import a module and call what is in it, and
the saved state of a Python environment is a pickle. So a run folder, an exported policy or a list
of cells that names `os:system` is a program. Names of the tables of environments and algorithms
import nothing and are always allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ascore.errors import TrustError

_ours: set[Path] = set()


def ours(path: str | Path) -> None:
    """Remembers a file or folder that this process or its workers write, so that it is trusted."""
    _ours.add(Path(path).resolve())


def require_trust(names: Mapping[str, str], file: str | Path, trust: bool) -> None:
    """Refuses what a file names if it would have to be imported and nobody has allowed that.

    Args:
        names: values of the file's keys, such as {"env": "farm:Meadow"}.
        file: where they stand.
        trust: whether the user said that what the file names may be imported.

    Raises:
        TrustError: names what would be imported, the file and the remedy.
    """
    outside = {key: name for key, name in names.items() if ":" in name}
    full = Path(file).resolve()
    if outside and not trust and _ours.isdisjoint((full, *full.parents)):
        raise TrustError(file, outside)
