"""Messages between a batch and its workers, whole and in pieces, looked for and slept for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from ascore.envs.adapters import channel
from ascore.envs.adapters.channel import DONE, STEP, Channel

Ends = tuple[Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    here, there = socket.socketpair()
    with here, there:
        yield Channel(here, 0.02), there


def bytes_of(kind: bytes, content: object = None) -> bytes:
    """A message as it is sent."""
    here, there = socket.socketpair()
    with here, there:
        Channel(here).send(kind, content)
        return there.recv(1 << 16)


def looks(end: Channel, there: socket.socket) -> None:
    """Makes an end look for its next message, because this one is there at once."""
    there.sendall(bytes_of(DONE))
    assert end.receive() == (DONE, None)
    assert end._soon


@pytest.mark.parametrize("looking", [False, True])
def test_a_message_in_pieces_is_put_together(ends: Ends, *, looking: bool) -> None:
    end, there = ends
    if looking:
        looks(end, there)
    data, waited = bytes_of(STEP, list(range(100))), threading.Event()

    def send() -> None:
        for piece in (data[:3], data[3:9], data[9:50]):
            there.sendall(piece)
            waited.wait(0.03)
        there.sendall(data[50:])

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert end.receive() == (STEP, list(range(100)))
    finally:
        sender.join()
    assert not end._soon  # it came late, so the next one is slept for


@pytest.mark.parametrize("looking", [False, True])
def test_an_end_that_closes_is_told(ends: Ends, *, looking: bool) -> None:
    end, there = ends
    if looking:
        looks(end, there)
    there.sendall(bytes_of(DONE)[:4])
    there.close()
    with pytest.raises(EOFError):
        end.receive()


@pytest.mark.parametrize("looking", [False, True])
def test_whoever_waits_long_looks_up(ends: Ends, *, looking: bool) -> None:
    class Enough(Exception):
        pass

    def idle() -> None:
        raise Enough

    end, there = ends
    if looking:
        looks(end, there)
    with pytest.raises(Enough):
        end.receive(idle)


def test_others_get_the_core_while_one_looks(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    end, there = ends
    looks(end, there)
    given: list[None] = []
    monkeypatch.setattr(channel.os, "sched_yield", lambda: given.append(None))
    monkeypatch.setattr(channel, "_SOON", 0.01)
    monkeypatch.setattr(channel, "_LONG", 1e9)
    sender = threading.Timer(0.005, lambda: there.sendall(bytes_of(DONE)))
    sender.start()
    assert end.receive() == (DONE, None)
    sender.join()
    assert len(given) > 0


def test_nobody_looks_after_long_work(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    end, there = ends
    looks(end, there)
    monkeypatch.setattr(channel, "_LONG", 0.0)
    monkeypatch.setattr(end, "_look_for", lambda *_: pytest.fail("looked"))
    there.sendall(bytes_of(DONE))
    assert end.receive() == (DONE, None)
