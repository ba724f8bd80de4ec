"""Who gets to which cell when several agents want the same."""

from __future__ import annotations

from collections.abc import Sequence

from ascore.reference.grid_maps import Cell

__all__ = ["move_in_turn", "move_together"]


def move_together(
    cells: Sequence[Cell], targets: Sequence[Cell], priority: Sequence[int]
) -> list[Cell]:
    """Move all agents at once, one to a cell.

    Args:
        cells: where each agent is; no two on one cell.
        targets: where each wants to be next; its own cell if it does not move.
        priority: all agents, those that win contests first.

    Returns:
        Where each is then; no two on one cell.
    """
    agents = range(len(cells))
    targets = list(targets)

    def holder(cell: Cell) -> int | None:
        return next((i for i in agents if cells[i] == cell), None)

    def moves(i: int) -> bool:
        return targets[i] != cells[i]

    def keep_in_place(i: int) -> None:
        targets[i] = cells[i]

    # Cells wanted by several, in row-major order. One that stays wants its own cell.
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

    # Nobody enters a cell that is not left, and no two exchange cells. An agent kept in place may
    # keep others from moving, so look again until nothing changes. Chains move, and so do cycles
    # of three and more.
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
    """Move one agent after the other, the lowest index first.

    Only claimed cells are closed: those of agents that chose to stay, and those moved into. An
    agent that turns, cleans, or has not had its turn can be walked over.

    Args:
        cells: where each agent is; several may be on one cell.
        targets: where each wants to be next; its own cell if it does not move.
        claims: whether each claims the cell it is on before anybody moves.

    Returns:
        Where each is then.
    """
    claimed = {cell for cell, claim in zip(cells, claims, strict=True) if claim}
    moved = list(cells)
    for i, target in enumerate(targets):
        if target != cells[i] and target not in claimed:
            moved[i] = target
            claimed.add(target)
    return moved
