"""Every bad input is refused with a message that names the thing, the value and the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import case
from forged_state import STARTED, STATES, forged
from numpy.typing import NDArray

import ascore

NAMES = sorted(ascore.ENVIRONMENTS)
BUFFERS = ("obs", "final_obs", "reward", "neighbours", "terminated", "truncated", "episode", "time")


def started(name: str = "exchange-v1", num_envs: int = 4, seed: int = 0, **params: Any) -> Any:
    env = ascore.make(name, num_envs=num_envs, seed=seed, **params)
    env.reset()
    return env


def three(name: str) -> dict[str, Any]:
    """Parameters for three agents."""
    return case(name).roomy | {"num_agents": 3}


def zeros(env: Any) -> NDArray[np.int32]:
    return np.zeros((env.num_envs, env.spec.num_agents), np.int32)


def everything(env: Any) -> list[bytes]:
    return [getattr(env, buffer).tobytes() for buffer in BUFFERS] + [env.save_state().tobytes()]


# ---- construction ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exchang-v1", r"'exchang-v1'.*did you mean 'exchange-v1'.*exchange-v1, harvest-v1"),
        ("chess", r"unknown environment 'chess'.*exchange-v1, harvest-v1"),
        ("", r"unknown environment ''.*exchange-v1, harvest-v1"),
        ("exchange-v9", r"unknown environment 'exchange-v9'.*exchange-v1, harvest-v1"),
    ],
)
def test_unknown_environment(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ascore.make(name)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"num_envs": 0}, ValueError, r"num_envs = 0 is outside 1\.\."),
        ({"num_envs": -3}, ValueError, r"num_envs = -3 is outside 1\.\."),
        ({"num_envs": 2.0}, TypeError, r"num_envs = 2\.0 is a float.*whole number"),
        ({"seed": -1}, ValueError, r"seed = -1 is outside 0\.\.18446744073709551615"),
        ({"seed": 2**64}, ValueError, r"seed = 18446744073709551616 is outside 0\.\."),
        ({"seed": 0.5}, TypeError, r"seed = 0\.5 is a float.*whole number"),
        ({"seed": True}, TypeError, r"seed = True is a bool.*whole number"),
        ({"first_env": -1}, ValueError, r"first_env = -1 is outside 0\.\."),
        ({"first_env": 2**64}, ValueError, r"first_env = 18446744073709551616 is outside 0\.\."),
        ({"first_env": 2**64 - 1, "num_envs": 2}, ValueError, r"first_env \+ num_envs.*64 bits"),
        ({"num_threads": -1}, ValueError, r"num_threads = -1 is outside 0\.\."),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", NAMES)
def test_bad_count(name: str, given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ascore.make(name, **given)


@pytest.mark.parametrize("name", NAMES)
def test_largest_seed_and_environment_number_are_allowed(name: str) -> None:
    env = ascore.make(name, seed=2**64 - 1, first_env=2**64 - 1)
    env.reset()
    env.reset(seed=2**64 - 1)
    assert env.episode.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "params", "error", "message"),
    [
        ("exchange-v1", {"openrange": 1}, ValueError, r"no parameter \"openrange\".*open_range"),
        ("predation-v1", {"size": 5}, ValueError, r"predation-v1 has no.*\"size\".*num_agents"),
        ("exchange-v1", {"opener": "all"}, ValueError, r"opener = \"all\".*\"any\", \"next\""),
        ("exchange-v1", {"food": ""}, ValueError, r"food = \"\".*\"immediate\", \"pickup\""),
        ("exchange-v1", {"contest": "x"}, ValueError, r"contest = \"x\".*\"random\", \"lowest\""),
        ("exchange-v1", {"eaten": "x"}, ValueError, r"eaten = \"x\".*\"minus_one\", \"flag\""),
        (
            "exchange-v1",
            {"collisions": "x"},
            ValueError,
            r"collisions = \"x\".*\"none\", \"block\"",
        ),
        ("exchange-v1", {"neigh_metric": "l2"}, ValueError, r"neigh_metric = \"l2\".*\"cheb\""),
        (
            "predation-v1",
            {"approach": "x"},
            ValueError,
            r"approach = \"x\".*\"sign\", \"distance\"",
        ),
        ("predation-v1", {"mixed": "x"}, ValueError, r"mixed = \"x\".*\"literal\", \"pairwise\""),
        ("exchange-v1", {"weights": "1 2"}, ValueError, r"weights has 2 numbers; num_agents = 3"),
        ("cleanup-v1", {"weights": "1 x"}, ValueError, r"weights has \"x\", want a number in 0"),
        ("predation-v1", {"weights": [1.0]}, TypeError, r"weights is of type list, want text: e"),
        ("exchange-v1", {"opener": 1}, TypeError, r"opener is of type int.*\"any\", \"next\""),
        ("exchange-v1", {"size": 5.0}, TypeError, r"size is of type float, want an int"),
        ("exchange-v1", {"size": True}, TypeError, r"size is of type bool, want an int"),
        ("exchange-v1", {"size": np.True_}, TypeError, r"size is of type bool_?, want an int"),
        ("exchange-v1", {"cost": "5"}, TypeError, r"cost is of type str, want a float"),
        ("exchange-v1", {"cost": np.True_}, TypeError, r"cost is of type bool_?, want a float"),
        ("exchange-v1", {"early_end": 1}, TypeError, r"early_end is of type int, want a bool"),
        ("exchange-v1", {"num_agents": 1}, ValueError, r"num_agents = 1 is outside 2\.\.1024"),
        ("exchange-v1", {"num_agents": 1025}, ValueError, r"= 1025 is outside 2\.\.1024"),
        ("exchange-v1", {"size": 1}, ValueError, r"size = 1 is outside 2\.\.32"),
        ("exchange-v1", {"size": 33}, ValueError, r"size = 33 is outside 2\.\.32"),
        ("exchange-v1", {"horizon": 0}, ValueError, r"horizon = 0 is outside 1\.\."),
        ("exchange-v1", {"horizon": 2**80}, ValueError, rf"horizon = {2**80} is outside 1\.\."),
        ("exchange-v1", {"open_range": -1}, ValueError, r"open_range = -1 is outside 0\.\."),
        ("exchange-v1", {"neigh_radius": -1}, ValueError, r"neigh_radius = -1 is outside 0\.\."),
        ("exchange-v1", {"cost": -1.0}, ValueError, r"cost = -1 is outside 0\.\."),
        ("exchange-v1", {"gain": float("inf")}, ValueError, r"gain = inf is outside 0\.\."),
        ("exchange-v1", {"time_cost": float("nan")}, ValueError, r"time_cost = -?nan is outside"),
        (
            "exchange-v1",
            {"useless_open_cost": -1},
            ValueError,
            r"useless_open_cost = -1 is outside",
        ),
        ("exchange-v1", {"num_agents": 13}, ValueError, r"num_agents = 13.*26 cells.*size = 5.*25"),
        ("navigation-v1", {"metric": "cheb"}, ValueError, r"metric = \"cheb\".*\"l2\", \"l1\""),
        (
            "navigation-v1",
            {"landmarks": "x"},
            ValueError,
            r"landmarks = \"x\".*\"per_episode\", \"fixed\"",
        ),
        (
            "navigation-v1",
            {"obs_order": "local"},
            ValueError,
            r"obs_order = \"local\".*\"global\", \"self_first\"",
        ),
        ("navigation-v1", {"neigh_metric": "l1"}, ValueError, r"neigh_metric = \"l1\".*\"cheb\""),
        ("navigation-v1", {"block": 1}, TypeError, r"block is of type int, want a bool"),
        ("navigation-v1", {"block": "no"}, TypeError, r"block is of type str, want a bool"),
        ("navigation-v1", {"open_range": 1}, ValueError, r"navigation-v1 has no.*\"open_range\""),
        ("navigation-v1", {"num_agents": 0}, ValueError, r"num_agents = 0 is outside 1\.\.1024"),
        ("navigation-v1", {"num_agents": 1025}, ValueError, r"= 1025 is outside 1\.\.1024"),
        ("navigation-v1", {"num_agents": 26}, ValueError, r"num_agents = 26.*size = 5 has 25"),
        ("navigation-v1", {"size": 1}, ValueError, r"size = 1 is outside 2\.\.32"),
        ("navigation-v1", {"horizon": 0}, ValueError, r"horizon = 0 is outside 1\.\."),
        ("navigation-v1", {"dist_scale": -1}, ValueError, r"dist_scale = -1 is outside 0\.\."),
        ("navigation-v1", {"collision": -0.5}, ValueError, r"collision = -0\.5 is outside 0\.\."),
        (
            "navigation-v1",
            {"neigh_radius": 65},
            ValueError,
            r"neigh_radius = 65 is outside 0\.\.64",
        ),
        ("harvest-v1", {"map": "a\0b"}, ValueError, r"^map = 'a\\x00b' is.*text in UTF-8 without"),
        ("harvest-v1", {"map": "\udcff"}, ValueError, r"^map = '\\udcff' is.*text in UTF-8 with"),
        ("harvest-v1", {"map": ["a", {"b\0": 1}]}, ValueError, r"^map = 'b\\x00' is not allowed"),
        ("harvest-v1", {"\udcff": 1}, ValueError, r"^the name of a parameter = '\\udcff' is not"),
        ("harvest-v1", {"map": 3}, TypeError, r"map is of type int, want text: harvest_top"),
        ("harvest-v1", {"map": "cleanup_top"}, ValueError, r"map = \"cleanup_top\" is no map"),
        ("harvest-v1", {"map": "@@@\n@AP\n@X@"}, ValueError, r"map row 2, column 1 holds 'X'"),
        ("harvest-v1", {"map": "AP\nAPA"}, ValueError, r"map row 1 has 3 columns and row 0 has 2"),
        ("harvest-v1", {"map": "AP\n\u00e4 "}, ValueError, r"map row 1 has 3 columns"),
        ("harvest-v1", {"map": "AP \n\u00e4 "}, ValueError, r"row 1, column 0 holds the byte 0xc3"),
        (
            "harvest-v1",
            {"num_agents": 10},
            ValueError,
            r"num_agents = 10.*'P'.*harvest_top.* has 9",
        ),
        ("harvest-v1", {"waste_mode": "once"}, ValueError, r"harvest-v1 has no.*\"waste_mode\""),
        ("harvest-v1", {"regrowth_2": 1.1}, ValueError, r"regrowth_2 = 1\.1 is outside 0\.\.1"),
        ("harvest-v1", {"profile": "x"}, ValueError, r"profile = \"x\".*\"ssd\", \"features\""),
        ("harvest-v1", {"obs_mode": "x"}, ValueError, r"obs_mode = \"x\".*\"planes\", \"rgb\""),
        ("harvest-v1", {"append_orientation": True}, ValueError, r"goes with obs_mode = \"rgb\""),
        ("cleanup-v1", {"num_agents": 3}, ValueError, r"num_agents = 3.*cleanup_top.* has 2"),
        ("cleanup-v1", {"map": "PP\nBB"}, ValueError, r"0 river cells 'H' and 'R', want 1"),
        ("cleanup-v1", {"map": "PP\nHH"}, ValueError, r"0 cells 'B' \(where apples grow\)"),
        ("cleanup-v1", {"num_agents": 4097}, ValueError, r"num_agents = 4097 is outside 1\.\.4096"),
        ("harvest-v1", {"num_agents": 4096}, ValueError, r"num_agents = 4096 needs as many cells"),
        ("cleanup-v1", {"beam_length": 0}, ValueError, r"beam_length = 0 is outside 1\.\.64"),
        (
            "cleanup-v1",
            {"threshold_restoration": 0.5},
            ValueError,
            r"threshold_restoration = 0\.5 must be below threshold_depletion = 0\.4",
        ),
        ("predation-v1", {"num_agents": 0}, ValueError, r"num_agents = 0 is outside 1\.\.65536"),
        (
            "predation-v1",
            {"num_agents": 65_537},
            ValueError,
            r"num_agents = 65537 is outside 1\.\.65536",
        ),
        (
            "navigation-v1",
            {"obs_mode": "nearest", "nearest": 3},
            ValueError,
            "nearest = 3 is more than the others there are; num_agents = 3 has 2",
        ),
        ("predation-v1", {"nearest": 65}, ValueError, r"nearest = 65 is outside 1\.\.64"),
        (
            "predation-v1",
            {"obs_mode": "nearest", "nearest": 3, "num_agents": 3},
            ValueError,
            "nearest = 3 is more than the others there are; num_agents = 3 has 2",
        ),
        ("predation-v1", {"length": 0.0}, ValueError, r"length = 0 is outside"),
        ("predation-v1", {"step_length": -1.0}, ValueError, r"step_length = -1 is outside"),
        ("predation-v1", {"obs_scale": 0}, ValueError, r"obs_scale = 0 is outside"),
        (
            "predation-v1",
            {"neigh_radius": 1.5},
            ValueError,
            r"neigh_radius = 1\.5 is outside 0\.\.1",
        ),
        (
            "predation-v1",
            {"num_agents": 1, "mixed": "pairwise"},
            ValueError,
            r"pairwise needs num_agents >= 2, got 1",
        ),
    ],
    ids=str,
)
def test_bad_parameter(
    name: str, params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ascore.make(name, **params)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_documented_and_reported(name: str) -> None:
    core = ascore.ENVIRONMENTS[name].core
    documented = {row[0]: row[1] for row in core.parameter_docs}
    assert all(len(row) == 4 and all(str(entry) for entry in row) for row in core.parameter_docs)
    assert ascore.make(name).params == documented
    assert ascore.make(name, horizon=7).params == documented | {"horizon": 7}


@pytest.mark.parametrize("name", NAMES)
def test_numpy_numbers_are_numbers(name: str) -> None:
    numbers: dict[str, Any] = {"num_envs": np.int64(2), "seed": np.uint64(3)}
    env = ascore.make(name, **numbers, **(three(name) | {"num_agents": np.int32(3)}))
    assert env.params["num_agents"] == 3
    assert env.num_envs == 2


@pytest.mark.parametrize("cost", [5e-324, 0.1, 1 / 3, 1e6])
def test_a_state_fits_the_parameters_it_was_saved_under_to_the_last_bit(cost: float) -> None:
    state = started(cost=cost).save_state()
    started(cost=cost).load_state(state)
    with pytest.raises(ValueError, match="state belongs to"):
        started(cost=float(np.nextafter(cost, 0))).load_state(state)


# ---- before the first reset -----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_step_before_reset(name: str) -> None:
    env = ascore.make(name, num_envs=2)
    with pytest.raises(ValueError, match=rf"step before the first reset of {name}; call reset\(\)"):
        env.step(zeros(env))
    with pytest.raises(ValueError, match=rf"uniforms before the first reset.*{name}.*reset\(\)"):
        env.uniforms(np.empty((2, env.spec.num_agents), np.float32))
    # The refusal is no obstacle to what it asks for.
    env.reset()
    env.step(zeros(env))
    assert env.time.tolist() == [1, 1]


# ---- actions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda a: a.astype(np.float32),
            TypeError,
            r"action.*float32, want int32.*action\.astype\(numpy\.int32\)",
        ),
        (lambda a: a.tolist(), TypeError, r"action is a list, want a numpy int32 array"),
        (lambda a: None, TypeError, r"action is a NoneType, want a numpy int32 array"),
        (lambda a: a[:3], ValueError, r"action has shape \(3, 3\), want \(4, 3\)"),
        (lambda a: a[:, 1:], ValueError, r"action.*ascontiguousarray"),
        (lambda a: a[:, 1:].copy(), ValueError, r"action has shape \(4, 2\), want \(4, 3\)"),
        (lambda a: a[0], ValueError, r"action has shape \(3,\), want \(4, 3\)"),
        (lambda a: a[None], ValueError, r"action has shape \(1, 4, 3\), want \(4, 3\)"),
        (lambda a: a.ravel(), ValueError, r"action has shape \(12,\), want \(4, 3\)"),
        (
            lambda a: np.asfortranarray(a),
            ValueError,
            r"action of shape \(4, 3\).*not C-contiguous.*numpy\.ascontiguousarray\(action\)",
        ),
        (
            lambda a: np.repeat(a, 2, axis=1)[:, ::2],
            ValueError,
            r"action of shape \(4, 3\).*not C-contiguous.*numpy\.ascontiguousarray\(action\)",
        ),
        (
            lambda a: np.frombuffer(bytes(a.nbytes + 1), np.int32, a.size, 1).reshape(a.shape),
            ValueError,
            r"action is not aligned in memory; use action\.copy\(\)",
        ),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_bad_action_array(name: str, spoil: Any, error: type[Exception], message: str) -> None:
    env = started(name, **three(name))
    before = everything(env)
    with pytest.raises(error, match=message):
        env.step(spoil(zeros(env)))
    assert everything(env) == before


@pytest.mark.parametrize("value", [-1, 99, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize(("row", "agent"), [(0, 0), (3, 1), (63, 2)])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_action_out_of_range(name: str, threads: int, row: int, agent: int, value: int) -> None:
    """The environment stays where it was, and goes on as if nothing had been asked."""
    env = started(name, num_envs=64, num_threads=threads, **three(name))
    untouched = started(name, num_envs=64, num_threads=threads, **three(name))
    action = zeros(env)
    action[row, agent] = value
    before = everything(env)
    spec = env.spec
    message = (
        rf"action\[{row}, {agent}\] = {value} is outside 0\.\.{spec.num_actions - 1}; "
        rf"{name} has {spec.num_actions} actions: {', '.join(spec.action_names)}"
    )
    with pytest.raises(ValueError, match=message):
        env.step(action)
    assert everything(env) == before
    env.step(zeros(env))
    untouched.step(zeros(env))
    assert everything(env) == everything(untouched)


@pytest.mark.parametrize("name", NAMES)
def test_first_action_too_large_is_refused_and_the_last_is_not(name: str) -> None:
    env = started(name)
    env.step(zeros(env) + np.int32(env.spec.num_actions - 1))
    assert env.time.tolist() == [1] * 4
    with pytest.raises(ValueError, match=rf"= {env.spec.num_actions} is outside"):
        env.step(zeros(env) + np.int32(env.spec.num_actions))
    assert env.time.tolist() == [1] * 4


# ---- seeds, numbers, states -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, r"seed = -1 is outside 0\.\.18446744073709551615"),
        (2**64, ValueError, r"seed = 18446744073709551616 is outside 0\.\."),
        (1.5, TypeError, r"seed = 1\.5 is a float.*whole number"),
        ("1", TypeError, r"seed = '1' is a str.*whole number"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_reset_with_a_bad_seed(name: str, seed: Any, error: type[Exception], message: str) -> None:
    env = started(name)
    before = everything(env)
    with pytest.raises(error, match=message):
        env.reset(seed=seed)
    assert everything(env) == before


def read_only(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.empty((4, 3)), TypeError, r"out has dtype float64, want float32"),
        (np.empty((3, 4), np.float32), ValueError, r"out has shape \(3, 4\), want \(4, 3\)"),
        (np.empty(12, np.float32), ValueError, r"out has shape \(12,\), want \(4, 3\)"),
        (np.empty((3, 4), np.float32).T, ValueError, r"out of shape \(4, 3\).*not C-contiguous"),
        (read_only(np.empty((4, 3), np.float32)), ValueError, r"out is read-only"),
        ([[0.0] * 3] * 4, TypeError, r"out is a list, want a numpy float32 array"),
    ],
    ids=["dtype", "shape", "rank", "transposed", "read-only", "list"],
)
def test_bad_place_for_uniforms(out: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        started().uniforms(out)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (STATES, b"\xff" * 8, "state of environment 0 is impossible in {}"),
        (STARTED, b"\2", "state has started = 2, want 0 or 1; load one that save_state returned"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_an_impossible_state_is_refused_whatever_its_checksum(
    name: str, at: int, value: bytes, message: str
) -> None:
    env = started(name, num_envs=1)
    before, saved = everything(env), env.save_state()
    env.load_state(forged(saved, 0, bytes(8)))  # another seed
    env.load_state(saved)
    with pytest.raises(ValueError, match=f"^{message.format(name)}$"):
        env.load_state(forged(saved, at, value))
    assert everything(env) == before


def flipped(state: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
    state = state.copy()
    state[at] ^= 1
    return state


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda s: s[:-1], ValueError, r"state is truncated"),
        (lambda s: s[:20], ValueError, r"state is truncated"),
        (lambda s: s[:3], ValueError, r"state is truncated"),
        (lambda s: s[:0], ValueError, r"state is truncated"),
        (lambda s: np.append(s, np.uint8(0)), ValueError, r"state.*bytes.*want"),
        (lambda s: flipped(s, -1), ValueError, r"state is damaged.*checksum"),
        (lambda s: flipped(s, -200), ValueError, r"state is damaged.*checksum"),
        (lambda s: np.full(5_000, 255, np.uint8), ValueError, r"state.*not written by save_state"),
        (lambda s: s.astype(np.int32), TypeError, r"state has dtype int32, want uint8"),
        (lambda s: s.tobytes(), TypeError, r"state is a bytes, want a numpy uint8 array"),
        (lambda s: np.repeat(s, 2)[::2], ValueError, r"state of shape.*not C-contiguous"),
        (lambda s: s[None], ValueError, r"state has shape \(1, \d+\), want \(\d+,\)"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_damaged_state(name: str, spoil: Any, error: type[Exception], message: str) -> None:
    env = started(name)
    state = env.save_state()
    env.step(zeros(env))
    before = everything(env)
    with pytest.raises(error, match=message):
        env.load_state(spoil(state))
    assert everything(env) == before
    env.load_state(state)
    assert env.time.tolist() == [0] * 4


@pytest.mark.parametrize("name", NAMES)
def test_no_single_byte_of_a_state_can_change_unnoticed(name: str) -> None:
    env = started(name, num_envs=2, **three(name))
    env.step(zeros(env))
    state = env.save_state()
    before = everything(env)
    for at in range(state.size):
        with pytest.raises(ValueError, match="state"):
            env.load_state(flipped(state, at))
    assert everything(env) == before


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (lambda: started("predation-v1"), r"state belongs to.*predation-v1.*not to.*exchange-v1"),
        (lambda: started(num_envs=5), r"state belongs to.*num_envs = 5.*not to.*num_envs = 4"),
        (lambda: started(size=6), r"state belongs to.*size = 6.*not to.*size = 5"),
        (lambda: started(cost=5.5), r"state belongs to.*cost = 5\.5.*not to.*cost = 5"),
        (lambda: started(food="pickup"), r"state belongs to.*food = pickup.*not to.*immediate"),
        (lambda: started(first_env=1), r"state belongs to.*first_env = 1.*not to.*first_env = 0"),
    ],
)
def test_foreign_state(foreign: Any, message: str) -> None:
    env = started()
    before = everything(env)
    with pytest.raises(ValueError, match=message):
        env.load_state(foreign().save_state())
    assert everything(env) == before


def test_state_of_another_seed_and_thread_count_is_welcome() -> None:
    env, other = started(seed=1, num_threads=1), started(seed=2, num_threads=3)
    other.load_state(env.save_state())
    assert everything(other) == everything(env)


@pytest.mark.parametrize("name", NAMES)
def test_bound_classes_check_for_themselves(name: str) -> None:
    """Whoever skips the Python face still cannot make the core misbehave."""
    bound: Any = ascore.ENVIRONMENTS[name].core
    with pytest.raises(ValueError, match="num_envs = 0 is below 1"):
        bound(0, 0)
    for bad in (-1, 2**64, 1.5):
        with pytest.raises(TypeError, match="seed"):
            bound(1, bad)
    with pytest.raises(ValueError, match="num_threads = -1 is below 0"):
        bound(1, 0, num_threads=-1)
    assert bound(3, 0, num_threads=99).num_threads == 3
