"""Walking on a grid map: round one another, and each to a goal of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.scripted.board import FAR, I16, Bools, Ints, Sight

F32 = npt.NDArray[np.float32]

# What entering a cell costs, in steps: going round is better than waiting for another agent, and
# than eating on the way what is to be spared.
OCCUPIED, SPARED = 50, 4


def ahead(sight: Sight, agent: int, goals: Bools, fee: I16, actions: Ints) -> None:
    """Sets actions[:, agent] to its next step towards the nearest of the goals, if not there.

    Args:
        sight: what there is.
        agent: whom to move.
        goals: bool [M, B].
        fee: i16 [M, B], what entering a cell costs.
        actions: i64 [B, N].
    """
    cost = sight.board.to_nearest(goals, fee)
    here, everywhere = sight.agents[:, agent], np.arange(len(sight.agents))
    nearby = sight.board.next[here]
    onwards = (cost + fee)[nearby, everywhere[:, None]]
    onwards = np.where(nearby == here[:, None], FAR, onwards)
    left = cost[here, everywhere]
    move = sight.move(agent, onwards.argmin(axis=1))
    actions[:, agent] = np.where((left > 0) & (left < FAR), move, actions[:, agent])


def crowd(sight: Sight, agent: int) -> I16:
    """What entering each cell costs this agent for the sake of the others, i16 [M, B]."""
    fee = np.ones(sight.apples.shape, np.int16)
    for other in range(sight.agents.shape[1]):
        if other != agent:
            fee[sight.agents[:, other], np.arange(len(sight.agents))] = OCCUPIED
    return fee


def share(sight: Sight, who: range, ripe: Bools, extra: F32, actions: Ints) -> Bools:
    """Some agents walk to ripe apples, the closest pair of the two first, and spare the others.

    Args:
        sight: what there is.
        who: agents to move.
        ripe: bool [M, B], apples to eat.
        extra: f32 [M, B], added to their distances when they are handed out.
        actions: i64 [B, N], set for those who have somewhere to go.

    Returns:
        bool [B, N], who has an apple to go to.
    """
    everywhere = np.arange(len(sight.agents))
    distance = sight.board.distance[sight.agents[:, who]].transpose(1, 2, 0)  # [agent, M, B]
    cost = np.where(ripe, distance + extra, np.float32(FAR))
    goals = np.zeros(cost.shape, np.bool_)
    for _ in who:
        k, cell = np.divmod(cost.reshape(-1, len(everywhere)).argmin(axis=0), len(ripe))
        goals[k, cell, everywhere] = cost[k, cell, everywhere] < FAR
        cost[k, :, everywhere] = FAR
        cost[:, cell, everywhere] = FAR
    spared = np.where(sight.apples & ~ripe, SPARED, 0).astype(np.int16)
    called = np.zeros(sight.agents.shape, np.bool_)
    for agent, goal in zip(who, goals, strict=True):
        ahead(sight, agent, goal, crowd(sight, agent) + spared, actions)
        called[:, agent] = goal.any(axis=0)
    return called
