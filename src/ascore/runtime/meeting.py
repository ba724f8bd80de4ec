"""How the ranks of a run connect: they say whom they wait for, and signals end the wait.

The calls of PyTorch that do this block in C++, where Python handles no signal. So what can be asked
for again and again is asked for from Python, and what cannot runs in a thread.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from ascore.errors import RankError

TIMEOUT = "ASCORE_RANK_TIMEOUT"
"""Environment variable: seconds to wait for a rank that is connected but does not answer."""
DEFAULT_TIMEOUT = 600.0
LONGEST_TIMEOUT = 1e6

FIRST_WORD, NEXT_WORD = 3.0, 30.0
"""Seconds after which a waiting rank says whom it waits for, and between saying it again."""
GRACE = 5.0
"""Seconds from the second signal on until a rank is ended in the middle of a wait."""

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Place:
    """What torchrun's environment variables say about a rank.

    Attributes:
        rank: 0..size-1.
        size: number of ranks, at least 2.
        host, port: where the store is.
        kept: whether torchrun keeps the store; else rank 0 does.
        timeout: seconds.
    """

    rank: int
    size: int
    host: str
    port: int
    kept: bool
    timeout: float


def world_size() -> int:
    """Number of ranks, 1 where WORLD_SIZE is unset or empty.

    Raises:
        RankError: it is no number.
    """
    return whole("WORLD_SIZE", 1, 1)


def place() -> Place:
    """This rank among several.

    Raises:
        RankError: a variable is missing or has no usable value.
    """
    size = world_size()
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            message = f"the {size} ranks cannot meet: {name} is not set; start them with torchrun"
            raise RankError(message)
    return Place(
        rank=whole("RANK", 0, 0, size - 1),
        size=size,
        host=os.environ["MASTER_ADDR"],
        port=whole("MASTER_PORT", 0, 0, 2**16 - 1),
        kept=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        timeout=timeout(),
    )


def whole(name: str, default: int, least: int, most: float = math.inf) -> int:
    """An environment variable as a whole number; the default where it is unset or empty.

    Raises:
        RankError: it is something else, or outside `least` to `most`.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        rule = f"from {least} on" if most == math.inf else f"from {least} to {most:.0f}"
        message = f"{name} = {text!r} is not a whole number {rule}; correct or unset the variable"
        raise RankError(message)
    return int(text)


def timeout() -> float:
    """Seconds to wait for another rank.

    Raises:
        RankError: ASCORE_RANK_TIMEOUT is not a usable number of seconds.
    """
    text = os.environ.get(TIMEOUT, "").strip()
    if not text:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_TIMEOUT:
        message = (
            f"{TIMEOUT} = {text!r} is not a number of seconds above 0 and up to "
            f"{LONGEST_TIMEOUT:.0f}; correct or unset the variable"
        )
        raise RankError(message)
    return seconds


class Wait:
    """A wait for other ranks: says whom it is for, and ends by a signal or when time is up."""

    def __init__(self, here: Place, stop: Stop) -> None:
        self.here, self.stop = here, stop
        self.start = time.monotonic()
        self.next = self.start + FIRST_WORD

    def pause(self, whom: Callable[[], str], seconds: float = 0.02) -> None:
        """Sleeps for a moment.

        Raises:
            KeyboardInterrupt: `stop` has become true.
            RuntimeError: the time is up.
        """
        now, here = time.monotonic(), self.here
        if self.stop():
            raise KeyboardInterrupt
        if now - self.start > here.timeout:
            message = f"{whom()} did not come within {here.timeout:g} seconds ({TIMEOUT})"
            raise RuntimeError(message)
        if now > self.next:
            self.next = now + NEXT_WORD
            where = f"{here.host}:{here.port}"
            text = f"ascore: rank {here.rank} of {here.size} waits for {whom()} at {where}"
            print(text, file=sys.stderr, flush=True)
        time.sleep(seconds)


def connect(here: Place, stop: Stop) -> Store:
    """Connects this rank with the others.

    Returns:
        A store of this attempt, which no earlier attempt at the run has used.

    Raises:
        KeyboardInterrupt: `stop` has become true.
        RuntimeError: the others did not come, or cannot be reached.
    """
    wait = Wait(here, stop)
    keeps = here.rank == 0 and not here.kept
    while not keeps and not _reachable(here):
        wait.pause(lambda: "torchrun" if here.kept else "rank 0", 0.2)
    _require_known(here)
    span = timedelta(seconds=here.timeout)
    everything = TCPStore(
        "localhost" if keeps else here.host,  # PyTorch would try an address elsewhere in silence
        here.port,
        here.size,
        keeps,
        timeout=span,
        multi_tenant=not here.kept,
        wait_for_workers=False,
    )
    store = PrefixStore(_attempt(everything, here, wait), everything)
    _in_a_thread(
        lambda: dist.init_process_group(
            "gloo", store=store, rank=here.rank, world_size=here.size, timeout=span
        ),
        lambda: wait.pause(lambda: "the connections of the others", 0.01),
    )
    return store


def _reachable(here: Place) -> bool:
    _require_known(here)
    try:
        socket.create_connection((here.host, here.port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _require_known(here: Place) -> None:
    """Raises RuntimeError if the machine of the store has an unknown name."""
    try:
        socket.getaddrinfo(here.host, here.port)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"MASTER_ADDR = {here.host!r} is not known here ({reason})"
        raise RuntimeError(message) from error


def _attempt(store: Store, here: Place, wait: Wait) -> str:
    """Agrees on a name that the ranks of this attempt share and no earlier attempt used.

    torchrun keeps its store when it restarts ranks, including the addresses of lost ranks, and each
    machine counts restarts separately. So every rank stores its own token, and rank 0 publishes all
    tokens that it reads. A rank that finds its token among them has met a living rank 0.
    """
    token, size = uuid4().hex, here.size
    keys = [f"ascore/token/{other}" for other in range(1, size)]
    if here.rank == 0:
        absent = list(range(1, size))
        while absent := [k for k in absent if not store.check([keys[k - 1]])]:
            wait.pause(lambda: _names(absent))
        arrived = f"ascore/here/{token}"
        while store.add(arrived, 0) < size - 1:
            tokens = [value.decode() for value in store.multi_get(keys)]
            store.set("ascore/attempt", " ".join([token, *tokens]))
            wait.pause(lambda: "ranks that were there before")
        return token
    store.set(keys[here.rank - 1], token)
    while True:
        if store.check(["ascore/attempt"]):
            name, *tokens = store.get("ascore/attempt").decode().split()
            if token in tokens:
                store.add(f"ascore/here/{name}", 1)
                return str(name)
        wait.pause(lambda: "rank 0, which waits for all")


def _names(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:8])) + (f" and {len(ranks) - 8} more" if ranks[8:] else "")
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}"


def _in_a_thread(call: Callable[[], object], pause: Callable[[], None]) -> None:
    """Runs a call that blocks, and pauses until it has ended; raises what it raises."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        pause()
    if errors:
        raise errors[0]


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Ends this process by a second signal even while it waits for a rank that does not answer.

    A signal that arrives while PyTorch waits is handled when that has ended, perhaps never. The
    system writes its number into a pipe meanwhile, and a thread reads that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    done = threading.Event()
    threading.Thread(target=_watch, args=(reader, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(before)
        os.close(writer)


def _watch(reader: int, done: threading.Event) -> None:
    count = 0
    with open(reader, "rb", buffering=0) as pipe:
        while number := pipe.read(1):
            count += number[0] in (signal.SIGINT, signal.SIGTERM)
            if count == 2 and not done.wait(GRACE):
                with suppress(OSError):
                    text = (
                        "ascore: ended in the middle of a wait for another rank; nothing is lost "
                    )
                    print(text + "that was saved", file=sys.stderr, flush=True)
                os._exit(128 + number[0])
