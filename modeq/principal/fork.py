"""The coefficients of the first correction to the principal flow.

It consists of all terms with one second derivative of the field. With μ = 1 + hν for the
eigenvalues ν of the Jacobian, ℓ = log μ, and f, f'' in its eigenvectors,

    θ'ᵢ += h²/2 Σⱼₖ Cᵢⱼₖ f''ᵢⱼₖ fⱼ fₖ,

    Cᵢⱼₖ = [Eᵢ(μⱼμₖ) - Eᵢ(μⱼ) - Eᵢ(μₖ) + Eᵢ(1)] / ((μⱼ - 1)(μₖ - 1)),
    Eᵢ(a) = (log a - log μᵢ)/(a - μᵢ) = β(log a - ℓᵢ)/μᵢ,        β(w) = w/(eʷ - 1).

So C is a second difference of β over the two that it is divided by. Differences in small ℓ are
summed from Taylor coefficients. This is derived here.
"""

from __future__ import annotations

import math

import numpy as np

from modeq.errors import InvalidValue
from modeq.principal.bernoulli import NEAREST_POLE, bernoulli, pole_distance, taylor

SMALL = 0.25
"""Differences in logarithms below this one are summed from Taylor coefficients."""

TERMS = 12
MAX_ENTRIES = 30_000_000
"""More coefficients would not fit into memory."""


def fork_coefficients(
    roots: np.ndarray, left: np.ndarray | None = None, right: np.ndarray | None = None
) -> np.ndarray | None:
    """Return C for all choices of three eigendirections, the root first.

    Args:
        roots: The logarithms of the multipliers to choose from for the root, of shape (n,).
        left: Those for its first child, of shape (p,); the same unless given.
        right: Those for its second child, of shape (q,); the same as for the first unless given.

    Returns:
        The array, of shape (n, p, q), or None where Taylor coefficients would be taken too near to
        a pole.

    Raises:
        InvalidValue: It would have too many entries.

    >>> fork_coefficients(np.array([0.0])).round(12).ravel().tolist()  # the Bernoulli number 1/6
    [0.166666666667]
    """
    roots = np.asarray(roots)
    left = roots if left is None else left
    right = left if right is None else right
    _check_size(len(roots), len(left), len(right))
    dtype = np.result_type(roots, left, right, 1.0)
    at_root, everywhere = -roots, np.ones(len(roots), bool)
    small, tiny = np.abs(left) < SMALL, np.abs(right) < SMALL
    if (np.any(small) or np.any(tiny)) and _is_near_pole(at_root, left, right):
        return None
    result = np.empty((len(roots), len(left), len(right)), dtype)
    result[np.ix_(everywhere, ~small, ~tiny)] = _direct(at_root, left[~small], right[~tiny])
    if np.any(small):
        result[:, small, :] = _over_differences(left[small], at_root, right)
    if np.any(tiny):
        block = _over_differences(right[tiny], at_root, left[~small])
        result[np.ix_(everywhere, ~small, tiny)] = np.swapaxes(block, 1, 2)
    return result * np.exp(-roots)[:, None, None]


def _check_size(*sizes: int) -> None:
    if math.prod(sizes) > MAX_ENTRIES:
        raise InvalidValue(
            f"a correction past h*lambda = 1 in {sizes[0]} dimensions has {math.prod(sizes):,} "
            f"coefficients, more than {MAX_ENTRIES:,}; take a smaller h, or no correction"
        )


def _is_near_pole(at_root: np.ndarray, left: np.ndarray, right: np.ndarray) -> bool:
    places = [at_root, *(at_root[:, None] + logs for logs in (left, right))]
    return any(np.any(pole_distance(w) < NEAREST_POLE) for w in places)


def _direct(at_root: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the second differences over both, for logarithms that are not small."""
    one, other = (bernoulli(at_root[:, None] + logs) for logs in (left, right))
    both = bernoulli(at_root[:, None, None] + (left[:, None] + right))
    square = both - one[:, :, None] - other[:, None, :] + bernoulli(at_root)[:, None, None]
    return square / (np.expm1(left)[:, None] * np.expm1(right))


def _over_differences(small: np.ndarray, at_root: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return the second differences in small logarithms and others, of shape (n, small, others)."""
    differences = _differences(at_root, logs, np.abs(logs) < SMALL)
    return np.einsum("pj,pik->ijk", _over_small(small), differences, optimize=True)


def _over_small(logs: np.ndarray) -> np.ndarray:
    """Return ℓᵖ/(μ - 1) for p = 1, 2, …, of shape (terms, number of logarithms)."""
    return logs ** np.arange(TERMS)[:, None] * bernoulli(logs)


def _differences(at_root: np.ndarray, logs: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Return [β⁽ᵖ⁾(w + ℓ) - β⁽ᵖ⁾(w)]/p!/(μ - 1) for p = 1, 2, …, of shape (terms, d, d)."""
    here = taylor(at_root, 2 * TERMS)
    result = np.empty((TERMS, len(at_root), len(logs)), np.result_type(logs, 1.0))
    large = logs[~small]
    there = taylor(at_root[:, None] + large, TERMS + 1)
    result[:, :, ~small] = (there - here[: TERMS + 1, :, None])[1:] / np.expm1(large)
    p, q = np.ogrid[1 : TERMS + 1, 1 : TERMS + 1]
    used = np.where(p + q < 2 * TERMS, p + q, 0)
    weights = np.where(used, _binomials()[used, np.minimum(p, used)], 0.0)
    twice = weights[:, :, None] * here[used]
    result[:, :, small] = np.einsum("pqi,qk->pik", twice, _over_small(logs[small]))
    return result


def _binomials() -> np.ndarray:
    """Return the binomial coefficients (n, p) of Pascal's triangle, for n, p < 2 TERMS."""
    triangle = np.zeros((2 * TERMS, 2 * TERMS))
    triangle[:, 0] = 1
    for n in range(1, 2 * TERMS):
        triangle[n, 1:] = triangle[n - 1, 1:] + triangle[n - 1, :-1]
    return triangle
