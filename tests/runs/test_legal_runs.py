"""Runs whose agents differ and may not do all: checkpoints, evaluation, exported policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resumption import require_resumed_equals_undisturbed

import ascore
from ascore.config import Config
from ascore.reading import read_regular
from ascore.runs import checkpoint
from ascore.runs.policy import COUNTS, export_policy, from_bytes, load_policy
from ascore.runs.tensorfile import metadata

SHOP = "shops:Shop"
PARAMS = {"counts": [3, 2], "where": "obs", "luck": True}
QUICK: dict[str, Any] = {
    "env": SHOP,
    "env_params": PARAMS,
    "num_envs": 3,
    "episodes": 24,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
    "iterations": 2,
    "rollout_steps": 5,
}


@pytest.mark.parametrize("backend", ["engine", "torch"])
@pytest.mark.parametrize("algorithm", ["as", "cppo"])
def test_stopped_and_resumed_equals_undisturbed(
    tmp_path: Path, algorithm: str, backend: str
) -> None:
    config = Config(**QUICK, algorithm=algorithm, backend=backend)
    whole = require_resumed_equals_undisturbed(config, tmp_path)
    assert checkpoint.load(whole.path).spec["action_counts"] == [3, 2]


@pytest.mark.parametrize("algorithm", ["as", "cppo"])
def test_a_trained_policy_keeps_to_the_mask(tmp_path: Path, algorithm: str) -> None:
    run = ascore.train(Config(**QUICK, algorithm=algorithm), tmp_path / "run")
    result = ascore.evaluate(run, episodes=7)  # the shop asserts that actions are legal
    assert 0 < result.entropy < result.entropy_uniform < (np.log(3) + np.log(2)) / 2
    file = export_policy(run.path, tmp_path / "actor.safetensors")
    assert metadata(read_regular(file))[COUNTS] == "3,2"
    policy, again = run.policy, load_policy(file)
    assert policy.action_counts == again.action_counts == (3, 2)
    env = ascore.make(SHOP, 5, seed=9, **PARAMS)
    obs, _ = env.reset()
    rng = np.random.default_rng(0)
    for _ in range(8):
        legal, uniform = env.legal, rng.random((5, 2), dtype=np.float32)
        assert legal is not None
        action = policy.act(obs, uniform, legal)
        np.testing.assert_array_equal(again.act(obs, uniform, legal), action)
        if algorithm == "as":
            assert (np.exp(policy.log_probs(obs, legal))[legal == 0] == 0).all()
            assert (np.exp(policy.log_probs(obs))[:, 1, 2] == 0).all()
        env.step(policy.act(obs, None, legal))


def test_a_policy_of_equal_agents_is_saved_as_before(tmp_path: Path) -> None:
    config = Config(**{**QUICK, "env_params": {"counts": [2, 2]}}, algorithm="ippo")
    run = ascore.train(config, tmp_path / "run")
    assert "action_counts" not in checkpoint.load(run.path).spec
    file = export_policy(run.path, tmp_path / "actor.safetensors")
    assert COUNTS not in metadata(read_regular(file))


def test_masks_that_do_not_fit_a_policy_are_refused(tmp_path: Path) -> None:
    run = ascore.train(Config(**QUICK, algorithm="ippo"), tmp_path / "run")
    obs = np.zeros((2, 2, 3), dtype=np.float32)
    legal = np.ones((2, 2, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"legal has shape \(2, 2\); .* needs \(2, 2, 3\)"):
        run.policy.act(obs, legal=legal[:, :, 0])
    legal[1, 1, :2] = 0  # what it lacks does not count
    with pytest.raises(ValueError, match=r"legal\[1,1\] leaves agent 1 no action"):
        run.policy.act(obs, legal=legal)


def test_other_counts_are_another_environment(tmp_path: Path) -> None:
    run = ascore.train(Config(**QUICK, algorithm="ippo"), tmp_path / "run")
    other = ascore.make(SHOP, counts=[2, 3]).spec
    with pytest.raises(ValueError, match=r"and 3 or 2 actions .* has 2, 3 and 2 or 3"):
        run.policy.require(other)


@pytest.mark.parametrize("counts", ["3", "3,2,1", "2,2", "3,0", "3,", ",3", "3,4", "3, 2", ""])
def test_counts_that_fit_no_agents_are_refused(tmp_path: Path, counts: str) -> None:
    run = ascore.train(Config(**QUICK, algorithm="ippo"), tmp_path / "run")
    data = read_regular(export_policy(run.path, tmp_path / "actor.safetensors"))
    from_bytes(data, None)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"][COUNTS] = counts
    text = json.dumps(header).encode()
    with pytest.raises(ValueError, match="action_counts = "):
        from_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :], None)
