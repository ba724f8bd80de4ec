"""What attackers make of one update: a few numbers about one agent from all that was received.

S states, A actions, C columns of `Insight.acts`, D columns of `Insight.situations`. A *crew* is
whom an attack is about: the agent whose weight is sought, then those who listen to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ascore.privacy.games import F32, Insight

F64 = npt.NDArray[np.float64]

FLOOR = -12.0
"""Log-probabilities below this tell nothing more."""

WHOLE = 1e-9


class Stage:
    """States of an update as attackers read them.

    Args:
        game: how to read them.
        obs: [S, V, O].
        after: the states after the steps, of the same episodes.
        action: i32 [S, N].
    """

    def __init__(
        self,
        game: Insight,
        obs: npt.NDArray[np.generic],
        after: npt.NDArray[np.generic],
        action: npt.NDArray[np.int32],
    ) -> None:
        self.action = action
        agents = range(action.shape[1])
        self.acts = [game.acts(obs, i) for i in agents]
        self.situations = [game.situations(obs, i) for i in agents]
        self.unit = game.unit(obs, after, action)

    def act_means(self, agent: int, values: F32) -> F64:
        """Mean of values [S, A] over the actions of each kind, where there are such: f64 [C]."""
        acts = self.acts[agent]
        able = (acts != 0).any(axis=2).sum(axis=0)
        total = np.einsum("sca,sa->c", acts, values, dtype=np.float64)
        means: F64 = total / np.maximum(able, 1)
        return means

    def public(self, crew: Sequence[int]) -> F64:
        """What all see without messages: who did what where, and how often the event happened.

        Without messages it is everything, so it is the floor.
        """
        parts = []
        for agent in crew:
            taken = np.zeros(self.acts[agent].shape[::2], dtype=np.float32)
            taken[np.arange(len(taken)), self.action[:, agent]] = 1
            parts += [self.act_means(agent, taken), self.situations[agent][:, 1:].mean(axis=0)]
        return np.concatenate([*parts, np.abs(self.unit[:, list(crew)]).mean(axis=0)])

    def rewards(self, reward: F32, agent: int) -> F64:
        """The rewards themselves, per unit of what is weighed, f64 [1]."""
        return self._per_unit(agent, reward)

    def _per_unit(self, agent: int, paid: F32) -> F64:
        """What is paid per unit of the event where it happens, f64 [1]; NaN where it never does."""
        unit = self.unit[:, agent].astype(np.float64)
        square = float(unit @ unit)
        return np.array([float(unit @ paid) / square if square > 0 else np.nan])

    def levels(self, agent: int, log_probs: F32) -> F64:
        """Probabilities of an agent's actions and their logarithms [S, A], both: f64 [2 C]."""
        limited = np.maximum(log_probs, FLOOR)
        return np.concatenate(
            [self.act_means(agent, np.exp(log_probs)), self.act_means(agent, limited)]
        )

    def shift(self, agent: int, before: F32, now: F32) -> F64:
        """How the logarithms have changed since the last message on the same states, f64 [C]."""
        return self.act_means(agent, np.maximum(now, FLOOR) - np.maximum(before, FLOOR))

    def signs(self, agent: int, before: F32, now: F32) -> F64:
        """Likewise of the signs alone of these changes, f64 [C]."""
        return self.act_means(agent, np.sign(now - before))

    def values(self, agent: int, value: F32) -> F64:
        """Values [S] of an agent against what matters for it, f64 [D]."""
        return fit(value, self.situations[agent])

    def residuals(self, agent: int, value: F32, following: F32, gamma: float) -> F64:
        """Temporal differences V(s) - gamma V(s'): the mean, and per unit of the event, f64 [2].

        A critic that has learned has them equal the rewards, in expectation.
        """
        residual = value - gamma * following
        return np.append(self._per_unit(agent, residual), residual.mean())


def fit(y: npt.NDArray[np.floating], x: npt.NDArray[np.floating]) -> F64:
    """Least squares of y [S] on columns x [S, D], f64 [D]; 0 for what never varies."""
    columns = x.astype(np.float64)
    gram: F64 = columns.T @ columns / len(columns)
    ridge = WHOLE * max(float(np.trace(gram)), WHOLE)
    moments = columns.T @ y.astype(np.float64) / len(columns)
    slopes = np.linalg.solve(gram + ridge * np.eye(len(gram)), moments)
    return np.asarray(slopes, dtype=np.float64)
