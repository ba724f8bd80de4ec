"""Compiled GAE against the naive loops, double precision, and arithmetic by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ascore
from ascore import _core
from ascore.reference import gae_float32, gae_float64

Arrays = dict[str, Any]


def compiled(case: Arrays) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # Filled with rubbish, so that an entry left unwritten shows.
    advantage = np.full(case["reward"].shape, np.nan, np.float32)
    returns = np.full(case["reward"].shape, np.nan, np.float32)
    _core.gae(**case, advantage=advantage, returns=returns)
    return advantage, returns


def assert_same_bits(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    assert ours.dtype == theirs.dtype
    differs = ours.view(np.uint32) != theirs.view(np.uint32)
    assert not differs.any(), (np.argwhere(differs)[:3], ours[differs][:3], theirs[differs][:3])


def make_case(
    seed: int,
    steps: int,
    num_envs: int,
    num_agents: int,
    *,
    ends: float = 0.2,
    final: bool = True,
    gamma: float = 0.99,
    gae_lambda: float = 0.98,
    scale: float = 1.0,
) -> Arrays:
    rng = np.random.default_rng(seed)

    def normal(length: int) -> NDArray[np.float32]:
        shape = (length, num_envs, num_agents)
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    return {
        "reward": normal(steps),
        "value": normal(steps + 1),
        "terminated": (rng.random((steps, num_envs)) < ends).astype(np.uint8),
        "truncated": (rng.random((steps, num_envs)) < ends).astype(np.uint8),
        "final_value": normal(steps) if final else None,
        "gamma": gamma,
        "gae_lambda": gae_lambda,
    }


CASES = st.builds(
    make_case,
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 24),
    num_envs=st.integers(1, 7),
    num_agents=st.integers(1, 9),
    ends=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    final=st.booleans(),
    gamma=st.one_of(st.sampled_from([0.0, 0.99, 1.0]), st.floats(0, 1)),
    gae_lambda=st.one_of(st.sampled_from([0.0, 0.98, 1.0]), st.floats(0, 1)),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(case=CASES)
def test_bits_of_the_naive_loop(case: Arrays) -> None:
    for ours, theirs in zip(compiled(case), gae_float32(**case), strict=True):
        assert_same_bits(ours, theirs)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=CASES)
def test_close_to_double_precision(case: Arrays) -> None:
    advantage, returns = compiled(case)
    exact_advantage, exact_returns = gae_float64(**case)
    bound = error_bound(case, exact_advantage)
    assert (np.abs(advantage - exact_advantage) <= bound).all()
    # One more addition, of a sum that is itself off by at most `bound`.
    unit = 2.0**-24
    assert (
        np.abs(returns - exact_returns) <= bound * (1 + unit) + unit * np.abs(exact_returns)
    ).all()


def error_bound(case: Arrays, exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far float32 may be from the exact advantage, f64[T, B, N].

    Each operation and each rounded factor is off by at most u = 2**-24 of its result, so with
    δ = (r + γ V') - V and A = δ + c A':

        δ:  two roundings in γ V', one in each sum      <= 3u (|r| + |γ V'| + |V|) to first order
        A:  two in c A', one in the sum, and c E' inherited
            E = 3u (|r| + |γ V'| + |V|) + c E' + 2u |c A'| + u |A|

    4 in place of 3, 3 in place of 2 and so on cover the terms in u**2. Below the normal range a
    factor or product is off by up to 2**-150 instead, here times values below 2**17.
    """
    unit, tiny = 2.0**-24, 2.0**-130
    gamma, decay = case["gamma"], case["gamma"] * case["gae_lambda"]
    reward, value = (case[name].astype(np.float64) for name in ("reward", "value"))
    bound = np.zeros(exact.shape)
    carried = np.zeros(exact.shape[1:])
    after = np.zeros(exact.shape[1:])
    for t in range(exact.shape[0] - 1, -1, -1):
        terminated = case["terminated"][t].astype(bool)
        truncated = case["truncated"][t].astype(bool)
        final = 0.0 if case["final_value"] is None else case["final_value"][t].astype(np.float64)
        following = np.where(truncated[:, None], final, value[t + 1])
        following = np.where(terminated[:, None], 0.0, following)
        cut = (terminated | truncated)[:, None]
        carried, after = np.where(cut, 0.0, carried), np.where(cut, 0.0, after)
        sizes = np.abs(reward[t]) + gamma * np.abs(following) + np.abs(value[t])
        bound[t] = (
            4 * unit * sizes
            + decay * carried * (1 + 3 * unit)
            + 3 * unit * decay * np.abs(after)
            + 2 * unit * np.abs(exact[t])
            + tiny * (1 + sizes + np.abs(after))
        )
        carried, after = bound[t], exact[t]
    return bound


def test_by_hand() -> None:
    """Three steps, γ = λ = 1/2, so γλ = 1/4; every number is exact in binary.

    env 0 goes on:            env 1 is cut off at t = 1 in a state worth 8, env 2 terminates there.
        δ_2 = 4 + 1/2·8 - 4 = 4                   A_2 = 4         in all three
        env 0  δ_1 = 2 + 1/2·4 - 2 = 2            A_1 = 2 + 4/4 = 3
        env 1  δ_1 = 2 + 1/2·8 - 2 = 4            A_1 = 4
        env 2  δ_1 = 2 + 0     - 2 = 0            A_1 = 0
        δ_0 = 1 + 1/2·2 - 1 = 1                   A_0 = 1 + A_1/4 = 7/4, 2, 1
    """
    everywhere = np.ones((1, 3, 1), np.float32)
    case: Arrays = {
        "reward": np.concatenate([1 * everywhere, 2 * everywhere, 4 * everywhere]),
        "value": np.concatenate([1 * everywhere, 2 * everywhere, 4 * everywhere, 8 * everywhere]),
        "terminated": np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]], np.uint8),
        "truncated": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8),
        "final_value": np.full((3, 3, 1), 8, np.float32),
        "gamma": 0.5,
        "gae_lambda": 0.5,
    }
    advantage = np.array([[1.75, 2, 1], [3, 4, 0], [4, 4, 4]])
    returns = advantage + case["value"][:3, :, 0]
    for function in (compiled, lambda case: gae_float32(**case), lambda case: gae_float64(**case)):
        ours, theirs = function(case)
        assert ours[..., 0].tolist() == advantage.tolist()
        assert theirs[..., 0].tolist() == returns.tolist()


def test_termination_wins_over_truncation() -> None:
    case = make_case(0, 6, 3, 2, ends=0.0)
    case["terminated"][2] = 1
    alone = compiled(case)
    case["truncated"][2] = 1
    for ours, theirs in zip(compiled(case), alone, strict=True):
        assert_same_bits(ours, theirs)


def test_what_follows_an_end_does_not_leak_back() -> None:
    """Not even as a NaN times zero."""
    case = make_case(1, 8, 4, 3, ends=0.0)
    case["terminated"][3, :2] = 1
    case["truncated"][3, 2:] = 1
    before = compiled(case)
    for name in ("reward", "value"):
        case[name][4:] = np.nan
    for ours, theirs in zip(compiled(case), before, strict=True):
        assert_same_bits(ours[:4], theirs[:4])
        assert np.isnan(ours[4:]).all()


def test_final_value_is_read_at_truncations_only() -> None:
    case = make_case(2, 20, 6, 3)
    before = compiled(case)
    unread = (case["truncated"] == 0) | (case["terminated"] == 1)
    assert 0 < unread.sum() < unread.size
    case["final_value"][unread] = np.nan
    for ours, theirs in zip(compiled(case), before, strict=True):
        assert_same_bits(ours, theirs)


def test_no_final_value_is_a_value_of_zero() -> None:
    case = make_case(3, 20, 6, 3)
    assert ((case["truncated"] == 1) & (case["terminated"] == 0)).any()
    other = compiled(case)[0].tobytes()
    case["final_value"] = None
    absent = compiled(case)
    assert absent[0].tobytes() != other
    case["final_value"] = np.zeros_like(case["reward"])
    for ours, theirs in zip(compiled(case), absent, strict=True):
        assert_same_bits(ours, theirs)


def test_any_nonzero_flag_counts() -> None:
    case = make_case(4, 10, 5, 2, ends=0.4)
    ones = compiled(case)
    for name in ("terminated", "truncated"):
        case[name] = case[name] * np.uint8(200)
    for ours, theirs in zip(compiled(case), ones, strict=True):
        assert_same_bits(ours, theirs)


def test_inputs_are_left_alone() -> None:
    case = make_case(5, 10, 5, 2)
    names = [name for name, array in case.items() if isinstance(array, np.ndarray)]
    before = {name: case[name].tobytes() for name in names}
    compiled(case)
    assert {name: case[name].tobytes() for name in names} == before


def test_long_rows() -> None:
    """Rows of any length: whole vectors, and what is left over."""
    for num_envs in (1, 3, 8, 31, 64):
        case = make_case(num_envs, 5, num_envs, 3, ends=0.1)
        for ours, theirs in zip(compiled(case), gae_float32(**case), strict=True):
            assert_same_bits(ours, theirs)


def fortran(array: NDArray[Any]) -> NDArray[Any]:
    return np.asfortranarray(array)


@pytest.mark.parametrize(
    ("name", "spoil", "error", "message"),
    [
        ("reward", lambda a: a[0], ValueError, r"reward has 2 axes, want 3"),
        ("reward", lambda a: a.astype(np.float64), TypeError, r"reward.*float64, want float32"),
        ("reward", fortran, ValueError, r"reward of shape \(4, 3, 2\).*not C-contiguous"),
        ("reward", lambda a: a.tolist(), TypeError, r"reward is a list, want a numpy float32"),
        ("value", lambda a: a[:-1], ValueError, r"value.*\(4, 3, 2\), want \(5, 3, 2\)"),
        ("value", lambda a: a.astype(np.float16), TypeError, r"value.*float16, want float32"),
        ("value", fortran, ValueError, r"value of shape \(5, 3, 2\).*not C-contiguous"),
        ("terminated", lambda a: a[1:], ValueError, r"terminated.*\(3, 3\), want \(4, 3\)"),
        ("terminated", lambda a: a.astype(np.int32), TypeError, r"terminated.*int32, want uint8"),
        ("terminated", fortran, ValueError, r"terminated of shape \(4, 3\).*not C-contiguous"),
        ("truncated", lambda a: a[..., None], ValueError, r"truncated.*\(4, 3, 1\), want \(4, 3\)"),
        ("truncated", lambda a: a.astype(np.float32), TypeError, r"truncated.*want uint8"),
        ("truncated", fortran, ValueError, r"truncated of shape \(4, 3\).*not C-contiguous"),
        ("final_value", lambda a: a[:2], ValueError, r"final_value.*\(2, 3, 2\), want \(4, 3, 2\)"),
        ("final_value", lambda a: a.astype(np.float64), TypeError, r"final_value.*want float32"),
        ("final_value", fortran, ValueError, r"final_value of shape.*not C-contiguous"),
        ("gamma", lambda _: 1.5, ValueError, r"gamma.* is outside"),
        ("gamma", lambda _: float("nan"), ValueError, r"gamma.* is outside"),
        ("gae_lambda", lambda _: -0.1, ValueError, r"gae_lambda.* is outside"),
        ("advantage", lambda a: a[1:], ValueError, r"advantage.*\(3, 3, 2\), want \(4, 3, 2\)"),
        ("advantage", lambda a: a.astype(np.float64), TypeError, r"advantage.*want float32"),
        ("advantage", fortran, ValueError, r"advantage of shape.*not C-contiguous"),
        ("returns", lambda a: a[..., :1], ValueError, r"returns.*not C-contiguous"),
        ("returns", lambda a: a[:, :, :0], ValueError, r"returns.*want \(4, 3, 2\)"),
        ("returns", lambda a: None, TypeError, r"returns is a NoneType, want a numpy float32"),
    ],
)
def test_bad_input(name: str, spoil: Any, error: type[Exception], message: str) -> None:
    case = make_case(6, 4, 3, 2)
    case |= {out: np.full((4, 3, 2), 7, np.float32) for out in ("advantage", "returns")}
    kept = [case["advantage"], case["returns"]]
    case[name] = spoil(case[name])
    with pytest.raises(error, match=message):
        _core.gae(**case)
    for array in kept:
        assert (array == 7).all()


@pytest.mark.parametrize(
    ("target", "source"),
    [("advantage", "returns"), ("returns", "reward"), ("advantage", "value")],
)
def test_outputs_must_not_share_memory(target: str, source: str) -> None:
    case = make_case(7, 4, 3, 2)
    case |= {out: np.empty((4, 3, 2), np.float32) for out in ("advantage", "returns")}
    case[target] = case[source][-4:]
    with pytest.raises(ValueError, match=rf"{target} and {source} share memory"):
        _core.gae(**case)


def test_outputs_must_be_writeable() -> None:
    case = make_case(8, 4, 3, 2)
    case |= {out: np.empty((4, 3, 2), np.float32) for out in ("advantage", "returns")}
    case["returns"].setflags(write=False)
    with pytest.raises(ValueError, match="returns is read-only"):
        _core.gae(**case)


def test_boolean_flags_are_flags() -> None:
    case = make_case(9, 10, 5, 2)
    bytes_ = compiled(case)
    for name in ("terminated", "truncated"):
        case[name] = case[name].astype(np.bool_)
    for ours, theirs in zip(compiled(case), bytes_, strict=True):
        assert_same_bits(ours, theirs)


def test_public_function_is_the_compiled_one() -> None:
    case = make_case(10, 10, 5, 2)
    expected = compiled(case)
    for ours, theirs in zip(ascore.gae(**case), expected, strict=True):
        assert_same_bits(ours, theirs)
    defaults = compiled({**case, "gamma": 0.99, "gae_lambda": 0.98})
    del case["gamma"], case["gae_lambda"]
    for ours, theirs in zip(ascore.gae(**case), defaults, strict=True):
        assert_same_bits(ours, theirs)
