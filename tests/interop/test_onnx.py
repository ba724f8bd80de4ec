"""ONNX graphs, run by onnxruntime, give the log-probabilities of the policies they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from policies import STATES, random_policy, states

import ascore
from ascore.cli import main
from ascore.envs.table import ENVIRONMENTS
from ascore.interop.onnx import ILLEGAL, export_onnx
from ascore.runs.policy import Policy, load_policy

CLOSE = 1e-5


def run(path: Path, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, inputs)
    return np.asarray(result)


def masked(log_probs: np.ndarray, legal: np.ndarray) -> np.ndarray:
    """Log-probabilities among the legal actions, by definition."""
    logits = np.where(legal, log_probs.astype(np.float64), ILLEGAL)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_all_agents(env: str, tmp_path: Path) -> None:
    policy = random_policy(env, [24, 16], 1.0)
    path = export_onnx(policy, tmp_path / "new" / "all.onnx")
    obs, _ = states(env)
    assert len(obs) == STATES
    got = run(path, obs=obs.astype(np.float32))
    expected = policy.log_probs(obs)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_masks(env: str, tmp_path: Path) -> None:
    policy = random_policy(env, [16], 1.0)
    path = export_onnx(policy, tmp_path / "all.onnx", masks=True)
    obs, _ = states(env)
    expected = policy.log_probs(obs)
    legal = np.random.default_rng(3).random(expected.shape) < 0.6
    legal[..., 1] = True
    got = run(path, obs=obs.astype(np.float32), legal=legal)
    np.testing.assert_allclose(got[legal], masked(expected, legal)[legal], rtol=0, atol=CLOSE)
    assert (np.exp(got[~legal]) == 0).all()


def test_one_agent(tmp_path: Path) -> None:
    policy = random_policy("predation-v1", [16], 1.0)
    obs, _ = states("predation-v1")
    for agent in (0, 5):
        got = run(export_onnx(policy, tmp_path / "one.onnx", agent), obs=obs)
        expected = policy.log_probs(obs)[:, agent : agent + 1]
        np.testing.assert_allclose(got, expected, rtol=0, atol=CLOSE)


def test_a_central_policy(tmp_path: Path) -> None:
    policy = random_policy("exchange-v1", [16], 1.0, centre=True)
    obs, _ = states("exchange-v1")
    got = run(export_onnx(policy, tmp_path / "all.onnx"), obs=obs)
    np.testing.assert_allclose(got, policy.log_probs(obs), rtol=0, atol=CLOSE)


def test_any_number_of_states_and_what_stands_in_the_file(tmp_path: Path) -> None:
    policy = random_policy("cleanup-v1", [8], 1.0)
    path = export_onnx(policy, tmp_path / "all.onnx")
    obs, _ = states("cleanup-v1")
    for count in (1, 7):
        assert run(path, obs=obs[:count].astype(np.float32)).shape == (count, 2, 8)
    model = onnx.load(path)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "env": "cleanup-v1", "num_agents": "2", "num_actions": "8"
    }  # fmt: skip


def test_the_command_writes_what_the_function_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ascore.Config("predation-v1", num_envs=2, episodes=2, env_params={"num_agents": 2})
    run_folder = ascore.train(config, out=tmp_path / "run").path
    out = tmp_path / "a.onnx"
    more = ("--format", "onnx", "--agent", "1", "--masks", "--json")
    assert main(["export", str(run_folder), "--out", str(out), *more]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == out.stat().st_size
    expected = export_onnx(run_folder, tmp_path / "b.onnx", 1, masks=True)
    assert out.read_bytes() == expected.read_bytes()
    policy = load_policy(run_folder)
    obs = np.zeros((1, 1, 8), dtype=np.float32)[:, :, : policy.layers[0][0].shape[1]]
    legal = np.ones((1, 1, policy.num_actions), dtype=np.bool_)
    np.testing.assert_allclose(
        run(out, obs=obs, legal=legal), policy.log_probs(obs)[:, 1:], rtol=0, atol=CLOSE
    )
    assert main(["export", str(run_folder), "--out", str(out), "--agent", "1"]) == 2
    assert "--agent and --masks need --format onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "agent", "words"),
    [
        (
            random_policy("exchange-v1", [8], 1.0),
            3,
            "agent = 3 is none of the policy's: it has 0..2",
        ),
        (random_policy("exchange-v1", [8], 1.0), -1, "agent = -1 is none"),
        (random_policy("exchange-v1", [8], 1.0, centre=True), 0, "it has one for all agents"),
    ],
)
def test_an_agent_that_is_not_there(policy: Policy, agent: int, words: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        export_onnx(policy, tmp_path / "x.onnx", agent)
    assert not (tmp_path / "x.onnx").exists()
