"""Arrays of a batch of Python environments, wherever its copies run, and how they are saved.

B copies, N agents, O entries of the longest observation; V = N.
"""

from __future__ import annotations

import io
import json
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.actions import check_actions
from ascore.envs.adapters.copies import Part
from ascore.envs.adapters.sizes import Fields, Sizes
from ascore.envs.array_core import ArrayCore
from ascore.envs.legal import padding, require_legal
from ascore.envs.presence import together
from ascore.errors import EnvError
from ascore.streams import action_uniforms

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_INT32 = np.dtype(np.int32)
_OPTIONAL = ("_legal", "left")
"""Arrays that are not saved where they say nothing."""


class Buffers(ArrayCore):
    """Arrays of B copies of a Python environment, with the interface of a compiled batch.

    Subclasses say where the copies are: in this process, or in others.

    Args:
        name: MODULE:CALLABLE.
        params: keyword arguments of the callable.
        num_envs: B, at least 1.
        seed: 0..2**64-1.
        first_env: number of the first environment, for random numbers.
        first_copy: number of the first copy in messages.
    """

    action_counts: tuple[int, ...]
    divided: bool
    left: U8
    _legal: U8
    _forbids: npt.NDArray[np.bool_]
    _alive: npt.NDArray[np.bool_]
    _next_episode: npt.NDArray[np.uint64]

    def __init__(
        self,
        name: str,
        params: Mapping[str, Any],
        num_envs: int,
        seed: int,
        first_env: int,
        first_copy: int = 0,
    ) -> None:
        self._name, self._seed, self._first_env = name, seed, first_env
        self._first_copy = first_copy
        self.params = dict(params)
        self.num_envs, self.num_threads = num_envs, 1

    def _take(self, sizes: Sizes) -> None:
        """Takes the sizes, once the copies have reported them."""
        self.num_agents = self.views = sizes.num_agents
        self.num_actions, self.horizon = sizes.num_actions, sizes.horizon
        self.action_counts, self.divided = sizes.action_counts, sizes.divided
        lacking = padding(sizes.action_counts, sizes.num_actions)
        self._own = (~lacking).astype(np.uint8)  # [N, A], what each agent has
        self.obs_size, self.obs_scale = sizes.obs_size, sizes.obs_scale
        self.action_names = tuple(str(k) for k in range(sizes.num_actions))
        self._fields = sizes.fields(self.num_envs)
        # Whether a copy forbids an action that its agent has; follows from the fields.
        self._derived: Fields = {"_forbids": ((self.num_envs,), "bool")}
        self._counts = np.array(sizes.action_counts, dtype=np.uint32)
        rows = np.arange(self.num_envs * sizes.num_agents, dtype=np.int64) * sizes.num_actions
        self._starts = rows.reshape(self.num_envs, sizes.num_agents)  # [B, N], in a mask as a row

    def identify(self, seed: int, first_env: int) -> None:
        """Takes the seed and the number of the first environment, for episodes that begin."""
        self._seed, self._first_env = seed, first_env

    def place(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keeps everything in these arrays from now on."""
        for key in (*self._fields, *self._derived):
            setattr(self, key, arrays[key])
        self._legal[:] = self._own
        self._forbids[:] = False

    @property
    def legal(self) -> U8 | None:
        """Legal actions u8 [B, N, A] of the current states; None where all that exist are.

        An agent that is not there has one, its first.
        """
        if np.count_nonzero(self._alive) == self._alive.size:
            return self._legal if np.count_nonzero(self._forbids) else None
        legal = self._legal.copy()
        legal[~self._alive] = 0
        legal[~self._alive, 0] = 1
        return legal

    @property
    def present(self) -> U8 | None:
        """Who is there, u8 [B, N]; None where all are."""
        everybody = np.count_nonzero(self._alive) == self._alive.size
        return None if everybody else self._alive.view(np.uint8)

    def check(self, action: npt.NDArray[np.int32]) -> None:
        """Refuses actions that are no int32 [B, N], that an agent lacks or that are not legal.

        What is chosen for an agent that is not there does not matter.
        """
        if not self._allows(action):  # these find out why, or allow it after all
            check_actions(action, self.reward.shape, self.action_counts, self._name)
            require_legal(action, self._legal, self._name)

    def _allows(self, action: npt.NDArray[np.int32]) -> bool:
        """Whether all is well with an array of the usual kind, in few operations."""
        if type(action) is not np.ndarray or action.dtype != _INT32:
            return False
        # Negative numbers are large without their sign.
        if action.shape != self._starts.shape or np.count_nonzero(
            action.view(np.uint32) >= self._counts
        ):
            return False
        if not np.count_nonzero(self._forbids):
            return True
        chosen = self._legal.reshape(-1).take(self._starts + action)
        return bool(np.count_nonzero(chosen) == chosen.size)

    # ------------------------------------------------------------------ where the copies are

    @abstractmethod
    def reset(self, seed: int | None = None) -> None:
        """Starts the next episode of every copy; with a seed, episode 0 of that seed."""

    @abstractmethod
    def begin_all(self) -> None:
        """Starts the next episode of every copy, whose numbers have just been loaded."""

    @abstractmethod
    def pickled(self) -> list[tuple[int, bytes]] | str:
        """The copies as bytes, with the number of copies in each part; or why they cannot be."""

    @abstractmethod
    def replace(self, saved: list[tuple[int, bytes]]) -> str | None:
        """Replaces the copies by saved ones; gives the reason if it cannot."""

    # ------------------------------------------------------------------ numbers in and out

    def renumber(self, first_env: int) -> None:
        """Starts episode 0 of the environments `first_env` and on, in the same copies."""
        self._first_env = first_env
        self.reset(self._seed)

    def uniforms(self, out: F32) -> None:
        """Fills f32 [B, N] with the numbers that a compiled batch would give at this point."""
        for b in range(self.num_envs):
            out[b] = action_uniforms(
                self._seed,
                self._first_env + b,
                int(self.episode[b]),
                int(self.time[b]),
                self.num_agents,
            )

    def inspect(self, index: int, action: npt.NDArray[np.int32] | None = None) -> dict[str, Any]:
        """Not available: a Python environment keeps its state to itself.

        Raises:
            EnvError: always.
        """
        raise EnvError(
            topic="API",
            found=f"the state of {self._name} cannot be inspected",
            remedy="create one with its callable and use its own render()",
        )

    def _place_of(self, b: int) -> str:
        """Which episode of which copy, and which step of it."""
        where = f"in step {self.time[b]}" if self.time[b] else "at the beginning"
        copy = self._first_copy + b
        return f"{where} of episode {self.episode[b]} (copy {copy} of {self._name})"

    # ------------------------------------------------------------------ saving

    def save_state(self, first: int = 0, count: int | None = None) -> U8:
        """Saves the state as u8 [K]; running episodes are included only if they can be pickled.

        Raises:
            EnvError: only a part of the batch is requested.
        """
        self._require_whole(first, count)
        pickled = self.pickled()
        parts, reason = ([], pickled) if isinstance(pickled, str) else (pickled, None)
        about = {
            "name": self._name,
            "params": self.params,
            "num_envs": self.num_envs,
            "seed": self._seed,
            "first_env": self._first_env,
            "unsaved": reason,
        }
        if len(parts) > 1:
            about["parts"] = [[copies, len(data)] for copies, data in parts]
        arrays = {key: getattr(self, key) for key in self._fields}
        if not np.count_nonzero(self._forbids):  # states without masks are as before there were any
            del arrays["_legal"]
        if (self.left == self._together(arrays)).all():  # nor those without agents that left alone
            del arrays["left"]
        data = b"".join(data for _, data in parts)
        arrays["copies"] = np.frombuffer(data, dtype=np.uint8)
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        file = io.BytesIO()
        np.savez(file, **arrays)
        return np.frombuffer(file.getvalue(), dtype=np.uint8)

    def load_state(self, state: U8, first: int = 0, count: int | None = None) -> None:
        """Restores a saved state, or starts new episodes if the copies were not saved.

        Load only states that you trust: unpickling a copy can run code, as importing a module does.

        Raises:
            ValueError: the state is damaged, or of another environment, arguments or batch size.
            EnvError: only a part of the batch is requested.
        """
        self._require_whole(first, count)
        try:
            with np.load(io.BytesIO(state.tobytes()), allow_pickle=False) as file:
                wanted = (*self._fields, "copies", "about")
                arrays = {key: file[key] for key in wanted if key not in _OPTIONAL or key in file}
            arrays.setdefault("_legal", self.everything())
            arrays.setdefault("left", self._together(arrays))
            about = json.loads(arrays.pop("about").tobytes())
            saved_copies = _parts(about, arrays["copies"].tobytes())
        except Exception as error:
            message = f"the saved state of {self._name} is damaged ({error}); use an older one"
            raise ValueError(message) from error
        expected = {"name": self._name, "params": self.params, "num_envs": self.num_envs}
        saved = {key: about[key] for key in expected}
        fits = all(
            arrays[key].shape == shape and arrays[key].dtype == dtype
            for key, (shape, dtype) in self._fields.items()
        )
        if saved != expected or not fits:
            message = f"the saved state is for {saved}, not for {expected}"
            raise ValueError(message)
        self.identify(about["seed"], about["first_env"])
        for key in self._fields:
            getattr(self, key)[...] = arrays[key]
        self._forbids[:] = (self._legal != self._own).any(axis=(1, 2))
        reason = about["unsaved"]
        if reason is None:
            reason = self.replace(saved_copies)
        if reason is not None:
            warnings.warn(
                f"the running episodes of {self._name} cannot be restored ({reason}); "
                "new ones start, and the run will not equal an uninterrupted one",
                RuntimeWarning,
                stacklevel=2,
            )
            self.begin_all()

    def _together(self, arrays: Mapping[str, npt.NDArray[Any]]) -> U8:
        return together(arrays["terminated"], arrays["truncated"], self.num_agents)

    def everything(self) -> U8:
        """All actions that agents have, u8 [B, N, A]."""
        return np.broadcast_to(self._own, self._legal.shape).astype(np.uint8)

    def _require_whole(self, first: int, count: int | None) -> None:
        if (first, self.num_envs if count is None else count) != (0, self.num_envs):
            raise EnvError(
                topic="saving",
                found=f"the copies of {self._name} can only be saved and loaded together",
                remedy="continue with as many ranks as the run was saved with",
            )


def _parts(about: Mapping[str, Any], data: bytes) -> list[tuple[int, bytes]]:
    """The pickles in `data`, each with its number of copies; one, unless it says otherwise."""
    parts, start = [], 0
    for copies, size in about.get("parts", [[about["num_envs"], len(data)]]):
        parts.append((copies, data[start : start + size]))
        start += size
    return parts


def overlap(saved: list[tuple[int, bytes]], first: int, count: int) -> list[Part]:
    """Finds the copies from `first` on in data that was saved in parts of other sizes."""
    parts, start = [], 0
    for copies, data in saved:
        low, high = max(first, start), min(first + count, start + copies)
        if low < high:
            parts.append(Part(data, copies, low - start, high - start))
        start += copies
    return parts
