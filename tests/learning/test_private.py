"""What one episode's rewards can change is bounded, on both backends, and the checks can fail."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from trainings import session

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.dp import noise
from ascore.errors import ConfigError
from ascore.learning import batch as learning_batch
from ascore.learning import private as learning_private
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.backends.private import PrivateTorchBackend
from ascore.learning.learner import Learner
from ascore.learning.private import Private
from ascore.runtime.ranks import Ranks

torch.set_num_threads(1)

CLIP, CRITIC_CLIP = 0.05, 0.2
PRIVATE: dict[str, Any] = {
    "env_params": {"num_agents": 3, "horizon": 7},
    "num_envs": 5,
    "iterations": 3,
    "minibatches": 1,
    "dp": "episode",
    "noise_multiplier": 3.0,
    "clip_norm": CLIP,
    "critic_clip_norm": CRITIC_CLIP,
    "advantage_scale": "unit",
    "penalty_gate": "always",
    "penalty_weight": 2.0,
    "value_normalization": False,
    "entropy_bonus": 0.01,
}
BACKENDS = ["torch", "engine"]
AGENT, EPISODE = 1, 2


def rewards_instead() -> Iterator[np.ndarray]:
    """Rewards of an episode [T] that may be in place of the true ones."""
    rng = np.random.default_rng(0)
    yield np.full(7, -1e3)
    yield np.full(7, 1e3)
    yield np.zeros(7)
    yield rng.normal(0, 50, 7)


def sums(
    backend: str, rewards: np.ndarray | None, prepare: Callable[[Learner], None], **keys: Any
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[dict[str, bytes]]]:
    """The sums of every step, and all that the learner is before each step and after the last.

    What is released is the same whatever the sums were, so that the steps after the first start
    from the same parameters.
    """
    learner, collector = session(**{**PRIVATE, "backend": backend, **keys})
    prepare(learner)
    rollout = collector.collect(learner.actor)
    if rewards is not None:
        rollout.reward[:, EPISODE, AGENT] = rewards
    recorded: list[tuple[np.ndarray, np.ndarray]] = []
    states: list[dict[str, bytes]] = []
    rng = np.random.default_rng(7)

    def keep_state() -> None:
        states.append({key: value.numpy().tobytes() for key, value in learner.state().items()})

    def released(totals: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        recorded.append(copy.deepcopy(totals))
        keep_state()
        return tuple(0.1 * rng.normal(size=x.shape) for x in totals)

    learner.agents.private.released = released
    learner.update(rollout, 0)
    keep_state()
    return recorded, states


def require_bounded(
    backend: str, prepare: Callable[[Learner], None] = lambda learner: None, **keys: Any
) -> float:
    """Fails unless one episode of one agent moves its sums by two norms at most, and nothing else.

    Returns:
        The furthest that the actor's sum moved, in clipping norms.
    """
    usual, states = sums(backend, None, prepare, **keys)
    assert len(usual) == PRIVATE["iterations"]
    assert len({state["actor"] for state in states}) == len(states)  # it learns at every step
    ways = [sums(backend, rewards, prepare, **keys) for rewards in rewards_instead()]
    furthest = 0.0
    for _, after in ways:
        assert after == states  # what is not released does not know of the rewards
    for one, two in [(a, b) for a, _ in [(usual, states), *ways] for b, _ in ways]:
        for step, other in zip(one, two, strict=True):
            for total, changed, clip in zip(step, other, (CLIP, CRITIC_CLIP), strict=True):
                assert total.dtype == np.float64
                moved = np.linalg.norm(total - changed, axis=1)
                others = np.delete(np.arange(len(moved)), AGENT)
                assert (moved[others] == 0).all()
                assert moved[AGENT] <= 2 * clip * (1 + 1e-9)
            furthest = max(furthest, np.linalg.norm((step[0] - other[0])[AGENT]) / CLIP)
    return furthest


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("keys", [{}, {"algorithm": "ippo"}, {"actor": "separate"}], ids=str)
def test_one_episode_moves_what_is_released_by_two_norms_at_most(
    backend: str, keys: dict[str, Any]
) -> None:
    assert require_bounded(backend, **keys) > 1.9  # so nearly all of it is used


def test_states_and_actions_of_an_update_do_not_depend_on_its_rewards() -> None:
    """With other weights, agents earn something else; collecting changes nothing of the learner."""
    rollouts = []
    for weights in ("equal", "0.5 2 7"):
        params = {**PRIVATE["env_params"], "weights": weights}
        learner, collector = session(**{**PRIVATE, "env_params": params})
        before = {key: value.clone() for key, value in learner.state().items()}
        rollouts.append(collector.collect(learner.actor))
        assert all(torch.equal(before[key], value) for key, value in learner.state().items())
    one, two = rollouts
    assert not np.array_equal(one.reward, two.reward)
    for name in ("obs", "last_obs", "action"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def no_clip(learner: Learner) -> None:
    learner.agents.private.clip = (math.inf, math.inf)


def no_clip_of_critics(learner: Learner) -> None:
    learner.agents.private.clip = (CLIP, math.inf)


def twice_the_norm(learner: Learner) -> None:
    learner.agents.private.clip = (2 * CLIP, CRITIC_CLIP)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("broken", [no_clip, no_clip_of_critics, twice_the_norm])
def test_a_clip_that_is_broken_is_noticed(backend: str, broken: Callable[[Learner], None]) -> None:
    with pytest.raises(AssertionError):
        require_bounded(backend, broken)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "keys",
    [
        {"advantage_scale": "mean"},
        {"advantage_scale": "max"},
        {"advantage_normalization": True},
        {"value_normalization": True},
    ],
    ids=str,
)
def test_a_statistic_of_the_batch_is_noticed(
    backend: str, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the check of the configuration is not asked."""
    monkeypatch.setattr(learning_private, "_broken", lambda *args: iter(()))
    with pytest.raises(AssertionError):
        require_bounded(backend, **keys)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_statistic_of_the_batch_is_noticed_wherever_it_stands(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def centred(*args: Any, **kwargs: Any) -> Any:
        rows = rows_of(*args, **kwargs)
        rows.advantage.sub_(rows.advantage.mean(dim=1, keepdim=True))
        return rows

    rows_of = learning_batch.rows_of
    monkeypatch.setattr("ascore.learning.learner.rows_of", centred)
    with pytest.raises(AssertionError):
        require_bounded(backend)


def test_a_gate_that_reads_rewards_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_private, "_broken", lambda *args: iter(()))
    with pytest.raises(AssertionError):
        require_bounded("torch", penalty_gate="indicator")
    with pytest.raises(ValueError, match="a gate reads rewards"):
        require_bounded("engine", penalty_gate="indicator")


# ---- noise -----------------------------------------------------------------------------------


def require_fresh_noise(backend: str) -> None:
    """Fails if any two agents, networks, steps, updates or runs are given the same noise."""
    drawn: list[np.ndarray] = []
    for _ in range(2):
        learner, collector = session(**{**PRIVATE, "backend": backend})
        private = learner.agents.private
        normal = noise.normal

        def recorded(*shape: int, normal: Any = normal) -> np.ndarray:
            drawn.extend(normal(*shape))
            return drawn[-1] if len(shape) == 1 else np.stack(drawn[-shape[0] :])

        learning_private.noise.normal = recorded
        try:
            for number in range(2):
                learner.update(collector.collect(learner.actor), number)
        finally:
            learning_private.noise.normal = normal
        assert private.noise_multiplier == PRIVATE["noise_multiplier"]
    runs, updates, steps, networks, agents = 2, 2, PRIVATE["iterations"], 2, 3
    assert len(drawn) == runs * updates * steps * networks * agents
    assert len({row[:4].tobytes() for row in drawn}) == len(drawn)


@pytest.mark.parametrize("backend", BACKENDS)
def test_noise_is_never_drawn_twice(backend: str) -> None:
    require_fresh_noise(backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_noise_from_a_key_that_is_used_again_is_noticed(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(count: int) -> bytes:
        return np.random.Generator(np.random.Philox(5)).bytes(count)

    monkeypatch.setattr(noise, "_entropy", again)
    with pytest.raises(AssertionError):
        require_fresh_noise(backend)


def test_runs_that_share_a_seed_share_no_noise() -> None:
    after = []
    for _ in range(2):
        learner, collector = session(**PRIVATE)
        learner.update(collector.collect(learner.actor), 0)
        after.append(learner.actor.net.flat.clone())
    assert (after[0] != after[1]).float().mean() > 0.9


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_released_has_the_noise_that_is_accounted(backend: str) -> None:
    """The gradients of two runs differ by the root of two of the noise."""
    gradients = []
    for _ in range(2):
        learner, collector = session(
            **{**PRIVATE, "iterations": 1, "backend": backend, "actor_hidden": (32, 32)}
        )
        learner.update(collector.collect(learner.actor), 0)
        gradients.append(
            (learner.actor_adam.gradients.clone(), learner.critic_adam.gradients.clone())
        )
    for one, two, clip in zip(*gradients, (CLIP, CRITIC_CLIP), strict=True):
        deviation = PRIVATE["noise_multiplier"] * clip / PRIVATE["num_envs"]
        difference = (one - two).double().numpy()
        assert difference.std() == pytest.approx(math.sqrt(2) * deviation, rel=0.1)


# ---- both backends are one ---------------------------------------------------------------------

CASES: list[dict[str, Any]] = [
    {},
    {"algorithm": "ippo"},
    {"actor": "separate"},
    {"discrepancy": "kl", "anticipation": "correction"},
    {"graph": "none"},
    {"communicate_every": 2},
    {"env_params": {"num_agents": 2, "horizon": 150}},
    {"env_params": {"num_agents": 2, "horizon": 1}, "num_envs": 19},
    {"env": "cleanup-v1", "env_params": {"num_agents": 2, "horizon": 11}},
    {"env": "exchange-v1", "env_params": {"horizon": 20}, "update_order": "sequential"},
    {"clip_norm": 1e6, "critic_clip_norm": 1e6},
]


def gradients(monkeypatch: pytest.MonkeyPatch, **keys: Any) -> tuple[Learner, list[torch.Tensor]]:
    """A learner's gradients in one step without noise, of which Adam's moments are a tenth."""
    monkeypatch.setattr(noise, "normal", lambda *shape: np.zeros(shape))
    learner, collector = session(**{**PRIVATE, "iterations": 1, **keys})
    learner.update(collector.collect(learner.actor), 1)
    adams = learner.actor_adam, learner.critic_adam
    return learner, [10 * adam.first.double() for adam in adams]


@pytest.mark.parametrize("keys", CASES, ids=str)
def test_both_backends_release_the_same(
    keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, theirs = gradients(monkeypatch, **{**keys, "backend": "torch"})
    fast, ours = gradients(monkeypatch, **{**keys, "backend": "engine"})
    assert isinstance(slow.backend, PrivateTorchBackend)
    assert isinstance(fast.backend, EngineBackend)
    assert np.array_equal(slow.agents.private.clipped, fast.agents.private.clipped)
    for one, two in zip(theirs, ours, strict=True):
        assert float((one - two).norm() / one.norm()) < 1e-4


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("keys", [CASES[0], CASES[3], CASES[6]], ids=str)
def test_without_clipping_and_noise_gradients_are_the_usual_ones(
    backend: str, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = {"clip_norm": 1e6, "critic_clip_norm": 1e6, "backend": backend}
    learner, ours = gradients(monkeypatch, **{**keys, **loose})
    assert (learner.agents.private.clipped == 0).all()
    _, usual = gradients(
        monkeypatch, **{**keys, "backend": "torch", "dp": "none", "noise_multiplier": 0.0}
    )
    for one, two in zip(usual, ours, strict=True):
        assert float((one - two).norm() / one.norm()) < 1e-4


def test_results_do_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"backend": "engine", "num_envs": 400, "actor_hidden": (64, 64)}
    _, one = gradients(monkeypatch, **keys, torch_threads=1)
    _, two = gradients(monkeypatch, **keys, torch_threads=3)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reward", [math.nan, math.inf, 3e38])
def test_an_episode_that_is_not_finite_counts_nothing_and_ends_nothing(
    backend: str, reward: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever saw the run end would know."""
    with np.errstate(all="ignore"):
        steps, without = (
            sums(backend, np.full(7, r), lambda learner: None)[0] for r in (reward, -math.inf)
        )
    for step, other in zip(steps, without, strict=True):
        for total, same in zip(step, other, strict=True):
            assert np.isfinite(total).all()
            np.testing.assert_array_equal(total, same)


# ---- what is refused, and what is told -------------------------------------------------------


def test_what_several_processes_would_do_is_refused() -> None:
    ranks = Ranks()
    ranks.size = 2
    for changes, message in (
        ({}, "2 ranks would draw noise"),
        ({"device": "cuda"}, "device = cuda"),
    ):
        config = config_of(**changes)
        learner, _ = session(**PRIVATE)
        with pytest.raises(ConfigError, match=message):
            Private(config, learner.algorithm, learner.outside, ranks if not changes else Ranks())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"value_normalization": True}, "value_normalization = true is a statistic of the batch"),
        ({"advantage_normalization": True}, "advantage_normalization = true is a statistic"),
        ({"advantage_scale": "mean"}, "advantage_scale = mean is a statistic .*; set it to unit"),
        ({"penalty_gate": "indicator"}, "penalty_gate = indicator lets rewards decide"),
        ({"minibatches": 2}, "minibatches = 2 cuts episodes; set it to 1"),
        ({"rollout_steps": 3}, "rollout_steps = 3 is no episode of 7 steps"),
        ({"algorithm": "vps"}, "vps averages parameters, .*; use as or ippo"),
        ({"algorithm": "ps"}, "ps averages parameters"),
        ({"algorithm": "vs"}, "vs sends what its agents expect to earn"),
        ({"algorithm": "team"}, "team learns from the rewards of others"),
        ({"algorithm": "cppo"}, "cppo learns from the rewards of others"),
        ({"backend": "kernel"}, "backend = kernel is not possible"),
        ({"noise_multiplier": 0.0}, "dp needs noise"),
        ({"dp": "none"}, r"noise_multiplier = 3\.0 is not allowed; it must be 0 unless dp says"),
        ({"dp": "none", "noise_multiplier": 0.0, "epsilon": 2.0}, r"epsilon = 2\.0 is not allowed"),
        ({"delta": 0.0}, "delta = 0.0 is not allowed; it must be at least 1e-300"),
        ({"delta": 5e-324}, "delta = 5e-324 is not allowed"),
        ({"noise_multiplier": 1e-300}, "noise_multiplier = 1e-300 .*0 .* or at least 1e-06"),
        ({"clip_norm": 0.0}, "clip_norm = 0.0 is not allowed; it must be at least 1e-06"),
        ({"critic_clip_norm": 1e-300}, "critic_clip_norm = 1e-300 is not allowed"),
    ],
    ids=str,
)
def test_what_would_break_the_guarantee_is_refused_by_name(
    keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        session(**{**PRIVATE, **keys})


def test_episodes_that_end_early_are_refused_before_anything_is_learned() -> None:
    keys = {"env": "exchange-v1", "env_params": {"early_end": True, "horizon": 300, "size": 3}}
    learner, collector = session(**{**PRIVATE, **keys})
    before = learner.actor.net.flat.clone()
    with pytest.raises(ConfigError, match="dp needs episodes that all take as many steps"):
        learner.update(collector.collect(learner.actor), 0)
    assert torch.equal(before, learner.actor.net.flat)


def config_of(**keys: Any) -> Config:
    small = {"actor_hidden": (8,), "critic_hidden": (8,), "env": "predation-v1"}
    values = {**PRIVATE, **small, "noise_multiplier": 0.0, "epsilon": 2.0, "episodes": 30, **keys}
    return Config(**values)


def test_a_run_states_what_it_has_cost(tmp_path: Any) -> None:
    run = ascore.train(config_of(), tmp_path / "run")
    assert len(run.metrics) == 6
    for number, record in enumerate(run.metrics, start=1):
        assert set(record["epsilon_episode"]) == {run.summary["privacy"]["epsilon_episode"]}
        assert 1.99 < record["epsilon_episode"][0] <= 2.0
        assert record["epsilon_environment"][0] >= record["epsilon_episode"][0]
        assert number == record["update"]
    assert run.summary["privacy"]["epsilon_environment"] > 4
    assert run.summary["privacy"]["delta"] == 1e-5
    assert {"policy_clipped", "value_clipped", "noise_multiplier"} <= run.metrics[0].keys()
    assert run.metrics[0].keys() - {*ascore.METRICS} <= {
        key for key in run.metrics[0] if key.startswith(("floats_", "bytes_"))
    }


@pytest.mark.parametrize("delta", [1e-300, 1e-5, 0.5])
@pytest.mark.parametrize("noise", [1e-6, 1e6])
def test_what_numbers_may_be_at_most_costs_a_number(
    noise: float, delta: float, tmp_path: Any
) -> None:
    keys = {"noise_multiplier": noise, "delta": delta, "epsilon": 0.0, "episodes": 5}
    cost = ascore.train(config_of(**keys), tmp_path / "run").summary["privacy"]
    costs = [cost["epsilon_episode"], cost["epsilon_environment"]]
    assert all(math.isfinite(epsilon) for epsilon in costs), costs
    assert (costs[0] > 1e11) == (noise < 1)


def test_a_spent_budget_is_told_and_more_episodes_are_no_remedy(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(dp="environment", noise_multiplier=60.0, episodes=500)
    run = ascore.train(config, tmp_path / "run")
    assert main(["resume", str(run.path), "--episodes", "600", "--evaluate", "0"]) == 0
    error = capsys.readouterr().err
    assert f"another update of {run.path} would cost more than epsilon = 2, which" in error
    assert "--episodes" not in error


def test_a_budget_ends_the_run_and_a_resume_does_not_refill_it(tmp_path: Any) -> None:
    config = config_of(dp="environment", noise_multiplier=60.0, episodes=500)
    run = ascore.train(config, tmp_path / "run")
    done = len(run.metrics)
    assert 1 < done < 100
    assert run.finished
    assert run.metrics[-1]["epsilon_environment"][0] <= 2.0
    again = ascore.resume(run.path, episodes=600)
    assert len(again.metrics) == done


def test_a_resumed_run_goes_on_counting(tmp_path: Any) -> None:
    config = config_of(dp="environment", checkpoint_every=1)
    whole = ascore.train(config, tmp_path / "whole")
    stopped = ascore.train(config, tmp_path / "part", stop=lambda: True)
    assert not stopped.finished
    part = ascore.resume(stopped.path)
    key = "epsilon_environment"
    assert [r[key] for r in part.metrics] == [r[key] for r in whole.metrics]
    assert 1.99 < part.summary["privacy"][key] <= 2.0
