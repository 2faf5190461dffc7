"""The function w/(eʷ - 1), which turns sums over steps into derivatives at step 0.

    β(w) = w/(eʷ - 1) = Σ B_n wⁿ/n!,        B_n the Bernoulli numbers.

A sum S(m) = Σ_{s<m} e^{ws} has S'(0) = β(w). The Bernoulli numbers are moments,

    β(w) = E e^{w s},        s = -1/2 + iL,        L with the density π/2 sech²(πL),

as E e^{iLw} = (w/2)/sinh(w/2). So for any sum of exponentials X the derivative at m = 0 of
Σ_{s<m} X(s) is the mean of X itself at random complex steps s. The mean exists where the exponents
have |Im w| < 2π, and a Gauss rule gives it from few of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

NODES = 24
RADIUS = 0.75
NEAREST_POLE = 3.0
"""Taylor coefficients are those of circles of this radius, rounding apart, if poles are so far."""

SIZES = range(6, 66, 2)
ACCURACY = 4e-15
NEGLIGIBLE = 1e-17
"""Steps with a smaller share than this one in the mean are left out."""


def bernoulli(w: Any) -> np.ndarray:
    """Return w/(eʷ - 1), for real or complex arrays.

    >>> bernoulli(np.array([0.0, np.log(2)])).round(12).tolist()
    [1.0, 0.69314718056]
    """
    w = np.asarray(w)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = w / np.expm1(w)
    return np.where(w == 0, 1.0, value)


def pole_distance(w: Any) -> np.ndarray:
    """Return how far the nearest pole is, at 2πi n with n ≠ 0.

    >>> round(float(pole_distance(3j)), 6)  # 2π - 3
    3.283185
    """
    w = np.asarray(w)
    turns = np.rint(np.imag(w) / (2 * np.pi))
    turns = np.where(turns == 0, np.where(np.imag(w) < 0, -1, 1), turns)
    return np.abs(w - 2j * np.pi * turns)


def taylor(w: Any, count: int) -> np.ndarray:
    """Return the coefficients β⁽ᵖ⁾(w)/p! for p < count ≤ 24, along a first axis.

    They are means over a circle around w. That of p has the rounding of β times 0.75⁻ᵖ, which is
    harmless where it is multiplied by powers of what is much smaller; no pole may be nearer than 3.

    >>> taylor(np.array([0.0]), 3).round(12).ravel().tolist()  # B_n/n!
    [1.0, -0.5, 0.083333333333]
    """
    w = np.asarray(w)
    turns = RADIUS * np.exp(2j * np.pi * np.arange(NODES) / NODES)
    around = bernoulli(w + turns.reshape(-1, *(1,) * w.ndim))
    found = np.fft.fft(around, axis=0)[:count] / NODES
    found = found / RADIUS ** np.arange(count).reshape(-1, *(1,) * w.ndim)
    return found if np.iscomplexobj(w) else found.real


@cache
def _gauss(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes L > 0 and weights of the Gauss rule for π/2 sech²(πL), twice those of L.

    The monic orthogonal polynomials have p_{n+1} = L p_n - n⁴/(4(4n² - 1)) p_{n-1} (continuous Hahn
    polynomials); of an even number of nodes half are positive.
    """
    n = np.arange(1.0, size)
    beside = np.sqrt(n**4 / (4 * (4 * n**2 - 1)))
    nodes, vectors = np.linalg.eigh(np.diag(beside, 1) + np.diag(beside, -1))
    positive = nodes > 0
    return nodes[positive], 2 * vectors[0, positive] ** 2


@cache
def umbral_rule(reach: complex) -> tuple[np.ndarray, np.ndarray] | None:
    """Return complex steps s with positive imaginary part and weights, such that

        S'(0) = Σ weights · (X(s) + X(s̄))/2        for S(m) = Σ_{s<m} X(s),

    to rounding for sums X of e^{ws} with |Re w| ≤ Re reach and |Im w| ≤ Im reach; None if that
    would take more than 64 steps.

    >>> s, weights = umbral_rule(1)
    >>> bool(abs(weights @ np.exp(-s).real - bernoulli(-1.0)) < 1e-14)
    True
    """
    corners = [complex(sign * reach.real, reach.imag) for sign in (-1, 1)]
    for size in SIZES:
        nodes, weights = _gauss(size)
        steps = -0.5 + 1j * nodes
        with np.errstate(over="ignore", invalid="ignore"):
            errors = [_error(w, steps, weights) for w in corners]
        if all(error <= ACCURACY * (1 + abs(reach)) for error in errors):
            matter = np.max([_shares(w, steps, weights) for w in corners], axis=0) > NEGLIGIBLE
            return steps[matter], weights[matter]
    return None


def _shares(w: complex, steps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sizes of the terms of a mean over its value."""
    return np.abs(weights * np.exp(w * steps) / bernoulli(np.array(w)))


def _error(w: complex, steps: np.ndarray, weights: np.ndarray) -> float:
    found = weights @ (np.exp(w * steps) + np.exp(w * steps.conj())) / 2
    exact = bernoulli(np.array(w))
    return float(np.abs(found / exact - 1))
