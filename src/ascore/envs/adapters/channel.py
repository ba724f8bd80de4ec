"""What passes between a batch and its workers: short messages, and arrays in shared memory."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.sizes import Fields

# Orders, and what answers them.
BUILD, PLACE, STEP, RESET, BEGIN, SAVE, LOAD = (b"c", b"m", b"s", b"r", b"b", b"p", b"l")
DONE, FAILED, CLOSED = b".", b"!", b"z"

_HEAD = struct.Struct("<cQ")
_ALIGNED = 64

_SOON = 100e-6
"""Seconds for which a message is looked for before its receiver goes to sleep, if the last one came
within as much: to wake a sleeping process, and the core it sleeps on, takes longer than a step of
many an environment."""

_LONG = 1e-3
"""Seconds of work between two messages after which nobody looks for the next one: little would be
gained, and the core may be wanted by whoever is to send it."""


class Channel:
    """Messages over a socket: one letter and, where something comes with it, a pickled object.

    Args:
        sock: this end.
        tick: seconds after which `receive` looks up from waiting; 0 = never.
    """

    def __init__(self, sock: socket.socket, tick: float = 0.0) -> None:
        self._sock = sock
        self._soon = False
        self._read_at = 0.0
        if tick > 0:
            seconds = int(tick)
            limit = struct.pack("ll", seconds, int((tick - seconds) * 1e6))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def send(self, kind: bytes, content: Any = None) -> None:
        """Sends a message.

        Raises:
            OSError: the other end is gone.
        """
        if content is None:
            self._sock.sendall(_HEAD.pack(kind, 0))
            return
        data = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
        self._sock.sendall(_HEAD.pack(kind, len(data)) + data)

    def receive(self, idle: Callable[[], None] = lambda: None) -> tuple[bytes, Any]:
        """Waits for a message.

        Args:
            idle: called at every tick of waiting; may raise to give up.

        Raises:
            EOFError: the other end is closed.
        """
        kind, size = _HEAD.unpack(self._read(_HEAD.size, idle))
        return kind, pickle.loads(self._read(size, idle)) if size else None

    def _read(self, size: int, idle: Callable[[], None]) -> bytes:
        start = time.perf_counter()
        looks = self._soon and start - self._read_at < _LONG
        data = self._look_for(size, start + _SOON) if looks else b""
        while len(data) < size:
            try:
                more = self._sock.recv(min(size - len(data), 1 << 20))
            except BlockingIOError:
                idle()
                continue
            except ConnectionError as error:
                raise EOFError from error
            if not more:
                raise EOFError
            data = data + more if data else more
        self._read_at = time.perf_counter()
        self._soon = self._read_at - start < _SOON
        return data

    def _look_for(self, size: int, end: float) -> bytes:
        """What has come of a message by some time; meanwhile others may use the core."""
        while time.perf_counter() < end:
            try:
                return self._sock.recv(min(size, 1 << 20), socket.MSG_DONTWAIT)
            except BlockingIOError:
                os.sched_yield()
            except OSError:  # told when it is read again
                break
        return b""

    def left(self) -> bool:
        """Whether the other end has left, and all that it sent has been read."""
        try:
            return not self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def leave(self) -> None:
        """Lets the other end know that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Closes this end."""
        self._sock.close()


def unnamed_file() -> int:
    """Descriptor of a file in memory without a name, which vanishes with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ascore")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def shared(memory: int, fields: Fields, *, create: bool = False) -> dict[str, npt.NDArray[Any]]:
    """Arrays in a file, the same for everybody who maps it; zeros at first.

    Args:
        memory: descriptor of the file; it is not needed any more afterwards.
        fields: the arrays, in the order in which they lie there.
        create: whether to give the file its size.
    """
    offsets, end = [], 0
    for shape, dtype in fields.values():
        offsets.append(end)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        end += -(-size // _ALIGNED) * _ALIGNED
    if create:
        os.ftruncate(memory, end)
    view = mmap.mmap(memory, end)
    return {
        key: np.ndarray(shape, dtype, buffer=view, offset=offset)
        for (key, (shape, dtype)), offset in zip(fields.items(), offsets, strict=True)
    }
