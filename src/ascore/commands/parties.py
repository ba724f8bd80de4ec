"""`ascore party` and `ascore certs`: agents that train in processes of their own."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from ascore.commands.exits import DONE, FAILED, INTERRUPTED
from ascore.commands.parser import Line, Mark, Positional, missing, parse
from ascore.commands.shared import print_json, stop_on_signal, with_trust
from ascore.errors import UsageError


@dataclass(frozen=True)
class PartyOptions(Line):
    """Train one agent in a process of its own, with its own reward, or look at such parties.

    run is one agent, host the environment; both read --config. status takes folders of parties, and
    audit the audit logs of two, and says whether they agree.
    """

    usage: ClassVar[str] = "party WHAT"
    needs: ClassVar[str] = "one of run, host, status and audit"
    example: ClassVar[str] = "party run --config party.toml"

    what: Positional[Literal["run", "host", "status", "audit"]]
    """run, host, status or audit."""
    paths: Annotated[tuple[Path, ...], Mark(positional=True, shown="PATH")] = ()
    """Folders of parties (status), or two audit logs or the folders that hold them (audit)."""
    config: Annotated[Path, Mark(shown="FILE")] = Path("party.toml")
    """The party's file; docs/parties.md shows one."""
    insecure: bool = False
    """Neither certificates nor encryption; on this machine alone, for trials."""
    trust: bool = False
    """Import the Python environment, algorithm or reward that the files name, which runs their
    code."""
    json: bool = False
    """Print one JSON object instead of text (status and audit)."""


@dataclass(frozen=True)
class CertsOptions(Line):
    """Write an authority for a trial and a certificate for each party; host is a party too.

    Give every party its own two files and authority.pem, and nobody authority.key.
    """

    usage: ClassVar[str] = "certs new ..."
    needs: ClassVar[str] = "new, a folder and names"
    example: ClassVar[str] = "certs new certs host firm-a firm-b"

    what: Positional[Literal["new"]]
    """new."""
    folder: Annotated[Path, Mark(positional=True, shown="FOLDER")]
    """A new or an empty folder."""
    names: Annotated[tuple[str, ...], Mark(positional=True, shown="NAME")] = ()
    """Names of the parties."""
    days: int = 90
    """Days for which the certificates are valid."""
    json: bool = False
    """Print one JSON object instead of text."""


def certs(argv: list[str]) -> int:
    """Writes certificates."""
    from ascore.parties.certificates import new

    options = parse(CertsOptions, argv)
    if not options.names:
        raise missing(CertsOptions, "the names of parties")
    if not 1 <= options.days <= 3650:
        message = f"--days {options.days} is outside 1..3650"
        raise UsageError(message)
    files = new(options.folder, options.names, options.days)
    if options.json:
        print_json({"files": [str(path) for path in files], "days": options.days})
        return DONE
    print(f"{len(files)} files written to {options.folder}, valid for {options.days} days")
    print("authority.key makes more of them: keep it away from all parties")
    return DONE


def party(argv: list[str]) -> int:
    """Runs a party or the host, or looks at parties."""
    options = parse(PartyOptions, argv)
    if options.what in ("run", "host") and options.paths:
        message = f"party {options.what} reads --config, and has no use for {options.paths[0]}"
        raise UsageError(message)
    if options.what == "status":
        return _status(options)
    if options.what == "audit":
        return _audit(options)
    return _run(options)


def _run(options: PartyOptions) -> int:
    from ascore.parties.settings import PartySettings
    from ascore.runtime.progress import waiting

    settings = PartySettings.load(options.config)  # before PyTorch is loaded
    with waiting("loading PyTorch"):
        from ascore.parties.start import run_host, run_party
    stop = stop_on_signal()

    def start(trust: bool) -> int:
        common: dict[str, Any] = {"insecure": options.insecure, "trust": trust, "stop": stop}
        if options.what == "run":
            return run_party(settings, **common)
        return run_host(settings, progress=_progress(), **common)

    done = with_trust(start, options.trust)
    print(f"{settings.name}: {done} updates done, kept in {settings.folder}")
    return INTERRUPTED if stop() else DONE


def _progress() -> Any:
    from ascore.runtime.progress import Patience

    patience = Patience("updates")

    def show(done: int, total: int, members: Sequence[str]) -> None:
        patience.update(done, total)

    return show


def _lacking(what: str, paths: str) -> UsageError:
    return UsageError(f"party {what} needs {paths}, as in: ascore party {what} firm-a firm-b")


def _status(options: PartyOptions) -> int:
    from ascore.parties.archive import status_of

    if not options.paths:
        raise _lacking(options.what, "the folders of parties")
    rows = [status_of(path) for path in options.paths]
    if options.json:
        print_json({"parties": rows})
        return DONE
    for row in rows:
        away = f"; out in the last update: {', '.join(row['late'])}" if row["late"] else ""
        others = ", ".join(name for name in row["members"] if name != row["party"]) or "nobody"
        age = max(time.time() - row["written"], 0)
        print(
            f"{row['party']}: update {row['update']} of {row['total']}, with {others}{away}; "
            f"{row['bytes_sent']:,} bytes sent; {age:.0f} s ago"
        )
    return DONE


def _audit(options: PartyOptions) -> int:
    from ascore.parties.audit import AUDIT, reconcile

    if len(options.paths) != 2:
        raise _lacking(options.what, "the logs of two parties")
    first, second = (path / AUDIT if path.is_dir() else path for path in options.paths)
    agreement = reconcile(first, second)
    a, b = agreement.parties
    if options.json:
        print_json(
            {
                "parties": [a, b],
                "agree": not agreement.differences,
                "letters": agreement.letters,
                "pending": agreement.pending,
                "differences": list(agreement.differences),
            }
        )
    elif not agreement.differences:
        print(
            f"{a} and {b} agree on {agreement.letters} letters; {agreement.pending} at the end "
            "were sent and not yet received"
        )
    else:
        print(f"{a} and {b} part at {agreement.differences[0]}")
        for difference in agreement.differences[1:]:
            print(difference, file=sys.stderr)
    return FAILED if agreement.differences else DONE
