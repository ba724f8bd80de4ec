"""Environments as other libraries have them, small: what they call things, and how they fail."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from python_envs import Meadow

# ---- where the horizon is ---------------------------------------------------------------------


class Inner:
    """What a wrapper holds; only it knows how long an episode is."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)


class Wrapped(Meadow):
    """Says how long its episodes are at `place`, such as "unwrapped.env.max_cycles"."""

    def __init__(self, place: str, value: Any = 5, **more: Any) -> None:
        super().__init__(horizon=5)
        self.length = self.__dict__.pop("horizon")
        *holders, name = place.split(".")
        known: Any = {name: value, **more}
        for holder in reversed(holders):
            known = {holder: Inner(**known)}
        self.__dict__.update({k: v for k, v in known.items() if k != "unwrapped"})
        self.inner = known.get("unwrapped")

    @property
    def unwrapped(self) -> Any:
        return self.inner or self

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        self.horizon = self.length
        results = super().step(actions)
        del self.horizon
        return results


# ---- a space per agent in gymnasium ------------------------------------------------------------


class Forage(gymnasium.Env[Any, Any]):
    """Foragers pick (1) or wait; `form` is how spaces, observations, actions and rewards come.

    Args:
        form: "tuple" as in Level-Based Foraging, "list" as in the multi-robot warehouse, or "dict".
        reward: "each", or "one" for all.
        flags: "one" for all, "each", or "all" (a dictionary with "__all__").
    """

    def __init__(self, form: str = "tuple", reward: str = "each", flags: str = "one") -> None:
        self.form, self.reward, self.flags = form, reward, flags
        self.names = ["blue", "green", "red"]
        self.max_steps = 4
        action = self.pack([spaces.Discrete(2) for _ in self.names])
        seen = self.pack([spaces.Box(0, 1, (2,)) for _ in self.names])
        wrap = {"tuple": spaces.Tuple, "list": list, "dict": spaces.Dict}[form]
        self.action_space, self.observation_space = wrap(action), wrap(seen)

    def pack(self, entries: list[Any]) -> Any:
        if self.form == "dict":
            return dict(zip(self.names, entries, strict=True))
        return tuple(entries) if self.form == "tuple" else entries

    def look(self) -> Any:
        return self.pack(
            [np.float32([self.field[i], self.time / 4]) for i in range(len(self.names))]
        )

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.time, self.field = 0, self.np_random.random(len(self.names))
        return self.look(), {}

    def step(self, action: Any) -> tuple[Any, ...]:
        assert isinstance(action, dict if self.form == "dict" else tuple)
        chosen = list(action.values()) if self.form == "dict" else list(action)
        assert set(chosen) <= {0, 1}
        self.time += 1
        earned = [float(a * f) for a, f in zip(chosen, self.field, strict=True)]
        self.field = self.np_random.random(len(self.names))
        over = self.time == self.max_steps
        flags: Any = over
        if self.flags == "each":
            flags = self.pack([over or (self.time == 2 and i == 0) for i in range(len(self.names))])
        elif self.flags == "all":
            flags = {name: False for name in self.names} | {"__all__": over}
        reward = sum(earned) if self.reward == "one" else self.pack(earned)
        return self.look(), reward, flags, False, {}


# ---- the old package gym, and spaces that cannot be shown ---------------------------------------


def old(kind: str, **values: Any) -> Any:
    """A space of the package gym as it was: no relation of gymnasium's."""
    return type(kind, (), {"__module__": f"gym.spaces.{kind.lower()}", **values})()


class OldGym(Meadow):
    """The same cows with spaces of the package gym."""

    def action_space(self, agent: str) -> Any:
        return old("Discrete", n=2)

    def observation_space(self, agent: str) -> Any:
        box = super().observation_space(agent)
        return old("Box", low=box.low, high=box.high, shape=box.shape, dtype=box.dtype)


class Unspeakable(spaces.MultiDiscrete):
    """A space whose `repr` fails."""

    def __repr__(self) -> str:
        message = "no words for it"
        raise RuntimeError(message)


# ---- numbers of another type -------------------------------------------------------------------


class Loose(Meadow):
    """Gives whole numbers as other types; `how` says which."""

    def __init__(self, how: str = "array") -> None:
        self.how = how
        super().__init__()

    def space_of(self, i: int) -> spaces.Space[Any]:
        kinds: dict[str, spaces.Space[Any]] = {
            "floats": spaces.MultiDiscrete([6, 6]),
            "bits": spaces.MultiBinary(2),
        }
        return kinds.get(self.how, spaces.Discrete(6))

    def look(self, i: int) -> Any:
        whole = {"array": np.array([self.time]), "float": float(self.time),
                 "floats": np.array([self.time, 1.0]), "bits": np.array([True, False]),
                 "half": self.time + 0.5, "text": "three", "two": np.array([1, 2])}  # fmt: skip
        return whole[self.how]


class Camera(Meadow):
    """Sees pictures of bytes; `high` is what the space says of them."""

    def __init__(self, side: int = 8, high: int = 255, top: int = 255, horizon: int = 5) -> None:
        self.side, self.high, self.top = side, high, top
        super().__init__(horizon=horizon)

    def space_of(self, i: int) -> spaces.Space[Any]:
        return spaces.Box(0, self.high, (self.side, self.side, 3), np.uint8)

    def look(self, i: int) -> Any:
        picture = np.zeros((self.side, self.side, 3), np.uint8)
        picture[0] = int(self.grass[0] * self.top)
        picture[-1, -1, -1] = self.top
        return picture


# ---- failures of every kind --------------------------------------------------------------------


class Sour:
    """Fails at whatever is asked of it."""

    def fail(self, *_: Any) -> Any:
        message = "sour"
        raise RuntimeError(message)

    __getitem__ = __bool__ = __float__ = __array__ = __len__ = __iter__ = __repr__ = fail
    __eq__ = fail  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class Untold(Exception):
    """Cannot even be printed."""

    def __str__(self) -> str:
        message = "no text"
        raise RuntimeError(message)


class Nameless:
    """Fails when it is asked what it is."""

    def __repr__(self) -> str:
        raise LookupError


class Rude(Meadow):
    """Fails in the way that `how` names."""

    def __init__(self, how: str = "") -> None:
        self.how = how
        if how == "exit in the constructor":
            sys.exit()
        if how == "untold":
            raise Untold
        super().__init__()
        if how == "unhashable agents":
            self.possible_agents = [["a"], ["b"]]
        if how == "unspeakable agents":
            self.possible_agents = [Nameless(), Nameless()]

    def __getattribute__(self, name: str) -> Any:
        asked = object.__getattribute__(self, "__dict__").get("how", "")
        if asked == f"property {name}":
            message = "no such thing"
            raise ValueError(message)
        return object.__getattribute__(self, name)

    def action_space(self, agent: str) -> Any:
        return {"sour action space": Sour(), "unspeakable": Unspeakable([2, 2])}.get(
            self.how, self.choice
        )

    def observation_space(self, agent: str) -> Any:
        return Sour() if self.how == "sour observation space" else super().observation_space(agent)

    def close(self) -> None:
        if self.how == "close":
            message = "not now"
            raise OSError(message)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        if self.how == "exit in reset":
            sys.exit(3)
        obs, infos = super().reset(seed)
        return (Sour(), infos) if self.how == "sour observations" else (obs, infos)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        if self.how == "exit in step":
            sys.exit(0)
        if self.how == "no Exception in step":
            raise BaseException
        last = list(actions)[-1]
        if self.how == "sour agents":
            self.agents = Sour()
        elif self.how == "unhashable agent":
            self.agents = [["a"]]
        elif self.how == "sour observation":
            obs[last] = Sour()
        elif self.how == "sour reward":
            reward[last] = Sour()
        elif self.how == "endless reward":
            reward[last] = 10**400
        elif self.how == "rewards":
            reward[last] = np.array([1.0, 2.0])
        elif self.how == "flags":
            out[last] = np.array([True, False])
        elif self.how == "sour flag":
            late[last] = Sour()
        elif self.how == "sour infos":
            infos[last]["neighbours"] = Sour()
        elif self.how == "sour results":
            return Sour()  # type: ignore[return-value]
        return obs, reward, out, late, infos


FAILURES = [
    "exit in the constructor", "untold", "unhashable agents", "unspeakable agents",
    "property possible_agents",
    "property agents", "property reset", "property step", "property action_space",
    "property agent_iter", "sour action space", "unspeakable", "sour observation space",
    "exit in reset", "sour observations", "exit in step", "sour agents", "unhashable agent",
    "sour observation", "sour reward", "endless reward", "rewards", "flags", "sour flag",
    "sour infos", "sour results",
]  # fmt: skip


# ---- sides -------------------------------------------------------------------------------------


class Chase(Meadow):
    """Two against one: what the hunters win the prey loses, but for a little noise."""

    def __init__(self) -> None:
        super().__init__(cows=3)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, _, out, late, infos = super().step(actions)
        caught = float(sum(actions.values()))
        noise = self.rng.random(3)
        reward = [caught + 0.1 * noise[0], caught + 0.1 * noise[1], -caught + 0.1 * noise[2]]
        return obs, dict(zip(self.possible_agents, reward, strict=True)), out, late, infos


class Dozing(Meadow):
    """Takes its time over every step."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        import time

        time.sleep(0.1)
        return super().step(actions)


class Late(Meadow):
    """Takes its time to be made and to begin an episode."""

    def __init__(self, make: float = 0.0, begin: float = 0.0) -> None:
        import time

        time.sleep(make)
        self.begin = begin
        super().__init__()

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        import time

        time.sleep(self.begin)
        return super().reset(seed)
