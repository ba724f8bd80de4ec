"""The ranks of one run: processes that share its environments and combine their results.

`torchrun -m ascore train ...` starts R processes, ranks 0..R-1. Rank r owns the environments
r B/R .. (r+1) B/R - 1 of the B environments of the run. Either all ranks hold the same parameters
and optimiser state, or each rank updates those of its own agents.
In a single process, `Ranks` does nothing, so training code need not check the number of ranks.

R ranks, B environments in total, T steps.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from ascore.errors import ConfigError, RankError

TIMEOUT = "ASCORE_RANK_TIMEOUT"
"""Environment variable: seconds to wait for a rank that is connected but does not answer."""
DEFAULT_TIMEOUT = 600.0

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
def joined() -> Iterator[Ranks]:
    """Connects the ranks that torchrun's environment variables describe; without them, one process.

    Yields:
        The ranks; the connection is closed when the block ends without an error.

    Raises:
        RankError: the variables are incomplete, or the other ranks cannot be reached.
        SystemExit: with status 1, in place of any error on all ranks but the first to fail. When
            one rank is lost, all others fail too, and one message is enough.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    timeout = timedelta(seconds=float(os.environ.get(TIMEOUT, DEFAULT_TIMEOUT)))
    try:
        everything, rank, size = next(rendezvous("env://", timeout=timeout))
        store = PrefixStore(_attempt(everything, rank, size, timeout), everything)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timeout)
    except (RuntimeError, ValueError) as error:
        message = (
            f"the {size} ranks cannot meet: {_reason(error)}; start them with torchrun, "
            "and name the network in GLOO_SOCKET_IFNAME if machines have several"
        )
        raise RankError(message) from error
    neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    ranks = ConnectedRanks(store, rank, size, neighbours)
    try:
        yield ranks
    except Exception:
        if ranks.claim():
            raise
        raise SystemExit(1) from None
    ranks.part()


def _attempt(store: Store, rank: int, size: int, timeout: timedelta) -> str:
    """Agrees on a name that the ranks of this attempt share and no earlier attempt used.

    torchrun keeps its store when it restarts ranks, including the addresses of lost ranks, and each
    machine counts restarts separately. So every rank stores its own token, and rank 0 publishes all
    tokens that it reads. A rank that finds its token among them has met a living rank 0.
    """
    token, end = uuid4().hex, time.monotonic() + timeout.total_seconds()
    keys = [f"ascore/token/{other}" for other in range(1, size)]
    if rank == 0:
        store.wait(keys, timeout)
        here = f"ascore/here/{token}"
        while store.add(here, 0) < size - 1:
            tokens = [value.decode() for value in store.multi_get(keys)]
            store.set("ascore/attempt", " ".join([token, *tokens]))
            _pause(end)
        return token
    store.set(keys[rank - 1], token)
    while True:
        name, *tokens = store.get("ascore/attempt").decode().split()
        if token in tokens:
            store.add(f"ascore/here/{name}", 1)
            return str(name)
        _pause(end)


def _pause(end: float) -> None:
    if time.monotonic() > end:
        message = "some of them are missing"
        raise RuntimeError(message)
    time.sleep(0.02)


def restarts() -> int:
    """How often torchrun has restarted this run on this machine, or Slurm has requeued the job.

    Each machine counts separately; a machine that lost no rank counts no restart.
    """
    return max(
        int(os.environ.get(name) or 0)
        for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    )


def _divided(x: Array, count: int) -> Array:
    np.divide(x, count, out=x)
    return x


def _lost(rank: int, error: RuntimeError) -> str:
    return (
        f"rank {rank} has lost another rank ({_reason(error)}); all ranks stop, and torchrun "
        "--max-restarts restarts them from the last checkpoint"
    )


def _reason(error: Exception) -> str:
    """First sentence of an error message, without the location in gloo's source."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0]
    return re.sub(r"\[/[^\]]*\]\s*", "", first).rstrip(". ") or type(error).__name__
