"""Parties over gloo, on machines that trust each other: it neither encrypts nor authenticates."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ascore.parties.transport import Mailbox, Transport

LONGEST = timedelta(days=365)
"""A reader waits for the next message as long as the run takes; deadlines are the mailbox's."""


class Gloo(Transport):
    """Every message as two: its length, then its bytes. A thread per peer reads.

    Args:
        store: key-value store of PyTorch through which the processes meet.
        names: of all parties, in the same order everywhere.
        name: which of them this is.
    """

    def __init__(self, store: Any, names: Sequence[str], name: str) -> None:
        self.name = name
        self.peers = tuple(other for other in names if other != name)
        self._rank = {other: rank for rank, other in enumerate(names)}
        self._group: Any = dist.ProcessGroupGloo(store, self._rank[name], len(names), LONGEST)
        self._boxes = {peer: Mailbox() for peer in self.peers}
        self._out = threading.Lock()
        self._threads = [
            threading.Thread(target=self._read, args=(peer,), daemon=True) for peer in self.peers
        ]
        for thread in self._threads:
            thread.start()

    def send(self, peer: str, content: bytes) -> None:
        """Sends length and bytes."""
        size = torch.tensor([len(content)])
        data = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())
        with self._out:
            self._group.send([size], self._rank[peer], 0).wait()
            if len(content):
                self._group.send([data], self._rank[peer], 0).wait()

    def receive(self, peer: str, deadline: float) -> bytes | None:
        """Takes what the thread has read."""
        return self._boxes[peer].take(deadline)

    def _read(self, peer: str) -> None:
        size = torch.zeros(1, dtype=torch.int64)
        try:
            while True:
                self._group.recv([size], self._rank[peer], 0).wait()
                if not int(size):
                    return  # the peer has closed
                data = torch.empty(int(size), dtype=torch.uint8)
                self._group.recv([data], self._rank[peer], 0).wait()
                if not self._boxes[peer].put(data.numpy().tobytes(), wait=False):
                    return
        except RuntimeError:  # the peer is gone; it is silent from now on
            return

    def close(self) -> None:
        """Tells the peers, and waits until they have closed too."""
        for peer in self.peers:
            try:
                self.send(peer, b"")
            except RuntimeError:  # gone already
                continue
        for box in self._boxes.values():
            box.close()
        for thread in self._threads:
            thread.join(timeout=10)
