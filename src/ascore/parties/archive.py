"""What a party keeps in its own folder: checkpoints of its agent, metrics, and how things stand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ascore.config import Config
from ascore.errors import CheckpointError, PartyError
from ascore.reading import JSON_LIMIT, read_regular, reason
from ascore.runs import checkpoint
from ascore.runs.files import json_text, unwritable, write_atomic
from ascore.runs.logs import MetricsLog

STATUS = "status.json"

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

    Raises:
        CheckpointError: the newest checkpoint is damaged, or of another configuration.
        RunError: the folder cannot be written.
    """

    def __init__(self, folder: Path, party: str, config: Config) -> None:
        self.folder, self.party, self.config = folder, party, config
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        checkpoint.clear_remains(folder)
        self._saved = checkpoint.load(folder) if checkpoint.folders(folder) else None
        positions = None
        if self._saved is not None:
            self._require_same(self._saved)
            self.done = self._saved.update
            positions = {**self._saved.extra["logs"], "update": self.done}
        self.starts = counted_start(folder)
        self._log = MetricsLog(folder, positions=positions)
        self._shown = 0.0
        self._status: dict[str, Any] = {}

    def _require_same(self, saved: checkpoint.Checkpoint) -> None:
        party = saved.extra.get("party")
        if party != self.party:
            message = f"{saved.path} belongs to {party}, not to {self.party}; use another folder"
            raise CheckpointError(message)

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


def counted_start(folder: Path) -> int:
    """Starts before this one, so that no letter of a party ever has a number for the second time.

    Raises:
        PartyError: the count is damaged.
        RunError: it cannot be written.
    """
    path = folder / "starts"
    text = path.read_text() if path.exists() else "0"
    if not text.strip().isdecimal():
        message = f"{path} holds {text[:20]!r}; it must be the number of starts so far"
        raise PartyError(message)
    write_atomic(path, f"{int(text) + 1}\n".encode())
    return int(text)


def status_of(folder: Path) -> dict[str, Any]:
    """How things stand with a party.

    Raises:
        PartyError: it has not done an update yet, or this is no folder of a party.
    """
    path = folder / STATUS
    try:
        values = json.loads(read_regular(path, JSON_LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        message = (
            f"{path} cannot be read: {reason(error)}; give the folder of a party that has begun"
        )
        raise PartyError(message) from error
    if not isinstance(values, dict):
        message = f"{path} holds no status; give the folder of a party that has begun"
        raise PartyError(message)
    return values
