"""The copies of a Python environment: made alike, always closed, saved together."""

from __future__ import annotations

import io
import os
import pickle
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium.utils import EzPickle

from ascore.envs.adapters.foreign import FAILURES, asking, crash, waiting_for
from ascore.envs.adapters.loading import Layout, build, close, layout
from ascore.errors import EnvError


@dataclass(frozen=True)
class Part:
    """Some of the copies in a pickle.

    Attributes:
        data: the pickle.
        copies: how many are in it.
        low: the first that is meant.
        high: the one after the last that is meant.
    """

    data: bytes
    copies: int
    low: int
    high: int


class Copies:
    """B environments of one callable, which `close` or the end of the process closes.

    Args:
        create: makes one.
        name: MODULE:CALLABLE.
        params: keyword arguments of the callable.
        count: B, at least 1.
        horizon: steps after which episodes are to be truncated; 0 = as they say.
        first: number of the first copy in messages.
        action_bins: values that each entry of a continuous action can have; 0 = none.

    Attributes:
        layout: what training must know of them; the same for all.

    Raises:
        EnvError: they cannot be trained on; those already made are closed.
    """

    def __init__(
        self,
        create: Callable[..., Any],
        name: str,
        params: Mapping[str, Any],
        count: int,
        horizon: int = 0,
        first: int = 0,
        action_bins: int = 0,
    ) -> None:
        self._name = name
        self._envs: list[Any] = []
        # A copy may hold processes or windows: they must not outlive whoever forgets to close it.
        self._closer = weakref.finalize(self, _close, self._envs, os.getpid())
        try:
            with waiting_for(f"the constructor of {name} ({count} copies)"):
                for _ in range(count):
                    self._envs.append(build(create, name, params, action_bins))
                    if len(self._envs) == 1:  # what is refused is refused before all are made
                        layout(self._envs[0], horizon, action_bins)
            self.layout = _common_layout(self._envs, name, horizon, first, action_bins)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, index: int) -> Any:
        if not self._envs:
            raise EnvError(
                topic="API",
                found=f"the copies of {self._name} are closed",
                remedy="make new ones",
            )
        return self._envs[index]

    def close(self) -> None:
        """Calls `close` of every copy that has one; does nothing the second time."""
        self._closer()

    def pickled(self) -> tuple[bytes, str | None]:
        """All copies as bytes, or nothing and the reason why not."""
        file = io.BytesIO()
        try:
            _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(self._envs)
        except FAILURES as error:  # its code may raise anything
            return b"", " ".join(str(error).split()) or type(error).__name__
        return file.getvalue(), None

    def replace(self, parts: Sequence[Part]) -> str | None:
        """Takes the copies in `parts` in place of its own; those and what is left over are closed.

        Returns:
            Why it cannot be; None if it was done.
        """
        envs: list[Any] = []
        rest: list[Any] = []
        try:
            for part in parts:
                loaded = list(pickle.loads(part.data))
                rest += loaded
                if len(loaded) != part.copies:
                    return f"{len(loaded)} copies were saved, not {part.copies}"
                envs += loaded[part.low : part.high]
            if len(envs) != len(self._envs):
                return f"{len(envs)} copies were saved, not {len(self._envs)}"
            rest[:] = [*self._envs, *(env for env in rest if not any(env is e for e in envs))]
            self._envs[:] = envs
        except FAILURES as error:  # its code may raise anything
            return crash(error)
        finally:
            _close(rest, os.getpid())
        return None


class _Pickler(pickle.Pickler):
    """Refuses objects that lose their state when pickled."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, EzPickle):
            message = (
                f"{type(obj).__name__} is an EzPickle, which saves only its constructor arguments"
            )
            raise pickle.PicklingError(message)
        return NotImplemented


def _close(envs: list[Any], owner: int) -> None:
    """Closes environments and empties the list, in the process that made them alone."""
    if os.getpid() != owner:  # a forked child inherits the objects but not what they hold
        return
    seen: set[int] = set()
    while envs:
        env = envs.pop()
        if id(env) not in seen:
            seen.add(id(env))
            close(env)


def _common_layout(
    envs: list[Any], name: str, horizon: int, number: int, action_bins: int
) -> Layout:
    """The common layout of all copies; raises EnvError if they differ."""
    if len({id(env) for env in envs}) < len(envs):
        raise EnvError(
            topic="loading",
            found=f"{name} returns the same object every time",
            remedy="return a new one in each call",
        )
    first = layout(envs[0], horizon, action_bins)
    for b, env in enumerate(envs[1:], number + 1):
        with asking(f"comparing copy {b} of {name} with copy {number}", "loading"):
            require_alike(name, number, first, b, layout(env, horizon, action_bins))
    return first


def require_alike(name: str, a: int, one: Layout, b: int, other: Layout) -> None:
    """Raises EnvError if copy b has another layout than copy a."""
    difference = one.difference(other)
    if difference is not None:
        raise EnvError(
            topic="loading",
            found=f"copy {b} of {name} differs from copy {a}: {difference}",
            remedy="let agents, spaces and horizon depend only on the arguments",
        )
