"""What Gaussian noise costs in epsilon and delta, exactly.

A release whose expectation two neighbouring inputs move by at most s, with Gaussian noise of
deviation z s on every number, is mu-Gaussian differentially private with mu = 1 / z. Releases that
read what was released before compose by adding up mu^2, and the sum is as tight for them together
as each is alone (Dong, Roth and Su 2022, Corollary 3.3). Nothing is sampled, so nothing is
amplified, and no bound is needed between mu and (epsilon, delta): both follow from

    delta(epsilon) = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)

(Balle and Wang 2018, Theorem 8). `zcdp_epsilon` is the bound of concentrated privacy, which is
looser and can be worked out by hand.
"""

from __future__ import annotations

import math

ROUNDING = 1e-5
"""Relative: epsilon is stated so much larger than it was computed, which leaves room for rounding,
here and where others approximate from above."""


def delta_of(mu: float, epsilon: float) -> float:
    """The least delta at which a mu-Gaussian release is (epsilon, delta)-private.

    Args:
        mu: above 0.
        epsilon: at least 0.
    """
    upper = mu / 2 - epsilon / mu
    lower = epsilon + _log_normal(upper - mu)
    return max(0.0, math.exp(_log_normal(upper)) - math.exp(min(lower, 0.0)))


def epsilon_of(mu: float, delta: float) -> float:
    """The least epsilon at which a mu-Gaussian release is (epsilon, delta)-private.

    Args:
        mu: at least 0; infinite where there is no noise.
        delta: above 0 and below 1.
    """
    if mu == 0 or math.isinf(mu):
        return mu
    if delta_of(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, zcdp_epsilon(mu, delta)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if delta_of(mu, middle) <= delta else (middle, high)
    return high * (1 + ROUNDING)


def mu_of(epsilon: float, delta: float) -> float:
    """The largest mu whose releases are (epsilon, delta)-private.

    Args:
        epsilon: above 0.
        delta: above 0 and below 1.
    """
    low, high = 0.0, 1.0
    while epsilon_of(high, delta) <= epsilon:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low


def zcdp_epsilon(mu: float, delta: float) -> float:
    """Epsilon by concentrated privacy, rho = mu^2 / 2: rho + 2 sqrt(rho ln(1/delta)).

    Source: Bun and Steinke 2016, Proposition 1.3.
    """
    rho = mu * mu / 2
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def _log_normal(x: float) -> float:
    """Ln Phi(x), to full precision far into the tail."""
    if x > -30:
        return math.log(math.erfc(-x / math.sqrt(2)) / 2)
    # Mills' ratio as a continued fraction: beyond -30, twenty terms are exact in a double.
    ratio = -x
    for k in range(20, 0, -1):
        ratio = -x + k / ratio
    return -x * x / 2 - math.log(ratio) - math.log(2 * math.pi) / 2
