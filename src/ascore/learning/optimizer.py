"""Adam for stacked networks: agents share a buffer, but no parameter, moment or clipping."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ascore.learning.networks import StackedMLP


class AgentAdam:
    """Adam over the rows of a stacked network: one row of parameters and moments per agent.

    Gradients are clipped per agent. Moments and step counts are plain buffers, so that compiled
    steps and PyTorch steps can alternate.

    Attributes:
        parameters: f32 [N, P], a view of the network's buffer.
        gradients: f32 [N, P], a view of the gradient's buffer.
        first, second: f32 [N, P], moments.
        steps: f32 [N], steps taken.
    """

    def __init__(
        self, net: StackedMLP, num_agents: int, lr: float, eps: float, max_norm: float
    ) -> None:
        self.parameters = net.flat.view(num_agents, -1)
        self.gradients = net.grad.view(num_agents, -1)
        self.first = torch.zeros_like(self.parameters)
        self.second = torch.zeros_like(self.parameters)
        self.steps = torch.zeros(num_agents, device=self.parameters.device)
        self.lr, self.eps, self.max_norm = lr, eps, max_norm
        self._torch: torch.optim.Adam | None = None  # made at the first step: see `_made`
        self._rows: list[torch.nn.Parameter] = []

    def _made(self) -> torch.optim.Adam:
        """PyTorch's optimiser of the same buffers.

        Its constructor loads PyTorch's compiler, which takes a second; compiled steps need neither.
        """
        if self._torch is None:
            self._rows = [torch.nn.Parameter(row) for row in self.parameters]
            self._torch = torch.optim.Adam(self._rows, lr=self.lr, eps=self.eps, fused=True)
            for index, row in enumerate(self._rows):
                self._torch.state[row] = {
                    "step": self.steps[index],
                    "exp_avg": self.first[index],
                    "exp_avg_sq": self.second[index],
                }
        return self._torch

    def set_rate(self, lr: float) -> None:
        """Sets the learning rate."""
        self.lr = lr
        for group in self._torch.param_groups if self._torch is not None else []:
            group["lr"] = lr

    def norms(self, owners: slice) -> Tensor:
        """Gradient norm of each owner, f32 [n]."""
        norms: Tensor = torch.linalg.vector_norm(self.gradients[owners], dim=1)
        return norms

    def step(self, owners: slice, norms: Tensor, who: Sequence[bool] | None = None) -> None:
        """Takes one step of the owners' rows with the gradients in the buffer.

        Args:
            owners: which agents.
            norms: of their gradients, f32 [n].
            who: bool [N], which of them take it; the others' moments and counts stay as they are,
                too. None = all.
        """
        if self.max_norm > 0:
            scale = (self.max_norm / (norms + 1e-12)).clamp(max=1.0)
            self.gradients[owners] *= scale.unsqueeze(1)
        adam = self._made()
        chosen = {i for i in range(len(self._rows))[owners] if who is None or who[i]}
        for index, row in enumerate(self._rows):
            row.grad = self.gradients[index] if index in chosen else None
        adam.step()

    def state(self) -> dict[str, Tensor]:
        """Copies of moments and step counts, stacked over agents."""
        return {
            "exp_avg": self.first.clone(),
            "exp_avg_sq": self.second.clone(),
            "step": self.steps.clone(),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restores `state()`."""
        self.first.copy_(state["exp_avg"])
        self.second.copy_(state["exp_avg_sq"])
        self.steps.copy_(state["step"])

    def copy(self, part: tuple[slice, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Copies of some columns of parameters and moments, for `restore`."""
        columns, _ = part
        rows = (self.parameters.detach(), self.first, self.second)
        return rows[0][:, columns].clone(), rows[1][:, columns].clone(), rows[2][:, columns].clone()

    @torch.no_grad()
    def restore(self, columns: slice, mask: Tensor, before: tuple[Tensor, Tensor, Tensor]) -> None:
        """Restores masked parameters and their moments; step counts are unchanged.

        A zero gradient is not enough to freeze a parameter, because Adam's momentum moves it.

        Args:
            columns: C of the P columns, among which all masked ones are.
            mask: bool [N, C].
            before: what `copy` gave of them.
        """
        for rows, kept in zip((self.parameters, self.first, self.second), before, strict=True):
            part = rows[:, columns]
            part.copy_(torch.where(mask, kept, part))
