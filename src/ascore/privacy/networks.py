"""Networks of others, as whoever has received their parameters computes and differentiates them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.learning.networks import Actor, Critic, forward, layer_views

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def values(critic: Critic, parameters: Tensor, obs: Tensor) -> F32:
    """Values of states [S, O] by one agent's parameters [P], f32 [S]."""
    with torch.no_grad():
        out = forward(layer_views(parameters[None], critic.net.sizes), obs)
    return out[0, :, 0].numpy()


def log_probs(actor: Actor, parameters: Tensor, obs: Tensor) -> Tensor:
    """One agent's policies for all agents, from its parameters [P]: f32 [S, H, A]."""
    rows = parameters.view(actor.networks_per_agent, -1)
    out = forward(layer_views(rows, actor.net.sizes), obs)
    if actor.layout == "multihead":
        out = out[0].view(len(obs), actor.heads, actor.num_actions)
    else:
        out = out.transpose(0, 1)
    return torch.log_softmax(out, dim=-1)


def inverted(
    actor: Actor, before: Tensor, after: Tensor, obs: Tensor, action: Tensor, weights: F32
) -> F64:
    """Which advantages explain a step of a joint policy: gradient inversion.

    The gradient of a policy is a sum of advantages times gradients of log pi(a|s). Whoever has the
    policy, the states and the actions can compute the latter. So the step is written as a mixture
    of the gradients that a few patterns of advantages would have.

    Args:
        actor: sizes of the policy.
        before: its parameters before the step, [P].
        after: after it.
        obs: [S, O].
        action: i64 [S, H].
        weights: patterns of advantages, [S, K].

    Returns:
        f64 [2 K]: the mixture of the step's direction, and its cosine with each gradient.
    """
    leaf = before.detach().clone().requires_grad_()
    joint = log_probs(actor, leaf, obs).gather(-1, action[:, :, None])[..., 0].sum(dim=1)
    gradients = []
    for pattern in torch.from_numpy(weights).T:
        (gradient,) = torch.autograd.grad((pattern * joint).mean(), leaf, retain_graph=True)
        gradients.append(gradient / gradient.norm().clamp(min=1e-12))
    basis = torch.stack(gradients).double()
    step = (after - before).double()
    cosines = basis @ (step / step.norm().clamp(min=1e-12))
    mixture = torch.linalg.solve(basis @ basis.T + 1e-3 * torch.eye(len(basis)), cosines)
    return np.concatenate([mixture.numpy(), cosines.numpy()])
