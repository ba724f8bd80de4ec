"""What a batch of Python code does in few operations is what its long ways do."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_envs import Meadow

import ascore
from ascore.envs.actions import check_actions
from ascore.envs.legal import require_legal
from ascore.errors import EnvError

MEADOW, SHOP = "python_envs:Meadow", "shops:Shop"
ONE = np.ones((1, 2), np.int32)


def refusal(call: Any, *args: Any) -> str:
    try:
        call(*args)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


# ---- actions ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[None, "obs", "info"])
def shop(request: pytest.FixtureRequest) -> Any:
    keys = {} if request.param is None else {"where": request.param, "luck": True}
    env = ascore.make(SHOP, 2, seed=5, counts=[4, 3], **keys)
    env.reset()
    assert (env.legal is None) == (request.param is None)
    return env._core


numbers = st.sampled_from([-(2**31), -1, 0, 1, 2, 3, 4, 2**31 - 1])
LAYOUTS = {
    "plain": lambda x: x,
    "columns": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "a subclass": lambda x: x.view(np.matrix),
    "wide": lambda x: x.astype(np.int64),
    "swapped": lambda x: x.astype(">i4"),
    "flat": lambda x: x.reshape(-1),
    "none": lambda x: x[:0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(values=st.lists(numbers, min_size=4, max_size=4))
def test_actions_are_refused_in_the_same_words(shop: Any, layout: str, values: list[int]) -> None:
    action = LAYOUTS[layout](np.array(values, np.int32).reshape(2, 2))

    def at_length() -> None:
        check_actions(action, (2, 2), (4, 3), SHOP)
        require_legal(action, shop._legal, SHOP)

    assert refusal(shop.check, action) == refusal(at_length)


def test_every_action_is_allowed_exactly_where_it_is_legal(shop: Any) -> None:
    for chosen in np.ndindex(4, 4, 4, 4):
        action = np.array(chosen, np.int32).reshape(2, 2)
        legal = [bool(shop._legal[b, i, action[b, i]]) for b, i in np.ndindex(2, 2)]
        assert shop._allows(action) == all(legal)


def test_what_is_legal_follows_the_masks_of_the_current_state() -> None:
    env = ascore.make(SHOP, 3, seed=4, counts=[3, 2], where="info", luck=True)
    env.reset()
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        core = env._core
        differs = bool((core._legal != core._own).any())
        assert (env.legal is not None) == differs
        seen.add(differs)
        env.step((rng.random(core._legal.shape) * core._legal).argmax(-1).astype(np.int32))
    again = ascore.make(SHOP, 3, counts=[3, 2], where="info", luck=True)
    again.load_state(env.save_state())
    assert (again.legal is None) == (env.legal is None)
    assert True in seen


# ---- observations ----------------------------------------------------------------------------

HALVES = np.array([0.5, 0.25], np.float32)
SHAPES = {
    "as the space says": HALVES,
    "wider numbers": HALVES.astype(np.float64),
    "narrower numbers": HALVES.astype(np.float16),
    "swapped bytes": HALVES.astype(">f4"),
    "a row": HALVES[None],
    "a list": HALVES.tolist(),
    "a tuple": tuple(HALVES),
    "every other": np.repeat(HALVES, 2)[::2],
    "read only": np.broadcast_to(HALVES, (2,)),
    "a subclass": HALVES.view(np.recarray),
    "backwards": HALVES[::-1].copy()[::-1],
}


@pytest.mark.parametrize("kind", SHAPES)
def test_observations_of_any_kind_are_the_same_row(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Meadow, "look", lambda self, i: SHAPES[kind])
    env = ascore.make(MEADOW)
    env.reset()
    env.step(ONE)
    np.testing.assert_array_equal(env.obs, [[HALVES, HALVES]])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("agent", [0, 1])
def test_numbers_that_are_not_finite_are_named(
    number: float, dtype: type, agent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = np.array([0.5, number], dtype)
    monkeypatch.setattr(Meadow, "look", lambda self, i: bad if i == agent else HALVES)
    with pytest.raises(EnvError, match=f"agent 'cow_{agent}' holds {number}"):
        ascore.make(MEADOW).reset()


def test_what_single_precision_cannot_hold_is_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meadow, "look", lambda self, i: [1e39, 0.0])
    with pytest.raises(EnvError, match="agent 'cow_0' holds inf"):
        ascore.make(MEADOW).reset()


# ---- rewards and flags -----------------------------------------------------------------------

REWARDS = [
    0, -3, 2**60 + 1, True, 0.1, -0.0, 3.4e38, np.float32(0.1), np.float16(0.5), np.float64(1e-40),
    np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.array(0.25), Fraction(1, 3), "1.5",
]  # fmt: skip


def rewarding(monkeypatch: pytest.MonkeyPatch, reward: Any) -> Any:
    step = Meadow.step

    def changed(self: Meadow, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, earned, *others = step(self, actions)
        return obs, dict.fromkeys(earned, reward), *others

    monkeypatch.setattr(Meadow, "step", changed)
    env = ascore.make(MEADOW)
    env.reset()
    return env


@pytest.mark.parametrize("reward", REWARDS, ids=repr)
def test_rewards_of_any_kind_are_rounded_once(reward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env = rewarding(monkeypatch, reward)
    env.step(ONE)
    expected = np.zeros(2, np.float32)
    for i in range(2):
        expected[i] = reward
    assert env.reward[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "reward", [np.nan, np.inf, -3.5e38, 10**39, 10**400, np.float64("nan"), np.float32("inf"), None]
)
def test_rewards_that_are_none_are_refused(reward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env = rewarding(monkeypatch, reward)
    with pytest.raises(EnvError, match=r"the reward of agent .cow_0. is .* number below 3\.4e38"):
        env.step(ONE)


@pytest.mark.parametrize("flag", [1, np.bool_(True), np.array([True]), "yes", [0]])
@pytest.mark.parametrize("kind", [2, 3])
def test_flags_of_any_kind_end_an_episode(
    flag: Any, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Meadow.step

    def changed(self: Meadow, actions: dict[str, int]) -> tuple[Any, ...]:
        results = list(step(self, actions))
        results[kind] = dict.fromkeys(results[kind], flag)
        return tuple(results)

    monkeypatch.setattr(Meadow, "step", changed)
    env = ascore.make(MEADOW)
    env.reset()
    env.step(ONE)
    assert (env.terminated.tolist(), env.truncated.tolist()) == ([kind == 2], [kind == 3])
    assert env.episode.tolist() == [1]
