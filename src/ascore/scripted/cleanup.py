"""Scripted policies of Cleanup: all agents wait for apples, or some clean the river."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ascore.envs.vec_env import VecEnv
from ascore.scripted.board import (
    I32,
    STAY,
    TURN_CLOCKWISE,
    TURN_COUNTERCLOCKWISE,
    Board,
    Bools,
    Ints,
    Sight,
    look,
)
from ascore.scripted.walking import ahead, crowd, share

# All agents clean for the first steps. After that, half of them keep cleaning, or only one where a
# beam passes through waste. Chosen by trial.
ALL_CLEAN = 12
# Steps that a cleaner counts for a shot besides the path to it; this favours shots that clean more.
SHOT = 2.0
# Preference for apples with others nearby, and the decay of "nearby" per step of distance.
CLUSTER, FADING = 0.25, 0.5


def selfish(env: VecEnv) -> I32:
    """No agent cleans; all walk to the apples, or to the orchard where they would grow."""
    sight = look(env)
    actions = np.full(sight.agents.shape, STAY)
    harvest(sight, range(env.spec.num_agents), actions)
    return actions.astype(np.int32)


def cooperative(env: VecEnv) -> I32:
    """All agents clean first; then the first ones keep cleaning while the others harvest."""
    sight = look(env)
    n = env.spec.num_agents
    through = env.params["profile"] == "features"
    cleaners = 1 if through else (n + 1) // 2
    if (
        env.time[0] < ALL_CLEAN
    ):  # episodes have equal lengths, so all environments are at the same step
        cleaners = n
    actions = np.full(sight.agents.shape, STAY)
    clean(
        sight, range(cleaners), Beams.of(sight.board, env.params["beam_length"], through), actions
    )
    harvest(sight, range(cleaners, n), actions)
    return actions.astype(np.int32)


def harvest(sight: Sight, who: range, actions: Ints) -> None:
    """Sets actions that lead to the nearest apples, or to the middle of the orchard."""
    if not who:
        return
    near = np.float32(FADING) ** np.minimum(sight.board.distance, 50)
    called = share(sight, who, sight.apples, -CLUSTER * (near @ sight.apples), actions)
    orchard = np.flatnonzero(sight.board.orchard)
    ways = sight.board.distance[:, orchard].sum(axis=1, dtype=np.int64)
    middle = np.zeros_like(sight.apples)
    middle[orchard[ways[orchard].argmin()]] = True
    for agent in who:
        ahead(sight, agent, middle & ~called[:, agent], crowd(sight, agent), actions)


def clean(sight: Sight, who: range, beams: Beams, actions: Ints) -> None:
    """Sets actions that lead to the shot that cleans most per step, one agent after another."""
    everywhere = np.arange(len(sight.agents))
    assert sight.waste is not None
    waste = np.concatenate([sight.waste, np.zeros_like(sight.waste[:1])])  # no waste off the map
    for agent in who:
        here, facing = sight.agents[:, agent], sight.orientation[:, agent]
        hits = beams.hits(waste)  # [M, 4, B]
        turns = np.array([0, 1, 2, 1])[(np.arange(4)[:, None] - facing) % 4]
        if not sight.turning:
            hits = np.where(turns == 0, hits, 0)
        steps = sight.board.distance[here].T[:, None] + turns + SHOT
        worth = (hits / steps).reshape(-1, len(everywhere))
        best = worth.argmax(axis=0)
        some = worth[best, everywhere] > 0
        cell, aim = np.divmod(best, 4)
        turn = np.array([sight.clean, TURN_CLOCKWISE, TURN_CLOCKWISE, TURN_COUNTERCLOCKWISE])
        actions[:, agent] = np.where(some, turn[(aim - facing) % 4], STAY)
        goal = np.zeros_like(sight.apples)
        goal[cell, everywhere] = some
        ahead(sight, agent, goal, crowd(sight, agent), actions)
        beams.shoot(waste, np.where(some, best, -1))  # the next agents ignore this waste


class Beams:
    """The cells that a shot reaches, from each cell in each direction.

    Attributes:
        rays: i64 [L, M * 4 + 1], cells along the ray that starts on a cell; M off the map.
        lanes: i64 [3, M * 4], rays of the three lanes of a shot; the last ray is empty.
        through: whether a lane passes through waste instead of ending at the first.
    """

    def __init__(self, board: Board, length: int, through: bool) -> None:
        here = np.arange(len(board.cells))
        off = here.size
        onwards = np.where(board.next == here[:, None], off, board.next)
        onwards = np.concatenate([onwards, np.full((1, 4), off)])
        starts = np.repeat(here[:, None], 4, axis=1)
        rays = [starts]
        for _ in range(
            length if through else length - 1
        ):  # the side lanes reach as far ahead as the middle one
            rays.append(np.stack([onwards[rays[-1][:, d], d] for d in range(4)], axis=1))
        self.rays: Ints = np.stack([np.append(ray, off) for ray in rays])
        right = onwards[:-1][:, [1, 2, 3, 0]]
        left = onwards[:-1][:, [3, 0, 1, 2]]
        lanes = np.stack([starts if through else onwards[:-1], right, left])
        self.lanes: Ints = np.where(lanes < off, lanes * 4 + np.arange(4), off * 4).reshape(3, -1)
        self.through = through

    @staticmethod
    @lru_cache(maxsize=16)
    def of(board: Board, length: int, through: bool) -> Beams:
        """The beams for these arguments, computed once."""
        return Beams(board, length, through)

    def hits(self, waste: Bools) -> Ints:
        """Number of cells that each shot would clean, [M, 4, B], for waste bool [M + 1, B]."""
        met = waste[self.rays[0]].astype(np.int8)
        for ray in self.rays[1:]:
            if self.through:
                met += waste[ray]
            else:
                met |= waste[ray]
        total: Ints = met[self.lanes].sum(axis=0, dtype=np.int64)
        return total.reshape(-1, 4, waste.shape[1])

    def shoot(self, waste: Bools, shot: Ints) -> None:
        """Removes the waste that one shot per environment cleans; shot i64 [B], -1 = none."""
        everywhere = np.arange(waste.shape[1])
        for lane in self.lanes:
            going = shot >= 0
            for ray in self.rays:
                cell = ray[np.where(going, lane[shot], self.rays.shape[1] - 1)]
                met = waste[cell, everywhere]
                waste[cell, everywhere] = False
                if not self.through:
                    going &= ~met
