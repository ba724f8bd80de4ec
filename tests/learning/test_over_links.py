"""What is computed over links equals what a matrix of all pairs gives, in every backend."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ascore
from ascore import _core
from ascore.algorithms.anticipation import objective
from ascore.algorithms.graph import Pairs, pairs
from ascore.algorithms.heads import NOBODY, Heads
from ascore.algorithms.terms import Batch, Messages, Places, taken
from ascore.config import Config
from ascore.errors import AscoreWarning
from ascore.learning.backends.kernel import anticipation_loss
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector
from ascore.reference import matrix
from ascore.runs import checkpoint

CASES = 200

torch.set_num_threads(1)


@dataclass
class Case:
    """Policies of N agents on M rows as matrices of all pairs, and a graph of a few links."""

    config: Config
    heard: np.ndarray  # bool [M, N, N]
    changes: bool
    action: torch.Tensor
    advantage: torch.Tensor
    logits: torch.Tensor
    old: torch.Tensor
    sent: torch.Tensor

    @property
    def heads(self) -> Heads:
        return Heads.of(Pairs.from_mask(self.heard.any(axis=0)))


def case(seed: int) -> Case:
    """A graph of its own: some agents hear nobody, some are heard by nobody, links are directed."""
    rng = np.random.default_rng(seed)
    n, a, m = int(rng.integers(1, 9)), int(rng.integers(2, 6)), int(rng.integers(1, 20))
    met = rng.random((n, n)) < rng.choice([0.0, 0.15, 0.4, 1.0])
    met &= ~np.eye(n, dtype=bool)
    met[rng.random(n) < 0.2] = False
    changes = bool(rng.random() < 0.5)
    heard = np.broadcast_to(met, (m, n, n)).copy()
    if changes:
        heard &= rng.random((m, n, n)) < 0.6
    spread = rng.choice([0.3, 1.0, 4.0])
    logits = torch.from_numpy(rng.normal(0, spread, (n, m, n, a)))

    def near() -> torch.Tensor:
        noise = torch.from_numpy(rng.normal(0, 0.3, logits.shape))
        return torch.log_softmax(logits + noise, dim=-1)

    advantage = rng.normal(0, 2, (n, m))
    advantage[rng.random((n, m)) < 0.1] = 0.0
    config = Config(
        penalty_weight=float(rng.choice([0.0, 0.7, 3.0])),
        peer_ratio_reference=str(rng.choice(["true", "anticipated"])),
        discrepancy=str(rng.choice(["l2", "kl"])),
        penalty_gate=str(rng.choice(["indicator", "always"])),
        entropy_bonus=float(rng.choice([0.0, 0.1])),
    )
    action = torch.from_numpy(rng.integers(0, a, (m, n)))
    return Case(config, heard, changes, action, torch.from_numpy(advantage), logits, near(), near())


def by_matrix(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses, and their gradient by all logits."""
    leaf = case.logits.clone().requires_grad_()
    config = case.config
    losses = matrix.loss(
        torch.log_softmax(leaf, dim=-1), case.old, case.sent, case.action, case.advantage,
        torch.from_numpy(case.heard),
        penalty_weight=config.penalty_weight, clip_epsilon=config.clip_epsilon,
        printed=config.peer_ratio_reference == "anticipated",
        gated=config.penalty_gate == "indicator", kl=config.discrepancy == "kl",
        entropy_bonus=config.entropy_bonus,
    )  # fmt: skip
    return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]


def of_heads(x: torch.Tensor, heads: Heads) -> torch.Tensor:
    """[N, M, N, A] of all pairs as [N, M, H, A] of the heads; 0 in the empty ones."""
    agents = torch.arange(len(x))[:, None]
    subjects = torch.from_numpy(heads.subjects)
    chosen = x[agents, :, subjects.clamp(min=0)].transpose(1, 2)
    return (chosen * (subjects != NOBODY)[:, None, :, None]).contiguous()


def over_links(case: Case) -> tuple[Batch, Messages]:
    heads = case.heads
    agents = torch.arange(len(case.logits))
    places = Places.at(heads)
    old = taken(of_heads(case.old, heads), case.action, agents, places)
    announced = taken(case.old, case.action, agents).diagonal(dim1=0, dim2=2)
    scale = case.advantage.abs().mean(dim=1)
    batch = Batch(case.action, case.advantage, scale, old, agents, places)
    sent = Messages(of_heads(case.sent, heads), announced, mask(case), places)
    return batch, sent


def mask(case: Case) -> torch.Tensor:
    """bool [N, M, H], or [N, 1, H] where the graph does not change."""
    heads, heard = case.heads, case.heard if case.changes else case.heard[:1]
    subjects = np.maximum(heads.subjects, 0)
    links = heard[:, np.arange(len(subjects))[:, None], subjects] & (heads.subjects != NOBODY)
    return torch.from_numpy(links.transpose(1, 0, 2).copy())


def single(x: Any) -> Any:
    values = {k: v.float() for k, v in vars(x).items()
              if isinstance(v, torch.Tensor) and v.is_floating_point()}  # fmt: skip
    return replace(x, **values)


def scattered(gradient: torch.Tensor, heads: Heads, like: torch.Tensor) -> torch.Tensor:
    """A gradient by the heads' logits as one by all logits."""
    full = torch.zeros_like(like)
    owner, place = np.nonzero(heads.subjects != NOBODY)
    full[owner, :, heads.subjects[owner, place]] = gradient[owner, :, place].to(like.dtype)
    return full


@pytest.mark.parametrize("seed", range(CASES))
def test_the_objective_over_links_is_that_over_a_matrix(seed: int):
    problem = case(seed)
    expected, slope = by_matrix(problem)
    heads = problem.heads
    batch, sent = over_links(problem)
    leaf = of_heads(problem.logits, heads).requires_grad_()
    log_probs = torch.log_softmax(leaf, dim=-1)
    terms = objective(batch, log_probs, sent.inbox(batch.owners), problem.config)
    loss = terms.policy + terms.penalty - problem.config.entropy_bonus * terms.entropy
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-12, atol=1e-12)
    gradient = torch.autograd.grad(loss.sum(), leaf)[0]
    torch.testing.assert_close(scattered(gradient, heads, slope), slope, rtol=1e-12, atol=1e-12)

    # The kernel, in single precision; it gets logits, and some owners alone as well.
    few = torch.arange(len(loss))[seed % 2 :]
    if not len(few):
        return
    part = Batch(
        batch.action, batch.advantage[few], batch.advantage_scale[few], batch.old_log_probs[few],
        few, None if batch.places is None else batch.places.of(few),
    )  # fmt: skip
    theirs = replace(sent, neighbours=sent.neighbours[few])
    logits = of_heads(problem.logits, heads)[few].float().requires_grad_()
    value, _ = anticipation_loss(logits, single(part), single(theirs), problem.config)
    close = 1e-5 * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(value.detach(), expected[few].float(), rtol=1e-5, atol=close)
    gradient = torch.zeros(len(loss), *logits.shape[1:])
    gradient[few] = torch.autograd.grad(value.sum(), logits)[0]
    wanted = torch.zeros_like(slope)
    wanted[few] = slope[few]
    close = 1e-5 * max(1.0, float(wanted.abs().max()))  # sums of numbers as large as these
    torch.testing.assert_close(scattered(gradient, heads, slope), wanted, rtol=1e-5, atol=close)


# ---- the backends ----------------------------------------------------------------------------

KEYS: dict[str, Any] = {
    "env_params": {"num_agents": 7, "horizon": 9},
    "num_envs": 4,
    "minibatches": 2,
    "iterations": 2,
    "actor_hidden": (9, 6),
    "critic_hidden": (8,),
    "actor_lr": 1e-3,
    "penalty_weight": 2.0,
}
ONE_WAY = "0100000,0010000,0001000,1000000,0000000,1010000,0000000"


def learned(updates: int = 3, **keys: Any) -> Learner:
    config = Config(**{**KEYS, **keys})
    env = ascore.make(config.env, config.num_envs, config.seed, **config.env_params)
    learner = Learner(config, env.spec)
    env.reset()
    collector = Collector(env, env.spec.horizon, neighbours=learner.reads_neighbours)
    for number in range(updates):
        learner.update(collector.collect(learner.actor), number)
    return learner


@pytest.mark.parametrize("layout", ["multihead", "separate"])
@pytest.mark.parametrize(
    "keys",
    [
        {"graph": "ring"},
        {"graph": "nearest", "graph_degree": 3},
        {"graph": "matrix", "graph_matrix": ONE_WAY},
        {"graph": "random_one", "graph_redraw": False},
        {"graph": "random_one"},
        {"graph": "random_one", "communicate_every": 2, "max_grad_norm": 0.5},
        {"graph": "ring", "anticipation": "correction"},
        {"graph": "ring", "message_refresh": "minibatch", "backend": "kernel"},
        {"graph": "ring", "update_order": "sequential"},
    ],
    ids=str,
)
def test_backends_learn_the_same(keys: dict[str, Any], layout: str):
    chosen = {"backend": "engine", **keys, "actor": layout}
    fast, slow = learned(**chosen), learned(**{**chosen, "backend": "torch"})
    assert fast.actor.subjects == slow.actor.subjects
    a, b = fast.state(), slow.state()
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=2e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize("backend", ["engine", "kernel", "torch"])
def test_a_few_heads_learn_what_a_head_for_everybody_learns(backend: str):
    """With full batches, so that heads that nobody hears through have no gradient at all."""
    keys = {"graph": "nearest", "graph_degree": 3, "backend": backend, "minibatches": 1}
    few = learned(**keys)
    assert few.actor.heads == 5
    config = few.config
    env = ascore.make(config.env, config.num_envs, config.seed, **config.env_params)
    many = Learner(config, env.spec)
    many.adopt({})  # as a run of an earlier version began
    fresh = Learner(config.replace(graph="complete"), env.spec)
    many.actor.net.flat.detach().copy_(fresh.actor.net.flat.detach())
    assert many.actor.heads == 7
    env.reset()
    collector = Collector(env, env.spec.horizon)
    for number in range(3):
        many.update(collector.collect(many.actor), number)
    for mine, theirs in zip(few.actor.own_layers(), many.actor.own_layers(), strict=True):
        for x, y in zip(mine, theirs, strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=2e-6)


def test_heads_are_for_links_in_either_direction():
    heads = Heads.of(Pairs.from_mask(np.array([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0],
                                               [0, 0, 0, 0]], dtype=bool)))  # fmt: skip
    assert heads.subjects.tolist() == [[0, 1, 2], [0, 1, -1], [0, 2, -1], [3, -1, -1]]
    assert heads.own_place.tolist() == [0, 1, 1, 0]
    assert heads.back[0].tolist() == [0, 0, 0]
    assert not heads.for_all


def test_nobody_hears_itself():
    with pytest.raises(ValueError, match="agent 1 hears itself"):
        Pairs.of(3, np.array([0, 1]), np.array([1, 1]))


@pytest.mark.parametrize(
    ("subjects", "heard", "message"),
    [
        ([[0, 1], [0, 1], [1, 2]], None, "subjects of agent 0 are not"),
        ([[0, 1], [0, 2], [2, -1]], None, "agent 1 is not among"),
        ([[0, 1], [0, 1], [2, -1]], [[1, 0], [0, 0], [0, 0]], "agent 0 hears itself"),
        ([[0, 1], [0, 1], [2, -1]], [[0, 0], [0, 0], [0, 1]], "hears through its head 1"),
        ([[0, 1], [1, 2], [1, 2]], [[0, 1], [0, 0], [0, 0]], "which no other agent answers"),
    ],
)
def test_the_engine_refuses_heads_that_cannot_be(subjects: Any, heard: Any, message: str):
    if message.startswith("subjects"):
        subjects[0] = [0, 0]

    def run() -> None:
        learner = learned(0, env_params={"num_agents": 3, "horizon": 4}, graph="chain")
        net = learner.actor.net
        engine = _core.Engine(
            3, 1, 2, 2, [*net.sizes[:-1], 4], list(learner.critic.net.sizes),
            buffers(3, [*net.sizes[:-1], 4]), buffers(3, learner.critic.net.sizes),
            1, "", np.array(subjects, dtype=np.int32),
        )  # fmt: skip
        rows, obs = 2, np.zeros((2, 1, 3), np.float32)
        ones = np.ones((3, rows), np.float32)
        engine.set_batch(obs, 1.0, np.zeros((rows, 3), np.int32), ones, ones[:, 0].copy(), ones)
        engine.set_messages(
            np.zeros((3, rows, 2), np.float32), np.zeros((3, rows, 2, 2), np.float32),
            np.array(heard, dtype=np.uint8),
        )  # fmt: skip

    with pytest.raises(ValueError, match=message):
        run()


def buffers(networks: int, sizes: Any) -> dict[str, Any]:
    size = sum((i + 1) * o for i, o in itertools.pairwise(sizes))
    arrays = {k: np.zeros((networks, size), np.float32) for k in ("parameter", "gradient")}
    arrays |= {k: np.zeros((networks, size), np.float32) for k in ("first", "second")}
    return {**arrays, "steps": np.zeros(networks, np.float32), "lr": 0.1, "eps": 1e-8,
            "max_norm": 0.0}  # fmt: skip


# ---- the same bits, and resuming -------------------------------------------------------------


@pytest.mark.parametrize("graph", ["ring", "random_one", "complete"])
def test_threads_change_no_bit(graph: str):
    keys = {"graph": graph, "minibatches": 1, "num_envs": 200}
    alone, several = learned(2, **keys), learned(2, **keys, torch_threads=3)
    a, b = alone.state(), several.state()
    assert a.keys() == b.keys()
    assert all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.mark.parametrize(
    "keys",
    [
        {"graph": "random_one"},
        {"graph": "random_one", "communicate_every": 2, "actor": "separate"},
        {"graph": "random_one", "backend": "torch"},
        {"graph": "ring"},
    ],
    ids=str,
)
@pytest.mark.parametrize("stop", [2, 3])
def test_a_run_that_goes_on_has_the_same_bits(keys: dict[str, Any], stop: int, tmp_path: Path):
    config = Config(**{**KEYS, **keys}, episodes=24)  # six updates
    ascore.train(config, tmp_path / "whole")
    count = iter(range(1, 100))
    ascore.train(config, tmp_path / "parts", stop=lambda: next(count) == stop)
    ascore.resume(tmp_path / "parts")
    one, two = (checkpoint.load(tmp_path / name).arrays for name in ("whole", "parts"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name
    assert ("heads.key" in one) == (keys["graph"] == "random_one")
    policy = ascore.load_policy(tmp_path / "parts")
    learner = learned(0, **keys)
    learner.load_state({key: torch.from_numpy(value.copy()) for key, value in one.items()})
    for mine, theirs in zip(policy.layers, learner.actor.own_layers(), strict=True):
        for x, y in zip(mine, theirs, strict=True):
            assert np.array_equal(x, y.numpy())


def test_heads_that_are_not_drawn_wait_unchanged():
    learner = learned(1, graph="random_one")
    assert learner.agents.stored is not None
    before = {key: value.clone() for key, value in learner.agents.stored.state().items()}
    drawn = pairs("random_one", 7, update=0)
    assert before["key"].tolist() == (drawn.listener * 7 + drawn.sender).tolist()
    assert before["exp_avg"].abs().sum(dim=1).min() > 0
    again = learned(2, graph="random_one")
    assert again.agents.stored is not None
    after = again.agents.stored.state()
    others = pairs("random_one", 7, update=1)
    trained = set((others.listener * 7 + others.sender).tolist())
    assert set(after["key"].tolist()) == set(before["key"].tolist()) | trained
    for row, key in enumerate(before["key"].tolist()):
        (at,) = (after["key"] == key).nonzero()[0].tolist()
        for name in ("parameters", "exp_avg", "exp_avg_sq"):
            same = torch.equal(before[name][row], after[name][at])
            assert same == (key not in trained), (key, name)


def test_a_run_with_a_head_for_everybody_goes_on_with_them():
    """As runs on a sparse graph had before heads were for links."""
    old = learned(0, graph="random_one")
    old.adopt({})
    assert old.actor.heads == 7
    assert old.agents.stored is None
    state = {key: value.clone() for key, value in old.state().items()}
    assert "actor.subjects" not in state
    for graph in ("ring", "random_one"):
        learner = learned(1, graph=graph)
        learner.load_state(state)
        assert learner.actor.subjects.for_all
        assert learner.agents.stored is None
        assert torch.equal(learner.actor.net.flat, state["actor"])


@pytest.mark.parametrize(
    "subjects",
    [
        np.zeros((7, 2), np.float32),
        np.zeros((6, 2), np.int64),
        np.tile(np.arange(2), (7, 1)),
        np.array([[7, 8]] * 7),
        np.array([[0, -1, 1]] * 7),
        np.array([[i, i] for i in range(7)]),
        np.array([[-2, i] for i in range(7)]),
    ],
    ids=str,
)
def test_a_checkpoint_that_lies_about_heads_is_refused(subjects: Any):
    learner = learned(0, graph="random_one")
    with pytest.raises(ValueError, match=r"^actor\.subjects "):
        learner.adopt({"actor.subjects": subjects, "heads.key": np.zeros(0, np.int64)})


@pytest.mark.parametrize(
    "key", [np.zeros(2, np.int64), np.array([49]), np.array([-1]), np.zeros(1, np.int32)], ids=str
)
def test_a_checkpoint_that_lies_about_stored_heads_is_refused(key: Any):
    learner = learned(0, graph="random_one")
    with pytest.raises(ValueError, match=r"^heads\.key "):
        learner.adopt({"actor.subjects": np.arange(7)[:, None], "heads.key": key})


def test_whom_nobody_hears_is_said(tmp_path: Path):
    config = Config(**{**KEYS, "graph": "matrix", "graph_matrix": ONE_WAY, "episodes": 4})
    message = "graph_matrix lets nobody hear agents 4, 5, 6; if that is not meant, write a 1 into"
    with pytest.warns(AscoreWarning, match=message):
        ascore.train(config, tmp_path / "run")
