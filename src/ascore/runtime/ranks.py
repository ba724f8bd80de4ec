"""The processes of one run: who I am, and the few things that all of them agree on.

`torchrun -m ascore train ...` starts R processes, ranks 0..R-1. Rank r owns the environments
r B/R .. (r+1) B/R - 1 of the B that the run has. Parameters and optimiser are the same everywhere,
or each rank keeps those of its own agents up to date (`ascore.runtime.split`).
Alone, a `Ranks` does nothing at all, so whoever trains need not ask how many there are.

R ranks, B environments in all, T steps.
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
"""Environment variable: seconds to wait for another rank that is silent, but has not hung up."""
DEFAULT_TIMEOUT = 600.0

Array = TypeVar("Array", bound=npt.NDArray[Any])


class Ranks:
    """One process that trains alone, the whole batch its own.

    Attributes:
        rank: 0..size-1; rank 0 writes the run folder.
        size: R.
        neighbours: ranks on this machine, this one included.
    """

    rank = 0
    size = 1
    neighbours = 1

    @property
    def lead(self) -> bool:
        """Whether this rank writes and speaks for all."""
        return self.rank == 0

    def share(self, num_envs: int) -> int:
        """B/R, environments of one rank.

        Raises:
            ConfigError: they cannot be shared equally.
        """
        return num_envs

    def own_rows(self, rows: npt.NDArray[np.int64], num_envs: int) -> npt.NDArray[np.int64]:
        """Those of some rows t B + b of the whole batch that are this rank's, as it numbers them.

        Args:
            rows: i64 [M].
            num_envs: B.

        Returns:
            i64 [m], t (B/R) + b - first, in the order given.
        """
        return rows

    def sum_in_place(self, x: Tensor) -> None:
        """Every rank gets the sum over all, bit for bit the same."""

    def total(self, x: Array) -> Array:
        """Sum over the ranks."""
        return x

    def mean(self, x: Array) -> Array:
        """Mean over the ranks, which have as many rows each."""
        return x

    def largest(self, x: Array) -> Array:
        """Greatest value over the ranks, entry by entry."""
        return x

    def any(self, flag: bool) -> bool:
        """Whether it holds for at least one rank."""
        return flag

    def gather(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """What every rank has, by rank, for rank 0; nothing for the others.

        Arrays may differ in the length of their first axis.
        """
        return [x]

    def everywhere(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """What every rank has, by rank, for all of them.

        Arrays may differ in the length of their first axis.
        """
        return [x]

    def concatenated(self, x: Tensor) -> Tensor:
        """What the ranks have, one behind the other along the first axis; of equal shapes."""
        return x

    def from_lead(self, text: Callable[[], str]) -> str:
        """What rank 0 says; the others do not ask."""
        return text()

    def require_same(self, what: str, content: bytes, remedy: str) -> None:
        """Finds out whether all ranks hold the same bytes.

        Raises:
            RankError: on every rank, if they do not.
        """

    def claim(self) -> bool:
        """True for the first rank that asks: it says why the run failed, the others are quiet."""
        return True


class ConnectedRanks(Ranks):
    """One of several processes, connected by gloo.

    Args:
        store: where the ranks meet.
        rank: 0..size-1.
        size: R, at least 2.
        neighbours: ranks on this machine.
    """

    def __init__(self, store: Store, rank: int, size: int, neighbours: int) -> None:
        self.rank, self.size, self.neighbours = rank, size, neighbours
        self._store = store

    def share(self, num_envs: int) -> int:
        """Equal shares, so that no rank waits for another and the mean of means is the mean."""
        if num_envs % self.size:
            message = (
                f"num_envs = {num_envs} cannot be shared equally by {self.size} ranks; "
                f"use {num_envs // self.size * self.size or self.size} "
                f"or {-(-num_envs // self.size) * self.size}"
            )
            raise ConfigError(message)
        return num_envs // self.size

    def own_rows(self, rows: npt.NDArray[np.int64], num_envs: int) -> npt.NDArray[np.int64]:
        """Those whose environment is in this rank's slice."""
        mine = num_envs // self.size
        time, env = np.divmod(rows, num_envs)
        env -= self.rank * mine
        own = (env >= 0) & (env < mine)
        return time[own] * mine + env[own]

    def sum_in_place(self, x: Tensor) -> None:
        """One all-reduce."""
        self._reach(lambda: dist.all_reduce(x))

    def total(self, x: Array) -> Array:
        """One all-reduce, of a copy."""
        return self._combine(x, dist.ReduceOp.SUM)

    def mean(self, x: Array) -> Array:
        """One all-reduce, of a copy."""
        return _divided(self.total(x), self.size)

    def largest(self, x: Array) -> Array:
        """One all-reduce, of a copy."""
        return self._combine(x, dist.ReduceOp.MAX)

    def any(self, flag: bool) -> bool:
        """One all-reduce, of a byte."""
        return bool(self.largest(np.array([flag], dtype=np.uint8))[0])

    def gather(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Padded to the longest on the way."""
        mine, rows = self._padded(x)
        found = [torch.empty_like(mine) for _ in rows] if self.lead else None
        self._reach(lambda: dist.gather(mine, found))
        return [part.numpy()[:count] for part, count in zip(found or [], rows, strict=False)]

    def everywhere(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Padded to the longest on the way."""
        mine, rows = self._padded(x)
        found = self.concatenated(mine).chunk(self.size)
        return [part.numpy()[:count] for part, count in zip(found, rows, strict=True)]

    def concatenated(self, x: Tensor) -> Tensor:
        """One all-gather."""
        mine = x.contiguous()
        found = mine.new_empty(self.size * len(mine), *mine.shape[1:])
        self._reach(lambda: dist.all_gather(list(found.chunk(self.size)), mine))
        return found

    def from_lead(self, text: Callable[[], str]) -> str:
        """Its length, then its bytes; the others add zeros."""
        said = text().encode() if self.lead else b""
        size = self.total(np.array([len(said)], dtype=np.int64))
        content = np.zeros(int(size[0]), dtype=np.uint8)
        if self.lead:
            content[:] = np.frombuffer(said, dtype=np.uint8)
        return self.total(content).tobytes().decode()

    def require_same(self, what: str, content: bytes, remedy: str) -> None:
        """Compares digests."""
        digest = np.frombuffer(hashlib.sha256(content).digest(), dtype=np.uint8)
        both = np.stack([digest, 255 - digest])  # equal if the greatest and the least are
        largest = self.largest(both)
        if (largest[0] != 255 - largest[1]).any():
            message = f"the ranks do not have the same {what}; {remedy}"
            raise RankError(message)

    def claim(self) -> bool:
        """Counts in the store, which outlives a rank."""
        try:
            return int(self._store.add("ascore/failed", 1)) == 1
        except RuntimeError:  # the store went down with the machine that held it
            return True

    def part(self) -> None:
        """Hangs up once all ranks are done: nobody is left talking to one that is gone."""
        self._reach(dist.barrier)
        dist.destroy_process_group()

    def _padded(self, x: npt.NDArray[Any]) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """An array as long as the longest of all ranks, and how long each is."""
        rows = np.zeros(self.size, dtype=np.int64)
        rows[self.rank] = len(x)
        rows = self.total(rows)
        padded = np.zeros((int(rows.max()), *x.shape[1:]), dtype=x.dtype)
        padded[: len(x)] = x
        return torch.from_numpy(padded), rows

    def _combine(self, x: Array, operation: Any) -> Array:
        found = x.copy()
        self._reach(lambda: dist.all_reduce(torch.from_numpy(found), op=operation))
        return found

    def _reach(self, call: Callable[[], object]) -> None:
        try:
            call()
        except RuntimeError as error:
            raise RankError(_lost(self.rank, error)) from error


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks as the environment variables of torchrun describe it; without them, alone.

    Yields:
        The ranks; the connection is closed when the block is left without an error.

    Raises:
        RankError: the variables are incomplete, or the other ranks cannot be reached.
        SystemExit: with status 1, in place of any error on the ranks that are not the first to
            fail. When one rank is lost all others fail as well, and one line says enough.
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
    """A name that the ranks of this attempt share, and no earlier attempt had.

    torchrun keeps its store when it starts ranks anew, addresses of the dead included, and machines
    count restarts apart. So every rank brings a token of its own, rank 0 answers with all tokens it
    sees, and who finds its own among them has met a rank 0 that is alive.
    """
    token, end = uuid4().hex, time.monotonic() + timeout.total_seconds()
    keys = [f"ascore/token/{other}" for other in range(1, size)]
    if rank == 0:
        store.wait(keys, timeout)
        here = f"ascore/here/{token}"
        while store.add(here, 0) < size - 1:
            tokens = [found.decode() for found in store.multi_get(keys)]
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
        message = "not all of them came"
        raise RuntimeError(message)
    time.sleep(0.02)


def restarts() -> int:
    """How often torchrun here has started this run anew after a failure, or Slurm a requeued job.

    Machines count apart: a rank whose machine lost nobody counts nothing.
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
        f"rank {rank} has lost another rank ({_reason(error)}); all ranks end, and torchrun "
        "--max-restarts starts them anew from the last checkpoint"
    )


def _reason(error: Exception) -> str:
    """What went wrong in one sentence, without the place in gloo's source."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0]
    return re.sub(r"\[/[^\]]*\]\s*", "", first).rstrip(". ") or type(error).__name__
