"""Walking on a grid map: around other agents, each agent to its own goal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.scripted.board import FAR, I16, Bools, Ints, Sight

F32 = npt.NDArray[np.float32]

# Cost of entering a cell, in steps: a detour is better than waiting for another agent, and better
# than eating a spared apple on the way.
OCCUPIED, SPARED = 50, 4


def ahead(sight: Sight, agent: int, goals: Bools, fee: I16, actions: Ints) -> None:
    """Sets actions[:, agent] to a step towards the nearest goal, unless the agent is at one.

    Args:
        sight: the current states.
        agent: number of the agent.
        goals: bool [M, B].
        fee: i16 [M, B], cost of entering a cell.
        actions: i64 [B, N].
    """
    cost = sight.board.to_nearest(goals, fee)
    here, everywhere = sight.agents[:, agent], np.arange(len(sight.agents))
    nearby = sight.board.next[here]
    onwards = (cost + fee)[nearby, everywhere[:, None]]
    onwards = np.where(nearby == here[:, None], FAR, onwards)
    remaining = cost[here, everywhere]
    move = sight.move(agent, onwards.argmin(axis=1))
    actions[:, agent] = np.where((remaining > 0) & (remaining < FAR), move, actions[:, agent])


def crowd(sight: Sight, agent: int) -> I16:
    """Cost of entering each cell for this agent, higher where others are, i16 [M, B]."""
    fee = np.ones(sight.apples.shape, np.int16)
    for other in range(sight.agents.shape[1]):
        if other != agent:
            fee[sight.agents[:, other], np.arange(len(sight.agents))] = OCCUPIED
    return fee


def share(sight: Sight, who: range, ripe: Bools, extra: F32, actions: Ints) -> Bools:
    """Assigns ripe apples to agents, closest pairs first, and sets actions that walk to them.

    Args:
        sight: the current states.
        who: agents to move.
        ripe: bool [M, B], apples to eat; the agents avoid all others.
        extra: f32 [M, B], added to the distances in the assignment.
        actions: i64 [B, N], set for agents with an apple.

    Returns:
        bool [B, N], whether each agent has an apple.
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
