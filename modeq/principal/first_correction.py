"""The coefficients of the first correction to the principal flow.

It consists of all terms with one second derivative of the field. With μ = 1 + hν for the
eigenvalues ν of the Jacobian, ℓ = log μ, and f, f'' in its eigenvectors,

    θ'ᵢ += h²/2 Σⱼₖ Cᵢⱼₖ f''ᵢⱼₖ fⱼ fₖ,

    Cᵢⱼₖ = [Eᵢ(μⱼμₖ) - Eᵢ(μⱼ) - Eᵢ(μₖ) + Eᵢ(1)] / ((μⱼ - 1)(μₖ - 1)),
    Eᵢ(a) = (log a - log μᵢ)/(a - μᵢ) = β(log a - ℓᵢ)/μᵢ,        β(w) = w/(eʷ - 1).

So C is a second difference of β over the two that it is divided by. Differences in small ℓ are
summed from Taylor coefficients. This is derived here.

The first correction to the principal flow, summed at the cost of a few contractions with f''.

The sum over j and k of Cᵢⱼₖ f''ᵢⱼₖ fⱼ fₖ needs f'' in the eigenvectors, which takes
d⁴ operations. Where the multipliers are real and positive there is a way without them: the sum over
steps that C comes from is a mean over complex steps s,

    θ' += ½ Σᵢ uᵢ μᵢ⁻¹ E[μᵢ⁻ˢ f''ᵢ(x(s), x(s))],        x(s) = h Σⱼ uⱼ (μⱼˢ - 1)/(μⱼ - 1) fⱼ,

for which f'' is multiplied by one matrix with some tens of columns: d³ operations times a constant.
A few directions that this cannot serve, such as those past hλ = 1, have their coefficients C, and
only what has such a direction in it. This is derived here.

The function w/(eʷ - 1), which turns sums over steps into derivatives at step 0.

    β(w) = w/(eʷ - 1) = Σ B_n wⁿ/n!,        B_n the Bernoulli numbers.

A sum S(m) = Σ_{s<m} e^{ws} has S'(0) = β(w). The Bernoulli numbers are moments,

    β(w) = E e^{w s},        s = -1/2 + iL,        L with the density π/2 sech²(πL),

as E e^{iLw} = (w/2)/sinh(w/2). So for any sum of exponentials X the derivative at m = 0 of
Σ_{s<m} X(s) is the mean of X itself at random complex steps s. The mean exists where the exponents
have |Im w| < 2π, and a Gauss rule gives it from few of them.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from modeq.errors import InvalidValue

_NODES = 24
RADIUS = 0.75
NEAREST_POLE = 3.0
"""Taylor coefficients are those of circles of this radius, rounding apart, if poles are so far."""

_SIZES = range(6, 66, 2)
ACCURACY = 4e-15
_NEGLIGIBLE = 1e-17
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
    turns = RADIUS * np.exp(2j * np.pi * np.arange(_NODES) / _NODES)
    around = bernoulli(w + turns.reshape(-1, *(1,) * w.ndim))
    found = np.fft.fft(around, axis=0)[:count] / _NODES
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
    for size in _SIZES:
        nodes, weights = _gauss(size)
        steps = -0.5 + 1j * nodes
        with np.errstate(over="ignore", invalid="ignore"):
            errors = [_error(w, steps, weights) for w in corners]
        if all(error <= ACCURACY * (1 + abs(reach)) for error in errors):
            matter = np.max([_shares(w, steps, weights) for w in corners], axis=0) > _NEGLIGIBLE
            return steps[matter], weights[matter]
    return None


def _shares(w: complex, steps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sizes of the terms of a mean over its value."""
    return np.abs(weights * np.exp(w * steps) / bernoulli(np.array(w)))


def _error(w: complex, steps: np.ndarray, weights: np.ndarray) -> float:
    found = weights @ (np.exp(w * steps) + np.exp(w * steps.conj())) / 2
    exact = bernoulli(np.array(w))
    return float(np.abs(found / exact - 1))


_SMALL = 0.25
"""Differences in logarithms below this one are summed from Taylor coefficients."""

TERMS = 12
_MAX_ENTRIES = 30_000_000
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
    small, tiny = np.abs(left) < _SMALL, np.abs(right) < _SMALL
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
    if math.prod(sizes) > _MAX_ENTRIES:
        raise InvalidValue(
            f"a correction past h*lambda = 1 in {sizes[0]} dimensions has {math.prod(sizes):,} "
            f"coefficients, more than {_MAX_ENTRIES:,}; take a smaller h, or no correction"
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
    differences = _differences(at_root, logs, np.abs(logs) < _SMALL)
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


MAX_TURN = 2.0
"""Means over complex steps are not tried with imaginary parts beyond this one; they end at 2π."""

LOW, HIGH, TURN = -2.5, 1.0, 0.25
"""Directions with logarithms beyond these are left to the coefficients, if they are few."""

FEW = 4
"""At most one direction of so many."""


def fork_sum(
    second: np.ndarray,
    force: np.ndarray,
    logs: np.ndarray,
    vectors: np.ndarray,
    inverse: np.ndarray,
    h: float,
) -> np.ndarray | None:
    """Return the correction in the eigenvectors, or None where there is no quick way to it.

    Args:
        second: f'', of shape (d, d, d), symmetric in the last two.
        force: f in the eigenvectors, of shape (d,).
        logs: The logarithms of the multipliers, of shape (d,).
        vectors: The eigenvectors in columns, of shape (d, d).
        inverse: The inverse of that matrix.
        h: The learning rate.

    >>> one, zero = np.ones((1, 1)), np.zeros(1)
    >>> fork_sum(np.ones((1, 1, 1)), np.ones(1), zero, one, one, 0.1).round(12)  # h²/12
    array([0.00083333])
    """
    whole = fork_by_steps(second, force, logs, vectors, inverse, h)
    if whole is not None:
        return whole
    real, imag = np.real(logs), np.imag(logs)
    tame = (real > LOW) & (real < HIGH) & (np.abs(imag) < TURN)
    if FEW * np.sum(~tame) > len(logs):
        return None
    tame_logs = logs[tame] if np.any(imag[tame]) else real[tame]
    inner = fork_by_steps(second, force[tame], tame_logs, vectors[:, tame], inverse[tame], h)
    outer = _with_outliers(second, force, logs, vectors, inverse, ~tame)
    if inner is None or outer is None:
        return None
    total = h**2 / 2 * outer
    total[tame] += inner
    return total


def _with_outliers(
    second: np.ndarray,
    force: np.ndarray,
    logs: np.ndarray,
    vectors: np.ndarray,
    inverse: np.ndarray,
    out: np.ndarray,
) -> np.ndarray | None:
    """Return Σⱼₖ C f'' f f over what has a direction from ``out`` in it, at the root or below."""
    tame = ~out
    roots = fork_coefficients(logs[out], logs)
    below = fork_coefficients(logs[tame], logs[out], logs)
    if roots is None or below is None:
        return None
    total = np.zeros(len(logs), np.result_type(roots, below, second, force, vectors))
    pulled = np.tensordot(inverse[out], second, axes=(1, 0)) @ vectors
    rotated = np.swapaxes(vectors.T @ pulled, 1, 2)
    total[out] = np.einsum("ijk,ijk,j,k->i", roots, rotated, force, force, optimize=True)
    pulled = np.tensordot(second @ vectors[:, out], inverse[tame], axes=(0, 1))
    rotated = np.einsum("ajn,ak->njk", pulled, vectors, optimize=True)
    # With one child in ``out`` the other is before or after it; with both, it is counted once.
    twice = np.where(out, 1.0, 2.0) * force
    total[tame] = np.einsum("ijk,ijk,j,k->i", below, rotated, force[out], twice, optimize=True)
    return total


def fork_by_steps(
    second: np.ndarray,
    force: np.ndarray,
    logs: np.ndarray,
    vectors: np.ndarray,
    inverse: np.ndarray,
    h: float,
) -> np.ndarray | None:
    """Return the part of the correction from some directions alone, as a mean over complex steps.

    Args:
        second: f'', of shape (d, d, d), symmetric in the last two.
        force: f in these eigenvectors, of shape (n,).
        logs: The logarithms of their multipliers, of shape (n,).
        vectors: The eigenvectors in columns, of shape (d, n).
        inverse: The rows of the inverse that belong to them, of shape (n, d).
        h: The learning rate.

    Returns:
        The components, of shape (n,); None where the logarithms are too large for it, or have too
        large imaginary parts.

    >>> one, zero = np.ones((1, 1)), np.zeros(1)
    >>> fork_by_steps(np.ones((1, 1, 1)), np.ones(1), zero, one, one, 0.1).round(12)  # h²/12
    array([0.00083333])
    """
    reach = _reach(logs)
    rule = umbral_rule(reach) if reach.imag < MAX_TURN else None
    if rule is None:
        return None
    steps, weights = rule
    is_real = not any(map(np.iscomplexobj, (second, force, logs, vectors)))
    if not is_real:
        steps, weights = np.concatenate([steps, steps.conj()]), np.tile(weights / 2, 2)
    paths = h * vectors @ (_partial_sums(logs, steps) * force[:, None])
    pulls = inverse @ _on_paths(second, paths)
    means = np.exp(-np.multiply.outer(logs, 1 + steps)) * pulls @ weights
    return (means.real if is_real else means) / 2


def _reach(logs: np.ndarray) -> complex:
    """Return bounds of the real and imaginary parts of ℓⱼ + ℓₖ - ℓᵢ, of ℓⱼ - ℓᵢ and of -ℓᵢ, made
    larger to multiples of 1/4 so that few rules are made.
    """
    parts = []
    for part in (logs.real, logs.imag):
        low, high = min(part.min(), 0.0), max(part.max(), 0.0)
        parts.append(math.ceil(4 * float(max(2 * high - low, high - 2 * low))) / 4)
    return complex(*parts)


def _partial_sums(logs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return (μˢ - 1)/(μ - 1), of shape (d, steps), with its limit s at μ = 1."""
    exponents = np.multiply.outer(logs, steps)
    safe = np.where(logs == 0, 1.0, np.expm1(logs))
    return np.where(logs[:, None] == 0, steps, np.expm1(exponents) / safe[:, None])


def _on_paths(second: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """Return f''(x, x) for each column x = a + ib, of shape (d, columns).

    With real f'' it is f''(a + b, a - b) + 2i f''(a, b).
    """
    d, count = paths.shape
    if np.iscomplexobj(second):
        return np.sum((second @ paths) * paths, axis=1)
    a, b = paths.real, paths.imag
    left, right = np.hstack([a + b, a]).T, np.hstack([a - b, 2 * b]).T
    moved = (left @ second.reshape(d * d, d).T).reshape(2 * count, d, d)
    parts = (moved @ right[:, :, None])[:, :, 0]
    return (parts[:count] + 1j * parts[count:]).T
