"""Lemma 1, Lemma 2 and Theorem 1 on tabular games, both sides computed exactly.

A tabular multi-agent MDP with private rewards has S states, N agents with A_1..A_N actions, and J
joint actions (J is the product; agent 0 is the leading digit). All sums over states, actions and
time are computed by float64 linear algebra, without sampling. `python -m ascore.theory` prints how
loose the bounds are.

Each statement has the form left <= right: a gap and its bound. This is the paper's inequality with
its terms rearranged, so it holds exactly if the paper's does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "MMDP",
    "Bound",
    "Policies",
    "joint_policy",
    "lemma_1",
    "lemma_2",
    "random_mmdp",
    "random_policies",
    "theorem_1",
]

F64 = npt.NDArray[np.float64]
Policies = Sequence[F64]
"""One policy per agent, f64 [S, A_j]; rows are distributions."""

# Allowed deviation of a row's sum from 1, for the rounding of float64 inputs.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Bound:
    """A statement left <= right.

    Attributes:
        left: the gap.
        right: the bound on the gap.
    """

    left: float
    right: float

    @property
    def tightness(self) -> float:
        """Left over right: 1 = equality, near 0 = loose, NaN if both are 0."""
        return self.left / self.right if self.right != 0 else math.nan

    def holds(self, slack: float = 1e-9) -> bool:
        """Whether left <= right up to rounding."""
        return self.left <= self.right + slack


@dataclass(frozen=True)
class MMDP:
    """A tabular multi-agent MDP.

    Attributes:
        transition: f64 [S, J, S], probability of the next state.
        reward: f64 [N, S, J], private rewards.
        action_counts: A_1..A_N.
        start: f64 [S], distribution of the first state.
        discount: gamma, 0 <= gamma < 1.

    Raises:
        ValueError: shapes do not match, rows are not distributions, or discount is out of range.
    """

    transition: F64
    reward: F64
    action_counts: tuple[int, ...]
    start: F64
    discount: float

    def __post_init__(self) -> None:
        states, joint = len(self.start), math.prod(self.action_counts)
        shapes = {
            "transition": (self.transition.shape, (states, joint, states)),
            "reward": (self.reward.shape, (len(self.action_counts), states, joint)),
        }
        for name, (shape, wanted) in shapes.items():
            if shape != wanted:
                message = (
                    f"{name} has shape {shape}; {states} states and action counts "
                    f"{self.action_counts} need {wanted}"
                )
                raise ValueError(message)
        _check_distributions("transition", self.transition)
        _check_distributions("start", self.start)
        if not np.isfinite(self.reward).all():
            message = "reward holds a value that is not finite; give finite rewards"
            raise ValueError(message)
        if not 0 <= self.discount < 1:
            message = f"discount = {self.discount} is not allowed; it must be in [0, 1)"
            raise ValueError(message)

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.action_counts)

    def visitation(self, policy: F64) -> F64:
        """d(s) = sum_t gamma^t P(s_t = s), unnormalised, f64 [S], of a joint policy [S, J]."""
        moves = np.einsum("sj,sjt->st", policy, self.transition)
        identity = np.eye(len(self.start))
        d: F64 = np.linalg.solve(identity - self.discount * moves.T, self.start)
        return d

    def values(self, policy: F64) -> F64:
        """V_i(s) of Eq. 3, f64 [N, S], under a joint policy f64 [S, J]."""
        moves = np.einsum("sj,sjt->st", policy, self.transition)
        earned = np.einsum("sj,isj->is", policy, self.reward)
        identity = np.eye(len(self.start))
        value: F64 = np.linalg.solve(identity - self.discount * moves, earned.T).T
        return value

    def advantages(self, policy: F64) -> F64:
        """A_i(s, a) of Eq. 2, f64 [N, S, J], under a joint policy f64 [S, J]."""
        value = self.values(policy)
        future = np.einsum("sjt,it->isj", self.transition, value)
        advantage: F64 = self.reward + self.discount * future - value[:, :, None]
        return advantage

    def team_return(self, policy: F64) -> float:
        """Discounted sum of all agents' rewards, eta of Eq. 1, of a joint policy f64 [S, J]."""
        return float((self.values(policy) @ self.start).sum())


def joint_policy(policies: Policies) -> F64:
    """prod_j pi^j(a_j|s), f64 [S, J].

    Raises:
        ValueError: rows are not distributions, or numbers of states differ.
    """
    for agent, policy in enumerate(policies):
        _check_distributions(f"policy of agent {agent}", policy)
        if len(policy) != len(policies[0]):
            message = (
                f"policy of agent {agent} has {len(policy)} states, that of agent 0 "
                f"{len(policies[0])}; give one row per state"
            )
            raise ValueError(message)
    joint: F64 = policies[0]
    for policy in policies[1:]:
        joint = (joint[:, :, None] * policy[:, None, :]).reshape(len(joint), -1)
    return joint


def expected_advantage(game: MMDP, reference: F64, played: Sequence[F64]) -> float:
    """The sum zeta of Eq. 5, 6, 9: advantages and visitation of `reference`, actions of others.

    Args:
        game: S states, J joint actions.
        reference: joint policy f64 [S, J].
        played: joint policy f64 [S, J] per agent, over which its advantage is averaged.
    """
    d, advantage = game.visitation(reference), game.advantages(reference)
    return float(
        sum(np.einsum("s,sj,sj->", d, p, a) for p, a in zip(played, advantage, strict=True))
    )


def divergence(old: F64, new: F64) -> float:
    """max_s KL(old(.|s) || new(.|s)); infinite if new excludes an action that old allows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(old > 0, old * (np.log(old) - np.log(new)), 0.0)
    return max(float(terms.sum(axis=-1).max()), 0.0)


def lemma_1(game: MMDP, old: Policies, new: Policies) -> Bound:
    """The surrogate overestimates a new joint policy by at most C times its divergence.

        eta(old) + zeta_old(new) - eta(new) <= C max_s KL(old || new)

    Source: Eq. 4 and 5; C = 4 gamma max|sum_i A_i| / (1 - gamma)^2.
    """
    before, after = joint_policy(old), joint_policy(new)
    predicted = game.team_return(before) + expected_advantage(game, before, [after] * len(old))
    allowed = _times(_constant(game, before), divergence(before, after))
    return Bound(predicted - game.team_return(after), allowed)


def lemma_2(game: MMDP, reference: Policies, played: Policies, wished: Sequence[Policies]) -> Bound:
    """Anticipated advantages exceed those of the played policies by at most this bound.

        zeta(wished) - zeta(played)
            <= sum_i max|A_i|/2 (J |d|^2 + sum_{s,a} (pi~^i(a|s) - pi(a|s))^2)

    Args:
        game: S states, J joint actions.
        reference: pi', which defines visitation and advantages.
        played: pi.
        wished: wished[i][j] is pi^{ij}, f64 [S, A_j], what i anticipates of j; [i][i] is pi^{ii}.

    Source: Eq. 7 and 8. |A| there is the number of joint actions.
    """
    judge, actual = joint_policy(reference), joint_policy(played)
    anticipated = [joint_policy(each) for each in wished]
    promised = expected_advantage(game, judge, anticipated)
    real = expected_advantage(game, judge, [actual] * game.num_agents)
    return Bound(promised - real, _mismatch(game, judge, actual, anticipated))


def theorem_1(game: MMDP, old: Policies, new: Policies, wished: Sequence[Policies]) -> Bound:
    """The anticipated gain of a change exceeds the true one by at most this bound.

        eta(old) + zeta_old(wished) - eta(new)
            <= C sum_i max_s KL(old^i || new^i) + f + sum_i max|A_i|/2 |pi~^i - pi_new|^2

    Args:
        game: S states, J joint actions.
        old: policies before.
        new: policies after.
        wished: anticipations after, as in `lemma_2`.

    Source: Eq. 10.
    """
    before, after = joint_policy(old), joint_policy(new)
    anticipated = [joint_policy(each) for each in wished]
    believed = game.team_return(before) + expected_advantage(game, before, anticipated)
    moved = sum(divergence(a, b) for a, b in zip(old, new, strict=True))
    allowed = _times(_constant(game, before), moved) + _mismatch(game, before, after, anticipated)
    return Bound(believed - game.team_return(after), allowed)


def random_mmdp(
    rng: np.random.Generator, states: int, action_counts: Sequence[int], discount: float
) -> MMDP:
    """A random game with Dirichlet transitions and normal rewards."""
    joint, agents = math.prod(action_counts), len(action_counts)
    return MMDP(
        transition=rng.dirichlet(np.full(states, 0.5), size=(states, joint)),
        reward=rng.normal(size=(agents, states, joint)),
        action_counts=tuple(action_counts),
        start=rng.dirichlet(np.ones(states)),
        discount=discount,
    )


def random_policies(
    rng: np.random.Generator, states: int, action_counts: Sequence[int], spread: float = 1.0
) -> list[F64]:
    """Softmax of normal logits; a large spread is nearly deterministic, 0 is uniform."""
    logits = [spread * rng.normal(size=(states, count)) for count in action_counts]
    return [_softmax(each) for each in logits]


def shifted(rng: np.random.Generator, policies: Policies, size: float) -> list[F64]:
    """The policies with normal noise of standard deviation `size` added to their logits."""
    with np.errstate(divide="ignore"):
        return [_softmax(np.log(p) + size * rng.normal(size=p.shape)) for p in policies]


def _softmax(logits: F64) -> F64:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    normal: F64 = weights / weights.sum(axis=-1, keepdims=True)
    return normal


def _constant(game: MMDP, reference: F64) -> float:
    """C of Eq. 5."""
    largest = float(np.abs(game.advantages(reference).sum(axis=0)).max())
    return 4.0 * largest * game.discount / (1.0 - game.discount) ** 2


def _mismatch(game: MMDP, reference: F64, played: F64, anticipated: Sequence[F64]) -> float:
    """Right side of Eq. 7: f of Eq. 8 plus squared distances of anticipations from the policies."""
    largest = np.abs(game.advantages(reference)).max(axis=(1, 2))  # [N]
    visited = played.shape[1] * float(np.square(game.visitation(reference)).sum())
    distances = np.array([np.square(each - played).sum() for each in anticipated])
    return float((0.5 * largest * (visited + distances)).sum())


def _times(constant: float, distance: float) -> float:
    """The product; 0 if the constant is 0, even if the distance is infinite."""
    return constant * distance if constant > 0 else 0.0


def _check_distributions(name: str, rows: F64) -> None:
    if not np.isfinite(rows).all() or (rows < 0).any():
        worst = float(np.min(rows)) if np.isfinite(rows).all() else math.nan
        message = f"{name} holds the probability {worst}; all must be at least 0"
        raise ValueError(message)
    totals = rows.sum(axis=-1)
    worst = float(np.ravel(totals)[np.abs(totals - 1.0).argmax()])
    if abs(worst - 1.0) > _ROUNDING:
        message = f"{name} has a row that sums to {worst}; every row must sum to 1"
        raise ValueError(message)


def report(instances: int = 300, seed: int = 0) -> str:
    """Formats the 95% quantile and maximum of the tightness on random games as a Markdown table."""
    lines = [
        "| agents | gamma | Lemma 1 | Lemma 2 | Theorem 1 |",
        "|---:|---:|---:|---:|---:|",
    ]
    for agents in (1, 2, 3):
        for discount in (0.0, 0.5, 0.9, 0.99):
            rng = np.random.default_rng([seed, agents, int(100 * discount)])
            tightness = np.array([_tightness(rng, agents, discount) for _ in range(instances)])
            cells = [
                "–" if np.isnan(x).all() else f"{np.nanquantile(x, 0.95):.1e}, {np.nanmax(x):.1e}"
                for x in tightness.T
            ]
            lines.append(f"| {agents} | {discount:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _tightness(rng: np.random.Generator, agents: int, discount: float) -> tuple[float, ...]:
    states, counts = int(rng.integers(2, 6)), [int(a) for a in rng.integers(2, 4, agents)]
    game = random_mmdp(rng, states, counts, discount)
    old = random_policies(rng, states, counts)
    new = shifted(rng, old, 0.2)
    wished = [
        [new[j] if i == j else shifted(rng, [new[j]], 0.5)[0] for j in range(agents)]
        for i in range(agents)
    ]
    bounds = (
        lemma_1(game, old, new),
        lemma_2(game, old, new, wished),
        theorem_1(game, old, new, wished),
    )
    # Gaps within rounding count as 0.
    return tuple(
        math.nan if b.right < 1e-12 else b.tightness if abs(b.left) > 1e-12 else 0.0 for b in bounds
    )


if __name__ == "__main__":
    print(report())
