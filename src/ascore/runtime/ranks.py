"""The ranks of one run: processes that share its environments and combine their results.

`torchrun -m ascore train ...` starts R processes, ranks 0..R-1. Rank r owns the environments
r B/R .. (r+1) B/R - 1 of the B environments of the run. Either all ranks hold the same parameters
and optimiser state, or each rank updates those of its own agents.
In a single process, `Ranks` does nothing, so training code need not check the number of ranks.

R ranks, B environments in total, T steps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store  # type: ignore[attr-defined]

from ascore.errors import ConfigError, RankError
from ascore.runtime.meeting import Place, connect, ending_by_signals, place, whole, world_size

Array = TypeVar("Array", bound=npt.NDArray[Any])


class Ranks:
    """A single process that trains alone and owns the whole batch.

    Attributes:
        rank: 0..size-1; rank 0 writes the run folder.
        size: R.
        neighbours: number of ranks on this machine, including this one.
    """

    rank = 0
    size = 1
    neighbours = 1

    @property
    def lead(self) -> bool:
        """Whether this rank writes the run folder and reports progress."""
        return self.rank == 0

    def share(self, num_envs: int) -> int:
        """Number of environments of one rank, B/R.

        Raises:
            ConfigError: the environments cannot be shared equally.
        """
        return num_envs

    def own_rows(self, rows: npt.NDArray[np.int64], num_envs: int) -> npt.NDArray[np.int64]:
        """Selects this rank's rows from rows t B + b of the whole batch and renumbers them.

        Args:
            rows: i64 [M].
            num_envs: B.

        Returns:
            i64 [m], t (B/R) + b - first, in the order of `rows`.
        """
        return rows

    def sum_in_place(self, x: Tensor) -> None:
        """Replaces `x` by its sum over the ranks, bit-identical on every rank."""

    def total(self, x: Array) -> Array:
        """Sum over the ranks."""
        return x

    def mean(self, x: Array) -> Array:
        """Mean over the ranks, which have equally many rows."""
        return x

    def largest(self, x: Array) -> Array:
        """Elementwise maximum over the ranks."""
        return x

    def any(self, flag: bool) -> bool:
        """Whether the flag is true on at least one rank."""
        return flag

    def gather(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The arrays of all ranks, in their order, on rank 0; an empty list on the others.

        Arrays may differ in the length of their first axis.
        """
        return [x]

    def everywhere(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The arrays of all ranks, in their order, on every rank.

        Arrays may differ in the length of their first axis.
        """
        return [x]

    def concatenated(self, x: Tensor) -> Tensor:
        """The tensors of all ranks, of equal shapes, concatenated along the first axis."""
        return x

    def exchange(self, sent: Mapping[int, Tensor], received: Mapping[int, Tensor]) -> None:
        """Sends tensors to some ranks, and fills others with what some ranks send."""

    def from_lead(self, text: Callable[[], str]) -> str:
        """Result of `text` on rank 0, on every rank; the other ranks do not call it."""
        return text()

    def require_same(self, what: str, content: bytes, remedy: str) -> None:
        """Checks that all ranks hold the same bytes.

        Raises:
            RankError: they differ; raised on every rank.
        """

    def claim(self) -> bool:
        """True for the first rank that calls it: only that rank reports why the run failed."""
        return True


class ConnectedRanks(Ranks):
    """One of several processes, connected by gloo.

    Args:
        store: key-value store through which the ranks find each other.
        rank: 0..size-1.
        size: R, at least 2.
        neighbours: number of ranks on this machine.
    """

    def __init__(self, store: Store, rank: int, size: int, neighbours: int) -> None:
        self.rank, self.size, self.neighbours = rank, size, neighbours
        self._store = store

    def share(self, num_envs: int) -> int:
        """Equal shares, so that no rank waits for another and the mean over ranks is the mean."""
        if num_envs % self.size:
            message = (
                f"num_envs = {num_envs} cannot be shared equally by {self.size} ranks; "
                f"use {num_envs // self.size * self.size or self.size} "
                f"or {-(-num_envs // self.size) * self.size}"
            )
            raise ConfigError(message)
        return num_envs // self.size

    def own_rows(self, rows: npt.NDArray[np.int64], num_envs: int) -> npt.NDArray[np.int64]:
        """Keeps the rows whose environment is in this rank's slice."""
        mine = num_envs // self.size
        time, env = np.divmod(rows, num_envs)
        env -= self.rank * mine
        own = (env >= 0) & (env < mine)
        return time[own] * mine + env[own]

    def sum_in_place(self, x: Tensor) -> None:
        """Runs one all-reduce."""
        self._reach(lambda: dist.all_reduce(x))

    def total(self, x: Array) -> Array:
        """Runs one all-reduce on a copy."""
        return self._combine(x, dist.ReduceOp.SUM)

    def mean(self, x: Array) -> Array:
        """Runs one all-reduce on a copy."""
        return _divided(self.total(x), self.size)

    def largest(self, x: Array) -> Array:
        """Runs one all-reduce on a copy."""
        return self._combine(x, dist.ReduceOp.MAX)

    def any(self, flag: bool) -> bool:
        """Runs one all-reduce of a byte."""
        return bool(self.largest(np.array([flag], dtype=np.uint8))[0])

    def gather(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Pads all arrays to the longest for the transfer."""
        mine, rows = self._padded(x)
        parts = [torch.empty_like(mine) for _ in rows] if self.lead else None
        self._reach(lambda: dist.gather(mine, parts))
        return [part.numpy()[:count] for part, count in zip(parts or [], rows, strict=False)]

    def everywhere(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Pads all arrays to the longest for the transfer."""
        mine, rows = self._padded(x)
        parts = self.concatenated(mine).chunk(self.size)
        return [part.numpy()[:count] for part, count in zip(parts, rows, strict=True)]

    def concatenated(self, x: Tensor) -> Tensor:
        """Runs one all-gather."""
        mine = x.contiguous()
        everything = mine.new_empty(self.size * len(mine), *mine.shape[1:])
        self._reach(lambda: dist.all_gather(list(everything.chunk(self.size)), mine))
        return everything

    def exchange(self, sent: Mapping[int, Tensor], received: Mapping[int, Tensor]) -> None:
        """Runs a send or a receipt for each of them, all at once."""

        def all_at_once() -> None:
            waiting = [dist.irecv(x, rank) for rank, x in received.items()]
            waiting += [dist.isend(x, rank) for rank, x in sent.items()]
            for request in waiting:
                if request is not None:
                    request.wait()

        self._reach(all_at_once)

    def from_lead(self, text: Callable[[], str]) -> str:
        """Sums the length, then the bytes of the text; the other ranks contribute zeros."""
        data = text().encode() if self.lead else b""
        size = self.total(np.array([len(data)], dtype=np.int64))
        content = np.zeros(int(size[0]), dtype=np.uint8)
        if self.lead:
            content[:] = np.frombuffer(data, dtype=np.uint8)
        return self.total(content).tobytes().decode()

    def require_same(self, what: str, content: bytes, remedy: str) -> None:
        """Compares digests."""
        digest = np.frombuffer(hashlib.sha256(content).digest(), dtype=np.uint8)
        both = np.stack([digest, 255 - digest])  # equal if maximum and minimum are
        largest = self.largest(both)
        if (largest[0] != 255 - largest[1]).any():
            message = f"the ranks do not have the same {what}; {remedy}"
            raise RankError(message)

    def claim(self) -> bool:
        """Counts calls in the store, which outlives a rank."""
        try:
            return int(self._store.add("ascore/failed", 1)) == 1
        except RuntimeError:  # the store went down with the machine that held it
            return True

    def part(self) -> None:
        """Disconnects once all ranks are done, so that none waits for a rank that has left."""
        self._reach(dist.barrier)
        dist.destroy_process_group()

    def _padded(self, x: npt.NDArray[Any]) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Pads an array to the longest of all ranks; also gives the length of each rank's array."""
        rows = np.zeros(self.size, dtype=np.int64)
        rows[self.rank] = len(x)
        rows = self.total(rows)
        padded = np.zeros((int(rows.max()), *x.shape[1:]), dtype=x.dtype)
        padded[: len(x)] = x
        return torch.from_numpy(padded), rows

    def _combine(self, x: Array, operation: Any) -> Array:
        combined = x.copy()
        self._reach(lambda: dist.all_reduce(torch.from_numpy(combined), op=operation))
        return combined

    def _reach(self, call: Callable[[], object]) -> None:
        try:
            call()
        except RuntimeError as error:
            raise RankError(_lost(self.rank, error)) from error


@contextmanager
def joined(stop: Callable[[], bool] = lambda: False) -> Iterator[Ranks]:
    """Connects the ranks that torchrun's environment variables describe; without them, one process.

    A rank that has waited for others for some seconds says for whom, on standard error.

    Args:
        stop: ends the wait once it is true.

    Yields:
        The ranks; the connection is closed when the block ends without an error.

    Raises:
        RankError: a variable is missing or has no usable value, or others cannot be reached.
        KeyboardInterrupt: `stop` has become true during the wait.
        SystemExit: with status 1, in place of any error on all ranks but the first to fail. When
            one rank is lost, all others fail too, and one message is enough.
    """
    if world_size() == 1:
        yield Ranks()
        return
    here, neighbours = place(), whole("LOCAL_WORLD_SIZE", 1, 1)
    try:
        store = connect(here, stop)
    except (RuntimeError, ValueError) as error:
        raise RankError(_apart(here, error)) from error
    ranks = ConnectedRanks(store, here.rank, here.size, neighbours)
    with ending_by_signals():
        try:
            yield ranks
        except Exception:
            if ranks.claim():
                raise
            raise SystemExit(1) from None
        ranks.part()


def restarts() -> int:
    """How often torchrun has restarted this run on this machine, or Slurm has requeued the job.

    Each machine counts separately; a machine that lost no rank counts no restart.
    """
    return max(whole(name, 0, 0) for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def _divided(x: Array, count: int) -> Array:
    np.divide(x, count, out=x)
    return x


def _apart(here: Place, error: Exception) -> str:
    if "EADDRINUSE" in str(error):
        return (
            f"MASTER_PORT = {here.port} is in use on this machine, perhaps by another run; choose "
            "another, the same for all ranks"
        )
    return (
        f"the {here.size} ranks cannot meet: {_reason(error)}; start them with torchrun, "
        "and name the network in GLOO_SOCKET_IFNAME if machines have several"
    )


def _lost(rank: int, error: RuntimeError) -> str:
    return (
        f"rank {rank} has lost another rank ({_reason(error)}); all ranks stop, and torchrun "
        "--max-restarts restarts them from the last checkpoint"
    )


def _reason(error: Exception) -> str:
    """First sentence of an error message, without the location in gloo's source."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0]
    return re.sub(r"\[/[^\]]*\]\s*", "", first).rstrip(". ") or type(error).__name__
