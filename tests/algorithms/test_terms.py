"""Loss terms against the float64 loops of the reference, and the facts every loss must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import GRAPHS, Problem

from ascore.algorithms.terms import peer_ratio, penalty_gate
from ascore.config import Config

torch.set_num_threads(1)


@settings(max_examples=120, deadline=None)
@given(
    n=st.integers(1, 8),
    a=st.integers(2, 9),
    seed=st.integers(0, 10_000),
    graph=st.sampled_from(GRAPHS),
    reference=st.sampled_from(["true", "anticipated"]),
    discrepancy=st.sampled_from(["l2", "kl"]),
    gate=st.sampled_from(["indicator", "always"]),
    spread=st.sampled_from([0.0, 1.0, 8.0]),
    masked=st.booleans(),
)
def test_loss_equals_the_loops(n, a, seed, graph, reference, discrepancy, gate, spread, masked):
    problem = Problem(n, a, 5, seed, graph, spread, masked)
    config = Config(
        penalty_weight=3.0,
        peer_ratio_reference=reference,
        discrepancy=discrepancy,
        penalty_gate=gate,
    )
    terms = problem.loss(config, torch.from_numpy(problem.logits))
    for owner in range(n):
        surrogate, penalty = problem.reference(config, owner)
        assert float(terms.policy[owner]) == pytest.approx(surrogate, rel=1e-10, abs=1e-12)
        assert float(terms.penalty[owner]) == pytest.approx(penalty, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(("n", "a"), [(1, 2), (2, 2), (3, 6), (5, 3)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("discrepancy", ["l2", "kl"])
def test_gradient_is_that_of_the_loops(n, a, graph, masked, discrepancy):
    problem = Problem(n, a, 3, seed=n + a, graph=graph, masked=masked)
    config = Config(penalty_weight=2.0, discrepancy=discrepancy)
    logits = torch.from_numpy(problem.logits).requires_grad_()
    terms = problem.loss(config, logits)
    value = (terms.policy + terms.penalty).sum()
    (gradient,) = torch.autograd.grad(value, logits, retain_graph=True)
    if masked:
        (whole,) = torch.autograd.grad(value - 0.1 * terms.entropy.sum(), logits)
        assert torch.isfinite(whole).all()
        assert (whole[:, problem.forbidden] == 0).all()
    rng = np.random.default_rng(0)
    step = 1e-6
    for _ in range(12):
        index = tuple(rng.integers(0, size) for size in logits.shape)
        values = []
        for sign in (1.0, -1.0):
            problem.logits[index] += sign * step
            values.append(sum(sum(problem.reference(config, i)) for i in range(n)))
            problem.logits[index] -= sign * step
        expected = (values[0] - values[1]) / (2 * step)
        assert float(gradient[index]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_gradcheck():
    problem = Problem(3, 4, 4, seed=3)
    config = Config(penalty_weight=2.0)

    def value(logits: torch.Tensor) -> torch.Tensor:
        terms = problem.loss(config, logits)
        return terms.policy + terms.penalty + terms.entropy

    assert torch.autograd.gradcheck(value, (torch.from_numpy(problem.logits).requires_grad_(),))


def test_saturated_policies_stay_finite():
    problem = Problem(3, 4, 6, seed=1, spread=0.0)
    extreme = np.zeros_like(problem.logits)
    extreme[..., 0] = 70.0  # the other actions have probability 4e-31
    problem.logits, problem.sent_logits, problem.old_logits = (
        extreme,
        extreme[..., ::-1].copy(),
        extreme,
    )
    logits = torch.from_numpy(problem.logits.astype(np.float32)).requires_grad_()
    terms = problem.loss(Config(), logits.double())
    (gradient,) = torch.autograd.grad((terms.policy + terms.penalty).sum(), logits)
    assert torch.isfinite(gradient).all()
    for owner in range(3):
        surrogate, penalty = problem.reference(Config(), owner)
        assert terms.policy[owner].item() == pytest.approx(surrogate, rel=1e-9)
        assert terms.penalty[owner].item() == pytest.approx(penalty, rel=1e-9)


def test_gate_on_its_boundary():
    """Eq. 14 uses >=: equality holds when A = 0 or the ratio is 1, whatever the other is."""
    advantage = torch.tensor([[-1.0, 0.0, 1.0]])
    log_ratio = torch.tensor([[[-0.5, 0.0, 0.5]] * 3])
    expected = [[[True, True, False], [True, True, True], [False, True, True]]]
    assert penalty_gate(log_ratio, advantage).tolist() == expected
    assert penalty_gate(torch.tensor([[[900.0]]]), torch.tensor([[0.0]])).all()  # exp overflows


def test_peer_ratio_clip_and_empty_neighbourhood():
    new, old = torch.log(torch.tensor([[[0.8, 0.9]]])), torch.log(torch.tensor([[[0.2, 0.3]]]))
    nobody = torch.zeros(1, 1, 2, dtype=torch.bool)
    assert peer_ratio(new, old, nobody).item() == 1.0
    assert peer_ratio(new, old, ~nobody).item() == pytest.approx(12.0)
    assert peer_ratio(new, old, ~nobody, clip=0.2).item() == pytest.approx(1.2)
    assert peer_ratio(old, new, ~nobody, clip=0.2).item() == pytest.approx(0.8)
    assert peer_ratio(old, new, ~nobody, clip=1.5).item() == pytest.approx(1 / 12)


def test_relabelling_agents_permutes_losses_and_gradients():
    problem = Problem(4, 3, 6, seed=5, graph="per_row")
    config = Config(penalty_weight=2.0)
    order = np.array([2, 0, 3, 1])
    relabelled = Problem(4, 3, 6, seed=5, graph="per_row")
    for name in ("logits", "old_logits", "sent_logits"):
        setattr(relabelled, name, getattr(problem, name)[order][:, :, order])
    relabelled.action = problem.action[:, order]
    relabelled.advantage = problem.advantage[order]
    relabelled.heard = problem.heard[order][:, :, order]
    gradients = []
    values = []
    for p in (problem, relabelled):
        logits = torch.from_numpy(p.logits.copy()).requires_grad_()
        terms = p.loss(config, logits)
        total = terms.policy + terms.penalty
        values.append(total.detach())
        gradients.append(torch.autograd.grad(total.sum(), logits)[0])
    torch.testing.assert_close(values[1], values[0][order])
    torch.testing.assert_close(gradients[1], gradients[0][order][:, :, order])


def test_no_agent_depends_on_anothers_advantage_or_networks():
    """The privacy facts: with messages fixed, agent i's loss is its own business."""
    config = Config(penalty_weight=2.0)
    problem = Problem(3, 4, 5, seed=9)
    logits = torch.from_numpy(problem.logits.copy()).requires_grad_()
    before = problem.loss(config, logits)
    (gradient,) = torch.autograd.grad((before.policy + before.penalty)[0], logits)
    assert (gradient[1:] == 0).all()
    assert (gradient[0] != 0).any()
    problem.advantage[1:] *= -7.0
    after = problem.loss(config, torch.from_numpy(problem.logits))
    for term in ("policy", "penalty"):
        assert getattr(before, term)[0].item() == getattr(after, term)[0].item()
        assert getattr(before, term)[1].item() != getattr(after, term)[1].item()


def test_owners_one_at_a_time_equal_all_at_once():
    problem = Problem(4, 3, 6, seed=2, graph="per_row")
    config = Config(penalty_weight=2.0)
    logits = torch.from_numpy(problem.logits)
    together = problem.loss(config, logits)
    for owner in range(4):
        alone = problem.loss(config, logits[owner : owner + 1], np.array([owner]))
        torch.testing.assert_close(alone.policy[0], together.policy[owner])
        torch.testing.assert_close(alone.penalty[0], together.penalty[owner])


def test_with_old_equal_to_new_the_gradient_is_the_plain_policy_gradient():
    problem = Problem(3, 4, 7, seed=4)
    problem.old_logits = problem.logits
    config = Config(penalty_weight=0.0, peer_ratio_reference="anticipated")
    logits = torch.from_numpy(problem.logits.copy()).requires_grad_()
    terms = problem.loss(config, logits)
    (gradient,) = torch.autograd.grad(terms.policy.sum(), logits)
    log_probs = torch.log_softmax(logits, dim=-1)
    index = torch.from_numpy(problem.action)[None, :, :, None].expand(3, 7, 3, 1)
    score = log_probs.gather(-1, index).squeeze(-1).sum(dim=2)
    plain = -(torch.from_numpy(problem.advantage) * score).mean(dim=1).sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(plain, logits)[0])
