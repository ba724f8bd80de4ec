"""Metrics of anticipations, compared with loops that follow their definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from trainings import session

import ascore
from ascore.config import Config
from ascore.learning.anticipations import anticipation_metrics, anticipation_sums, meanings
from ascore.learning.backends.contract import Backend
from ascore.scripted import scripts

N, S, A = 3, 7, 2


def batch(seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """log_probs [N, S, N, A], actions [S, N], observations [S, 1, N]."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, S, N, A))
    log_probs = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
    return log_probs, rng.integers(0, A, (S, N)), rng.normal(size=(S, 1, N)).astype(np.float32)


@pytest.mark.parametrize("graph", ["fixed", "changing", "lonely"])
def test_metrics_equal_their_definition(graph: str):
    log_probs, action, obs = batch(3)
    rng = np.random.default_rng(4)
    heard = rng.random((N, 1 if graph == "fixed" else S, N)) < 0.6
    heard[np.arange(N), :, np.arange(N)] = False
    heard[:2, :, 2] = True
    if graph == "lonely":
        heard[2] = False
    else:
        heard[2, :, 0] = True
    index = np.broadcast_to(action[None, :, :, None], (N, S, N, 1))
    taken = np.take_along_axis(log_probs, index, axis=3)[..., 0]
    sums = anticipation_sums(log_probs, taken, heard, obs, "predation-v1")
    metrics = anticipation_metrics(sums, "predation-v1")
    parts = []  # sums of two parts of the rows, as on two ranks
    for rows in (slice(0, 3), slice(3, S)):
        links = heard if graph == "fixed" else heard[:, rows]
        part = log_probs[:, rows], taken[:, rows], links, obs[rows]
        parts.append(anticipation_sums(*part, "predation-v1"))
    np.testing.assert_allclose(parts[0] + parts[1], sums, rtol=1e-5, atol=1e-12)
    assert set(metrics) == {"anticipation_mse", "anticipated_probs", "anticipated_towards"}
    for i in range(N):
        links = [(s, j) for s in range(S) for j in range(N) if heard[i, s % heard.shape[1], j]]
        if not links:
            assert graph == "lonely"
            assert all(np.isnan(value[i]).all() for value in metrics.values())
            continue
        p = np.exp(log_probs)
        errors = [(p[j, s, j, action[s, j]] - p[i, s, j, action[s, j]]) ** 2 for s, j in links]
        towards = [p[i, s, j, 1 if obs[s, 0, j] < 0 else 0] for s, j in links]
        assert metrics["anticipation_mse"][i] == pytest.approx(np.mean(errors), rel=1e-5)
        assert metrics["anticipated_towards"][i] == pytest.approx(np.mean(towards), rel=1e-5)
        for a in range(A):
            probs = np.mean([p[i, s, j, a] for s, j in links])
            assert metrics["anticipated_probs"][i, a] == pytest.approx(probs, rel=1e-5)


@pytest.mark.parametrize(
    "params", [{"num_agents": 4}, {"num_agents": 100, "obs_mode": "nearest"}], ids=str
)
def test_towards_is_what_approaches(params: dict[str, Any]):
    """If all agents play the action called towards, all approach in every step."""
    env = ascore.make("predation", 50, 1, **params)
    env.reset()
    for _ in range(30):
        action = meanings("predation-v1")["towards"](env.obs)
        assert action.tolist() == scripts("predation-v1")["cooperative"](env).tolist()
        env.step(action.astype(np.int32))
        assert (env.reward == -1).all()


def test_an_external_environment_has_no_meanings():
    assert meanings("farm:Meadow") == {}


@pytest.mark.parametrize("backend", ["torch", "kernel", "engine"])
def test_runs_log_them_and_gaps_do_not(tmp_path: Path, backend: str):
    keys = {"backend": backend, "actor_hidden": (8,), "critic_hidden": (8,), "num_envs": 2}
    config = Config(env_params={"num_agents": 3}, episodes=8, communicate_every=2, **keys)
    run = ascore.train(config, tmp_path / "as")
    for record in run.metrics[::2]:
        assert np.shape(record["anticipation_mse"]) == (3,)
        assert np.sum(record["anticipated_probs"], axis=1) == pytest.approx(np.ones(3), rel=1e-5)
        assert np.shape(record["anticipated_towards"]) == (3,)
    assert not any("anticipation_mse" in record for record in run.metrics[1::2])
    alone = ascore.train(config.replace(algorithm="ippo"), tmp_path / "ippo")
    assert "anticipation_mse" not in alone.metrics[0]


@pytest.mark.parametrize("simd", ["portable", "avx2", "avx512", ""])
@pytest.mark.parametrize(
    ("env", "keys"),
    [
        ("predation", {"graph": "complete"}),
        ("predation", {"graph": "ring", "env_params": {"num_agents": 7, "obs_mode": "nearest"}}),
        ("predation", {"graph": "environment", "env_params": {"num_agents": 4, "length": 12.0}}),
        ("cleanup", {"graph": "chain", "env_params": {"num_agents": 2}, "num_envs": 7}),
        ("cleanup", {"graph": "contacts", "env_params": {"graph": "radius", "neigh_radius": 2}}),
    ],
    ids=str,
)
def test_the_engine_sums_as_numpy_does(
    env: str, keys: dict[str, Any], simd: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ASCORE_SIMD", simd)
    try:
        learner, collector = session(env=f"{env}-v1", **keys)
    except ValueError as error:
        assert str(error).startswith("instruction set")  # noqa: PT017
        pytest.skip(str(error))
    backend, compared = learner.backend, []
    compiled = backend.anticipated

    def both(*given: Any) -> npt.NDArray[np.float64]:
        sums, wanted = compiled(*given), Backend.anticipated(backend, *given)
        assert (wanted[:, 0] > 0).any()
        np.testing.assert_allclose(sums, wanted, rtol=2e-5, atol=1e-9)
        compared.append(sums)
        return sums

    monkeypatch.setattr(backend, "anticipated", both)
    for number in range(2):
        learner.update(collector.collect(learner.actor), number)
    assert type(backend).__name__ == "EngineBackend"
    assert len(compared) == 2
