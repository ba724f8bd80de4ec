"""The audit log of a party: what it sent and received, and whom it refused, in a chain of hashes.

Lines of JSON. Each names the hash of the line before, so that none can be changed, taken out or put
in unnoticed; and the logs of two parties must tell the same of the letters between them. A line has
a letter's digest and size, never its content, and of a letter with a reward the digest leaves the
reward out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from io import FileIO
from pathlib import Path
from typing import Any

from ascore.errors import PartyError, RunError
from ascore.reading import regular, unreadable
from ascore.runs.files import as_path, unwritable

AUDIT = "audit.jsonl"
FIRST = "0" * 64
"""What stands in place of the hash before the first line."""
LONGEST = 2**16
"""Bytes of a line, at most; ours have some hundreds."""

Entry = dict[str, Any]


class AuditLog:
    """Appends to a log; continues the chain of one that is there.

    Args:
        path: of the log; None = nothing is written.
        party: whose log it is.

    Raises:
        PartyError: the log that is there is no whole chain.
        RunError: it cannot be written.
    """

    def __init__(self, path: Path | None, party: str) -> None:
        self.path, self.party = path, party
        self._lock = threading.Lock()
        self._number, self._hash = 0, FIRST
        self._failure: RunError | None = None
        if path is None:
            return
        torn = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            handle = os.open(path, flags, 0o600)
            self._file = open(handle, "r+b", buffering=0)  # noqa: SIM115 (kept open)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                message = f"{path} is not a regular file; remove it"
                raise PartyError(message)
            torn = _cut(self._file)
            for entry in read(path):
                self._number, self._hash = entry["n"] + 1, entry["hash"]
        except PartyError:
            self._file.close()
            raise
        except OSError as error:
            raise unwritable(path, error) from error
        self.write("start", party=party, torn_bytes=torn)

    def write(self, event: str, **facts: Any) -> None:
        """Appends a line.

        Args:
            event: "start", "connected", "disconnected", "refused", "sent" or "received".
            facts: plain values.

        Raises:
            RunError: it cannot be written, now or earlier: who writes no log, trains no more.
        """
        if self.path is None:
            return
        with self._lock:
            if self._failure is not None:
                raise self._failure
            moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            entry = {"n": self._number, "time": moment, "event": event, **facts}
            entry["previous"] = self._hash
            entry["hash"] = _hash(entry)
            try:
                self._append(_line(entry))
            except OSError as error:
                self._failure = unwritable(self.path, error)
                raise self._failure from error
            self._hash = entry["hash"]
            self._number += 1

    def note(self, event: str, **facts: Any) -> None:
        """Appends a line, from a thread: what fails there fails at the next `write`."""
        with contextlib.suppress(RunError):
            self.write(event, **facts)

    def _append(self, line: bytes) -> None:
        """Writes all of a line, or nothing."""
        size = os.fstat(self._file.fileno()).st_size
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:]) or 0
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(size)
            raise

    def close(self) -> None:
        """Closes the file; may be called again."""
        if self.path is not None:
            self._file.close()


def digest(content: bytes) -> str:
    """SHA-256 of a letter."""
    return hashlib.sha256(content).hexdigest()


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _hash(entry: Entry) -> str:
    return digest(_line({key: value for key, value in entry.items() if key != "hash"}))


def _cut(file: FileIO) -> int:
    """Removes a last line that a killed process has not finished; its length."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - LONGEST)
    file.seek(start)
    tail = file.readall()
    whole = start + tail.rfind(b"\n") + 1
    if start < whole < size or (whole == start == 0):
        file.truncate(whole)
        return size - whole
    return 0


def read(path: Path) -> Iterator[Entry]:
    """The lines of a log, checked one after the other; a link that names it is followed.

    Raises:
        PartyError: a line was changed, taken out or put in, or says what no party writes; names the
            file and the line.
    """
    expected, before = 0, FIRST
    for number, line in enumerate(_lines(path), 1):
        problem = ""
        try:
            if not line.endswith(b"\n"):
                message = f"{path} ends in the middle of line {number}: its end was cut off"
                raise PartyError(message)
            entry = json.loads(line)
            if entry["hash"] != _hash(entry) or _line(entry) != line:
                problem = "was changed"
            elif entry["n"] > expected:
                problem = f"does not follow: {entry['n'] - expected} before it taken out"
            elif entry["n"] < expected or entry["previous"] != before:
                problem = "does not follow: it, or one before it, was put in"
            elif not _possible(entry):
                problem = "says what no party writes"
        except (ValueError, KeyError, TypeError, RecursionError):
            problem = "was changed"
        if problem:
            message = f"{path} is no whole chain: line {number} {problem}; it proves nothing"
            raise PartyError(message)
        expected, before = entry["n"] + 1, entry["hash"]
        yield entry


def party_of(path: Path) -> str:
    """Whose log it is; "" where there is none, or its first line is damaged."""
    try:
        with regular(path) as (file, _):
            entry = json.loads(file.readline(LONGEST))
    except (OSError, ValueError, RecursionError):
        return ""
    party = entry.get("party") if isinstance(entry, dict) else None
    return party if isinstance(party, str) else ""


def _lines(path: Path) -> Iterator[bytes]:
    """Lines of a regular file, none longer than `LONGEST`."""
    try:
        with regular(path, links=True) as (file, _):
            while line := file.readline(LONGEST):
                if len(line) == LONGEST:
                    reason = f"a line has more than {LONGEST} bytes"
                    raise OSError(reason)
                yield line
    except OSError as error:
        if isinstance(error, PartyError):
            raise
        message = unreadable(path, error, "give the audit log of a party")
        raise PartyError(message) from error


_FACTS: dict[str, dict[str, type]] = {
    "start": {"party": str},
    "sent": {"peer": str, "kind": str, "round": int, "sequence": int, "bytes": int, "digest": str},
}
_FACTS["received"] = _FACTS["sent"]
"""What lines of these events have at least: logs of others are compared with ours."""


def _possible(entry: Entry) -> bool:
    facts = _FACTS.get(entry["event"], {})
    return all(type(entry.get(key)) is kind for key, kind in facts.items())


@dataclass(frozen=True)
class Agreement:
    """What two logs say of the letters between two parties.

    Attributes:
        parties: their names.
        letters: letters of which both tell the same.
        pending: sent at the end, and not received by the time the other log ends.
        differences: sentences, in the order of the letters; empty where the logs agree.
    """

    parties: tuple[str, str]
    letters: int
    pending: int
    differences: tuple[str, ...]


_SAME = ("kind", "round", "bytes", "digest")


def reconcile(first: Path, second: Path) -> Agreement:
    """Compares the logs of two parties.

    Raises:
        PartyError: one of them is no whole chain, or both are of one party.
    """
    logs = {}
    for path in map(as_path, (first, second)):
        entries = list(read(path))
        if not entries or entries[0]["event"] != "start":
            message = f"{path} does not begin as an audit log does; its beginning was cut off"
            raise PartyError(message)
        logs[entries[0]["party"]] = entries
    if len(logs) != 2:
        message = f"{first} and {second} are logs of one party; give those of two"
        raise PartyError(message)
    a, b = logs
    same, pending, differences = 0, 0, []
    for sender, reader in ((a, b), (b, a)):
        sent = _letters(logs[sender], "sent", reader)
        received = _letters(logs[reader], "received", sender)
        last = max(received, default=-1)
        for sequence in sorted(sent.keys() | received.keys()):
            here, there = sent.get(sequence), received.get(sequence)
            if there is None and sequence > last:
                pending += 1
            elif problem := _difference(here, there, sender, reader):
                differences.append(f"letter {sequence} from {sender} to {reader}: {problem}")
            else:
                same += 1
    return Agreement((a, b), same, pending, tuple(differences))


def _letters(entries: list[Entry], event: str, peer: str) -> dict[int, Entry]:
    chosen = (e for e in entries if e["event"] == event and e["peer"] == peer)
    return {e["sequence"]: e for e in chosen}


def _difference(sent: Entry | None, received: Entry | None, sender: str, reader: str) -> str:
    if sent is None and received is not None:
        return f"{reader} received it (round {received['round']}), {sender} did not send it"
    if received is None and sent is not None:
        return f"{sender} sent it (round {sent['round']}), {reader} did not receive it"
    parts = [key for key in _SAME if sent and received and sent[key] != received[key]]
    return f"they tell different {' and '.join(parts)}" if parts else ""
