"""A trained policy that acts with NumPy alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore import checkpoint
from ascore.errors import CheckpointError
from ascore.joint import split

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Policy:
    """The own policies pi^{ii} of N agents, or the one policy of a centre that acts for all.

    Attributes:
        env: environment name.
        env_params: parameters the environment was made with.
        layers: per layer (weight f32 [K, in, out], bias f32 [K, out]); K = N, or 1 for a centre.
        config: the training configuration as plain values.
        obs_scale: what the first layer sees are observations times this.
        num_agents: N.
        num_actions: A, of one agent.
    """

    env: str
    env_params: dict[str, Any]
    layers: Sequence[tuple[F32, F32]]
    config: dict[str, Any]
    obs_scale: float
    num_agents: int
    num_actions: int

    @property
    def centralised(self) -> bool:
        """Whether one centre draws joint actions for all."""
        return len(self.layers[0][0]) < self.num_agents

    def log_probs(self, obs: npt.NDArray[Any]) -> F32:
        """Log-probabilities pi^{ii}(.|s): obs [B, V, O] of the environment -> f32 [B, N, A].

        A centre's are those of the joint actions, f32 [B, 1, A**N], agent 0 the leading digit.
        """
        size = self.layers[0][0].shape[1]
        if self.centralised and obs.ndim == 3:
            obs = obs.reshape(len(obs), 1, -1)
        if obs.ndim != 3 or obs.shape[2] != size:
            message = f"obs has shape {obs.shape}; this policy needs [num_envs, views, {size}]"
            raise ValueError(message)
        hidden = obs.astype(np.float32).transpose(1, 0, 2)  # [V, B, O]
        if self.obs_scale != 1.0:
            hidden = hidden * np.float32(self.obs_scale)
        for index, (weight, bias) in enumerate(self.layers):
            hidden = hidden @ weight + bias[:, None, :]
            if index + 1 < len(self.layers):
                hidden = np.maximum(hidden, 0.0)
        logits = hidden - hidden.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return np.ascontiguousarray((logits - log_sum).transpose(1, 0, 2))

    def act(self, obs: npt.NDArray[Any], uniform: F32 | None = None) -> npt.NDArray[np.int32]:
        """Actions i32 [B, N]: drawn with uniform numbers f32 [B, N], or the most probable."""
        return self.choose(self.log_probs(obs), uniform)

    def choose(self, log_probs: F32, uniform: F32 | None) -> npt.NDArray[np.int32]:
        """As `act`, from what `log_probs` gave."""
        if not self.centralised:
            return choose(log_probs, uniform)
        joint = choose(log_probs, None if uniform is None else uniform[:, :1])[:, 0]
        return split(joint, self.num_agents, self.num_actions)

    def entropy(self, log_probs: F32) -> F32:
        """Per agent in nats, f32 [B, N]; of a centre an equal share of its joint entropy each."""
        each: F32 = -(np.exp(log_probs) * log_probs).sum(axis=-1)
        if not self.centralised:
            return each
        return np.repeat(each / self.num_agents, self.num_agents, axis=1)


def choose(log_probs: F32, uniform: F32 | None) -> npt.NDArray[np.int32]:
    """Inverse transform of log-probabilities f32 [B, N, A]; the most probable without numbers."""
    if uniform is None:
        best: npt.NDArray[np.int32] = log_probs.argmax(axis=-1).astype(np.int32)
        return best
    cdf = np.exp(log_probs).cumsum(axis=-1)
    action: npt.NDArray[np.int32] = (cdf[..., :-1] <= uniform[..., None] * cdf[..., -1:]).sum(
        axis=-1, dtype=np.int32
    )
    return action


def load_policy(run: str | Path, name: str | None = None) -> Policy:
    """The policy of a run's newest checkpoint, or of the one called `name`.

    Raises:
        CheckpointError: no checkpoint, or a damaged one.
    """
    return from_checkpoint(checkpoint.load(Path(run), name))


def from_checkpoint(saved: checkpoint.Checkpoint) -> Policy:
    """Picks the own policies out of the actor's parameters."""
    try:
        sizes, layout, heads = (saved.extra["actor"][k] for k in ("sizes", "layout", "heads"))
        flat = saved.arrays["actor"]
        agents, actions = int(saved.spec["num_agents"]), int(saved.spec["num_actions"])
        n = int(saved.extra["actor"].get("agents", agents))
        a = actions if n == agents else actions**agents
        if layout == "separate":
            flat = flat.reshape(n, heads, -1)[np.arange(n), np.arange(n) if heads > 1 else 0]
        layers, at = [], 0
        for n_in, n_out in itertools.pairwise(sizes):
            weight = flat[:, at : at + n_in * n_out].reshape(n, n_in, n_out)
            at += n_in * n_out
            bias = flat[:, at : at + n_out]
            at += n_out
            layers.append((weight, bias))
        if layout == "multihead" and heads > 1:
            weight, bias = layers[-1]
            index = np.arange(n)
            own_weight = weight.reshape(n, -1, n, a)[index, :, index]
            layers[-1] = (own_weight, bias.reshape(n, n, a)[index, index])
    except (KeyError, ValueError, IndexError) as error:
        message = f"checkpoint {saved.path} does not hold a policy ({error}); train anew"
        raise CheckpointError(message) from error
    return Policy(
        env=saved.config["env"],
        env_params=saved.config["env_params"],
        layers=[(np.ascontiguousarray(w), np.ascontiguousarray(b)) for w, b in layers],
        config=saved.config,
        obs_scale=float(saved.spec.get("obs_scale", 1.0)),
        num_agents=agents,
        num_actions=actions,
    )
