"""Networks of parties on this machine, with certificates of a trial authority."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import needed  # noqa: F401 (first: without it, tests are skipped)
from companies import free_addresses

from ascore.parties.audit import AuditLog
from ascore.parties.certificates import Credentials, new
from ascore.parties.network import Network


def credentials(folder: Path, name: str, tell: Callable[[str], None] = print) -> Credentials:
    """A party's, of the files in a folder."""
    files = folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key"
    return Credentials(*files, name, tell)


def networks(
    folder: Path,
    parties: Sequence[str],
    *,
    insecure: bool = False,
    lines: list[str] | None = None,
    logs: dict[str, AuditLog] | None = None,
) -> dict[str, Network]:
    """A network for every party, each with all others."""
    addresses = free_addresses(parties)
    if not insecure:
        new(folder / "certs", parties)
    told_to = (lines if lines is not None else []).append
    return {
        name: Network(
            name,
            addresses[name],
            {peer: at for peer, at in addresses.items() if peer != name},
            None if insecure else credentials(folder / "certs", name, told_to),
            (logs or {}).get(name) or AuditLog(None, name),
            told_to,
        )
        for name in parties
    }
