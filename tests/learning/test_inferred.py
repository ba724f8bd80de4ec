"""Models of rewards: how they are fitted, what they are asked, and what comes of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import SMALL, session, train

import ascore
from ascore.algorithms.links import Links
from ascore.algorithms.sra import SMALLEST_SPREAD, SRA
from ascore.algorithms.srr import SRR, others_mean
from ascore.algorithms.table import ALGORITHMS
from ascore.algorithms.targets import with_bonus
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.errors import ConfigError
from ascore.learning.inferred import RewardModels, Transitions
from ascore.learning.learner import Learner
from ascore.parties.agreed import require_separable
from ascore.reference import rewards as reference
from ascore.runtime.ranks import Ranks

torch.set_num_threads(1)

INFER = [name for name, algorithm in ALGORITHMS.items() if algorithm.infers is not None]
VIEWS: dict[str, Any] = {
    "env": "harvest-v1",
    "env_params": {"num_agents": 3, "horizon": 12, "obs_mode": "features", "map": "harvest_full"},
}
"""A view for each agent."""


def test_which_infer() -> None:
    assert INFER == ["srr", "sra"]


# ---- what comes of it, against loops in float64 ----------------------------------------------


def played(graph: str, smoothing: float) -> tuple[Any, ...]:
    """Random rewards, inferred ones over links and as [T, B, N, N], ends, links and config."""
    rng = np.random.default_rng(3)
    steps, envs, n = 23, 3, 4
    own = rng.normal(0, 2, (steps, envs, n)).astype(np.float32)
    ended = (rng.random((steps, envs)) < 0.2).astype(np.uint8)
    seen = (rng.random((steps + 1, envs, n, n)) < 0.5).astype(np.uint8)
    seen[..., range(n), range(n)] = 0
    params = {"alpha": 0.7, "smoothing": smoothing}
    config = Config(algorithm="srr", graph=graph, gamma=0.97, algorithm_params=params)
    links = Links.of(seen[:-1], seen[-1], ended, config, 0)
    square = rng.normal(0, 3, (steps, envs, n, n)).astype(np.float32)
    inferred = square[..., links.pairs.listener, links.pairs.sender]
    heard = np.broadcast_to(links.rows, (steps, envs, n, n))
    return own, inferred, square, ended, links, heard, config


@pytest.mark.parametrize("graph", ["complete", "ring", "environment", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.9])
def test_rewards_and_coefficients_are_those_of_the_loops(graph: str, smoothing: float) -> None:
    own, inferred, square, ended, links, heard, config = played(graph, smoothing)
    expected = reference.self_referenced(square, ended, heard, decay=0.97 * smoothing)
    means = others_mean(own, inferred, ended, links, config)
    np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-5)
    assert SRR.infers is not None
    assert SRR.infers.rewards is not None
    assert SRR.infers.bonus is None
    mixed = SRR.infers.rewards(own, inferred, ended, links, config)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, own + 0.7 * expected, rtol=1e-5, atol=1e-5)
    assert SRA.infers is not None
    assert SRA.infers.bonus is not None
    assert SRA.infers.rewards is None
    coefficient = SRA.infers.bonus(own, inferred, ended, None, links, config)
    np.testing.assert_allclose(
        coefficient, 0.7 * reference.standardised(expected), rtol=1e-4, atol=1e-5
    )
    if graph == "none":
        assert (mixed == own).all()
        assert not coefficient.any()


def test_what_never_changes_has_no_coefficient() -> None:
    own, inferred, _, ended, links, _, config = played("complete", 0.0)
    assert SRA.infers is not None
    assert SRA.infers.bonus is not None
    same = np.full_like(inferred, 3.7)
    assert not SRA.infers.bonus(own, same, ended, None, links, config).any()
    assert SMALLEST_SPREAD > 0


def test_a_bonus_counts_in_units_of_the_spread() -> None:
    advantage = np.array([[[1.0, 10.0]], [[3.0, 30.0]]], np.float32)
    bonus = np.array([[[2.0, 0.5]], [[-1.0, 0.0]]], np.float32)
    assert with_bonus(advantage, bonus).tolist() == [[[3.0, 15.0]], [[2.0, 30.0]]]


def test_rows_of_an_agent_that_was_not_there_do_not_count() -> None:
    own, inferred, _, ended, links, _, config = played("complete", 0.0)
    present = np.ones(own.shape, np.uint8)
    present[20:, :, 1] = 0
    assert SRA.infers is not None
    assert SRA.infers.bonus is not None
    changed = inferred.copy()
    changed[20:, :, links.pairs.listener == 1] += 50.0
    before, after = (
        SRA.infers.bonus(own, x, ended, present, links, config)[:20] for x in (inferred, changed)
    )
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)
    loose = SRA.infers.bonus(own, changed, ended, None, links, config)[:20]
    assert np.abs(loose - before).max() > 0.5
    advantage = own.copy()
    advantage[20:, :, 1] = 1e3
    np.testing.assert_allclose(
        with_bonus(advantage, before_all(before, own), present)[:20],
        with_bonus(own, before_all(before, own), present)[:20],
        rtol=1e-5,
        atol=1e-5,
    )


def before_all(first: Any, like: Any) -> Any:
    """The first rows as given, the others 0."""
    return np.concatenate([first, np.zeros_like(like[len(first) :])])


# ---- what models are shown -------------------------------------------------------------------


@pytest.mark.parametrize("keys", [SMALL, VIEWS])
def test_the_last_step_of_an_episode_leads_to_its_end(keys: dict[str, Any]) -> None:
    config = Config(**{**SMALL, **keys})
    env = batch(config.env, config.env_params, 3, 7)
    env.reset()
    learner, collector = session(**{**keys, "algorithm": "srr"})
    rollout = collector.collect(learner.actor)
    seen = Transitions.of(rollout)
    steps, envs = rollout.terminated.shape
    assert len(rollout.final) > 0
    after = seen.after.reshape(steps, envs, *rollout.obs.shape[2:])
    ended = (rollout.terminated | rollout.truncated) != 0
    for t, where, obs in rollout.final:
        assert (after[t, where] == obs).all()
    assert (after[:-1][~ended[:-1]] == rollout.obs[1:][~ended[:-1]]).all()
    assert (seen.before.reshape(after.shape) == rollout.obs).all()


def models_of(learner: Learner) -> RewardModels:
    assert learner.models is not None
    return learner.models


def by_hand(models: RewardModels, agent: int, inputs: np.ndarray[Any, Any]) -> Any:
    """A model in float64: inputs [m, 2 O + A] -> [m]."""
    hidden = inputs.astype(np.float64)
    layers = models.model.net.layers
    for k, (weight, bias) in enumerate(layers):
        hidden = hidden @ weight[agent].detach().double().numpy()
        hidden += bias[agent].detach().double().numpy()
        if k + 1 < len(layers):
            hidden = np.maximum(hidden, 0)
    return hidden[:, 0]


def inputs_of(learner: Learner, rollout: Any, agent: int) -> Any:
    """(o, a, o') of an agent, as floats [T B, 2 O + A], written out row by row."""
    seen, spec = Transitions.of(rollout), learner.spec
    view = agent if spec.views > 1 else 0
    rows = []
    for m in range(len(seen.reward)):
        action = np.zeros(spec.num_actions)
        action[seen.action[m, agent]] = 1.0
        states = [x[m, view].astype(np.float64) * spec.obs_scale for x in (seen.before, seen.after)]
        rows.append(np.concatenate([*states, action]))
    return np.array(rows)


@pytest.mark.parametrize("keys", [{}, VIEWS], ids=["one view", "views"])
def test_models_are_asked_about_what_others_see_and_do(keys: dict[str, Any]) -> None:
    """Agent i's model on agent j's observations and action, and the error on its own."""
    learner, collector = session(**{"algorithm": "srr", **keys})
    rollout = collector.collect(learner.actor)
    models, n = models_of(learner), learner.spec.num_agents
    ended = rollout.terminated | rollout.truncated
    links = Links.of(None, None, ended, learner.config, 0, n)
    inferred = models.infer(Transitions.of(rollout), links)
    for place, (i, j) in enumerate(zip(links.pairs.listener, links.pairs.sender, strict=True)):
        expected = by_hand(models, i, inputs_of(learner, rollout, j))
        np.testing.assert_allclose(inferred[..., place].ravel(), expected, rtol=1e-4, atol=1e-4)
    errors = [
        np.square(
            by_hand(models, i, inputs_of(learner, rollout, i)) - rollout.reward[..., i].ravel()
        )
        for i in range(n)
    ]
    errors_before = models.fit(Transitions.of(rollout), 0)
    np.testing.assert_allclose(errors_before, np.mean(errors, axis=1), rtol=1e-4, atol=1e-5)


# ---- how they are fitted ---------------------------------------------------------------------


def test_models_learn_what_others_earn_from_own_rewards_alone() -> None:
    """In Harvest whoever steps on an apple eats it: what holds for oneself holds for others."""
    keys = {**VIEWS, "num_envs": 16, "critic_hidden": (32,), "critic_lr": 3e-3}
    keys["env_params"] = {"num_agents": 2, "horizon": 25, "obs_mode": "local"}
    learner, collector = session(**keys, algorithm="srr", iterations=4, minibatches=4)
    models = models_of(learner)

    def correlations() -> list[float]:
        rollout = collector.collect(learner.actor)
        links = Links.of(None, None, rollout.terminated, learner.config, 0, 2)
        inferred = models.infer(Transitions.of(rollout), links)
        return [
            float(np.corrcoef(inferred[..., k].ravel(), rollout.reward[..., j].ravel())[0, 1])
            for k, j in enumerate(links.pairs.sender)
        ]

    assert max(map(abs, correlations())) < 0.25
    for number in range(25):
        models.fit(Transitions.of(collector.collect(learner.actor)), number)
    assert min(correlations()) > 0.5


def test_only_paid_transitions_are_kept_and_the_oldest_go() -> None:
    learner, collector = session(**VIEWS, algorithm="srr", num_envs=8, algorithm_params={"kept": 5})
    models, seen = models_of(learner), []
    for number in range(4):
        rollout = collector.collect(learner.actor)
        models.fit(Transitions.of(rollout), number)
        seen.append(rollout.reward[..., 0].ravel())
    state = models.state()
    paid = [int(np.count_nonzero(x)) for x in seen]
    assert sum(paid) > 0
    assert int(state["rewards.kept.count"][0]) == sum(min(count, 5) for count in paid)
    held = min(int(state["rewards.kept.count"][0]), 5)
    assert (state["rewards.kept.rewards"][0, :held] != 0).all()
    assert not state["rewards.kept.rewards"][0, held:].any()


def test_a_model_of_agent_0_does_not_know_what_others_earn() -> None:
    states = []
    for change in (False, True):
        learner, collector = session(algorithm="srr", iterations=2)
        rollout = collector.collect(learner.actor)
        if change:
            rollout.reward[:, :, 1:] = 5.0 - 3.0 * rollout.reward[:, :, 1:]
        learner.update(rollout, 0)
        states.append(models_of(learner).state()["rewards.model"])
    assert torch.equal(states[0][0], states[1][0])
    assert not torch.equal(states[0][1], states[1][1])


@pytest.mark.parametrize("name", INFER)
def test_before_the_warm_up_is_over_it_is_independent_ppo(name: str) -> None:
    """Three environments of thirty steps are 90 steps an update."""
    plain, _ = train(3, algorithm="ippo")
    for warmup, same in ((270, True), (180, False)):
        learner, records = train(3, algorithm=name, algorithm_params={"warmup": warmup})
        assert torch.equal(learner.actor.net.flat, plain.actor.net.flat) == same
        assert len(records[-1]["reward_model_error"]) == 4


@pytest.mark.parametrize("name", INFER)
def test_where_agents_see_for_themselves_that_is_sent(name: str) -> None:
    _, (record,) = train(1, algorithm=name, **VIEWS, graph="ring")
    rows, size = 3 * 12, ascore.make("harvest", **VIEWS["env_params"]).spec.obs_shape[0]
    states = rows + 3  # and those in which the episodes end
    assert record["floats_observation"] == [2 * states * size] * 3
    _, (record,) = train(1, algorithm=name)
    assert record["floats_sent"] == [0] * 4


@pytest.mark.parametrize("name", INFER)
def test_a_run_goes_on_as_if_it_had_not_stopped(name: str, tmp_path: Path) -> None:
    config = Config(**{**SMALL, **VIEWS, "algorithm": name, "episodes": 12, "checkpoint_every": 2})
    whole = ascore.train(config, tmp_path / "whole")
    ascore.train(config.replace(episodes=6), tmp_path / "half")
    half = ascore.resume(tmp_path / "half", episodes=12)
    assert [r["reward_model_error"] for r in half.metrics] == [
        r["reward_model_error"] for r in whole.metrics
    ]
    states = [
        next((run.path / "checkpoints").glob("*4/state.safetensors")).read_bytes()
        for run in (whole, half)
    ]
    assert states[0] == states[1]


# ---- what is refused -------------------------------------------------------------------------


class Two(Ranks):
    """One of two ranks."""

    rank, size = 0, 2


def test_what_cannot_be_done_is_refused_by_name() -> None:
    config = Config(**{**SMALL, "algorithm": "srr", "num_envs": 4})
    outside = batch(config.env, config.env_params, 4, 0)
    with pytest.raises(ConfigError, match="srr fits models of rewards, which 2 ranks cannot do"):
        Learner(config, outside.spec, Two())
    with pytest.raises(ConfigError, match="kept = 0 of srr is not allowed; keep at least 1"):
        session(algorithm="srr", algorithm_params={"kept": 0})
    with pytest.raises(ConfigError, match="agents of srr know what others see"):
        require_separable(config)
    with pytest.raises(ConfigError, match="srr fits models of rewards, which the proof does not"):
        session(algorithm="srr", dp="episode", epsilon=1.0, value_normalization=False)
