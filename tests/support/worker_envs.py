"""Environments that tests step in worker processes: each does harm in its own way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from python_envs import Barn, Meadow


class Haunted(Meadow):
    """Something happens in step 3 of the episode with a certain seed, and nothing in all others.

    Args:
        how: what: "raise", "nan", "exit", "interrupt", "kill", "hang", or "reset" (at its start).
        cursed: seed of the episode.
        once: a file that is made when it happens; while it exists, nothing happens.
        pids: a file that lists the processes in which copies are.
    """

    def __init__(
        self, how: str = "", cursed: int = -1, once: str = "", pids: str = "", **keys: Any
    ) -> None:
        super().__init__(**keys)
        self.how, self.cursed, self.once, self.here = how, cursed, once, False
        if pids:
            with open(pids, "a") as file:
                file.write(f"{os.getpid()}\n")
        if how == "constructor":
            message = "a ghost is in the door"
            raise RuntimeError(message)
        if how == "constructor exit":
            os._exit(4)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.here = seed == self.cursed
        if self.here and self.how == "reset":
            self.haunt()
        return super().reset(seed)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        if self.here and self.time == 3 and not (self.once and os.path.exists(self.once)):
            self.haunt()
            if self.how == "nan":
                reward["cow_0"] = float("nan")
        return obs, reward, out, late, infos

    def haunt(self) -> None:
        if self.once:
            Path(self.once).touch()
        if self.how in ("raise", "reset"):
            message = "a ghost walks"
            raise RuntimeError(message)
        if self.how == "exit":
            os._exit(3)
        if self.how == "interrupt":
            raise KeyboardInterrupt
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hang":
            time.sleep(1e6)


class Asleep(Barn):
    """Sleeps in its third step, for ever, and lists what is opened and closed."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        if self.time == 2:
            Path(f"{self.log}.asleep").touch()
            time.sleep(1e6)
        return super().step(actions)


class Clinging(Barn):
    """Never ends its closing."""

    def close(self) -> None:
        time.sleep(1e6)


def _double(numbers: Any, answers: Any) -> None:
    for number in iter(numbers.get, None):
        answers.put(2 * number)


class Nest(Meadow):
    """Has processes of its own: one that answers, and a program in every step."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        context = multiprocessing.get_context("fork")
        self.numbers, self.answers = context.Queue(), context.Queue()
        self.helper = context.Process(target=_double, args=(self.numbers, self.answers))
        self.helper.start()

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        self.numbers.put(self.time)
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)
        return obs, dict.fromkeys(reward, float(self.answers.get())), out, late, infos

    def close(self) -> None:
        self.numbers.put(None)
        self.helper.join()


class Inheriting(Haunted):
    """A forked child of it outlives it, with everything that was open when it was forked."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self.child = os.fork()
        if self.child == 0:
            time.sleep(20)
            os._exit(0)


class Uneven(Meadow):
    """As many cows as a file says, which every copy makes longer."""

    def __init__(self, file: str) -> None:
        with open(file, "ab", buffering=0) as log:
            log.write(b"x")
            super().__init__(cows=1 + log.tell())


class Quoting(Meadow):
    """Observes what the program was called with."""

    def look(self, i: int) -> Any:
        return np.array([len(sys.argv), len(os.getcwd())], np.float32) / 1000
