"""What a party keeps in its own folder: checkpoints of its agent, metrics, and how things stand."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ascore.config import Config
from ascore.errors import AscoreWarning, CheckpointError, PartyError
from ascore.parties.agreed import OWN
from ascore.parties.audit import AUDIT, party_of
from ascore.reading import JSON_LIMIT, read_regular, strict_json, unreadable
from ascore.runs import checkpoint, manifest
from ascore.runs.changes import CHANGEABLE
from ascore.runs.files import json_text, unwritable, write_atomic
from ascore.runs.logs import METRICS, TABLE, MetricsLog, damage

STATUS, STARTS = "status.json", "starts"
OURS = (AUDIT, METRICS, TABLE, STATUS, checkpoint.FOLDER)
"""What a party writes into its folder, after its first start is counted there."""
MOST_STARTS = 2**23
"""Starts of a party, beyond which the numbers of its letters would not fit."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Held:
    """What is saved of an agent.

    Attributes:
        spec: sizes of the environment, as plain values.
        actor: sizes of its policy, as plain values.
        arrays: parameters, moments of the optimisers, and the scale of its returns.
    """

    spec: dict[str, Any]
    actor: dict[str, Any]
    arrays: Arrays


class Archive:
    """Keeps nothing: for simulations."""

    done = 0
    """Updates done before this start."""
    starts = 0
    """How often this party has started before."""
    finished = False
    """Whether all updates of the run were done before this start."""

    def restored(self, like: Arrays) -> Arrays | None:
        """What was saved, in arrays like these; None = nothing."""
        return None

    def write(
        self,
        done: int,
        total: int,
        metrics: Mapping[str, Any],
        *,
        members: Sequence[str],
        late: Mapping[str, int],
        bytes_sent: int,
        held: Callable[[], Held],
    ) -> None:
        """Takes down an update.

        Args:
            done: updates done.
            total: of the run.
            metrics: of this agent.
            members: names of the agents that took part.
            late: names of those that were to be heard and were not, with the round.
            bytes_sent: in letters, since the start.
            held: gives what is to be saved.
        """

    def finish(self, done: int, held: Callable[[], Held]) -> None:
        """Saves at the end, after `done` updates."""

    def close(self) -> None:
        """Closes files."""


class FolderArchive(Archive):
    """In a folder: checkpoints, `metrics.jsonl` and `metrics.csv`, `status.json`.

    Args:
        folder: of the party.
        party: its name.
        config: of the run.
        run: its name.

    Raises:
        CheckpointError: the newest checkpoint is damaged, or of another party, run or
            configuration; the metrics until then are missing or damaged.
        PartyError: the folder is not this party's.
        RunError: the folder cannot be written.
    """

    def __init__(self, folder: Path, party: str, config: Config, run: str = "") -> None:
        self.folder, self.party, self.config, self.run = folder, party, config, run
        create(folder)
        require_own(folder, party)
        checkpoint.clear_remains(folder)
        self._saved = _newest(folder)
        positions = None
        if self._saved is not None:
            self._require_same(self._saved)
            self.done = self._saved.update
            positions = self._positions(self._saved)
            self.finished = self.done >= self._total(self._saved)
        self.starts = counted_start(folder)
        self._log = MetricsLog(folder, positions=positions)
        self._shown = 0.0
        self._status: dict[str, Any] = {}

    def _require_same(self, saved: checkpoint.Checkpoint) -> None:
        party, run = saved.extra.get("party"), saved.extra.get("run", self.run)
        whose = ""
        if party != self.party:
            whose = f"belongs to {party or 'no party'}, not to {self.party}"
        elif run != self.run:
            whose = f"belongs to the run {run}, not to {self.run}"
        if whose:
            message = f"{saved.path} {whose}; use another folder"
            raise CheckpointError(message)
        before, now = Config.from_dict(saved.config).to_dict(), self.config.to_dict()
        differ = [key for key in now if now[key] != before[key]]
        fixed = [key for key in differ if key not in CHANGEABLE]
        if fixed:
            key = fixed[0]
            message = (
                f"{saved.path} was trained with {key} = {before[key]!r}, and the training file has "
                f"{now[key]!r}; change that back, or use another folder"
            )
            raise CheckpointError(message)
        for key in sorted({*differ} - {*OWN}):
            message = f"{key} is {now[key]!r} from here on; it was {before[key]!r}"
            warnings.warn(message, AscoreWarning, stacklevel=2)

    def _positions(self, saved: checkpoint.Checkpoint) -> dict[str, int]:
        """Where the metrics go on; a file that was removed begins anew."""
        there = {
            name: size
            for name, size in saved.extra["logs"].items()
            if os.path.lexists(self.folder / name)
        }
        positions = {**there, "update": saved.update}
        wrong = damage(self.folder, positions, gaps=True)
        for name in there:
            if name in wrong:
                message = f"{wrong[name]}; restore it, or remove it to begin a new one"
                raise CheckpointError(message)
        return positions

    def _total(self, saved: checkpoint.Checkpoint) -> int:
        horizon = saved.spec.get("horizon")
        if type(horizon) is not int or horizon < 1:
            message = f"{saved.path} has the horizon {horizon!r}; remove it, or use another folder"
            raise CheckpointError(message)
        return self.config.updates(horizon)

    def restored(self, like: Arrays) -> Arrays | None:
        """From the newest checkpoint."""
        if self._saved is None:
            return None
        checkpoint.require_like(self._saved, like)
        return {key: self._saved.arrays[key].copy() for key in like}

    def write(
        self,
        done: int,
        total: int,
        metrics: Mapping[str, Any],
        *,
        members: Sequence[str],
        late: Mapping[str, int],
        bytes_sent: int,
        held: Callable[[], Held],
    ) -> None:
        """Appends metrics, saves now and then, and says how things stand."""
        self._log.write({"update": done, **metrics, "others": len(members) - 1, "late": len(late)})
        every = self.config.checkpoint_every or max(1, total // 20)
        if done % every == 0:
            self._save(done, held())
        self._status = {
            "party": self.party,
            "update": done,
            "total": total,
            "members": list(members),
            "late": dict(late),
            "bytes_sent": bytes_sent,
            "written": time.time(),
        }
        if time.monotonic() - self._shown > 1:
            self._show()

    def finish(self, done: int, held: Callable[[], Held]) -> None:
        """Saves what is not saved yet."""
        newest = checkpoint.folders(self.folder)[-1:]
        if done > 0 and [int(path.name) for path in newest] != [done]:
            self._save(done, held())
        if self._status:
            self._show()

    def _save(self, done: int, agent: Held) -> None:
        extra = {
            "party": self.party,
            "run": self.run,
            "actor": agent.actor,
            "logs": self._log.positions(),
            "episodes": 0,
            "seconds": 0.0,
            "sent": {},
        }
        keep, values = self.config.keep_checkpoints, self.config.to_dict()
        checkpoint.save(self.folder, done, values, agent.spec, extra, agent.arrays, keep)

    def _show(self) -> None:
        self._shown = time.monotonic()
        write_atomic(self.folder / STATUS, json_text(self._status).encode())

    def close(self) -> None:
        """Closes the logs."""
        self._log.close()


def create(folder: Path) -> None:
    """Makes the folder of a party.

    Raises:
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def require_own(folder: Path, party: str) -> None:
    """Refuses the folder of another party, or of somebody who is none.

    Raises:
        PartyError: names what is there.
    """
    if not (folder / STARTS).exists():
        there = [name for name in OURS if (folder / name).exists()]
        if there:
            message = f"{folder} is not empty: it holds {', '.join(there)}; use another folder"
            raise PartyError(message)
        return
    owner = party_of(folder / AUDIT)
    if owner not in ("", party):
        message = f"{folder} belongs to {owner}, not to {party}; give each party a folder"
        raise PartyError(message)


def _newest(folder: Path) -> checkpoint.Checkpoint | None:
    """The newest checkpoint, if there is one.

    Raises:
        CheckpointError: it is damaged; names what to remove to go on from an older one.
    """
    try:
        names = checkpoint.folders(folder)
        return checkpoint.load(folder, of_party=True) if names else None
    except CheckpointError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        # The trainer's remedy is an option that parties lack.
        what = str(error).rpartition("; ")[0] or str(error)
        message = f"{what}; remove or rename it to go on from the one before"
        raise CheckpointError(message) from error


def counted_start(folder: Path) -> int:
    """Starts before this one, so that no letter of a party ever has a number for the second time.

    Raises:
        PartyError: the count is damaged.
        RunError: it cannot be written.
    """
    path = folder / STARTS
    try:
        text = read_regular(path, 64).decode() if os.path.lexists(path) else "0"
        count = int(text) if text.strip().isdecimal() else -1
    except (OSError, ValueError) as error:
        message = unreadable(path, error, "restore it, or use another folder")
        raise PartyError(message) from error
    if not 0 <= count < MOST_STARTS:
        message = f"{path} holds {text[:20]!r}; it must be the number of starts so far"
        raise PartyError(message)
    write_atomic(path, f"{count + 1}\n".encode())
    return count


_STATUS: Mapping[str, manifest.Rule] = {
    "party": manifest.is_text,
    "update": manifest.is_number,
    "total": manifest.is_number,
    "members": lambda value: isinstance(value, list) and all(map(manifest.is_text, value)),
    "late": manifest.table_of(manifest.is_number),
    "bytes_sent": manifest.is_number,
    "written": manifest.is_number,
}


def status_of(folder: Path) -> dict[str, Any]:
    """How things stand with a party.

    Raises:
        PartyError: it has not done an update yet, or this is no folder of a party.
    """
    path = folder / STATUS
    try:
        values: dict[str, Any] = strict_json(read_regular(path, JSON_LIMIT))
        manifest.require(values, dict(_STATUS), path.name)
    except (OSError, ValueError) as error:
        message = unreadable(path, error, "give the folder of a party that has begun")
        raise PartyError(message) from error
    return values
