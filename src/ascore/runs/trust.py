"""Who may have code imported: the user who types a name may, a file that holds one may not.

`env = MODULE:CALLABLE` and `algorithm = MODULE:NAME` import a module and call what is in it, so a
run folder, an exported policy or a list of cells that names `os:system` is a program. Names of the
tables of environments and algorithms import nothing and are always allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ascore.errors import TrustError

if TYPE_CHECKING:
    from ascore.config import Config

_typed: set[str] = set()


def typed(config: Config) -> None:
    """Remembers the names of a configuration that the user of this process gave, not a file."""
    _typed.update((config.env, config.algorithm))


def require_trust(names: Mapping[str, str], file: str | Path, trust: bool) -> None:
    """Refuses what a file names if it would have to be imported and nobody has allowed that.

    Args:
        names: values of the file's keys, such as {"env": "farm:Meadow"}.
        file: where they stand.
        trust: whether the user said that what the file names may be imported.

    Raises:
        TrustError: names what would be imported, the file and the remedy.
    """
    outside = {key: name for key, name in names.items() if ":" in name and name not in _typed}
    if outside and not trust:
        raise TrustError(file, outside)
