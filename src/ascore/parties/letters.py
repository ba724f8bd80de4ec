"""Letters of one party: what it writes is numbered and logged, what it reads is checked first."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from ascore.parties import wire
from ascore.parties.audit import AuditLog, digest
from ascore.parties.transport import Transport
from ascore.parties.wire import Refused

PER_START = 1 << 40
"""Letters on a link between two starts of its sender: numbers never come twice."""
ENOUGH = 256
"""Refused letters of one peer, in one wait, after which it counts as silent."""
SLICE = 0.2
"""Seconds after which who waits looks whether it is told to end."""
GRACE = 2.0
"""Seconds for which a party that is told to end still waits, for letters on their way."""

Tell = Callable[[str], None]


def on_stderr(text: str) -> None:
    """Prints a line on standard error, if that is still open: no thread may die of it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"ascore: {text}", file=sys.stderr, flush=True)


class Letters:
    """Sends and receives the letters of one party.

    Args:
        transport: carries them.
        run: name of the run.
        config: 32 bytes, hash of the configuration.
        log: of every letter.
        starts: how often this party has started before.
        tell: called with one line about whatever is new: who is refused, and why.
        stop: tells whether to end early: nobody is then waited for longer than `GRACE`.
    """

    def __init__(
        self,
        transport: Transport,
        run: str,
        config: bytes,
        log: AuditLog,
        starts: int = 0,
        tell: Tell = on_stderr,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.transport, self.run, self.config = transport, run, config
        self.log, self.tell, self.stop = log, tell, stop
        self.bytes_sent = 0
        self._next = dict.fromkeys(transport.peers, starts * PER_START)
        self._last = dict.fromkeys(transport.peers, -1)
        self._mentioned: set[tuple[str, str]] = set()
        self._stopped = math.inf  # when this party was told to end

    def send(self, peer: str, kind: str, number: int, **body: Any) -> None:
        """Writes a letter of round `number` to a peer."""
        sequence = self._next[peer]
        self._next[peer] += 1
        content = wire.compose(
            self.run, self.config, self.transport.name, number, sequence, kind, **body
        )
        self.bytes_sent += len(content)
        # Logged before it leaves, so that nobody can have what the log does not know of.
        self._record("sent", peer, kind, number, sequence, content)
        self.transport.send(peer, content)

    def receive(self, peer: str, deadline: float) -> Any:
        """The next letter of a peer whose head is right.

        Args:
            peer: whose.
            deadline: as `time.monotonic` counts.

        Returns:
            The letter; None if none has come by then.
        """
        for _ in range(ENOUGH):
            content = self._message(peer, deadline)
            if content is None:
                return None
            try:
                letter = wire.parse(content)
                self._check(peer, letter)
            except Refused as reason:
                self.refuse(peer, str(reason), len(content))
                continue
            self._last[peer] = letter.sequence
            kind = wire.kind_of(letter)
            self._record("received", peer, kind, letter.round, letter.sequence, content)
            return letter
        self.refuse(peer, f"{ENOUGH} letters in a row were refused")
        return None

    def _message(self, peer: str, deadline: float) -> bytes | None:
        """The oldest message of a peer; None if none has come by the deadline."""
        while True:
            now = time.monotonic()
            if self.stop():
                self._stopped = min(self._stopped, now)
            end = min(deadline, self._stopped + GRACE)
            content = self.transport.receive(peer, min(end, now + SLICE))
            if content is not None or now >= end:
                return content

    def refuse(self, peer: str, reason: str, size: int = 0) -> None:
        """Logs why something of a peer is not used; mentions each reason once."""
        self.log.write("refused", peer=peer, reason=reason, bytes=size)
        if (peer, reason) not in self._mentioned:
            self._mentioned.add((peer, reason))
            self.tell(f"refused something of {peer}: {reason}")

    def _check(self, peer: str, letter: Any) -> None:
        reason = ""
        if letter.sender != peer:
            reason = "it names another sender"
        elif letter.run != self.run:
            reason = "it is of another run"
        elif letter.config != self.config:
            reason = "its configuration is another; give all parties the same training file"
        elif letter.sequence <= self._last[peer]:
            reason = "it came before"
        if reason:
            raise Refused(reason)

    def _record(
        self, event: str, peer: str, kind: str, number: int, sequence: int, content: bytes
    ) -> None:
        if self.log.path is None:
            return
        public = wire.public_part(content) if kind == wire.STATE else content
        self.log.write(
            event,
            peer=peer,
            kind=kind,
            round=number,
            sequence=sequence,
            bytes=len(content),
            digest=digest(public),
            # Of a letter that was sent: the peer's that it answers, the last one read.
            answers=self._last[peer] if event == "sent" else sequence,
        )

    def close(self) -> None:
        """Reads what is left, so that the logs of two parties agree, and ends the connections."""
        try:
            for peer in self.transport.peers:
                while self.receive(peer, time.monotonic()) is not None:
                    pass
        finally:
            self.transport.close()
            self.log.close()
