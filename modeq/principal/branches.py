"""The logarithm of multipliers, and on which branch.

A multiplier μ = 1 + q of one step belongs to the flow with log μ. Negative multipliers have
log(-x) = log x + iπ, whichever sign their zero imaginary part has. At real points the logarithm is
the principal one; along a complex trajectory its cut lies on the negative imaginary axis instead,
so that a multiplier near the negative axis does not jump between sheets. So it does for real
eigenvalues, whose multipliers are real, or of momentum in the upper half plane. Of s steps taken as
one the logarithm is (1/s) log μˢ, with the same cut: real for real μ where s is even.
"""

from __future__ import annotations

import math

import numpy as np

from modeq.principal.multipliers import PLAIN, Recurrence

NEGLIGIBLE = 1e-13


def logarithm(q: np.ndarray, is_cut_below: bool | np.ndarray = False) -> np.ndarray:
    """Return log(1 + q) to rounding; see the docstring of the module for the branch.

    Args:
        q: The multipliers minus one.
        is_cut_below: Whether the cut lies on the negative imaginary axis, for all or for each.

    >>> logarithm(np.array([-3.0 + 0j, complex(-3.0, -0.0)])).imag.round(4).tolist()
    [3.1416, 3.1416]
    """
    q = np.asarray(q, complex)
    x, y = q.real, q.imag
    with np.errstate(divide="ignore"):
        size = np.where(
            np.abs(q) < 0.5, 0.5 * np.log1p(x * (2 + x) + y * y), np.log(np.hypot(1 + x, y))
        )
    angle = np.arctan2(y, 1 + x)
    lifted = (1 + x < 0) & (np.abs(y) <= NEGLIGIBLE * np.abs(q)) & (angle < 0)
    lifted |= is_cut_below & (angle < -math.pi / 2)
    return size + 1j * np.where(lifted, angle + 2 * math.pi, angle)


def composed_phases(
    logs: np.ndarray, composed: int, is_cut_below: bool | np.ndarray = False
) -> np.ndarray:
    """Return what to subtract from log μ for (1/s) log μˢ: multiples of 2πi/s.

    Args:
        logs: The logarithms of the multipliers.
        composed: The number s.
        is_cut_below: Whether the cut lies on the negative imaginary axis, for all or for each.

    >>> composed_phases(np.array([0.5 + np.pi * 1j, 0.5j]), 2).imag.round(4).tolist()
    [3.1416, 0.0]
    """
    if composed == 1:
        return np.zeros(np.shape(logs))
    cut = np.where(is_cut_below, 0.25, NEGLIGIBLE)
    return 2j * math.pi / composed * np.rint(composed * np.imag(logs) / (2 * math.pi) - cut)


def chain_factor(logs: np.ndarray, hnu: np.ndarray, recurrence: Recurrence = PLAIN) -> np.ndarray:
    """Return log(μ)/(hν), with its limit at ν = 0.

    >>> chain_factor(np.array([0.0]), np.array([0.0]))
    array([1.])
    """
    first = recurrence.sigma(1.0) / sum(j * a for j, a in enumerate(recurrence.alpha))
    safe = np.where(hnu == 0, 1, hnu)
    return np.where(hnu == 0, first, logs / safe)
