"""Movement of agents that want to enter the same cells."""

from __future__ import annotations

from collections.abc import Sequence

from ascore.reference.grid_maps import Cell

__all__ = ["move_in_turn", "move_together"]


def move_together(
    cells: Sequence[Cell], targets: Sequence[Cell], priority: Sequence[int]
) -> list[Cell]:
    """Move all agents simultaneously, at most one to a cell.

    Args:
        cells: cell of each agent, all distinct.
        targets: cell that each agent wants to enter; its own cell if it does not move.
        priority: all agents, in order of priority in contests.

    Returns:
        The new cell of each agent, all distinct.
    """
    agents = range(len(cells))
    targets = list(targets)

    def holder(cell: Cell) -> int | None:
        return next((i for i in agents if cells[i] == cell), None)

    def moves(i: int) -> bool:
        return targets[i] != cells[i]

    def keep_in_place(i: int) -> None:
        targets[i] = cells[i]

    # Cells wanted by several agents, in row-major order. An agent that stays wants its own cell.
    for cell in sorted(set(targets)):
        contenders = [i for i in agents if targets[i] == cell]
        if len(contenders) < 2:
            continue
        winner: int | None = min(contenders, key=priority.index)
        occupant = holder(cell)
        if occupant is not None:
            stays = not moves(occupant)
            swaps = any(targets[occupant] == cells[i] for i in contenders)
            if stays or swaps:
                winner = None
        for i in contenders:
            if i != winner:
                keep_in_place(i)

    # No agent enters a cell that its occupant keeps, and no two agents swap cells. An agent kept in
    # place may block others, so repeat until nothing changes. Chains of agents move, and so do
    # cycles of three or more.
    changed = True
    while changed:
        changed = False
        for i in agents:
            occupant = holder(targets[i])
            if not moves(i) or occupant is None:
                continue
            if not moves(occupant) or targets[occupant] == cells[i]:
                keep_in_place(i)
                keep_in_place(occupant)
                changed = True
    return targets


def move_in_turn(
    cells: Sequence[Cell], targets: Sequence[Cell], claims: Sequence[bool]
) -> list[Cell]:
    """Move one agent after the other, in order of index.

    Only claimed cells are blocked: those of agents that chose to stay, and those already moved
    into. The cell of an agent that turns, cleans or moves later can be entered.

    Args:
        cells: cell of each agent; several may share one.
        targets: cell that each agent wants to enter; its own cell if it does not move.
        claims: whether each agent claims its own cell before the first move.

    Returns:
        The new cell of each agent.
    """
    claimed = {cell for cell, claim in zip(cells, claims, strict=True) if claim}
    moved = list(cells)
    for i, target in enumerate(targets):
        if target != cells[i] and target not in claimed:
            moved[i] = target
            claimed.add(target)
    return moved
