"""The gradients of all networks in one buffer, so that ranks sum them in one message per step."""

from __future__ import annotations

import torch
from torch import Tensor

from ascore.learning.networks import StackedMLP
from ascore.runtime.ranks import Ranks

LINE = 16
"""Floats per cache line; each network starts at a cache line."""


class Gradients:
    """One buffer for the gradients of the agents' networks and a few sums per step.

    Args:
        ranks: the ranks that sum gradients.
        nets: stacked networks of N agents each; their gradients are moved to this buffer.
        num_agents: N.
        columns: number of sums per agent that are sent with the gradients.

    Attributes:
        sums: f32 [N, columns].
    """

    def __init__(
        self, ranks: Ranks, nets: tuple[StackedMLP, ...], num_agents: int, columns: int
    ) -> None:
        self.ranks = ranks
        sizes = [num_agents * columns, *(net.grad.numel() for net in nets)]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-size // LINE) * LINE)
        self._flat = torch.zeros(starts[-1], device=nets[0].grad.device)
        parts = [self._flat[at : at + size] for at, size in zip(starts, sizes, strict=False)]
        self._agents = [part.view(num_agents, -1) for part in parts]
        self.sums = self._agents[0]
        for net, part in zip(nets, parts[1:], strict=True):
            net.place_gradient(part.view(net.grad.shape))

    def add_up(self, owners: slice) -> None:
        """Adds gradients and sums of some agents over the ranks, in place, with one message."""
        chosen = [rows[owners] for rows in self._agents]
        if len(chosen[0]) == len(self.sums):
            self.ranks.sum_in_place(self._flat)
            return
        packed = torch.cat([rows.reshape(-1) for rows in chosen])
        self.ranks.sum_in_place(packed)
        for rows, part in zip(chosen, _unpacked(packed, chosen), strict=True):
            rows.copy_(part)


def _unpacked(packed: Tensor, like: list[Tensor]) -> list[Tensor]:
    parts = torch.split(packed, [rows.numel() for rows in like])
    return [part.view(rows.shape) for part, rows in zip(parts, like, strict=True)]
