"""Harvest: strip the map, or leave the apples that others grow from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs import VecEnv
from ascore.scripted.board import FAR, STAY, Bools, I16, I32, Ints, Sight, look

F32 = npt.NDArray[np.float32]

# What entering a cell costs, in steps: going round is better than waiting for another agent, and
# than eating on the way what is to be spared.
OCCUPIED, SPARED = 50, 4
# Restraint: apples next to fewer than two others are spared in the first half of an episode.
COMPANY = 2
# Cooperation: what an apple's loss of growth may add up to (in apples) until the last step but
# SHARED_END, and how many steps of detour an apple lost is worth.
LOSS_ALLOWED, SHARED_END, DETOUR = 0.1, 40, 5.0


def selfish(env: VecEnv) -> I32:
    """Everybody walks to the nearest apple, around the others."""
    sight = look(env)
    actions = np.full(sight.agents.shape, STAY)
    for agent in range(env.spec.num_agents):
        ahead(sight, agent, sight.apples, crowd(sight, agent), actions)
    return actions.astype(np.int32)


def restraint(env: VecEnv) -> I32:
    """Until half-time only apples with at least two others around them are eaten, then all."""
    sight = look(env)
    company = sight.board.sum_around(sight.apples.astype(np.int8))
    early = env.time < env.spec.horizon // 2
    ripe = sight.apples & ((company >= COMPANY) | ~early)
    return share(sight, ripe, np.zeros(ripe.shape, np.float32))


def cooperative(env: VecEnv) -> I32:
    """An apple is eaten once what would have grown beside it until the end is less than it costs."""
    sight = look(env)
    rates = [0.0, *(env.params[f"regrowth_{k}"] for k in (1, 2, 3))]
    left = np.maximum(env.spec.horizon - SHARED_END - env.time, 0)
    loss = -growth_gained(sight, np.array(rates, np.float32)) * left.astype(np.float32)
    return share(sight, sight.apples & (loss <= LOSS_ALLOWED), np.maximum(loss, -1.0) * DETOUR)


def growth_gained(sight: Sight, rates: F32) -> F32:
    """By how much the apples to be expected per step change if one is eaten, f32 [M, B].

    An eaten apple may grow back itself; the empty places around it lose one neighbour.
    """
    company = sight.board.sum_around(sight.apples.astype(np.int8))
    chance = rates[np.minimum(company, 3)]
    less = rates[np.clip(company - 1, 0, 3)]
    bare = sight.board.orchard[:, None] & ~sight.apples
    gained: F32 = chance - sight.board.sum_around(np.where(bare, chance - less, np.float32(0)))
    return gained


def share(sight: Sight, ripe: Bools, extra: F32) -> I32:
    """Agents walk to ripe apples, the closest pair of the two first, and spare the others.

    Args:
        sight: what there is.
        ripe: bool [M, B], apples to eat.
        extra: f32 [M, B], added to their distance when they are handed out.
    """
    agents = sight.agents
    everyone = np.arange(len(agents))
    distance = sight.board.distance[agents].astype(np.float32).transpose(1, 2, 0)  # [N, M, B]
    cost = np.where(ripe, distance + extra, np.float32(FAR))
    actions = np.full(agents.shape, STAY)
    goals = np.zeros((agents.shape[1], *ripe.shape), np.bool_)
    for _ in range(agents.shape[1]):
        agent, cell = np.divmod(cost.reshape(-1, len(agents)).argmin(axis=0), len(ripe))
        goals[agent, cell, everyone] = cost[agent, cell, everyone] < FAR
        cost[agent, :, everyone] = FAR
        cost[:, cell, everyone] = FAR
    spared = np.where(sight.apples & ~ripe, SPARED, 0).astype(np.int16)
    for agent, goal in enumerate(goals):
        ahead(sight, agent, goal, crowd(sight, agent) + spared, actions)
    return actions.astype(np.int32)


def crowd(sight: Sight, agent: int) -> I16:
    """What entering each cell costs this agent, for the sake of the others: i16 [M, B]."""
    fee = np.ones(sight.apples.shape, np.int16)
    for other in range(sight.agents.shape[1]):
        if other != agent:
            fee[sight.agents[:, other], np.arange(len(sight.agents))] = OCCUPIED
    return fee


def ahead(sight: Sight, agent: int, goals: Bools, fee: I16, actions: Ints) -> None:
    """Sets the agent's actions [:, agent] to its next step towards the nearest of the goals."""
    cost = sight.board.to_nearest(goals, fee)
    here, everyone = sight.agents[:, agent], np.arange(len(sight.agents))
    nearby = sight.board.next[here]
    onwards = (cost + fee)[nearby, everyone[:, None]]
    onwards = np.where(nearby == here[:, None], FAR, onwards)
    direction = np.broadcast_to(onwards.argmin(axis=1)[:, None], sight.agents.shape)
    walks = (cost[here, everyone] > 0) & (cost[here, everyone] < FAR)
    actions[:, agent] = np.where(walks, sight.move(direction)[:, agent], actions[:, agent])
