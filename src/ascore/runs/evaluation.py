"""Returns of a trained policy over fresh episodes, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ascore.envs.factory import batch, in_python
from ascore.envs.vec_env import VecEnv
from ascore.runs import fairness
from ascore.runs.deeds import Deed, Tally, measured
from ascore.runs.milestones import Watch
from ascore.runs.policy import Policy, load_policy
from ascore.runs.trust import require_trust
from ascore.streams import FIRST_EVALUATION_ENV

if TYPE_CHECKING:
    from ascore.runs.run import Run

Report = Callable[[int, int], None]
"""(episodes that have ended, number of episodes) -> None."""

# Two-sided 95% point of the normal distribution; with n in the hundreds Student's t adds nothing.
Z95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval over n episodes, undiscounted return."""

    mean: float
    ci95: tuple[float, float]
    n: int


@dataclass(frozen=True)
class MilestoneTiming:
    """How often and how soon a milestone was reached.

    Attributes:
        reached: share of the episodes that reached it.
        steps: steps until it was reached; an episode that never reached it counts in full.
    """

    reached: float
    steps: Interval


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Result of `evaluate`.

    Attributes:
        team_return: sum over agents and steps, per episode.
        agent_return: mean per agent of what it earned while it was there; 0 in an episode that it
            never entered.
        episode_length: mean number of steps.
        entropy: mean entropy along the way of the policies of those who were there, nats.
        entropy_uniform: entropy of uniform play among the legal actions along the way, for
            comparison.
        greedy: whether agents took their most probable action instead of sampling.
        milestones: per event of the environment, how often and how soon it happened.
        team_returns: f64 [n], one per episode.
        env: name of the environment, which says by how much Nash welfare is shifted.
        deeds: what agents did that returns do not show, if the environment tells it.
    """

    team_return: Interval
    agent_return: list[float]
    episode_length: float
    entropy: float
    entropy_uniform: float
    greedy: bool
    milestones: dict[str, MilestoneTiming]
    team_returns: npt.NDArray[np.float64]
    env: str = ""
    deeds: dict[str, Deed] = field(default_factory=dict)

    @property
    def lowest_return(self) -> float:
        """Mean return of the agent that earns least."""
        return float(fairness.lowest(self.agent_return))

    @property
    def nash_welfare(self) -> float:
        """Geometric mean of what agents earn, with the shift of the environment."""
        return float(fairness.nash_welfare(self.agent_return, fairness.welfare_shift(self.env)))

    @property
    def gini(self) -> float:
        """Gini coefficient of the mean returns; NaN where one is negative, or all are 0."""
        return float(fairness.gini(self.agent_return))

    @property
    def measures(self) -> dict[str, float | None]:
        """Named measures of the deeds, such as sustainability and peace; None where none was."""
        return measured(self.deeds, self.env)

    def __repr__(self) -> str:
        team = self.team_return
        agents = ", ".join(f"{value:.2f}" for value in self.agent_return)
        return (
            f"Evaluation(team return {team.mean:.2f} [{team.ci95[0]:.2f}, {team.ci95[1]:.2f}] over "
            f"{team.n} episodes; per agent {agents})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        del values["team_returns"], values["env"]
        values["team_return"]["ci95"] = list(self.team_return.ci95)
        values |= fairness.measures(self.agent_return, self.env)
        values["deeds"] = {name: deed.to_dict() for name, deed in self.deeds.items()}
        values["measures"] = self.measures
        for name, timing in self.milestones.items():
            values["milestones"][name]["steps"]["ci95"] = list(timing.steps.ci95)
        return values


def evaluate(
    run: Run | Policy | str | Path,
    *,
    episodes: int = 200,
    seed: int | None = None,
    greedy: bool = False,
    checkpoint: str | None = None,
    trust: bool = False,
    report: Report | None = None,
) -> Evaluation:
    """Plays new episodes with a trained policy; does not need PyTorch.

    Args:
        run: a run, its folder, or a policy.
        episodes: number of episodes, one in each of as many environments; none was trained on.
            Python environments are played in rounds, with at most as many copies as in training.
        seed: of the environments; None = the training seed, or 0 for an exported policy.
        greedy: take the most probable action instead of sampling.
        checkpoint: name of a checkpoint; None = the newest.
        trust: whether an environment MODULE:CALLABLE that a file names may be imported; what this
            process has trained itself always may.
        report: called after every step with the episodes that have ended and their number.

    Raises:
        TrustError: it would have to be imported, and `trust` is False.
        CheckpointError: the run holds no complete checkpoint.
        ValueError: episodes is below 1.
    """
    if episodes < 1:
        message = f"episodes = {episodes} is not allowed; it must be at least 1"
        raise ValueError(message)
    place: Any = getattr(run, "path", run)
    policy = run if isinstance(run, Policy) else load_policy(place, checkpoint)
    if policy.source is not None:
        require_trust({"env": policy.env}, policy.source, trust)
    if seed is None:
        seed = policy.config.get("seed", 0)
    return play(policy, episodes, seed, greedy, report)


def play(
    policy: Policy, episodes: int, seed: int, greedy: bool, report: Report | None = None
) -> Evaluation:
    """Plays one episode in each of `episodes` environments."""
    copies = _copies(policy, episodes)
    rounds = []
    first = FIRST_EVALUATION_ENV
    with batch(
        policy.env,
        policy.env_params,
        copies,
        seed,
        0,
        first,
        policy.horizon,
        env_workers=policy.config.get("env_workers", 1),
        env_timeout=policy.config.get("env_timeout", 0.0),
        action_bins=policy.action_bins,
    ) as env:
        policy.require(env.spec)
        env.reset()
        tally = Tally(env)
        for start in range(0, episodes, copies):
            if start > 0:
                env.renumber(first + start)
            count = min(copies, episodes - start)

            def ended(done: int, start: int = start) -> None:
                if report is not None:
                    report(start + done, episodes)

            rounds.append(_play_round(policy, env, tally, count, greedy, ended))
    length = np.concatenate([each.length for each in rounds])
    returns = np.concatenate([each.returns for each in rounds])
    reached = {
        name: np.concatenate([each.reached[name] for each in rounds]) for name in rounds[0].reached
    }
    team = returns.sum(axis=1)
    return Evaluation(
        team_return=_interval(team),
        agent_return=returns.mean(axis=0).tolist(),
        episode_length=float(length.mean()),
        entropy=sum(each.entropy_sum for each in rounds) / float(length.sum()),
        entropy_uniform=sum(each.uniform_sum for each in rounds) / float(length.sum())
        if any(each.masked for each in rounds)
        else _entropy_uniform(env.spec.action_counts),
        greedy=greedy,
        milestones={
            name: MilestoneTiming(
                reached=float((step >= 0).mean()),
                steps=_interval(np.where(step < 0, length, step)),
            )
            for name, step in reached.items()
        },
        team_returns=team,
        env=policy.env,
        deeds=tally.deeds(),
    )


def _entropy_uniform(action_counts: tuple[int, ...]) -> float:
    each = [math.log(count) for count in action_counts]
    return each[0] if len(set(action_counts)) == 1 else math.fsum(each) / len(each)


def _copies(policy: Policy, episodes: int) -> int:
    """Number of environments to make: compiled ones all at once, Python ones as in training.

    A Python environment may be slow to make, or hold what there is only so much of.
    """
    if not in_python(policy.env):
        return episodes
    limit = max(1, int(policy.config.get("num_envs", 1)))  # an exported policy does not say
    return math.ceil(episodes / math.ceil(episodes / limit))


@dataclass(frozen=True)
class _Round:
    """E episodes that were played at the same time.

    Attributes:
        length: f64 [E], number of steps.
        returns: f64 [E, N].
        entropy_sum: over all steps, of the mean entropy of the agents.
        uniform_sum: the same of uniform play among legal actions.
        masked: whether some action was not legal, ever.
        reached: per milestone i64 [E], as `Watch.first`.
    """

    length: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]
    entropy_sum: float
    uniform_sum: float
    masked: bool
    reached: dict[str, npt.NDArray[np.int64]]


def _play_round(
    policy: Policy,
    env: VecEnv,
    tally: Tally,
    episodes: int,
    greedy: bool,
    ended: Callable[[int], None],
) -> _Round:
    """Plays the running episode of the first `episodes` environments to its end."""
    b, n = env.num_envs, env.spec.num_agents
    uniform = np.empty((b, n), dtype=np.float32)
    running = np.arange(b) < episodes
    returns = np.zeros((b, n))
    length = np.zeros(b)
    entropy_sum = uniform_sum = 0.0
    masked, uniform_entropy = False, _entropy_uniform(env.spec.action_counts)
    watch = Watch(env)
    while running.any():
        legal = env.legal
        log_probs = policy.log_probs(env.obs, legal)
        entropy_sum += float(_mean(policy.entropy(log_probs), env.present)[running].sum())
        if legal is None:
            uniform_sum += uniform_entropy * int(running.sum())
        else:
            masked = True
            most = np.log(legal.sum(axis=-1, dtype=np.int64))
            uniform_sum += float(_mean(most, env.present)[running].sum())
        env.uniforms(uniform)
        action = policy.choose(log_probs, None if greedy else uniform)
        watch.step(action, running)
        tally.step(action, running)
        _, reward, terminated, truncated, _ = env.step(action)
        returns[running] += reward[running]
        length[running] += 1
        running &= ~(terminated | truncated)
        ended(episodes - int(running.sum()))
    reached = {name: step[:episodes] for name, step in watch.first.items()}
    sums = entropy_sum, uniform_sum, masked
    return _Round(length[:episodes], returns[:episodes], *sums, reached)


def _mean(values: npt.NDArray[Any], present: npt.NDArray[np.uint8] | None) -> Any:
    """Mean [B] of [B, N] over the agents that are there; at least one is, others have 0."""
    return values.mean(axis=1) if present is None else values.sum(axis=1) / present.sum(axis=1)


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    """Mean of f64 [n] with its 95% interval; NaN bounds for a single value."""
    n, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Interval(mean, (mean - Z95 * error, mean + Z95 * error), n)
