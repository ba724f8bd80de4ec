"""Checks that the compiled loss that an algorithm names equals its objective."""

from __future__ import annotations

import torch
from torch import Tensor

from ascore.algorithms import anticipation, ippo, ps
from ascore.algorithms.contract import Algorithm, Compiled, Objective
from ascore.algorithms.terms import Batch, Messages, taken
from ascore.config import Config
from ascore.errors import ConfigError

DEFINITIONS: dict[Compiled, Objective] = {
    Compiled.OWN_RATIO: ippo.objective,
    Compiled.JOINT_RATIO: ps.objective,
    Compiled.ANTICIPATION: anticipation.objective,
}
"""What each compiled loss equals; the tests hold it against the kernels and the engine."""

AGENTS, ROWS, ACTIONS = 3, 40, 4


def require_equal_loss(algorithm: Algorithm) -> None:
    """Refuses an algorithm whose compiled loss differs from its objective.

    Raises:
        ConfigError: names the algorithm and the loss.
    """
    if algorithm.compiled is None:
        return
    definition = DEFINITIONS[algorithm.compiled]
    if algorithm.objective is definition:
        return
    needs_heads = algorithm.compiled != Compiled.OWN_RATIO and not algorithm.head_per_agent
    if needs_heads or not all(_agree(algorithm, definition, spread) for spread in (0.1, 2.0)):
        message = (
            f"the objective of {algorithm.name} is not the loss {algorithm.compiled.name} that it "
            "names as compiled; leave compiled = None, and PyTorch trains the objective"
        )
        raise ConfigError(message)


def _agree(algorithm: Algorithm, definition: Objective, spread: float) -> bool:
    """Whether values and gradients are the same on random logits of this spread, in float64."""
    draw = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    heads = AGENTS if algorithm.head_per_agent else 1
    shape = (AGENTS, ROWS, heads, ACTIONS)
    logits = spread * normal(*shape)
    old, sent = (torch.log_softmax(logits + 0.3 * normal(*shape), dim=-1) for _ in range(2))
    action = torch.randint(0, ACTIONS, (ROWS, AGENTS), generator=draw)
    agents, advantage = torch.arange(AGENTS), normal(AGENTS, ROWS)
    old_taken = taken(old, action, agents)
    batch = Batch(action, advantage, advantage.abs().mean(dim=1), old_taken, agents)
    inbox = None
    if algorithm.sends_policies:
        links = ~torch.eye(AGENTS, dtype=torch.bool)[:, None, :]
        inbox = Messages(sent, old_taken.diagonal(dim1=0, dim2=2), links).inbox(agents)
    config = Config(algorithm=algorithm.name)
    results = []
    for objective in (algorithm.objective, definition):
        leaf = logits.clone().requires_grad_()
        terms = objective(batch, torch.log_softmax(leaf, dim=-1), inbox, config)
        loss = terms.policy + terms.penalty - 0.01 * terms.entropy
        results.append((loss.detach(), *torch.autograd.grad(loss.sum(), leaf)))
    pairs = zip(*results, strict=True)
    return all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)
