"""How a party draws its actions: in its own process, from its own policy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ascore.envs.legal import ILLEGAL
from ascore.learning.learner import Learner
from ascore.learning.networks import forward
from ascore.learning.rollout import per_agent_view
from ascore.parties.states import Shared
from ascore.streams import STREAM_PRIVATE, action_uniforms, generator


class Actions:
    """Draws one agent's actions by inverse transform, as the trainer does for all.

    With the seed of the run it uses the trainer's numbers: the same policy then takes the same
    actions, up to draws that fall within rounding of a boundary between two.

    Args:
        learner: whose policy.
        agent: which of them.
        seed: of the run.
        own_seed: of numbers that nobody else knows; None = the trainer's.
    """

    def __init__(self, learner: Learner, agent: int, seed: int, own_seed: int | None) -> None:
        self.learner, self.agent, self.seed, self.own_seed = learner, agent, seed, own_seed

    @torch.no_grad()
    def choose(self, shared: Shared) -> npt.NDArray[np.int32]:
        """Actions in all environments, i32 [B]."""
        mine = slice(self.agent, self.agent + 1)
        layers = [(weight[mine], bias[mine]) for weight, bias in self.learner.actor.own_layers()]
        obs = per_agent_view(torch.from_numpy(shared.obs.copy()), self.learner.spec.obs_scale)
        logits = forward(layers, obs)[0]
        if shared.legal is not None:
            allowed = torch.from_numpy(shared.legal[:, self.agent] != 0)
            logits = logits.masked_fill(~allowed, ILLEGAL)
        cdf = torch.softmax(logits, dim=-1).cumsum(dim=-1)
        uniform = torch.from_numpy(self._uniform(shared))[:, None]
        action = (cdf[:, :-1] <= uniform * cdf[:, -1:]).sum(dim=-1)
        return action.numpy().astype(np.int32)

    def _uniform(self, shared: Shared) -> npt.NDArray[np.float32]:
        """Numbers in [0, 1), f32 [B]."""
        if self.own_seed is not None:
            rng = generator(self.own_seed, STREAM_PRIVATE, shared.update, shared.step)
            return rng.random(len(shared.obs), dtype=np.float32)
        clock = zip(shared.episode.tolist(), shared.time.tolist(), strict=True)
        return np.array(
            [
                action_uniforms(self.seed, env, episode, time, self.agent + 1)[self.agent]
                for env, (episode, time) in enumerate(clock)
            ],
            dtype=np.float32,
        )
