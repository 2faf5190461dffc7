"""The first correction to the principal flow, summed at the cost of a few contractions with f''.

The sum over j and k of Cᵢⱼₖ f''ᵢⱼₖ fⱼ fₖ (see ``fork``) needs f'' in the eigenvectors, which takes
d⁴ operations. Where the multipliers are real and positive there is a way without them: the sum over
steps that C comes from is a mean over complex steps s (see ``bernoulli``),

    θ' += ½ Σᵢ uᵢ μᵢ⁻¹ E[μᵢ⁻ˢ f''ᵢ(x(s), x(s))],        x(s) = h Σⱼ uⱼ (μⱼˢ - 1)/(μⱼ - 1) fⱼ,

for which f'' is multiplied by one matrix with some tens of columns: d³ operations times a constant.
A few directions that this cannot serve, such as those past hλ = 1, have their coefficients C, and
only what has such a direction in it. This is derived here.
"""

from __future__ import annotations

import math

import numpy as np

from modeq.principal.bernoulli import umbral_rule
from modeq.principal.fork import fork_coefficients

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
