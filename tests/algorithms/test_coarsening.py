"""What is sent of a distribution in every form, and what receivers take it for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ascore.algorithms.coarsening import Bits, Draw, Full, Noise, Sampled, Top, form_of
from ascore.config import Config
from ascore.envs.legal import ILLEGAL
from ascore.errors import ConfigError

P = torch.tensor([0.5, 0.3, 0.15, 0.05])
FORMS = ("full", "top-2", "bits-4", "sampled-8", "noise-0.5")


def draws(shape: tuple[int, ...], seed: int = 0) -> Draw:
    rng = np.random.default_rng(seed)
    return lambda method, count: torch.from_numpy(
        getattr(rng, method)((*shape, count), dtype=np.float32)
    )


def received(form: str, p: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return form_of(form).received(p.log(), draws(tuple(p.shape[:-1]), seed)).exp()


def test_the_largest_are_kept_and_the_others_share_the_rest():
    torch.testing.assert_close(received("top-1", P), torch.tensor([0.5, 1 / 6, 1 / 6, 1 / 6]))
    torch.testing.assert_close(received("top-2", P), torch.tensor([0.5, 0.3, 0.1, 0.1]))
    assert torch.equal(form_of("top-4").received(P.log(), draws(())), P.log())
    tied = torch.tensor([0.2, 0.4, 0.4, 0.0]).clamp(min=1e-30)
    torch.testing.assert_close(received("top-1", tied), torch.tensor([0.2, 0.4, 0.2, 0.2]))


def test_bits_are_middles_of_equal_parts():
    # Quarters: 0.5 is in the third, 0.3 in the second, the others in the first.
    middles = torch.tensor([0.625, 0.375, 0.125, 0.125])
    torch.testing.assert_close(received("bits-2", P), middles / middles.sum())
    sure = torch.tensor([1.0, 0.0]).clamp(min=1e-30)
    torch.testing.assert_close(received("bits-1", sure), torch.tensor([0.75, 0.25]))
    rows = torch.softmax(torch.randn(500, 6, generator=torch.manual_seed(0)), dim=-1)
    assert (received("bits-12", rows) - rows).abs().max() < 6 * 2**-13 + 2**-13


def test_samples_have_the_frequencies_of_the_distribution():
    """Standard error of a mean of 8 x 20,000 draws: at most 0.0013."""
    seen = received("sampled-8", P.expand(20_000, 4))
    torch.testing.assert_close(seen.mean(dim=0), (8 * P + 0.25) / 9, rtol=0, atol=0.005)
    counts = seen * 9 - 0.25
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-5)
    assert len(counts.round().unique(dim=0)) > 20


def test_noise_is_on_logarithms():
    noised = received("noise-0.5", P.expand(20_000, 4)).log()
    gap = noised[:, 0] - noised[:, 1] - (P[0] / P[1]).log()  # what is divided out cancels
    assert gap.mean().abs() < 0.02
    assert float(gap.std()) == pytest.approx(0.5 * 2**0.5, rel=0.03)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_taken_is_a_distribution_over_legal_actions(form: str):
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(0, 3, (200, 7)).astype(np.float32))
    forbidden = torch.from_numpy(rng.random((200, 7)) < 0.4)
    forbidden[:, 3] = False
    logits[3, 3] = 60.0  # all others are 0 in single precision
    log_probs = torch.log_softmax(logits.masked_fill(forbidden, ILLEGAL), dim=-1)
    before = log_probs.clone()
    taken = form_of(form).received(log_probs, draws((200,)))
    assert torch.equal(log_probs, before)  # one's own is left as it is
    assert taken.isfinite().all()
    torch.testing.assert_close(taken.exp().sum(dim=-1), torch.ones(200), rtol=0, atol=1e-5)
    assert (taken.exp()[forbidden] == 0).all()
    if form != "full":
        assert (taken.exp() > 0)[3].equal(~forbidden[3])


def test_numbers_and_bytes():
    actions = np.array([2, 9, 300])
    for form, numbers, size in (
        (Full(), [2, 9, 300], [8, 36, 1200]),
        (Top(2), [2, 4, 4], [8, 10, 12]),
        (Bits(4), [2, 9, 300], [1, 5, 150]),
        (Sampled(8), [8, 8, 8], [8, 8, 16]),
        (Noise(0.5), [2, 9, 300], [8, 36, 1200]),
    ):
        assert form.numbers(actions).tolist() == numbers
        assert form.bytes(actions).tolist() == size


@pytest.mark.parametrize(
    "form",
    ["", "top", "top-0", "top-1.5", "bits-17", "sampled--3", "noise-0", "noise-nan", "noise-1e1",
     "full-3", "half-2", "top-2-3"],
)  # fmt: skip
def test_other_forms_are_refused(form: str):
    with pytest.raises(
        ConfigError, match=f"message_form = '{form}' is not allowed; it must be full"
    ):
        Config(message_form=form)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("anticipation", "correction"),
        ("message_refresh", "minibatch"),
        ("update_order", "sequential"),
    ],
)
def test_what_sends_more_than_once_an_iteration_is_refused(key: str, value: str):
    Config(**{key: value})
    with pytest.raises(
        ConfigError, match=f"{key} = '{value}' is not allowed.* where message_form = top-2"
    ):
        Config(**{key: value, "message_form": "top-2"})
