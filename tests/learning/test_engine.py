"""The engine of compiled networks against PyTorch's autograd, per step and in whole trainings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import session, train

from ascore import _core
from ascore.algorithms.contract import LOCAL
from ascore.algorithms.table import ALGORITHMS
from ascore.config import Config
from ascore.errors import ConfigError, NonFiniteError
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.batch import Rows
from ascore.learning.learner import Learner
from ascore.learning.rollout import Rollout

torch.set_num_threads(1)


COMPILED = [
    name
    for name, algorithm in ALGORITHMS.items()
    if algorithm.compiled is not None and algorithm.view is LOCAL
]


def instruction_sets() -> list[str]:
    """The instruction sets of this machine."""
    names = []
    for name in ("portable", "avx2", "avx512"):
        try:
            _core.fma_peak(1, name)
        except ValueError:
            continue
        names.append(name)
    return names


def batch_of(
    rng: np.random.Generator,
    rows: int,
    views: int,
    size: int,
    agents: int,
    actions: int,
    byte: bool,
    masked: bool = False,
    few: bool = False,
) -> dict[str, Any]:
    """Random rows; with `few`, one byte in 40 is not 0, so that the engine skips the others."""
    shape = (rows, views, size)
    obs: np.ndarray = (
        rng.integers(0, 3, shape, dtype=np.uint8)
        if byte
        else rng.normal(size=shape).astype(np.float32)
    )
    if byte and few:
        obs *= rng.random(shape) < 1 / 40
    legal = (rng.random((rows, agents, actions)) < 0.5).astype(np.uint8)
    sure = rng.integers(0, actions, (rows, agents), dtype=np.int32)
    np.put_along_axis(legal, sure[..., None], 1, axis=-1)
    chosen = (rng.random(legal.shape) * legal).argmax(axis=-1).astype(np.int32)
    return {
        "legal": legal if masked else None,
        "raw": obs,
        "scale": 0.5 if byte else 1.0,
        "joint": chosen if masked else rng.integers(0, actions, (rows, agents), dtype=np.int32),
        "advantage": torch.from_numpy(rng.normal(size=(agents, rows)).astype(np.float32)),
        "advantage_scale": torch.from_numpy(rng.random(agents).astype(np.float32)),
        "normalized_return": torch.from_numpy(rng.normal(size=(agents, rows)).astype(np.float32)),
    }


def learners(
    rng: np.random.Generator, agents: int, actions: int, size: int, views: int, **keys: Any
) -> tuple[Learner, Learner]:
    """Two learners with the same agents, computed by PyTorch and by the engine."""
    from ascore.envs.vec_env import Spec

    spec = Spec("any", agents, actions, (size,), "float32", 10, views, ("a",) * actions)
    slow, fast = (
        Learner(Config(**{**keys, "backend": backend}), spec) for backend in ("torch", "engine")
    )
    for net in (fast.actor.net, fast.critic.net):
        net.flat.data.copy_(
            torch.from_numpy((0.15 * rng.normal(size=net.flat.shape)).astype(np.float32))
        )
    slow.actor.net.flat.data.copy_(fast.actor.net.flat)
    slow.critic.net.flat.data.copy_(fast.critic.net.flat)
    return slow, fast


@settings(max_examples=60, deadline=None)
@given(
    agents=st.integers(1, 8),
    actions=st.integers(2, 9),
    size=st.integers(1, 40),
    hidden=st.sampled_from([(16, 8), (7,), (33, 5, 12), (128, 64)]),
    rows=st.sampled_from([1, 2, 95, 97, 200]),
    algorithm=st.sampled_from(["as", "as", *COMPILED]),
    layout=st.sampled_from(["multihead", "separate"]),
    byte=st.booleans(),
    few=st.booleans(),
    own_views=st.booleans(),
    per_row=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 1000),
    keys=st.fixed_dictionaries(
        {
            "peer_ratio_reference": st.sampled_from(["true", "anticipated"]),
            "discrepancy": st.sampled_from(["l2", "kl"]),
            "penalty_gate": st.sampled_from(["indicator", "always"]),
            "peer_ratio_clip": st.sampled_from([0.0, 0.2]),
            "anticipation": st.sampled_from(["free", "correction"]),
            "entropy_bonus": st.sampled_from([0.0, 0.1]),
        }
    ),
)
def test_one_step(
    agents,
    actions,
    size,
    hidden,
    rows,
    algorithm,
    layout,
    byte,
    few,
    own_views,
    per_row,
    masked,
    seed,
    keys,
):
    rng = np.random.default_rng(seed)
    views = agents if own_views else 1
    slow, fast = learners(
        rng,
        agents,
        actions,
        size,
        views,
        algorithm=algorithm,
        actor=layout,
        actor_hidden=hidden,
        critic_hidden=hidden[::-1],
        actor_lr=1e-3,
        critic_lr=1e-3,
        minibatches=1,
        penalty_weight=2.0,
        **keys,
    )
    heard = None
    if ALGORITHMS[algorithm].sends_policies:
        links = rng.random((rows if per_row else 1, agents, agents)) < 0.7
        links[:, range(agents), range(agents)] = False
        heard = torch.from_numpy(links).transpose(0, 1)
    arrays = batch_of(rng, rows, views, size, agents, actions, byte, masked, few)
    data = Rows(**arrays, neighbours=heard, weights=None)
    # Old policies and messages differ slightly, so that ratios are not 1 and gates vary.
    for learner in (slow, fast):
        learner.backend.begin(data)
    probs, engine_probs = slow.backend.log_probs(), fast.backend.log_probs()
    torch.testing.assert_close(fast.backend.log_probs(), engine_probs, rtol=0, atol=0)
    torch.testing.assert_close(engine_probs, probs, rtol=1e-4, atol=1e-5)
    if masked:
        where = (
            ~data.forbidden if probs.shape[2] > 1 else ~data.forbidden.transpose(0, 1)[:, :, None]
        )
        assert torch.equal(engine_probs.exp() > 0, where.expand(probs.shape))
    noise = torch.from_numpy(rng.normal(0, 0.3, probs.shape).astype(np.float32))
    sent = torch.log_softmax(probs + noise, dim=-1).contiguous()
    old_all = torch.log_softmax(probs - noise, dim=-1)
    index = data.action.T[:, :, None] if probs.shape[2] == 1 else data.action.expand(
        agents, rows, agents
    )  # fmt: skip
    old = old_all.gather(-1, index.unsqueeze(-1)).squeeze(-1).contiguous()
    messages = slow.exchange.messages(sent, old, heard)
    for learner in (slow, fast):
        learner.backend.refer(old, messages)
        learner.backend.clear()
        learner.backend.step(slice(None), None, rows)
    expected, statistics = slow.backend.statistics(), fast.backend.statistics()
    assert statistics.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(statistics[name], value, rtol=2e-3, atol=2e-4)
    for a, b in ((slow.actor.net, fast.actor.net), (slow.critic.net, fast.critic.net)):
        # A unit whose input is 0 up to rounding may be on in one backend and off in the other; then
        # only its row of weights differs.
        allowed = 1e-3 * a.grad.abs() + 2e-4 * max(float(a.grad.abs().max()), 1e-3)
        share_off = ((a.grad - b.grad).abs() > allowed).float().mean()
        assert share_off < 0.02
        assert (a.flat - b.flat).abs().mean() < 1e-4


HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(HERE), str(HERE.parent / "support")])

KEYS: dict[str, Any] = {"actor_lr": 1e-3, "critic_lr": 1e-3, "minibatches": 3, "iterations": 2}


@pytest.mark.parametrize("algorithm", ["as", "ps", "ippo"])
def test_any_number_of_threads_gives_the_same_bits(algorithm):
    keys = {"num_envs": 60, **KEYS}  # 1,800 rows: three chunks, enough for several threads
    runs = [
        train(2, algorithm=algorithm, torch_threads=threads, backend="engine", **keys)
        for threads in (1, 2, 3)
    ]
    for learner, records in runs[1:]:
        assert torch.equal(learner.actor.net.flat, runs[0][0].actor.net.flat)
        assert torch.equal(learner.critic.net.flat, runs[0][0].critic.net.flat)
        assert records == runs[0][1]


@pytest.mark.parametrize("name", instruction_sets())
def test_every_instruction_set_computes_the_same(name):
    """Runs one process per instruction set, because ASCORE_SIMD is read once."""
    script = (
        "from test_engine import KEYS, train\n"
        "learner, _ = train(3, algorithm='as', backend='engine', **KEYS)\n"
        "sums = learner.actor.net.flat.abs().sum(1).tolist()\n"
        "print(learner.backend.engine.instruction_set, *sums)"
    )
    output = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "ASCORE_SIMD": name,
            "PYTHONPATH": PATHS,
        },
    ).stdout.split()
    assert output[0] == name
    slow, _ = train(3, algorithm="as", backend="torch", **KEYS)
    expected = slow.actor.net.flat.detach().abs().sum(1).tolist()
    np.testing.assert_allclose([float(x) for x in output[1:]], expected, rtol=1e-5)


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match=r'"mmx" is not one of this machine\'s: .*portable'):
        _core.fma_peak(1, "mmx")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"actor_hidden": (99, 9)}, r"a network has 1,\d{3} parameters, more than 1,000"),
        ({"message_refresh": "minibatch"}, "message_refresh = minibatch sends from within"),
        ({"critic_hidden": (4,) * 8}, "more than seven hidden layers"),
    ],
)
def test_unsupported_settings_are_left_to_pytorch(keys, reason, monkeypatch):
    monkeypatch.setattr("ascore.learning.backends.engine.LARGEST", 1_000)
    learner, records = train(1, algorithm="as", backend="auto", **keys)
    assert not isinstance(learner.backend, EngineBackend)
    assert np.isfinite(records[0]["policy_loss"]).all()
    with pytest.raises(ConfigError, match=f"backend = engine is not possible: .*{reason}"):
        session(algorithm="as", backend="engine", **keys)


@pytest.mark.parametrize("backend", ["engine", "kernel", "torch"])
@pytest.mark.parametrize("equal", ["policies", "rewards"])
def test_gates_are_open_on_their_boundary(backend, equal):
    """Eq. 14-15 say >=, which holds for equal policies, and for an advantage of 0."""
    learner, collector = session(algorithm="as", backend=backend)
    net = learner.actor.net if equal == "policies" else learner.critic.net
    with torch.no_grad():
        net.flat.zero_()  # all are the same to the bit
    rollout = collector.collect(learner.actor)
    if equal == "rewards":
        rollout.reward[:] = 0.0
    record = learner.update(rollout, 0)
    assert record["active_anticipation"] == record["active_own"] == [1.0] * 4


def test_what_just_fits_is_computed_by_the_engine(monkeypatch):
    keys = {"actor_hidden": (4,) * 7, "critic_hidden": (4,) * 7}
    learner, _ = session(algorithm="as", **keys)
    assert isinstance(learner.backend, EngineBackend)
    largest = max(net.flat.shape[1] for net in (learner.actor.net, learner.critic.net))
    monkeypatch.setattr("ascore.learning.backends.engine.LARGEST", largest)
    assert isinstance(session(algorithm="as", **keys)[0].backend, EngineBackend)


def engine(**changes: Any) -> _core.Engine:
    def buffers(networks: int, size: int) -> dict[str, Any]:
        arrays = {k: np.zeros((networks, size), np.float32) for k in ("parameter", "gradient")}
        arrays |= {k: np.zeros((networks, size), np.float32) for k in ("first", "second")}
        return {**arrays, "steps": np.zeros(2, np.float32), "lr": 0.1, "eps": 1e-8, "max_norm": 0.0}

    keys: dict[str, Any] = {
        "agents": 2,
        "trunks": 1,
        "heads": 2,
        "actions": 3,
        "actor_sizes": [4, 5, 6],
        "critic_sizes": [4, 5, 1],
        "actor": buffers(2, 4 * 5 + 5 + 5 * 6 + 6),
        "critic": buffers(2, 4 * 5 + 5 + 5 + 1),
        "threads": 1,
        **changes,
    }
    return _core.Engine(**keys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agents": 0}, "agents = 0, want 1 to 1048576"),
        ({"heads": 3}, "networks do not fit 3 heads"),
        ({"actor_sizes": [4]}, "actor_sizes has 1 sizes, want 2 to 9"),
        ({"actor_sizes": [4, 0, 6]}, "actor_sizes holds the size 0"),
        ({"critic_sizes": [4, 5, 2]}, "networks do not fit"),
        ({"threads": 0}, "threads = 0, want at least 1"),
        ({"actor": {}}, "actor lacks parameter"),
    ],
)
def test_networks_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        engine(**changes)


def call(**changes: Any) -> None:
    """Runs a batch of five rows through the engine, with some arrays replaced."""
    rows = 5
    arrays = {
        "obs": np.zeros((rows, 1, 4), np.float32),
        "scale": 1.0,
        "action": np.zeros((rows, 2), np.int32),
        "advantage": np.zeros((2, rows), np.float32),
        "advantage_scale": np.zeros(2, np.float32),
        "target": np.zeros((2, rows), np.float32),
        "old": np.zeros((2, rows, 2), np.float32),
        "sent": np.zeros((2, rows, 2, 3), np.float32),
        "heard": 1 - np.eye(2, dtype=np.uint8),
        "kind": 2,
        "last": 2,
        "index": np.arange(rows),
        "statistics": np.zeros((2, 16)),
        **changes,
    }
    instance = engine()
    instance.set_batch(
        *(arrays[k] for k in ("obs", "scale", "action", "advantage", "advantage_scale", "target"))
    )
    if arrays["old"] is not None:
        instance.set_messages(arrays["old"], arrays["sent"], arrays["heard"])
    objective = _core.Objective(
        arrays["kind"], 0.2, 0.0, np.inf, 0.0, 1.0, False, False, True, False
    )
    instance.minibatch(objective, 0, arrays["last"], arrays["index"], arrays["statistics"])


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"obs": np.zeros((5, 1, 3), np.float32)}, ValueError, r"obs has shape \(5, 1, 3\), want"),
        ({"obs": np.zeros((5, 1, 4))}, TypeError, "obs has dtype float64, want float32"),
        ({"action": np.full((5, 2), 3, np.int32)}, ValueError, "agent 0 in row 0 is 3, want 0..2"),
        ({"action": np.zeros((4, 2), np.int32)}, ValueError, r"action has shape \(4, 2\)"),
        ({"old": None}, ValueError, "no messages were set"),
        ({"sent": None}, ValueError, "no messages were set"),
        ({"heard": np.ones((3, 3), np.uint8)}, ValueError, r"heard has shape \(3, 3\)"),
        ({"index": np.array([7])}, IndexError, r"row 7 is outside 0..4"),
        ({"index": np.array([], np.int64)}, ValueError, "a minibatch needs a row"),
        ({"last": 3}, ValueError, r"agents 0..3 are not among 2"),
        ({"statistics": np.zeros((2, 15))}, ValueError, r"statistics has shape \(2, 15\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, kind, message):
    call()
    with pytest.raises(kind, match=message):
        call(**changes)


@pytest.mark.parametrize("what", ["advantage", "target", "critic"])
def test_nothing_is_written_where_something_is_not_finite(what: str):
    learner, collector = session(algorithm="as", backend="engine")
    rollout: Rollout = collector.collect(learner.actor)
    _, _, rows = learner.prepare(rollout, 0)
    backend = learner.backend
    backend.begin(rows)
    old = torch.zeros(4, len(rows.raw), 4)
    backend.refer(old, learner.exchange.messages(backend.log_probs(), old, rows.neighbours))
    if what == "advantage":
        rows.advantage[2, 5] = float("nan")
    elif what == "target":
        rows.normalized_return[2, 5] = float("inf")
    else:
        with torch.no_grad():
            learner.critic_adam.parameters[2, 0] = float("nan")
    before = {key: value.clone() for key, value in learner.state().items()}
    quantity = "policy loss" if what == "advantage" else "value loss"
    with pytest.raises(NonFiniteError, match=f"{quantity} of agent 2 is (nan|inf)"):
        backend.step(slice(None), None, len(rows.raw))
    for key, old_value in before.items():
        assert torch.equal(learner.state()[key].nan_to_num(7.0), old_value.nan_to_num(7.0)), key
