"""The losses of the kernel against the objectives in PyTorch, with float64 where it matters."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import GRAPHS, Problem, log_softmax

from ascore.algorithms.contract import Algorithm
from ascore.algorithms.table import get_algorithm
from ascore.algorithms.terms import Batch, LossTerms, Messages
from ascore.config import Config
from ascore.learning.backends import loops as compiled
from ascore.learning.backends.kernel import compiled_loss

torch.set_num_threads(1)

AS, IPPO, PS = (get_algorithm(name) for name in ("as", "ippo", "ps"))

# Sums of float32 products: errors are a few units in the last place of the largest term.
RELATIVE, ABSOLUTE = 2e-5, 2e-6


def messages(problem: Problem, owners: np.ndarray) -> Messages:
    sent, old = (
        torch.from_numpy(log_softmax(x)) for x in (problem.sent_logits, problem.old_logits)
    )
    index = torch.from_numpy(problem.action).T[:, :, None]
    own = torch.stack([old[j, :, j] for j in range(problem.n)])
    heard = torch.from_numpy(problem.heard[owners])
    return Messages(sent, own.gather(2, index).squeeze(2).T, heard)


def single(x: Any) -> Any:
    """Converts tensors to float32."""
    values = {
        key: v.float().contiguous() if isinstance(v, torch.Tensor) and v.is_floating_point() else v
        for key, v in vars(x).items()
    }
    return replace(x, **values)


def exact(
    algorithm: Algorithm, logits: torch.Tensor, batch: Batch, sent: Messages | None, config: Config
) -> tuple[torch.Tensor, LossTerms, torch.Tensor]:
    """Loss, terms and gradient in PyTorch, in float64."""
    logits = logits.double().requires_grad_()
    inbox = sent.inbox(batch.owners) if sent is not None else None
    terms = algorithm.objective(batch, torch.log_softmax(logits, -1), inbox, config)
    loss = terms.policy + terms.penalty - config.entropy_bonus * terms.entropy
    return loss.detach(), terms, torch.autograd.grad(loss.sum(), logits)[0]


def by_kernel(
    algorithm: Algorithm, logits: torch.Tensor, batch: Batch, sent: Messages | None, config: Config
) -> tuple[torch.Tensor, LossTerms, torch.Tensor]:
    logits = logits.detach().float().requires_grad_()
    assert algorithm.compiled is not None
    loss, terms = compiled_loss(
        algorithm.compiled,
        logits,
        single(batch),
        single(sent) if sent is not None else None,
        config,
    )
    return loss.detach(), terms, torch.autograd.grad(loss.sum(), logits)[0]


def agree(
    algorithm: Algorithm, logits: torch.Tensor, batch: Batch, sent: Messages | None, config: Config
) -> None:
    """Checks that both agree for inputs that float32 can represent."""
    batch, logits = double(single(batch)), logits.float().double()
    sent = double(single(sent)) if sent is not None else None
    loss, terms, gradient = exact(algorithm, logits, batch, sent, config)
    kernel_loss, kernel_terms, kernel_gradient = by_kernel(algorithm, logits, batch, sent, config)
    close = {"rtol": RELATIVE, "atol": ABSOLUTE * max(1.0, float(loss.abs().max()))}
    torch.testing.assert_close(kernel_loss.double(), loss, **close)
    torch.testing.assert_close(kernel_terms.own_log_ratio.double(), terms.own_log_ratio, **close)
    for name in ("policy", "penalty", "entropy"):
        torch.testing.assert_close(
            getattr(kernel_terms, name).double(), getattr(terms, name).detach(), **close
        )
    for name, value in terms.statistics.items():
        torch.testing.assert_close(
            kernel_terms.statistics[name].double(), value.double(), rtol=1e-4, atol=1e-5
        )
    # On a saturated policy, a row's gradient is (1 - p) times its advantage, and float32 represents
    # p with an error of eps.
    scale = float(gradient.abs().max())
    row = float(batch.advantage.abs().max()) / batch.advantage.shape[1]
    cancelled = torch.finfo(torch.float32).eps * row
    torch.testing.assert_close(
        kernel_gradient.double(), gradient, rtol=1e-4, atol=2e-6 * max(scale, 1e-6) + cancelled
    )


def double(x: Any) -> Any:
    values = {
        key: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v
        for key, v in vars(x).items()
    }
    return replace(x, **values)


def away_from_the_gates(problem: Problem) -> None:
    """Moves log ratios away from 0, so that float32 and float64 decide gates equally."""
    now, sent = (log_softmax(x) for x in (problem.logits, problem.sent_logits))
    if np.abs(now - sent).min() < 1e-6:
        problem.sent_logits += np.random.default_rng(0).normal(0, 0.1, sent.shape)


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 8),
    a=st.integers(2, 9),
    m=st.sampled_from([1, 5, 63, 64, 70]),
    seed=st.integers(0, 10_000),
    graph=st.sampled_from(GRAPHS),
    reference=st.sampled_from(["true", "anticipated"]),
    discrepancy=st.sampled_from(["l2", "kl"]),
    gate=st.sampled_from(["indicator", "always"]),
    peer_ratio_clip=st.sampled_from([0.0, 0.2]),
    entropy_bonus=st.sampled_from([0.0, 0.1]),
    spread=st.sampled_from([0.1, 1.0, 4.0]),
    masked=st.booleans(),
)
def test_anticipation_sharing(
    n,
    a,
    m,
    seed,
    graph,
    reference,
    discrepancy,
    gate,
    peer_ratio_clip,
    entropy_bonus,
    spread,
    masked,
):
    problem = Problem(n, a, m, seed, graph, spread, masked)
    away_from_the_gates(problem)
    config = Config(
        penalty_weight=3.0,
        peer_ratio_reference=reference,
        discrepancy=discrepancy,
        penalty_gate=gate,
        peer_ratio_clip=peer_ratio_clip,
        entropy_bonus=entropy_bonus,
    )
    owners = np.arange(n)
    logits = torch.from_numpy(problem.logits)
    agree(AS, logits, problem.batch(owners), messages(problem, owners), config)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 6),
    a=st.integers(2, 9),
    m=st.sampled_from([1, 64, 300]),
    seed=st.integers(0, 10_000),
    algorithm=st.sampled_from([IPPO, PS, AS]),
    entropy_bonus=st.sampled_from([0.0, 0.1]),
    masked=st.booleans(),
)
def test_surrogates(n, a, m, seed, algorithm, entropy_bonus, masked):
    """AS without messages uses only its own head."""
    problem = Problem(n, a, m, seed, masked=masked)
    batch, logits = problem.batch(np.arange(n)), torch.from_numpy(problem.logits)
    if algorithm is IPPO:
        index = torch.arange(n)
        logits = logits[index, :, index].unsqueeze(2)
        batch = replace(batch, old_log_probs=batch.old_log_probs[index, :, index].unsqueeze(2))
    agree(algorithm, logits, batch, None, Config(entropy_bonus=entropy_bonus))


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("owners", [[0], [2], [1, 2], [3, 0]])
def test_some_owners(owners: list[int], graph: str):
    problem = Problem(4, 5, 70, seed=1, graph=graph)
    chosen = np.array(owners)
    agree(
        AS,
        torch.from_numpy(problem.logits[chosen]),
        problem.batch(chosen),
        messages(problem, chosen),
        Config(penalty_weight=2.0),
    )


@pytest.mark.parametrize("where", ["zero advantage", "ratio of one", "ends of the clip"])
def test_on_the_boundary(where: str):
    """Equal products, and gates that hold with equality: gradients equal PyTorch's."""
    problem = Problem(3, 4, 66, seed=2)
    if where == "zero advantage":
        problem.advantage[:, ::2] = 0.0
    if where == "ratio of one":
        problem.old_logits = problem.logits
    if where == "ends of the clip":
        problem.old_logits = problem.logits
    owners = np.arange(3)
    batch, sent = problem.batch(owners), messages(problem, owners)
    logits = torch.from_numpy(problem.logits)
    if where == "zero advantage":
        sent = replace(sent, log_probs=torch.log_softmax(logits.float(), -1).double())
    if where == "ends of the clip":
        shift = torch.tensor([np.log(0.8), np.log(1.2), 0.0]).repeat(22)
        batch = replace(batch, old_log_probs=batch.old_log_probs - shift[None, :, None])
        # Rounding decides on which side of the end a ratio falls; both are right.
        config = Config(penalty_weight=2.0)
        values = [f(AS, logits, batch, sent, config)[0].double() for f in (exact, by_kernel)]
        torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
        return
    # Equal probabilities give a ratio of exactly 1 in both.
    agree_up_to_ties(logits, batch, sent)


def agree_up_to_ties(logits: torch.Tensor, batch: Batch, sent: Messages) -> None:
    config = Config(penalty_weight=2.0)
    a, b = (f(AS, logits, batch, sent, config) for f in (exact, by_kernel))
    torch.testing.assert_close(b[0].double(), a[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(b[2].double(), a[2], rtol=1e-4, atol=1e-6)


def test_gates_hold_with_equality():
    """Anticipations equal the messages, so all gates are open for any A, also in float32."""
    problem = Problem(3, 4, 64, seed=3)
    logits = torch.from_numpy(problem.logits).float()
    owners = np.arange(3)
    sent = single(messages(problem, owners))
    loss, terms, _ = by_kernel(AS, logits, problem.batch(owners), sent, Config())
    assert (terms.statistics["active_own"] < 1).all()
    flat = torch.zeros_like(logits)  # uniform: all log-probabilities are equal
    same = replace(sent, log_probs=torch.log_softmax(flat, -1))
    loss, terms, _ = by_kernel(AS, flat, problem.batch(owners), same, Config())
    assert torch.isfinite(loss).all()
    assert terms.statistics["active_own"].tolist() == [1.0] * 3
    assert terms.statistics["active_anticipation"].tolist() == [1.0] * 3
    assert terms.statistics["discrepancy"].tolist() == [0.0] * 3


@pytest.mark.parametrize("discrepancy", ["l2", "kl"])
def test_saturated_policies(discrepancy: str):
    problem = Problem(3, 4, 66, seed=1, spread=0.0)
    extreme = np.zeros_like(problem.logits)
    extreme[..., 0] = 70.0  # the other actions have probability 4e-31
    problem.logits, problem.old_logits = extreme, extreme.copy()
    problem.sent_logits = extreme[..., ::-1].copy()
    owners = np.arange(3)
    config = Config(discrepancy=discrepancy)
    batch, sent = problem.batch(owners), messages(problem, owners)
    loss, _, gradient = exact(AS, torch.from_numpy(extreme), batch, sent, config)
    kernel_loss, _, kernel_gradient = by_kernel(AS, torch.from_numpy(extreme), batch, sent, config)
    torch.testing.assert_close(kernel_loss.double(), loss, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(kernel_gradient.double(), gradient, rtol=1e-4, atol=1e-6)


def test_padded_actions_have_no_gradient():
    problem = Problem(3, 4, 66, seed=4)
    logits = torch.from_numpy(problem.logits)
    logits[:, :, 1, 2:] = -1e9
    problem.sent_logits[:, :, 1, 2:] = -1e9
    problem.old_logits[:, :, 1, 2:] = -1e9
    problem.action[:, 1] %= 2
    owners = np.arange(3)
    _, _, gradient = by_kernel(
        AS, logits, problem.batch(owners), messages(problem, owners), Config(penalty_weight=2.0)
    )
    assert (gradient[:, :, 1, 2:] == 0).all()
    assert torch.isfinite(gradient).all()
    assert (gradient[:, :, 1, :2] != 0).any()


def test_non_finite_inputs_give_non_finite_losses():
    problem = Problem(2, 3, 64, seed=5)
    owners = np.arange(2)
    logits = torch.from_numpy(problem.logits)
    logits[1, 7, 0, 1] = float("nan")
    loss, _, gradient = by_kernel(
        AS, logits, problem.batch(owners), messages(problem, owners), Config()
    )
    assert torch.isfinite(loss[0])
    assert not torch.isfinite(loss[1])
    assert not torch.isfinite(gradient[1]).all()
    batch = problem.batch(owners)
    huge = replace(batch, old_log_probs=batch.old_log_probs - 1e4)  # the ratio overflows
    loss, _, _ = by_kernel(AS, torch.from_numpy(problem.logits), huge, None, Config())
    assert not torch.isfinite(loss).all()


def test_a_fixed_graph_equals_the_same_graph_at_every_row():
    problem = Problem(4, 3, 130, seed=6, graph="ring")
    owners = np.arange(4)
    sent = single(messages(problem, owners))
    logits = torch.from_numpy(problem.logits)
    every = by_kernel(AS, logits, problem.batch(owners), sent, Config())
    once = by_kernel(
        AS,
        logits,
        problem.batch(owners),
        replace(sent, neighbours=sent.neighbours[:, :1]),
        Config(),
    )
    assert torch.equal(every[0], once[0])
    assert torch.equal(every[2], once[2])


def test_rows_and_subjects_may_change_places():
    """Separate networks give [n, N, M, A], seen as [n, M, N, A]."""
    problem = Problem(3, 4, 70, seed=7)
    owners = np.arange(3)
    args = single(problem.batch(owners)), single(messages(problem, owners)), Config()
    plain = torch.from_numpy(problem.logits).float()
    swapped = plain.transpose(1, 2).contiguous().transpose(1, 2)
    results = []
    for logits in (plain, swapped):
        assert logits.is_contiguous() == (logits is plain)
        leaf = logits.requires_grad_()
        loss, _ = compiled_loss(AS.compiled, leaf, *args)
        results.append((loss.detach(), torch.autograd.grad(loss.sum(), leaf)[0].contiguous()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("algorithm", [AS, PS], ids=["as", "ps"])
def test_any_number_of_threads_gives_the_same_bits(algorithm):
    problem = Problem(3, 4, 5 * compiled.CHUNK + 17, seed=8, graph="per_row")
    owners = np.arange(3)
    sent = messages(problem, owners) if algorithm is AS else None
    results = [
        by_kernel(
            algorithm,
            torch.from_numpy(problem.logits),
            problem.batch(owners),
            sent,
            Config(torch_threads=threads),
        )
        for threads in (1, 2, 3)
    ]
    for loss, terms, gradient in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][2])
        assert all(torch.equal(terms.statistics[k], v) for k, v in results[0][1].statistics.items())


def test_weights_of_losses_scale_their_gradients():
    problem = Problem(2, 3, 10, seed=9)
    owners = np.arange(2)
    args = single(problem.batch(owners)), single(messages(problem, owners)), Config()
    leaf = torch.from_numpy(problem.logits).float().requires_grad_()
    weights = torch.tensor([2.0, -0.5])
    loss, _ = compiled_loss(AS.compiled, leaf, *args)
    (weighted,) = torch.autograd.grad((weights * loss).sum(), leaf)
    loss, _ = compiled_loss(AS.compiled, leaf, *args)
    (plain,) = torch.autograd.grad(loss.sum(), leaf)
    torch.testing.assert_close(weighted, weights[:, None, None, None] * plain)


def test_exponential_and_logarithm_within_two_units():
    """Compared with float64, over the range of probabilities and ratios."""
    x = np.concatenate(
        [np.linspace(-104, 88.7, 200_001), -np.geomspace(1e-30, 100, 100_001)]
    ).astype(np.float32)
    y = np.geomspace(1.2e-38, 3e38, 300_001).astype(np.float32)
    for function, values, true in (
        (compiled.exp, x, np.exp(x.astype(np.float64))),
        (compiled.log, y, np.log(y.astype(np.float64))),
    ):
        computed = elementwise(function, values).astype(np.float64)
        normal = np.abs(true) > 1.2e-38
        unit = np.spacing(np.abs(true[normal]).astype(np.float32)).astype(np.float64)
        assert (np.abs(computed - true)[normal] / unit).max() <= 2.0
    ends = np.array([100.0, -200.0, np.inf, -np.inf, np.nan, -1e9, 0.0], dtype=np.float32)
    assert elementwise(compiled.exp, ends).tolist()[:4] == [np.inf, 0.0, np.inf, 0.0]
    assert np.isnan(elementwise(compiled.exp, ends)[4])
    assert elementwise(compiled.exp, ends).tolist()[5:] == [0.0, 1.0]


def elementwise(function: Any, values: np.ndarray) -> np.ndarray:
    from numba import njit

    @njit
    def run(x: np.ndarray, out: np.ndarray) -> None:
        for k in range(len(x)):
            out[k] = function(x[k])

    out = np.empty_like(values)
    run(values, out)
    return out


def test_the_kernel_is_compiled_without_a_cache_folder():
    """The package folder is not writable and there is no home, so Numba has no cache folder."""
    script = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import ascore.learning.backends.loops as compiled\n"
        "print(type(compiled.anticipation).__name__)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    assert process.stdout.split() == ["CPUDispatcher"]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("DISABLE_JIT", "1", "NUMBA_DISABLE_JIT keeps"), ("NUM_THREADS", "0", "Numba does not start")],
)
def test_a_numba_that_compiles_nothing_is_refused_by_name(
    name: str, value: str, reason: str, tmp_path: Path
) -> None:
    """Where nobody asked for it, PyTorch trains."""
    code = f"""
import ascore
small = ascore.Config("exchange", num_envs=2, episodes=2, env_params={{"horizon": 2}})
ascore.train(small.replace(message_refresh="minibatch"), {str(tmp_path)!r})
try:
    ascore.train(small.replace(backend="kernel"), {str(tmp_path / "kernel")!r})
except ascore.AscoreError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {f"NUMBA_{name}": value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"backend = kernel is not possible: {reason}" in done.stdout
