"""The reference of learning with a guarantee: one episode after the other, by autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ascore.learning.backends.pytorch import PyTorchBackend
from ascore.learning.private import Private


class PrivateTorchBackend(PyTorchBackend):
    """PyTorch, an episode at a time.

    Of the losses that are ours, penalties and the entropy read no reward: their gradient is neither
    clipped nor noised. All that an algorithm from outside minimises is.

    Args:
        parts: as PyTorch's backend has them.
        private: clips, noises and counts.
    """

    def __init__(self, *parts: Any, private: Private) -> None:
        super().__init__(*parts)
        self.private = private
        self._apart = self.algorithm.compiled is not None

    def differentiate(
        self, owners: slice, part: Tensor | None, total: int, sums: Tensor, *, add: bool = False
    ) -> list[str]:
        """As PyTorch's backend, all rows at once; gradients are those that may be released."""
        optimizers = self.networks.actor_adam, self.networks.critic_adam
        secret = [torch.zeros_like(adam.gradients[owners].double()) for adam in optimizers]
        public = [torch.zeros_like(each) for each in secret]
        names: list[str] = []
        everything = torch.zeros_like(sums)
        for episode in range(self.private.episodes):
            rows = torch.arange(episode, total, self.private.episodes)
            names, rewarded, other = self.evaluate(owners, rows, total, sums)
            everything += sums
            for kind, (mine, norm) in enumerate(self._own(rewarded, owners)):
                clip = self.private.clip[kind]
                factor = torch.where(norm > clip, clip / norm, 1.0)
                finite = norm.isfinite()
                secret[kind] += torch.where(finite[:, None], factor[:, None] * mine, 0.0)
                self.private.clipped[owners, kind] += (~(norm <= clip)).numpy()
            if other is not None:
                for kind, (mine, _) in enumerate(self._own(other, owners)):
                    public[kind] += mine
        sums.copy_(everything)
        noised = self.private.released((secret[0].numpy(), secret[1].numpy()))
        for adam, release, rest in zip(optimizers, noised, public, strict=True):
            gradient = torch.from_numpy(release) + rest / self.private.episodes
            adam.gradients[owners] = gradient.float()
        return names

    def evaluate(
        self, owners: slice, rows: Tensor, total: int, sums: Tensor
    ) -> tuple[list[str], Tensor, Tensor | None]:
        """Losses of an episode, means over its rows: what reads rewards, and what does not."""
        _, terms, value_loss, names = self.losses(owners, rows, total, sums)
        rest = terms.penalty - self.config.entropy_bonus * terms.entropy
        rewarded = terms.policy.sum() + value_loss.sum()
        if not self._apart:
            return names, rewarded + rest.sum(), None
        return names, rewarded, rest.sum() if rest.requires_grad else None

    def _own(self, loss: Tensor, owners: slice) -> list[tuple[Tensor, Tensor]]:
        """Gradients f64 [n, P] of actors and critics, and their norms f64 [n]."""
        gradients = torch.autograd.grad(loss, self._leaves, retain_graph=True, allow_unused=True)
        for place, gradient in zip(self._places, gradients, strict=True):
            place.zero_() if gradient is None else place.copy_(gradient)
        optimizers = self.networks.actor_adam, self.networks.critic_adam
        own = [adam.gradients[owners].double() for adam in optimizers]
        return [(each, torch.linalg.vector_norm(each, dim=1)) for each in own]
