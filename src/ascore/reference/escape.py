"""Escape Room, version 1: a door opens for others while enough agents pull a lever.

Whoever pulls pays and earns nothing, so no agent would pull for its own sake; without it nobody
leaves.

Source:
    Yang et al. 2020, "Learning to Incentivize Other Learning Agents", section 5.1, and the file
    lio/env/room_symmetric.py of 011235813/lio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ascore.reference.philox import Stream

__all__ = ["Escape", "EscapeParams"]

START, LEVER, DOOR = range(3)


@dataclass(frozen=True)
class EscapeParams:
    """The constants; "section 5.1" and "code" are of Yang et al. 2020."""

    num_agents: int = 5
    """Number of agents; section 5.1 has 2 and 3."""
    needed: int = 0
    """Agents at the lever that open the door, 0 = half of them, rounded up; section 5.1."""
    horizon: int = 5
    """Steps after which an episode is cut off; code."""
    gain: float = 10.0
    """Reward of an agent at the open door; section 5.1."""
    cost: float = 1.0
    """What an agent pays; section 5.1."""
    cost_rule: Literal["lever", "move"] = "lever"
    """Who pays: agents at the lever, or agents that move without leaving; the second is in the
    code."""
    starts: Literal["start", "anywhere"] = "start"
    """Where agents are at first; code."""


class Escape:
    """One Escape Room, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are five agents, three of whom are needed.
    """

    name: ClassVar[str] = "escape-v1"
    action_names: ClassVar[tuple[str, ...]] = ("stay", "lever", "door")
    Params: ClassVar[type[EscapeParams]] = EscapeParams
    obs_dtype: ClassVar[type[np.uint8]] = np.uint8

    def __init__(self, params: EscapeParams | None = None) -> None:
        self.params = EscapeParams() if params is None else params
        self.num_agents = self.params.num_agents
        self.num_actions = len(self.action_names)
        self.horizon = self.params.horizon
        self.views = self.num_agents
        self.obs_scale = 1.0
        self.obs_size = 3 * self.num_agents
        self.needed = self.params.needed or (self.num_agents + 1) // 2
        self.places: list[int] = []

    def reset(self, rng: Stream) -> None:
        """Bring all agents to the start, or each to a place drawn for it."""
        if self.params.starts == "anywhere":
            self.places = [rng.below(3) for _ in range(self.num_agents)]
        else:
            self.places = [START] * self.num_agents

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Move every agent to the place it has chosen, and pay.

        Args:
            rng: stream of this step; Escape Room draws nothing from it.
            action: i32[N], indices into `action_names`; each stands for a place.

        Returns:
            Reward f32[N], and whether somebody has left, which ends the episode.
        """
        p = self.params
        before, self.places = self.places, [int(choice) for choice in action]
        reward = []
        somebody_left = False
        for old, new in zip(before, self.places, strict=True):
            leaves = new == DOOR and self._door_is_open()
            somebody_left = somebody_left or leaves
            earned = p.gain if leaves else 0.0
            if p.cost_rule == "lever" and new == LEVER:
                earned -= p.cost
            if p.cost_rule == "move" and new != old and not leaves:
                earned -= p.cost
            reward.append(earned)
        return np.array(reward, dtype=np.float32), somebody_left

    def obs(self) -> NDArray[np.uint8]:
        """Return what each agent sees: u8[N, 3N], the place of all as one of three, its own first.

        The others follow in the order of their numbers.
        """
        views = []
        for i in range(self.num_agents):
            seen = [i] + [j for j in range(self.num_agents) if j != i]
            bits: list[int] = []
            for j in seen:
                bits += [int(self.places[j] == place) for place in (START, LEVER, DOOR)]
            views.append(bits)
        return np.array(views, dtype=np.uint8)

    def neighbours(self) -> NDArray[np.uint8]:
        """Return who hears whom: u8[N, N]; in one room, everybody hears everybody else."""
        n = self.num_agents
        return np.array([[i != j for j in range(n)] for i in range(n)], dtype=np.uint8)

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state: agents i32[N], the places, and door u8[1], 1 = open."""
        return {
            "agents": np.array(self.places, dtype=np.int32),
            "door": np.array([self._door_is_open()], dtype=np.uint8),
        }

    def _door_is_open(self) -> bool:
        return self.places.count(LEVER) >= self.needed
