"""Agents with different numbers of actions, and masks of legal ones, in batches of Python code."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ascore
from ascore.envs import legal as masks
from ascore.envs.adapters.masks import read_mask
from ascore.envs.joint import decode, joint_env, joint_spec
from ascore.envs.vec_env import Spec, VecEnv
from ascore.errors import EnvError
from ascore.interop.check import examine

SHOP = "shops:Shop"


def drawn(env: VecEnv, rng: np.random.Generator) -> np.ndarray:
    legal = env.legal
    if legal is None:
        legal = np.broadcast_to(
            ~masks.padding(env.spec.action_counts, env.spec.num_actions),
            (env.num_envs, env.spec.num_agents, env.spec.num_actions),
        )
    noise = rng.random(legal.shape) * legal
    return noise.argmax(axis=-1).astype(np.int32)


def test_every_agent_has_its_own_number_of_actions() -> None:
    env = ascore.make(SHOP, 2, counts=[3, 2, 1])
    assert env.spec.action_counts == (3, 2, 1)
    assert (env.spec.num_actions, env.spec.padded) == (3, True)
    assert not ascore.make("exchange").spec.padded
    env.reset()
    assert env.legal is None  # no mask was given, and what an agent lacks is no action of its
    env.step(np.array([[2, 1, 0]] * 2, dtype=np.int32))
    with pytest.raises(
        ValueError,
        match=rf"action\[1,1\] = 2 is outside 0..1; agent 1 of {SHOP} has 2 actions",
    ):
        env.step(np.array([[2, 1, 0], [0, 2, 0]], dtype=np.int32))


@pytest.mark.parametrize(
    ("counts", "actions"), [((3, 0), 3), ((4, 2), 3), ((2, 1), 3), ((3, 2, 1), 3)]
)
def test_counts_fit_the_agents(counts: tuple[int, ...], actions: int) -> None:
    with pytest.raises(ValueError, match="does not fit 2 agents of which one has all 3 actions"):
        Spec("any", 2, actions, (1,), "float32", 5, 1, (), action_counts=counts)


@pytest.mark.parametrize("where", ["obs", "info"])
@pytest.mark.parametrize("counts", [(3, 2), (3, 3)])
def test_masks_are_those_of_the_environment(where: str, counts: Any) -> None:
    env = ascore.make(SHOP, 3, seed=4, counts=counts, extra=[0, 1], where=where, luck=True)
    assert env.spec.obs_shape == (3,)  # networks do not see the mask
    env.reset()
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(20):
        copies = [env._core._envs[b] for b in range(3)]
        for b, i in itertools.product(range(3), range(2)):
            expected = np.zeros(env.spec.num_actions, dtype=np.uint8)
            expected[: counts[i] + i] = copies[b].masks[i]
            assert env.legal is not None
            assert np.array_equal(env.legal[b, i], expected)
            seen.add(expected.tobytes())
        env.step(drawn(env, rng))  # the shop asserts that it is legal
    assert len(seen) > 3


def test_an_illegal_action_is_refused_before_the_step() -> None:
    env = ascore.make(SHOP, 2, counts=[2, 2], extra=[1, 0], where="info")
    obs, _ = env.reset()
    before = obs.copy()
    with pytest.raises(ValueError, match=r"action\[1,0\] = 2 is not legal .*choose from: 0, 1 "):
        env.step(np.array([[1, 1], [2, 0]], dtype=np.int32))
    assert np.array_equal(env.obs, before)
    assert env.time.tolist() == [0, 0]


@pytest.mark.parametrize("where", ["", "info", "obs"])
def test_who_refuses_actions_without_a_mask_is_told_of_masks(where: str) -> None:
    params = {"counts": [2, 2], "extra": [1, 1], "where": where, "mask": [1, 1, 1]}
    finding = examine(SHOP, params, steps=20).findings[-1]
    assert "AssertionError: 2 is not legal" in finding.found
    assert finding.remedy.startswith("fix it")
    assert ("give the legal ones as action_mask" in finding.remedy) == (where == "")


def test_nothing_legal_names_who_when_where_and_what_to_do() -> None:
    env = ascore.make(SHOP, 2, where="obs", sold_out=2)
    env.reset()
    rng = np.random.default_rng(0)
    env.step(drawn(env, rng))
    with pytest.raises(
        EnvError,
        match=rf"agent 'clerk_1' has no legal action: its action_mask is 0 everywhere in step 2 "
        rf"of episode 0 \(copy 0 of {SHOP}\); leave it one",
    ):
        env.step(drawn(env, rng))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([1, 1, 1], "of type int64 and shape \\(3,\\) at the beginning .*one entry per action, 2"),
        ([2, 1], "that holds 2 at the beginning"),
        ("no", "of type <U2 and shape"),
    ],
)
def test_masks_of_another_kind_are_refused(mask: Any, message: str) -> None:
    with pytest.raises(EnvError, match=f"'clerk_0' has an action_mask {message}"):
        ascore.make(SHOP, 1, counts=[2, 2], where="info", mask=mask).reset()


def test_masks_may_be_of_any_numbers() -> None:
    for value in ([True, False], np.array([1.0, 0.0]), np.array([[1], [0]], dtype=np.int8)):
        assert read_mask(value, 2).tolist() == [True, False]


def test_saved_states_keep_the_mask_and_old_ones_have_none() -> None:
    def make() -> VecEnv:
        return ascore.make(SHOP, 2, seed=3, where="info", luck=True)

    env, other = make(), make()
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(4):
        env.step(drawn(env, rng))
    other.load_state(env.save_state())
    assert env.legal is not None
    assert np.array_equal(other.legal, env.legal)
    fields = env._core._fields
    env._core._fields = {key: value for key, value in fields.items() if key != "_legal"}
    old = env.save_state()
    other.load_state(old)
    assert other.legal is None


def test_workers_give_the_same_masks() -> None:
    keys: dict[str, Any] = {"seed": 3, "counts": [3, 3], "where": "obs", "luck": True}
    with ascore.make(SHOP, 3, env_workers=2, **keys) as env, ascore.make(SHOP, 3, **keys) as alone:
        env.reset()
        alone.reset()
        rng = np.random.default_rng(0)
        for _ in range(9):
            assert env.legal is not None
            assert np.array_equal(env.legal, alone.legal)
            action = drawn(env, rng)
            for each in (env, alone):
                each.step(action)
        with pytest.raises(ValueError, match=r"is not legal in the current state"):
            env.step(env.legal.argmin(axis=-1).astype(np.int32))


def test_equal_counts_follow_the_sizes() -> None:
    spec = replace(ascore.make("exchange").spec, num_agents=7, num_actions=4)
    assert spec.action_counts == (4,) * 7


# ---- joint actions ---------------------------------------------------------------------------


def test_joint_actions_of_agents_that_differ() -> None:
    inner = ascore.make(SHOP, 2, counts=[3, 2], where="info", luck=True, seed=1)
    env = joint_env(inner)
    assert env.spec == joint_spec(inner.spec, 6)
    assert (env.spec.num_actions, env.spec.action_counts) == (6, (6,))
    assert env.spec.action_names == ("0+0", "0+1", "1+0", "1+1", "2+0", "2+1")
    assert decode(np.arange(6), (3, 2)).tolist() == [
        [0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1],
    ]  # fmt: skip
    env.reset()
    rng = np.random.default_rng(0)
    forbidden = 0
    for _ in range(12):
        legal, own = env.legal, inner.legal
        if own is not None:
            for b, joint in itertools.product(range(2), range(6)):
                first, second = divmod(joint, 2)
                assert legal is not None
                assert legal[b, 0, joint] == own[b, 0, first] * own[b, 1, second]
                forbidden += 1 - legal[b, 0, joint]
        env.step(drawn(env, rng))
    assert forbidden > 0


def test_what_agents_lack_needs_no_mask_of_the_centre() -> None:
    env = joint_env(ascore.make(SHOP, 2, counts=[3, 2]))
    env.reset()
    assert env.legal is None
