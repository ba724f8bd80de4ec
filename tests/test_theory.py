"""Both sides of Lemma 1, Lemma 2 and Theorem 1 on thousands of random games, and by hand."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ascore import theory
from ascore.theory import MMDP, Bound, joint_policy, lemma_1, lemma_2, random_policies, theorem_1

INSTANCES = 5_000
SLACK = 1e-9

Statement = Callable[[MMDP, list, list, list], Bound]

STATEMENTS: dict[str, Statement] = {
    "lemma 1": lambda game, old, new, wished: lemma_1(game, old, new),
    "lemma 2": lemma_2,
    "theorem 1": theorem_1,
}


def instance(rng: np.random.Generator) -> tuple[MMDP, list, list, list]:
    """A game, policies before and after, and anticipations: near, far, deterministic, true."""
    states, agents = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    counts = [int(a) for a in rng.integers(1, 4, agents)]
    discount = float(rng.choice([0.0, 0.3, 0.9, 0.99]))
    game = theory.random_mmdp(rng, states, counts, discount)
    if rng.random() < 0.3:  # rewards that pull agents apart, as in a dilemma
        game = MMDP(game.transition, np.sign(game.reward), tuple(counts), game.start, discount)
    spread = float(rng.choice([0.0, 1.0, 4.0, 400.0]))  # the last is deterministic in float64
    old = random_policies(rng, states, counts, spread)
    size = float(rng.choice([0.0, 0.05, 1.0]))
    new = (
        theory.shifted(rng, old, size)
        if rng.random() < 0.7
        else random_policies(rng, states, counts, spread)
    )
    trust = rng.random() < 0.2
    wished = [
        [
            new[j] if trust or i == j else random_policies(rng, states, [counts[j]], spread)[0]
            for j in range(agents)
        ]
        for i in range(agents)
    ]
    return game, old, new, wished


def tight_instance() -> tuple[MMDP, list, list, list]:
    """Lemma 2 holds with equality: agent 0 wishes the one thing, agent 1 does the other."""
    reward = np.array([[[1.0, -1.0]], [[0.0, 0.0]]])  # agent 1's two actions; it does not care
    game = MMDP(np.ones((1, 2, 1)), reward, (1, 2), np.ones(1), 0.0)
    certain = np.ones((1, 1))
    old = [certain, np.array([[0.5, 0.5]])]
    new = [certain, np.array([[0.0, 1.0]])]
    wished = [[certain, np.array([[1.0, 0.0]])], new]
    return game, old, new, wished


def violations(statements: dict[str, Statement], count: int) -> dict[str, int]:
    """How often each statement fails on random instances and on the tight one."""
    rng = np.random.default_rng(2024)
    failed = dict.fromkeys(statements, 0)
    for case in itertools.chain([tight_instance()], (instance(rng) for _ in range(count - 1))):
        for name, statement in statements.items():
            failed[name] += not statement(*case).holds(SLACK)
    return failed


def test_the_statements_hold():
    assert violations(STATEMENTS, INSTANCES) == dict.fromkeys(STATEMENTS, 0)


def test_broken_statements_are_caught():
    def without_divergence(game, old, new, wished):
        return Bound(lemma_1(game, old, new).left, 0.0)

    def halved(game, old, new, wished):
        bound = lemma_2(game, old, new, wished)
        return Bound(bound.left, 0.5 * bound.right)

    def without_f(game, old, new, wished):
        bound = theorem_1(game, old, new, wished)
        before = joint_policy(old)
        largest = np.abs(game.advantages(before)).max(axis=(1, 2)).sum()
        f = 0.5 * largest * before.shape[1] * np.square(game.visitation(before)).sum()
        return Bound(bound.left, bound.right - f)

    broken = {"lemma 1": without_divergence, "lemma 2": halved, "theorem 1": without_f}
    failed = violations(broken, 500)
    assert all(failed.values()), failed


def test_lemma_1_holds_in_both_directions():
    """Its proof bounds the absolute value (Eq. 29)."""
    rng = np.random.default_rng(7)
    for _ in range(300):
        game, old, new, _ = instance(rng)
        bound = lemma_1(game, old, new)
        assert Bound(-bound.left, bound.right).holds(SLACK)


def test_lemma_2_is_an_equality_in_the_worst_case():
    bound = lemma_2(*tight_instance())
    assert bound.left == pytest.approx(2.0)
    assert bound.tightness == pytest.approx(1.0)


def test_nothing_changed_nothing_promised():
    rng = np.random.default_rng(0)
    game = theory.random_mmdp(rng, 3, (2, 3), 0.9)
    old = random_policies(rng, 3, (2, 3))
    bound = lemma_1(game, old, old)
    assert bound.left == pytest.approx(0.0, abs=1e-12)
    assert bound.right == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(Bound(0.0, 0.0).tightness)


def test_true_anticipations_leave_no_gap():
    """With pi^{ij} = pi^{jj} the left side of Lemma 2 is 0 and only f remains on the right."""
    rng = np.random.default_rng(1)
    game = theory.random_mmdp(rng, 3, (2, 2), 0.9)
    old, new = random_policies(rng, 3, (2, 2)), random_policies(rng, 3, (2, 2))
    bound = lemma_2(game, old, new, [new, new])
    before = joint_policy(old)
    largest = np.abs(game.advantages(before)).max(axis=(1, 2)).sum()
    f = 0.5 * largest * 4 * np.square(game.visitation(before)).sum()
    assert bound.left == pytest.approx(0.0, abs=1e-12)
    assert bound.right == pytest.approx(f)


def test_without_a_future_the_surrogate_is_exact():
    rng = np.random.default_rng(2)
    game = theory.random_mmdp(rng, 3, (2, 2), 0.0)
    old, new = random_policies(rng, 3, (2, 2)), random_policies(rng, 3, (2, 2))
    assert lemma_1(game, old, new).left == pytest.approx(0.0, abs=1e-12)


def test_the_theorem_is_its_two_lemmas():
    rng = np.random.default_rng(3)
    game, old, new, wished = (instance(rng) for _ in range(1)).__next__()
    lefts = [s(game, old, new, wished).left for s in STATEMENTS.values()]
    assert lefts[2] == pytest.approx(lefts[0] + lefts[1])


def test_quantities_against_time_step_by_time_step():
    rng = np.random.default_rng(4)
    game = theory.random_mmdp(rng, 3, (2, 3), 0.8)
    policies = random_policies(rng, 3, (2, 3))
    joint = joint_policy(policies)
    at, visits, earned = game.start.copy(), np.zeros(3), 0.0
    for t in range(400):
        visits += 0.8**t * at
        following = np.zeros(3)
        for s in range(3):
            for a in range(2):
                for b in range(3):
                    chance = at[s] * policies[0][s, a] * policies[1][s, b]
                    earned += 0.8**t * chance * game.reward[:, s, 3 * a + b].sum()
                    following += chance * game.transition[s, 3 * a + b]
        at = following
    np.testing.assert_allclose(game.visitation(joint), visits, rtol=1e-10)
    assert game.visitation(joint).sum() == pytest.approx(1 / (1 - 0.8))
    assert game.team_return(joint) == pytest.approx(earned)
    mean = np.einsum("sj,isj->is", joint, game.advantages(joint))
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)


def test_what_may_never_happen_again_is_infinitely_far():
    assert theory.divergence(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == math.inf
    assert theory.divergence(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])) == pytest.approx(
        math.log(2)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 1.0}, r"discount = 1.0 is not allowed; it must be in \[0, 1\)"),
        ({"start": np.array([0.5, 0.4])}, r"start has a row that sums to 0.9"),
        ({"start": np.array([1.5, -0.5])}, r"start holds the probability -0.5"),
        ({"transition": np.ones((2, 4, 2))}, r"transition has a row that sums to 2.0"),
        ({"action_counts": (2, 3)}, r"transition has shape \(2, 4, 2\).* need \(2, 6, 2\)"),
        ({"reward": np.zeros((1, 2, 4))}, r"reward has shape \(1, 2, 4\).* need \(2, 2, 4\)"),
        ({"reward": np.full((2, 2, 4), np.nan)}, r"reward holds a value that is not finite"),
    ],
)
def test_malformed_games_are_refused(change, message):
    game = theory.random_mmdp(np.random.default_rng(0), 2, (2, 2), 0.5)
    with pytest.raises(ValueError, match=message):
        MMDP(**{**vars(game), **change})


def test_malformed_policies_are_refused():
    half = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match=r"policy of agent 1 has a row that sums to 1.2"):
        joint_policy([half, np.full((2, 2), 0.6)])
    with pytest.raises(ValueError, match=r"policy of agent 1 has 3 states, that of agent 0 2"):
        joint_policy([half, np.full((3, 2), 0.5)])


def test_the_worked_example_prints_what_the_document_says(capsys: pytest.CaptureFixture[str]):
    text = (Path(__file__).parent.parent / "docs/theory.md").read_text()
    code, printed = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", text, re.DOTALL)[0]
    exec(compile(code, "docs/theory.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_table_of_the_document_is_what_the_module_prints():
    table = theory.report(instances=300)
    assert table in (Path(__file__).parent.parent / "docs/theory.md").read_text()
