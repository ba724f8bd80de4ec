"""What is done to parties in the harness of hostility: a host and two agents, each a process.

Whoever attacks has the certificate of one of the agents, or none. A stranger's bytes, letters that
are damaged or were sent before, floods and kills come in any order; all parties must go on.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from hostility import PATIENCE, Tally
from needed import grpc
from offices import PARTIES, Office

from ascore.config import Config
from ascore.errors import AscoreError
from ascore.parties.agreed import agreed
from ascore.parties.audit import AUDIT, read
from ascore.parties.network import LARGEST, METHOD, SERVICE
from ascore.parties.wire import DISTRIBUTIONS, compose
from ascore.runs import checkpoint

AGENTS = PARTIES[1:]
FLOOD = 2_000  # letters
ROWS = 8  # of an update


class Attacked(Office):
    """An office under attack.

    Args:
        folder: for all.
        rng: draws the attacks.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        super().__init__(folder, 1_000_000, deadline=0.5)
        self.rng = rng
        text = (folder / "host.toml").read_text()
        self.ports = {n: int(text.split(f"{n} = ")[1].split(":")[1].split('"')[0]) for n in AGENTS}
        self.ports["host"] = int(text.split("address = ")[1].split(":")[1].split('"')[0])
        self.agreed = agreed(Config.load(folder / "training.toml"), AGENTS)
        self.running = {name: self.start(name) for name in PARTIES}

    # ------------------------------------------------------------------ attacks

    def noise(self) -> str:
        """Bytes of a stranger, at any door."""
        name = self.rng.choice(PARTIES)
        start = self.rng.choice([b"", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
        door = "127.0.0.1", self.ports[name]
        with contextlib.suppress(OSError), socket.create_connection(door, 5) as stranger:
            stranger.sendall(start + self.rng.randbytes(self.rng.randrange(1, 5_000)))
        return f"noise at {name}"

    def damaged(self) -> str:
        """Letters of the right head, of one who may write, whose rest is not what it must be."""
        number, sequence = self._last_sent()
        letters = []
        for k in range(20):
            own = np.log(np.full(2 * ROWS, 0.5, dtype=np.float32))
            own[self.rng.randrange(2 * ROWS)] = self.rng.choice([np.nan, np.inf, 1.0, -90.0])
            rows = self.rng.choice([ROWS, ROWS, 0, ROWS + 1, 2**32 - 1])
            letter = bytearray(self._letter(number + 3 * k, sequence + 1 + k, own.tobytes(), rows))
            if k % 2:  # anywhere, its head too
                letter[self.rng.randrange(len(letter))] = self.rng.randrange(256)
                del letter[self.rng.randrange(1, len(letter) + 1) :]
            letters.append(bytes(letter))
        return f"damaged letters to {self._post(letters)}"

    def replayed(self) -> str:
        """Whole letters whose numbers came before, again and again."""
        number, sequence = self._last_sent()
        even = np.log(np.full(2 * ROWS, 0.5, dtype=np.float32)).tobytes()
        before = [max(0, sequence - self.rng.randrange(50)) for _ in range(50)]
        return f"letters again to {self._post([self._letter(number, k, even) for k in before])}"

    def flood(self) -> str:
        """More letters than anybody reads, and one that is too long."""
        many = (self.rng.randbytes(1_000) for _ in range(FLOOD))
        return f"a flood to {self._post([*many, bytes(LARGEST + 1)])}"

    def kill(self) -> str:
        """Kill -9 in the middle of a round; started again at once, or later."""
        name = self.rng.choice(PARTIES)
        time.sleep(self.rng.uniform(0.0, 0.3))
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].communicate()
        time.sleep(self.rng.choice([0.0, 0.0, 1.0]))
        self.running[name] = self.start(name)
        return f"kill -9 of {name}"

    def _last_sent(self) -> tuple[int, int]:
        """Round and sequence of the last distributions that firm-b has sent to firm-a."""
        number = sequence = 0
        lines = (self.folder / "firm-b" / AUDIT).read_bytes().split(b"\n")[:-1]
        for line in lines[-200:]:
            entry = json.loads(line)
            if entry["event"] == "sent" and entry["peer"] == "firm-a":
                number, sequence = entry["round"], entry["sequence"]
        return number, sequence

    def _letter(self, number: int, sequence: int, own: bytes, rows: int = ROWS) -> bytes:
        """Distributions of firm-b, as it heads them."""
        body = {"rows": rows, "own_actions": 2, "listener_actions": 2}
        return compose(
            "trial", self.agreed, "firm-b", number, sequence, DISTRIBUTIONS,
            **body, own=own, anticipation=own,
        )  # fmt: skip

    def _post(self, letters: list[bytes]) -> str:
        """Sends as firm-b to another party; its name."""
        name = self.rng.choice(["host", "firm-a"])
        files = ("authority.pem", "firm-b.key", "firm-b.pem")
        shown = [(self.folder / "certs" / file).read_bytes() for file in files]
        options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
        secure = grpc.ssl_channel_credentials(*shown)
        address = f"127.0.0.1:{self.ports[name]}"

        def some() -> Iterator[bytes]:
            yield from letters

        channel = grpc.secure_channel(address, secure, options)
        with channel, contextlib.suppress(grpc.RpcError):
            channel.stream_unary(f"/{SERVICE}/{METHOD}")(some(), timeout=1)
        return name

    # ------------------------------------------------------------------ what must be left

    def goes_on(self) -> str:
        """Why the parties do not go on; empty = all have learned in further updates."""
        wanted = {name: self.update_of(name) + 2 for name in AGENTS}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for name, process in self.running.items():
                if process.poll() is not None:
                    return f"{name} ended with {process.returncode}"
            if all(self.update_of(name) >= update for name, update in wanted.items()):
                return ""
            time.sleep(0.02)
        return "nothing was learned any more"

    def left(self) -> list[str]:
        """Ends all; what is not as promised."""
        wrong = []
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.running.items():
            try:
                output = process.communicate(timeout=PATIENCE)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                output = "hung"
            if process.returncode != 130 or "Traceback" in output:
                wrong.append(f"{name} ended with {process.returncode}: {output[-300:]}")
        for name in PARTIES:
            wrong += self._problems(name)
        return wrong

    def _problems(self, name: str) -> list[str]:
        folder = self.folder / name
        try:
            events = [entry["event"] for entry in read(folder / AUDIT)]
            if name not in AGENTS:
                return []
            saved = checkpoint.load(folder, of_party=True)
        except AscoreError as error:
            return [f"{name}: {error}"]
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        updates = [json.loads(line)["update"] for line in lines]
        problems = {
            "its log has no start": "start" not in events,
            "updates do not ascend": updates != sorted(set(updates)),
            "its end was not saved": saved.update != updates[-1],
            "weights are not finite": not all(
                np.isfinite(x).all() for x in saved.arrays.values() if x.dtype.kind == "f"
            ),
        }
        return [f"{name}: {what}" for what, is_so in problems.items() if is_so]


ATTACKS: tuple[Callable[[Attacked], str], ...] = (
    Attacked.noise, Attacked.damaged, Attacked.replayed, Attacked.flood, Attacked.kill,
)  # fmt: skip


def parties(count: int, folder: Path, seed: int = 0) -> Tally:
    """Noise, damaged and repeated letters, floods and kills of parties, which go on."""
    rng, tally = random.Random(seed), Tally("parties")
    office = Attacked(folder, rng)
    try:
        why = office.goes_on()
        for number in range(count):
            if why:
                break
            what = ATTACKS[number % len(ATTACKS)](office)
            tally.tried += 1
            why = office.goes_on()
            tally.survived += not why
            if why:
                tally.lost.append(f"{what}: {why}")
        tally.lost += office.left()
    finally:
        for process in office.running.values():
            process.kill()
            process.wait()
    return tally
