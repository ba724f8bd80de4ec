"""Audit of the guarantee by runs with many canaries (Steinke, Nasr and Jagielski 2023).

Every episode of an update is a canary: a coin decides which of two sets of rewards an agent gets in
it. Whoever sees the parameters that the update released, which is more than anybody is sent,
guesses the coins. Under (epsilon, delta) the share of coins that is guessed correctly is limited,
so a larger share is evidence of a larger epsilon.

m canaries, T steps, P parameters of an agent's networks together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.errors import ConfigError
from ascore.learning.learner import Learner
from ascore.learning.modes import own_modes
from ascore.learning.optimizer import AgentAdam
from ascore.learning.private import Private
from ascore.learning.rollout import Collector, Rollout

F64 = npt.NDArray[np.float64]

LINEAR, GAIN = 1e6, 1e3
"""Adam's epsilon, against which gradients vanish, and its step in units of the gradient: so the
step is a multiple of what was released, and nothing of it is lost to the audit."""
REWARD = 1e3
"""Size of the canaries' rewards: so large that every gradient is clipped."""
SHARE = 4
"""One canary in so many is guessed, those about which most seems to be known."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Audited:
    """What an audit came to.

    Attributes:
        claimed: epsilon that the run states.
        bound: which epsilon exceeds, at CONFIDENCE; 0 = nothing is known.
        correct: coins that were guessed correctly.
        guesses: coins that were guessed.
        canaries: m.
    """

    claimed: float
    bound: float
    correct: int
    guesses: int
    canaries: int


class Audit:
    """Updates of a training with a guarantee, all of whose episodes are canaries of one agent.

    Args:
        config: with dp; its `num_envs` are the canaries, and one iteration is audited. Anticipation
            Sharing and independent PPO are trained alike.
        agent: whose rewards the canaries are.

    Raises:
        ConfigError: nothing is guaranteed.
    """

    def __init__(self, config: Config, agent: int = 0) -> None:
        if config.dp == "none":
            message = "there is nothing to audit: dp = none guarantees nothing; set dp = episode"
            raise ConfigError(message)
        rates = {"actor_lr": LINEAR * GAIN, "critic_lr": LINEAR * GAIN, "adam_epsilon": LINEAR}
        self.config = config.replace(iterations=1, lr_decay="none", max_grad_norm=0.0, **rates)
        self.agent = agent
        rng = np.random.default_rng([config.seed, agent])
        with own_modes():
            env = batch(config.env, config.env_params, config.num_envs, config.seed)
            env.reset()
            self._spec = env.spec
            learner = Learner(self.config, env.spec)
            steps = env.spec.horizon
            collector = Collector(env, steps, neighbours=learner.reads_neighbours)
            self._rollout = collector.collect(learner.actor)
            signs = rng.choice([-1.0, 1.0], (steps, config.num_envs))
            self._rewards = (REWARD * signs).astype(np.float32)
            heads, tails = (self._contributions(sign * self._rewards) for sign in (1.0, -1.0))
        self._half = (heads - tails) / 2
        self._middle = ((heads + tails) / 2).sum(axis=0)
        self._products = self._half @ self._half.T

    def run(self, seed: int, noise_multiplier: float | None = None) -> Audited:
        """Tosses the coins, trains, and guesses them.

        Args:
            seed: of the coins; not of the noise.
            noise_multiplier: which noise the guesses reckon with; None = that of the run.
        """
        canaries = self.config.num_envs
        coins = np.random.default_rng(seed).choice([-1.0, 1.0], canaries)
        with own_modes():
            learner, private = self._learner(self.config)
            before = self._parameters(learner)
            self._rollout.reward[:, :, self.agent] = self._rewards * coins.astype(np.float32)
            learner.update(self._rollout, 0)
            sums: F64 = (before - self._parameters(learner)) * (canaries / GAIN)
        moved = self._in_clipping_norms(sums, private)
        reckoned = private.noise_multiplier if noise_multiplier is None else noise_multiplier
        scores = self._scores(moved - self._middle, reckoned)
        order = np.argsort(-np.abs(scores), kind="stable")[: canaries // SHARE]
        correct = int((np.sign(scores[order]) == coins[order]).sum())
        bound = lower_bound(canaries, len(order), correct, self.config.delta)
        return Audited(private.budget.epsilons()[0], bound, correct, len(order), canaries)

    def _scores(self, released: F64, noise_multiplier: float) -> F64:
        """Expectations of the coins, were they normal: the best linear guess under this noise."""
        size = float(np.trace(self._products)) / len(self._products)
        ridge = max(noise_multiplier**2, 1e-12 * size)
        matrix = self._products + ridge * np.eye(len(self._products))
        return np.asarray(np.linalg.solve(matrix, self._half @ released), dtype=np.float64)

    def _learner(self, config: Config) -> tuple[Learner, Private]:
        learner = Learner(config, self._spec)
        private = learner.agents.private
        assert private is not None  # config.dp says so
        return learner, private

    def _parameters(self, learner: Learner) -> F64:
        """The agent's, f64 [P]."""
        nets = learner.actor_adam.parameters, learner.critic_adam.parameters
        return np.concatenate([rows[self.agent].detach().double().numpy() for rows in nets])

    def _in_clipping_norms(self, gradients: F64, private: Private) -> F64:
        """Gradients [..., P] in units in which both networks have the same noise."""
        units: F64 = gradients / np.repeat(private.clip, self._sizes)
        return units

    def _contributions(self, rewards: npt.NDArray[np.float32]) -> F64:
        """What every episode adds to the sums with some rewards [T, m], f64 [m, P].

        The audited learner computes it, of one episode after the other. What rewards have no part
        in is the same for all coins, and stands with the first episode.
        """
        config = self.config.replace(num_envs=1, actor_lr=0.0, critic_lr=0.0)
        learner, private = self._learner(config)
        self._sizes = [adam.parameters.shape[1] for adam in self._optimizers(learner)]
        sums: list[F64] = []

        def recorded(totals: tuple[F64, F64]) -> tuple[F64, F64]:
            sums.append(np.concatenate([total[self.agent] for total in totals]))
            return np.zeros_like(totals[0]), np.zeros_like(totals[1])

        private.released = recorded  # type: ignore[method-assign]
        public = np.zeros(sum(self._sizes))
        for episode in range(self._rollout.action.shape[1]):
            learner.update(_alone(self._rollout, episode, rewards[:, episode], self.agent), 0)
            public += np.concatenate(
                [adam.gradients[self.agent].double().numpy() for adam in self._optimizers(learner)]
            )
        sums[0] = sums[0] + public
        return self._in_clipping_norms(np.stack(sums), private)

    @staticmethod
    def _optimizers(learner: Learner) -> tuple[AgentAdam, AgentAdam]:
        return learner.actor_adam, learner.critic_adam


def _alone(rollout: Rollout, episode: int, reward: npt.NDArray[np.float32], agent: int) -> Rollout:
    """One episode of a rollout, in which an agent has other rewards."""

    def cut(x: npt.NDArray[Any] | None, axis: int = 1) -> Any:
        return None if x is None else np.ascontiguousarray(x.take([episode], axis=axis))

    final = [(t, np.zeros(1, np.intp), obs[envs == episode]) for t, envs, obs in rollout.final]
    alone = Rollout(
        obs=cut(rollout.obs),
        last_obs=cut(rollout.last_obs, 0),
        action=cut(rollout.action),
        reward=cut(rollout.reward),
        neighbours=cut(rollout.neighbours),
        last_neighbours=cut(rollout.last_neighbours, 0),
        terminated=cut(rollout.terminated),
        truncated=cut(rollout.truncated),
        final=final,
    )
    alone.reward[:, 0, agent] = reward
    return alone


def lower_bound(canaries: int, guesses: int, correct: int, delta: float) -> float:
    """The largest epsilon under which so many correct guesses are rarer than 1 - CONFIDENCE.

    Source: Steinke, Nasr and Jagielski 2023, Theorem 3.1 and Appendix D.
    """
    low, high = 0.0, 30.0
    if _chance(canaries, guesses, correct, low, delta) > 1 - CONFIDENCE:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        rare = _chance(canaries, guesses, correct, middle, delta) <= 1 - CONFIDENCE
        low, high = (middle, high) if rare else (low, middle)
    return low


def _chance(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Bound of the probability of at least so many correct guesses under (epsilon, delta)."""
    share = 1 / (1 + math.exp(-epsilon))
    count = np.arange(guesses + 1)
    choose = [
        math.lgamma(guesses + 1) - math.lgamma(k + 1) - math.lgamma(guesses - k + 1) for k in count
    ]
    log = np.array(choose) + count * math.log(share) + (guesses - count) * math.log1p(-share)
    mass = np.exp(log)
    below = np.cumsum(mass[:correct][::-1])  # of correct - i .. correct - 1
    more = float((below / np.arange(1, correct + 1)).max()) if correct else 0.0
    return float(mass[correct:].sum()) + 2 * canaries * delta * more
