"""Copies of a Python environment in W worker processes, each of which steps its share of them.

Observations, rewards, actions and all else that changes in a step lie in memory that the processes
share; a step sends each worker one short message and waits for the answers. Episodes are numbered
by environment, so nothing depends on W.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
import weakref
from collections.abc import Mapping, Sequence
from multiprocessing import spawn
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.buffers import Buffers, overlap
from ascore.envs.adapters.channel import (
    BEGIN,
    BUILD,
    LOAD,
    PLACE,
    RESET,
    SAVE,
    STEP,
    shared,
    unnamed_file,
)
from ascore.envs.adapters.copies import require_alike
from ascore.envs.adapters.foreign import FAILURES, crash, waiting_for
from ascore.envs.adapters.process import Lost, WorkerProcess
from ascore.errors import AscoreWarning, EnvError


class WorkersCore(Buffers):
    """B copies of a Python environment in W processes, with the same results as in one.

    Args:
        name: MODULE:CALLABLE, which every worker imports.
        num_envs: B, at least 1.
        seed: 0..2**64-1.
        first_env: number of the first environment.
        params: keyword arguments of the callable.
        horizon: steps after which episodes are truncated; 0 = as the environment says.
        workers: W, 1..B.
        timeout: seconds that one copy may take for a step or a reset; 0 = any time.
        action_bins: values that each entry of a continuous action can have; 0 = none.

    Raises:
        EnvError: the environment cannot be trained on, or not in other processes.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        seed: int,
        first_env: int,
        params: Mapping[str, Any],
        horizon: int,
        workers: int,
        timeout: float = 0.0,
        action_bins: int = 0,
    ) -> None:
        super().__init__(name, params, num_envs, seed, first_env)
        self._workers: list[WorkerProcess] = []
        # Workers would end by themselves, but not before this process does.
        self._closer = weakref.finalize(self, _end, self._workers, name, os.getpid())
        self._timeout = timeout
        self._bounds = [num_envs * k // workers for k in range(workers + 1)]
        self._at = np.full(workers, -1)
        orders = self._build_orders(horizon, action_bins)
        memory = unnamed_file()
        try:
            for _ in range(workers):
                self._workers.append(WorkerProcess(memory, timeout))
            with waiting_for(f"the constructor of {name} ({num_envs} copies)"):
                answers = self._ask(BUILD, orders)
            self._agree(answers)
            self._place(memory)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(memory)

    @property
    def num_workers(self) -> int:
        """W; 0 once they are closed."""
        return len(self._workers)

    def _build_orders(self, horizon: int, action_bins: int) -> list[dict[str, Any]]:
        torch = sys.modules.get("torch")
        order = {
            "name": self._name,
            "params": self.params,
            "horizon": horizon,
            "action_bins": action_bins,
            "seed": self._seed,
            "threads": None if torch is None else torch.get_num_threads(),
        }
        for key, value in self.params.items():
            try:
                pickle.dumps(value)
            except FAILURES as error:
                raise EnvError(
                    topic="workers",
                    found=f"the argument {key} of {self._name} cannot be sent to a worker: "
                    f"{crash(error)}",
                    remedy="set env_workers to 0, or give plain values",
                ) from error
        return [
            {**order, "num_envs": high - low, "first_env": self._first_env + low, "first_copy": low}
            for low, high in self._slices()
        ]

    def _slices(self) -> list[tuple[int, int]]:
        return list(zip(self._bounds[:-1], self._bounds[1:], strict=True))

    def _agree(self, answers: Sequence[Any]) -> None:
        """Takes the sizes if the copies of all workers have the same layout."""
        sizes, first = answers[0][0], _layout(answers[0][1])
        for low, (_, data) in zip(self._bounds[1:], answers[1:], strict=False):
            other = _layout(data)
            if first is not None and other is not None:
                require_alike(self._name, 0, first, low, other)
        self._take(sizes)

    def _place(self, memory: int) -> None:
        """Puts all arrays where the workers see them."""
        fields = (
            self._fields
            | self._derived
            | {
                "action": ((self.num_envs, self.num_agents), "int32"),
                "at": ((len(self._workers),), "int64"),
            }
        )
        arrays = shared(memory, fields, create=True)
        self._action, self._at = arrays["action"], arrays["at"]
        self._at[:] = -1
        self.place(arrays)
        orders = [
            {"fields": fields, "first": low, "number": k}
            for k, (low, _) in enumerate(self._slices())
        ]
        self._ask(PLACE, orders)

    # ------------------------------------------------------------------ what workers do

    def reset(self, seed: int | None = None) -> None:
        """Starts the next episode of every copy; with a seed, episode 0 of that seed."""
        if seed is not None:
            self._seed = seed
        numbers = self._numbers()
        with waiting_for(f"reset() of {self._name} ({self.num_envs} copies)"):
            self._ask(RESET, [(*each, seed is not None) for each in numbers], timed=True)

    def step(self, action: npt.NDArray[np.int32]) -> None:
        """Steps every copy; starts the next episode of copies whose episode ended."""
        self.check(action)
        self._action[:] = action
        self._ask(STEP, timed=True)

    def begin_all(self) -> None:
        """Starts the next episode of every copy."""
        self._ask(BEGIN, self._numbers(), timed=True)

    def close(self) -> None:
        """Closes every copy and ends the workers."""
        self._closer()

    def pickled(self) -> list[tuple[int, bytes]] | str:
        """One part per worker."""
        parts: list[tuple[int, bytes]] = []
        for answer in self._ask(SAVE):
            if isinstance(answer, str):
                return answer
            parts += answer
        return parts

    def replace(self, saved: list[tuple[int, bytes]]) -> str | None:
        """Takes saved copies, however many workers there were; those there are are closed."""
        shares = [overlap(saved, low, high - low) for low, high in self._slices()]
        orders = [(*n, parts) for n, parts in zip(self._numbers(), shares, strict=True)]
        reasons: list[str | None] = self._ask(LOAD, orders)
        return next((reason for reason in reasons if reason is not None), None)

    def _numbers(self) -> list[tuple[int, int]]:
        return [(self._seed, self._first_env + low) for low in self._bounds[:-1]]

    def _ask(self, kind: bytes, contents: Sequence[Any] = (), *, timed: bool = False) -> list[Any]:
        """Gives every worker an order and waits for all answers.

        Raises:
            EnvError: that of the first copy in which something failed. If a worker is gone or
                hangs, the others are closed too.
        """
        if not self._workers:
            raise EnvError(
                topic="API",
                found=f"the copies of {self._name} are closed",
                remedy="make new ones",
            )
        answers: list[Any] = []
        failures: list[EnvError] = []
        lost = False
        try:
            for k, worker in enumerate(self._workers):
                worker.send(kind, contents[k] if contents else None)
            for k, worker in enumerate(self._workers):
                try:
                    answers.append(worker.receive(self._at[k : k + 1] if timed else None))
                except Lost as error:
                    failures.append(self._loss(k, error))
                    lost = True
                except EnvError as error:
                    failures.append(error)
        except BaseException:  # a signal: answers that nobody waits for any more are still to come
            self.close()
            raise
        if lost:
            self.close()
        if failures:
            raise failures[0]
        return answers

    def _loss(self, k: int, error: Lost) -> EnvError:
        """What a worker was doing when it was lost."""
        low, high = self._slices()[k]
        b = int(self._at[k])
        place = self._place_of(b) if b >= 0 else f"(copies {low} to {high - 1} of {self._name})"
        return EnvError("workers", f"{error.problem} {place}", error.remedy)


def why_not(name: str) -> str | None:
    """Why workers could not import MODULE:CALLABLE as this process did; None if they can."""
    module = name.partition(":")[0]
    if module == "__main__":
        return "it is defined in the program itself, which workers cannot import"
    if getattr(sys.modules.get(module), "__spec__", None) is None:
        return f"module {module} was made by the program itself, so workers cannot import it"
    if not spawn.get_executable():
        return "this program is no Python interpreter that could be started again"
    return None


def _layout(data: bytes) -> Any:
    """The layout that a worker sent; None if it could not, or if this process cannot read it."""
    try:
        return pickle.loads(data) if data else None
    except FAILURES:
        return None


def _end(workers: list[WorkerProcess], name: str, owner: int) -> None:
    """Ends the workers and empties the list, in the process that started them alone."""
    ending, workers[:] = list(workers), []
    if os.getpid() != owner:  # a forked child inherits the sockets, but not the workers
        for worker in ending:
            worker.forget()
        return
    messages: list[str] = []
    try:
        for worker in ending:
            worker.dismiss()
        for worker in ending:
            messages += worker.wait(name)
    finally:
        for worker in ending:
            worker.release()
    for message in messages:
        warnings.warn(message, AscoreWarning, stacklevel=3)
