"""Recording proxies between parties, and what a recording holds: HTTP/2 frames, then letters."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import defaultdict

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW = 0, 1, 3, 4, 6, 8
CONTROL = {RESET: 4, PING: 8, WINDOW: 4}
"""Frames that only steer, and how many bytes they have."""


class Recorder:
    """Passes every byte on between whoever connects and one address, and keeps a copy."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.there: list[bytearray] = []  # per connection, what the client sent
        self.back: list[bytearray] = []  # and what came back
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            host, _, port = self.target.rpartition(":")
            try:
                server = socket.create_connection((host, int(port)))
            except OSError:  # nobody listens there yet
                client.close()
                continue
            self._sockets += [client, server]
            self.there.append(bytearray())
            self.back.append(bytearray())
            for source, to, copy in (
                (client, server, self.there[-1]),
                (server, client, self.back[-1]),
            ):
                threading.Thread(target=self._pump, args=(source, to, copy), daemon=True).start()

    def _pump(self, source: socket.socket, to: socket.socket, copy: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                copy += data
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._server.close()
        for each in self._sockets:
            each.close()


def frames(recording: bytes) -> list[tuple[int, int, bytes]]:
    """(type, stream, payload) of all frames of one direction; nothing is left over."""
    at = len(PREFACE) if recording.startswith(PREFACE) else 0
    listed = []
    while at < len(recording):
        size = int.from_bytes(recording[at : at + 3], "big")
        kind, stream = recording[at + 3], int.from_bytes(recording[at + 5 : at + 9], "big")
        listed.append((kind, stream, recording[at + 9 : at + 9 + size]))
        at += 9 + size
    assert at == len(recording)
    return listed


def messages(recording: bytes) -> list[bytes]:
    """The messages of gRPC in one direction: each has a flag and a length in front."""
    streams: dict[int, bytearray] = defaultdict(bytearray)
    for kind, stream, payload in frames(recording):
        if kind == DATA:
            streams[stream] += payload
    listed = []
    for data in streams.values():
        at = 0
        while at < len(data):
            assert data[at] == 0  # not compressed
            size = int.from_bytes(data[at + 1 : at + 5], "big")
            listed.append(bytes(data[at + 5 : at + 5 + size]))
            at += 5 + size
        assert at == len(data)
    return listed
