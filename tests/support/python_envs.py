"""Small PettingZoo environments, valid and broken, that tests name as MODULE:CALLABLE."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import parallel_to_aec


class Meadow(ParallelEnv[str, Any, int]):
    """Cows graze (1) or rest (0) on grass that grows at random; hunger differs between cows.

    Args:
        cows: number of agents.
        horizon: steps until all agents are truncated.
        leave: whether cow i terminates alone in step 2 + i; the last one ends the episode.
        see: kind of observation: "box", "dict", "tuple", "discrete", or "lengths".
        hear: whether the infos say that each cow hears only the next one; "array" = as 0 and 1.
        first: number of the first action.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "meadow"}
    render_mode = None

    def __init__(
        self,
        cows: int = 2,
        horizon: int = 5,
        leave: bool = False,
        see: str = "box",
        hear: bool | str = False,
        first: int = 0,
    ) -> None:
        self.possible_agents = [f"cow_{i}" for i in range(cows)]
        self.horizon, self.leave, self.see, self.hear, self.first = horizon, leave, see, hear, first
        self.spaces = {agent: self.space_of(i) for i, agent in enumerate(self.possible_agents)}
        self.choice = spaces.Discrete(2, start=first)

    def space_of(self, i: int) -> spaces.Space[Any]:
        if self.see == "dict":
            return spaces.Dict(
                {"grass": spaces.Box(0, 1, (1, 2)), "hour": spaces.Discrete(self.horizon + 1)}
            )
        if self.see == "tuple":
            return spaces.Tuple((spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)))
        if self.see == "discrete":
            return spaces.Discrete(self.horizon + 1)
        return spaces.Box(0, 1, (2 + (i if self.see == "lengths" else 0),))

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.choice

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.rng = np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        self.grass = self.rng.random(2)
        return self.observations(self.agents), self.infos(self.agents)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        assert list(actions) == self.agents
        acted, self.time = self.agents, self.time + 1
        eaten = {agent: actions[agent] - self.first for agent in acted}
        assert set(eaten.values()) <= {0, 1}
        hunger = {agent: 1.0 + i for i, agent in enumerate(self.possible_agents)}
        reward = {a: hunger[a] * eaten[a] * self.grass[0] - sum(eaten.values()) / 4 for a in acted}
        grown = self.grass + 0.2 * self.rng.random(2)
        self.grass = np.clip(grown - 0.1 * sum(eaten.values()), 0, 1)
        out = dict.fromkeys(acted, False)
        if self.leave:
            out = {a: self.time >= 2 + self.possible_agents.index(a) for a in acted}
        late = dict.fromkeys(acted, self.time == self.horizon)
        self.agents = [a for a in acted if not (out[a] or late[a])]
        return self.observations(acted), reward, out, late, self.infos(acted)

    def observations(self, agents: list[str]) -> dict[str, Any]:
        return {agent: self.look(self.possible_agents.index(agent)) for agent in agents}

    def look(self, i: int) -> Any:
        grass = self.grass.astype(np.float32)
        if self.see == "dict":
            return {"grass": grass[None], "hour": self.time}
        if self.see == "tuple":
            return (np.array([i % 2, min(self.time, 2)]), np.array([1, self.time % 2], np.int8))
        if self.see == "discrete":
            return self.time
        return np.concatenate([grass, np.full(i if self.see == "lengths" else 0, 0.5, np.float32)])

    def infos(self, agents: list[str]) -> dict[str, Any]:
        if not self.hear:
            return {agent: {} for agent in agents}
        names = self.possible_agents
        if self.hear == "array":
            rows = np.roll(np.eye(len(names), dtype=np.uint8), 1, axis=1)
            return {a: {"neighbours": rows[names.index(a)]} for a in agents}
        return {a: {"neighbours": [names[(names.index(a) + 1) % len(names)]]} for a in agents}


def meadow(name: str, seed: int = 2) -> Meadow:
    """A function whose arguments have the same names as those of `make`."""
    return Meadow(cows=len(name), horizon=seed)


class Locked(Meadow):
    """Cannot be pickled."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self.lock = threading.Lock()


class Endless(Meadow):
    """Never ends, despite its horizon."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, _, infos = super().step(actions)
        self.agents = list(self.possible_agents)
        return obs, reward, out, dict.fromkeys(actions, False), infos


class Brief(Meadow):
    """Terminates after ten steps of at most a hundred."""

    def __init__(self) -> None:
        super().__init__(horizon=100)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        if self.time == 10:
            self.agents, out = [], dict.fromkeys(actions, True)
        return obs, reward, out, late, infos


class Wanderer(Meadow):
    """Changes the working directory whenever it is made or begins an episode."""

    def __init__(self) -> None:
        super().__init__()
        os.chdir(tempfile.gettempdir())

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        os.chdir("/")
        return super().reset(seed, options)


class Dizzy(Meadow):
    """Draws from a generator that ignores the seed."""

    shared = np.random.default_rng()

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.rng = Dizzy.shared
        return super().reset(int(self.rng.integers(1 << 30)))


class Lingering(Meadow):
    """Keeps its agents in `agents` after the end, and observes float64 values above 1."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        results = super().step(actions)
        self.agents = list(self.possible_agents)
        return results

    def look(self, i: int) -> Any:
        return 30 * self.grass


class Broken(Meadow):
    """Breaks the rule that `how` names, from the second step on."""

    def __init__(self, how: str = "", **keys: Any) -> None:
        self.how = how
        super().__init__(**keys)
        if how == "nobody":
            self.possible_agents = []
        elif how == "twice":
            self.possible_agents = ["cow_0", "cow_0"]
        elif how == "no horizon":  # nor an end, so none can be learned
            del self.horizon
        elif how == "bad horizon":
            self.horizon = 0
        elif how == "constructor":
            message = "out of hay"
            raise OSError(message)

    def space_of(self, i: int) -> spaces.Space[Any]:
        if self.how == "text":
            return spaces.Sequence(spaces.Discrete(2))
        return super().space_of(i)

    def action_space(self, agent: str) -> spaces.Space[Any]:
        if self.how == "box":
            return spaces.Box(0, 1)
        if self.how == "action_space":
            return {}[agent]
        return super().action_space(agent)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        obs, infos = super().reset(seed)
        if self.how == "empty":
            self.agents = []
        elif self.how == "old reset":
            return obs
        return obs, infos

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        if self.how == "no horizon":
            self.horizon = 10**9
            results = super().step(actions)
            del self.horizon
            return results
        obs, reward, out, late, infos = super().step(actions)
        if self.time < 2:
            return obs, reward, out, late, infos
        last = list(actions)[-1]
        if self.how == "crash":
            {}["hay"]
        elif self.how == "gym":
            return obs, reward, False, infos
        elif self.how == "nan":
            obs[last][1] = np.nan
        elif self.how == "choice":
            obs[last] = -1
        elif self.how == "part":
            obs[last]["hour"] = -1
        elif self.how == "shape":
            obs[last] = obs[last][:1]
        elif self.how == "infinite":
            reward[last] = float("inf")
        elif self.how == "large":
            reward[last] = 1e39
        elif self.how == "words":
            reward[last] = "much"
        elif self.how == "objectives":
            reward[last] = np.array([1.0, 2.0])
        elif self.how == "silent":
            del reward[last]
        elif self.how == "blind":
            del obs[last]
        elif self.how == "flags":
            del late[last]
        elif self.how == "stranger":
            self.agents = [*self.agents, "fox"]
        elif self.how == "neighbour":
            infos[last]["neighbours"] = ["fox"]
        return obs, reward, out, late, infos


def turns() -> Any:
    return parallel_to_aec(Meadow())


class Queue(AECEnv):
    """Two agents take up to two of seven loaves in turn; the masks forbid more than are left."""

    metadata: ClassVar[dict[str, Any]] = {"name": "queue"}
    render_mode = None
    horizon = 12

    def __init__(self, where: str = "obs") -> None:
        super().__init__()
        self.where, self.possible_agents = where, ["first", "second"]

    def observation_space(self, agent: str) -> Any:
        left = spaces.Box(0.0, 7.0, (1,), np.float32)
        if self.where != "obs":
            return left
        return spaces.Dict(observation=left, action_mask=spaces.Box(0, 1, (3,), np.int8))

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(3)

    def allowed(self) -> Any:
        return (np.arange(3) <= self.left).astype(np.int8)

    def count_of(self, agent: str) -> float:
        return float(self.left)

    def observe(self, agent: str) -> Any:
        seen = np.array([self.left], dtype=np.float32)
        if self.where != "obs":
            return seen
        return {"observation": seen, "action_mask": self.allowed()}

    def _tell(self) -> None:
        for info in self.infos.values():
            info.clear()
            if self.where == "info":
                info["action_mask"] = self.allowed()

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.agents, self.left, self.agent_selection = list(self.possible_agents), 7, "first"
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self._tell()

    def step(self, action: Any) -> None:
        mover = self.agent_selection
        if self.terminations[mover]:
            self._was_dead_step(action)
            return
        taken = min(int(action), self.left)
        self.left -= taken
        other = "second" if mover == "first" else "first"
        self.rewards = {mover: float(taken), other: -0.5 * taken}
        self.terminations = dict.fromkeys(self.agents, self.left == 0)
        self.agent_selection = other
        self._tell()


_THE_ONE = Meadow()


def the_same() -> Meadow:
    return _THE_ONE


def moody() -> Meadow:
    moody.calls += 1
    return Meadow(cows=moody.calls)


moody.calls = 1

number = 3


def nothing() -> None:
    return None


class Barren(Meadow):
    """Gives every agent the same reward in every step."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        return obs, dict.fromkeys(reward, -0.5), out, late, infos


class Forgetful(Meadow):
    """Can be pickled, but loses the state of its grass."""

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values, grass=np.ones(2))


class Hopeless(Broken):
    """Breaks several rules at once."""

    def __init__(self) -> None:
        super().__init__("box")
        self.horizon = 2.5

    def space_of(self, i: int) -> spaces.Space[Any]:
        return spaces.Sequence(spaces.Discrete(2))


class Barn(Meadow):
    """Holds something that has to be given back: lists in a file what is opened and closed.

    Args:
        log: the file; one line "+" or "-" each.
        room: how many may be open at a time in one process.
        fail: "third" constructor, "step" or "close" raises an error; "slow" steps take 20 ms.
    """

    open: ClassVar[set[int]] = set()

    def __init__(self, log: str, room: int = 1000, fail: str = "", **keys: Any) -> None:
        super().__init__(**keys)
        if len(Barn.open) >= room:
            message = f"there is room for {room}"
            raise RuntimeError(message)
        if fail == "third" and len(Barn.open) == 2:
            message = "the third is one too many"
            raise RuntimeError(message)
        self.log, self.fail = log, fail
        Barn.open.add(id(self))
        self.note("+")

    def note(self, sign: str) -> None:
        with open(self.log, "a") as file:
            file.write(f"{sign}\n")

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        if self.fail == "step":
            message = "the roof has come down"
            raise RuntimeError(message)
        if self.fail == "slow":
            time.sleep(0.02)
        return super().step(actions)

    def close(self) -> None:
        if self.fail == "close":
            message = "the door is stuck"
            raise RuntimeError(message)
        Barn.open.remove(id(self))  # twice would be an error
        self.note("-")

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        Barn.open.add(id(self))
        self.note("+")


class Muddy(Meadow):
    """Steps take 20 ms while a file is there."""

    def __init__(self, mud: str) -> None:
        super().__init__()
        self.mud = Path(mud)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        if self.mud.exists():
            time.sleep(0.02)
        return super().step(actions)


class Chatty(Meadow):
    """Prints by every way there is."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self.babble("made")

    def babble(self, what: str) -> None:
        print(f"python {what}")
        os.write(1, f"descriptor {what}\n".encode())
        ctypes.CDLL(None).printf(f"libc {what}\n".encode())
        subprocess.run(["echo", f"child {what}"], check=True)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        print("python reset")
        return super().reset(seed)

    def close(self) -> None:
        self.babble("closed")


def barn_without_steps(log: str) -> Any:
    barn = Barn(log)
    barn.step = None
    return barn


class Pasture(Meadow):
    """Insists on the values it is to be given."""

    def __init__(self, size: Any, limit: Any, about: Any, n: int) -> None:
        assert size == [5, [1, None]]
        assert limit is None
        assert about == {"a": None, "b": True}
        super().__init__(cows=n)


class Roaming(Meadow):
    """Goes to another folder whenever it is made, reset or stepped, and stays there."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        os.chdir(folder)
        super().__init__()

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        os.chdir(self.folder)
        return super().step(actions)
