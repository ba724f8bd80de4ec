"""How bytes travel between parties: one interface, three ways.

In one process (`in_process`), over gloo (`ascore.parties.gloo`, for machines that trust each other)
and over gRPC with mutual TLS (`ascore.parties.network`).
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

WAITING, WAITING_BYTES = 64, 2**27
"""Messages of one sender, and their bytes, that wait to be read; who sends more waits itself."""


class Transport(ABC):
    """One party's connections with those it has links with.

    Attributes:
        name: of this party.
        peers: names of the others.
    """

    name: str
    peers: tuple[str, ...]

    @abstractmethod
    def send(self, peer: str, content: bytes) -> None:
        """Hands over a message; returns at once, also where the peer cannot be reached."""

    @abstractmethod
    def receive(self, peer: str, deadline: float) -> bytes | None:
        """The oldest message of a peer that was not yet read.

        Args:
            peer: whose.
            deadline: until when to wait for one, as `time.monotonic` counts.

        Returns:
            None if none has come by then.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the connections."""


class Mailbox:
    """Messages of one sender, in the order in which they came; any thread may put and take."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, content: bytes, *, wait: bool = True) -> bool:
        """Adds a message.

        Args:
            content: the message.
            wait: for room in a full box; False = it is lost there.

        Returns:
            False once the box is closed.
        """
        with self._changed:
            while self._full(content) and not self._closed:
                if not wait:
                    return True
                self._changed.wait()
            if self._closed:
                return False
            self._messages.append(content)
            self._bytes += len(content)
            self._changed.notify_all()
            return True

    def take(self, deadline: float) -> bytes | None:
        """The oldest message; None if there is none by the deadline."""
        with self._changed:
            while not self._messages:
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    return None
                self._changed.wait(left)
            content = self._messages.popleft()
            self._bytes -= len(content)
            self._changed.notify_all()
            return content

    def _full(self, content: bytes) -> bool:
        more = self._bytes + len(content) > WAITING_BYTES
        return len(self._messages) >= WAITING or (more and bool(self._messages))

    def close(self) -> None:
        """Lets everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class InProcess(Transport):
    """Mailboxes in the memory of one process: for simulations and tests."""

    def __init__(self, name: str, boxes: dict[tuple[str, str], Mailbox]) -> None:
        self.name, self._boxes = name, boxes
        self.peers = tuple(sender for sender, reader in boxes if reader == name)

    def send(self, peer: str, content: bytes) -> None:
        """Puts it into the peer's box, if there is room."""
        self._boxes[self.name, peer].put(content, wait=False)

    def receive(self, peer: str, deadline: float) -> bytes | None:
        """Takes it from the box."""
        return self._boxes[peer, self.name].take(deadline)

    def close(self) -> None:
        """Closes the boxes of this party's mail."""
        for (sender, reader), box in self._boxes.items():
            if self.name in (sender, reader):
                box.close()


def in_process(names: Sequence[str]) -> dict[str, InProcess]:
    """A transport for each name, connected with all others."""
    boxes = {(a, b): Mailbox() for a in names for b in names if a != b}
    return {name: InProcess(name, boxes) for name in names}
