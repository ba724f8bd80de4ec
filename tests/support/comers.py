"""Environments whose agents leave before the others, or enter after them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

TASTE = np.array([0.3, -0.6, 1.0])


class Inn(ParallelEnv[str, Any, int]):
    """Guests come and go; each chooses a dish, and likes it less if others have it too.

    Guest 0 comes at the beginning. What a guest sees, likes and does not know of depends on its
    number alone, not on how many guests there might be.

    Args:
        guests: who may come.
        never: guests behind them that never do.
        calm: whether all come at the beginning and stay to the end.
        again: whether a guest that has gone comes back two steps later.
        stays: per guest, the step in which it comes, the one in which it goes and how: "out",
            "late" or "" (it is gone without a word); () = drawn by chance.
        menu: whether a mask forbids a dish at random.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "inn"}
    render_mode = None

    def __init__(
        self,
        guests: int = 3,
        never: int = 0,
        calm: bool = False,
        again: bool = False,
        stays: Any = (),
        menu: bool = False,
        horizon: int = 7,
    ) -> None:
        self.guests, self.calm, self.again, self.horizon = guests, calm, again, horizon
        self.stays, self.menu = [tuple(stay) for stay in stays], menu
        self.possible_agents = [f"guest_{i}" for i in range(guests + never)]

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Box(-1, 1, (4,))

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Discrete(3)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.time = 0
        self.own = [np.random.default_rng([seed or 0, i]) for i in range(self.guests)]
        self.plan = self.stays or [self.stay(i) for i in range(self.guests)]
        self.agents = [a for i, a in enumerate(self.possible_agents) if self.comes(i)]
        return self.seen(self.agents), self.infos(self.agents)

    def stay(self, i: int) -> tuple[int, int, str]:
        if self.calm:
            return (0, self.horizon, "late")
        come = 0 if i == 0 else int(self.own[i].integers(0, 3))
        how = ("out", "late", "")[self.own[i].integers(3)]
        return (come, int(self.own[i].integers(come + 1, self.horizon + 2)), how)

    def comes(self, i: int) -> bool:
        if i >= self.guests:
            return False
        come, go, _ = self.plan[i]
        return self.time == come or (self.again and self.time == go + 2)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        assert list(actions) == self.agents
        acted, self.time = self.agents, self.time + 1
        over = self.time >= self.horizon
        reward, out, late, staying = {}, {}, {}, []
        for agent in acted:
            i = self.possible_agents.index(agent)
            same = sum(other == actions[agent] for other in actions.values()) - 1
            reward[agent] = float(TASTE[actions[agent]] + 0.3 * i - 0.5 * same)
            goes, how = self.time == self.plan[i][1], self.plan[i][2]
            out[agent] = goes and how == "out"
            late[agent] = (goes and how == "late") or (over and not out[agent])
            if not (goes or over):
                staying.append(agent)
        coming = [] if over else [a for i, a in enumerate(self.possible_agents) if self.comes(i)]
        self.agents = [a for a in self.possible_agents if a in staying or a in coming]
        shown = list(dict.fromkeys([*acted, *self.agents]))
        return self.seen(shown), reward, out, late, self.infos(shown)

    def seen(self, agents: list[str]) -> dict[str, Any]:
        numbers = [self.possible_agents.index(agent) for agent in agents]
        hour = self.time / self.horizon
        views = {i: self.own[i].uniform(-1, 1, 3) for i in numbers}
        return {f"guest_{i}": np.float32([hour, *views[i]]) for i in numbers}

    def infos(self, agents: list[str]) -> dict[str, Any]:
        if not self.menu:
            return {agent: {} for agent in agents}
        masks = {}
        for agent in agents:
            mask = np.ones(3, dtype=np.int8)
            mask[self.own[self.possible_agents.index(agent)].integers(3)] = 0
            masks[agent] = {"action_mask": mask}
        return masks


class Haunted(Inn):
    """Keeps all guests in `agents`, and says for ever of those who have gone that they are dead."""

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.dead: set[str] = set()
        return super().reset(seed)

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        self.agents = [agent for agent in self.possible_agents if agent in actions]
        assert not self.dead & set(actions)
        obs, reward, out, late, infos = super().step(actions)
        self.dead |= {agent for agent in actions if out[agent]}
        ghosts = dict.fromkeys(self.dead, True)
        if self.agents:
            self.agents = list(self.possible_agents)
        return obs, reward, {**out, **ghosts}, late, infos
