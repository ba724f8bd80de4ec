"""Learning with a guarantee: what is refused, and how sums over episodes become gradients.

docs/privacy.md says what is guaranteed and proves it. N agents, n of them at a time, P parameters
of an agent's network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import LOCAL, Algorithm, Compiled, own_rewards, own_values
from ascore.config import Config
from ascore.dp import noise
from ascore.dp.budget import Budget
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

F64 = npt.NDArray[np.float64]


class Private:
    """Clipping, noise and account of a run with a guarantee.

    Args:
        config: of the run.
        algorithm: what learns.
        spec: sizes of the environment.
        ranks: the processes of the run.

    Attributes:
        budget: what has been spent.
        clip: norms of an episode's gradient by actor and by critic.
        episodes: of an update.
        clipped: f64 [N, 2], episodes of the last update's steps whose gradients were longer.

    Raises:
        ConfigError: something in the configuration would break the guarantee.
    """

    def __init__(self, config: Config, algorithm: Algorithm, spec: Spec, ranks: Ranks) -> None:
        for reason, remedy in _broken(config, algorithm, spec, ranks):
            message = f"dp = {config.dp} is not possible: {reason}; {remedy}"
            raise ConfigError(message)
        self.budget = Budget(
            config.dp,
            config.epsilon,
            config.delta,
            config.noise_multiplier,
            config.iterations,
            config.updates(spec.horizon),
        )
        self.clip = config.clip_norm, config.critic_clip_norm
        self.episodes, self.steps = config.num_envs, config.iterations
        self.noise_multiplier = 0.0
        self.clipped = np.zeros((spec.num_agents, 2))

    @classmethod
    def of(cls, config: Config, algorithm: Algorithm, spec: Spec, ranks: Ranks) -> Private | None:
        """That of a run; None where nothing is guaranteed."""
        return None if config.dp == "none" else cls(config, algorithm, spec, ranks)

    def begin(self, rollout: Rollout, number: int) -> None:
        """Counts an update, before anything of it is learned.

        Raises:
            ConfigError: an episode does not begin and end with the batch.
        """
        over = (rollout.terminated | rollout.truncated) != 0
        if over[:-1].any() or not over[-1].all() or rollout.present is not None:
            message = (
                "dp needs episodes that all take as many steps as an update, with all agents; "
                "here some end sooner; choose an environment that ends at its horizon"
            )
            raise ConfigError(message)
        self.noise_multiplier = self.budget.noise(number)
        self.budget.take(self.noise_multiplier)
        self.clipped[:] = 0.0

    def released(self, totals: tuple[F64, F64]) -> tuple[F64, F64]:
        """Means over the episodes, noised: from sums over clipped episodes f64 [n, P] of both.

        This is the only way from rewards to parameters.
        """
        actor, critic = (
            (total + self.noise_multiplier * clip * noise.normal(*total.shape)) / self.episodes
            for total, clip in zip(totals, self.clip, strict=True)
        )
        return actor, critic

    def metrics(self) -> dict[str, Tensor]:
        """Metrics of the update, f64 [N] each."""
        shares = self.clipped / (self.episodes * self.steps)
        episode, environment = self.budget.epsilons()
        count = len(shares)
        each = {
            "epsilon_episode": np.full(count, episode),
            "epsilon_environment": np.full(count, environment),
            "noise_multiplier": np.full(count, self.noise_multiplier),
            "policy_clipped": shares[:, 0].copy(),
            "value_clipped": shares[:, 1].copy(),
        }
        return {key: torch.from_numpy(values) for key, values in each.items()}

    def summary(self) -> dict[str, float]:
        """What the run has cost."""
        episode, environment = self.budget.epsilons()
        return {
            "epsilon_episode": episode,
            "epsilon_environment": environment,
            "delta": self.budget.delta,
        }

    def state(self) -> F64:
        """What has been spent, f64 [N, 2]."""
        spent = self.budget.spent, self.budget.largest
        return np.tile(np.array(spent), (len(self.clipped), 1))

    def load_state(self, state: F64) -> None:
        """Restores `state()`; where agents differ, as parties' may, the most."""
        self.budget.spent, self.budget.largest = state.max(axis=0).tolist()


def _broken(
    config: Config, algorithm: Algorithm, spec: Spec, ranks: Ranks
) -> Iterator[tuple[str, str]]:
    """What would break the guarantee, and what to do about it."""
    name, others = algorithm.name, "use as or ippo"
    if algorithm.view is not LOCAL or algorithm.rewards is not own_rewards:
        yield f"{name} learns from the rewards of others", others
    if algorithm.advantages is not own_values:
        yield f"{name} sends what its agents expect to earn", others
    if algorithm.infers is not None:
        yield f"{name} fits models of rewards, which the proof does not cover", others
    if algorithm.mixes != "nothing":
        yield f"{name} averages parameters, which the proof does not cover", others
    batch = "is a statistic of the batch, which every episode's rewards change"
    if config.value_normalization:
        yield f"value_normalization = true {batch}", "set it to false"
    if config.advantage_normalization:
        yield f"advantage_normalization = true {batch}", "set it to false"
    if config.advantage_scale != "unit":
        yield f"advantage_scale = {config.advantage_scale} {batch}", "set it to unit"
    if algorithm.compiled is Compiled.ANTICIPATION and config.penalty_gate != "always":
        reason = f"penalty_gate = {config.penalty_gate} lets rewards decide which penalties act"
        yield reason, "set it to always"
    if config.minibatches != 1:
        reason = f"minibatches = {config.minibatches} cuts episodes"
        yield reason, "set it to 1"
    if config.rollout_steps not in (0, spec.horizon):
        reason = f"rollout_steps = {config.rollout_steps} is no episode of {spec.horizon} steps"
        yield reason, "set it to 0"
    if config.device != "cpu":
        yield f"sums are taken on the CPU, and device = {config.device}", "set it to cpu"
    if ranks.size > 1:
        yield f"{ranks.size} ranks would draw noise each for itself", "train in one process"
