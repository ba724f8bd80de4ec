"""The audit log of a party: what it sent and received, and whom it refused, in a chain of hashes.

Lines of JSON. Each names the hash of the line before, so that none can be changed, taken out or put
in unnoticed; and the logs of two parties must tell the same of the letters between them. A line has
a letter's digest and size, never its content, and of a letter with a reward the digest leaves the
reward out.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ascore.errors import PartyError
from ascore.runs.files import unwritable

AUDIT = "audit.jsonl"
FIRST = "0" * 64
"""What stands in place of the hash before the first line."""

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
        if path is None:
            return
        torn = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                torn = _cut(path)
                for entry in read(path):
                    self._number, self._hash = entry["n"] + 1, entry["hash"]
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            self._file = open(handle, "ab", buffering=0)  # noqa: SIM115 (kept open)
        except OSError as error:
            if isinstance(error, PartyError):
                raise
            raise unwritable(path, error) from error
        self.write("start", party=party, torn_bytes=torn)

    def write(self, event: str, **facts: Any) -> None:
        """Appends a line.

        Args:
            event: "start", "connected", "disconnected", "refused", "sent" or "received".
            facts: plain values.
        """
        if self.path is None:
            return
        with self._lock:
            moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            entry = {"n": self._number, "time": moment, "event": event, **facts}
            entry["previous"] = self._hash
            self._hash = entry["hash"] = _hash(entry)
            self._number += 1
            try:
                self._file.write(_line(entry))
            except OSError as error:
                raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Closes the file."""
        if self.path is not None:
            self._file.close()


def digest(content: bytes) -> str:
    """SHA-256 of a letter."""
    return hashlib.sha256(content).hexdigest()


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _hash(entry: Entry) -> str:
    return digest(_line({key: value for key, value in entry.items() if key != "hash"}))


def _cut(path: Path) -> int:
    """Removes a last line that a killed process has not finished; its length."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return len(data) - whole


def read(path: Path) -> Iterator[Entry]:
    """The lines of a log, checked one after the other.

    Raises:
        PartyError: a line was changed, taken out or put in; names the file and the line.
    """
    expected, before = 0, FIRST
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}; give the audit log of a party"
        raise PartyError(message) from error
    if lines.pop():
        message = f"{path} ends in the middle of line {len(lines) + 1}: its end was cut off"
        raise PartyError(message)
    for number, line in enumerate(lines, 1):
        problem = ""
        try:
            entry = json.loads(line)
            if entry["hash"] != _hash(entry) or _line(entry) != line + b"\n":
                problem = "was changed"
            elif entry["n"] > expected:
                problem = f"does not follow: {entry['n'] - expected} before it taken out"
            elif entry["n"] < expected or entry["previous"] != before:
                problem = "does not follow: it, or one before it, was put in"
        except (ValueError, KeyError, TypeError, RecursionError):
            problem = "was changed"
        if problem:
            message = f"{path} is no whole chain: line {number} {problem}; it proves nothing"
            raise PartyError(message)
        expected, before = entry["n"] + 1, entry["hash"]
        yield entry


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
    for path in (first, second):
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
