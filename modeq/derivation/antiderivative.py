"""Potentials inside a differential ring: the element with given partial derivatives.

A polynomial is integrated term by term. With functions among the generators, the potential is a
sum of monomials with unknown coefficients: those whose derivatives contain the monomials to be
reached. What remains is linear algebra over ℚ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from flint import fmpq, fmpq_mat

from modeq.derivation.lie import VectorElement, jacobian_rows
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import NotSmooth

_Exponents = tuple[int, ...]

MAX_CANDIDATES = 400
MAX_ROUNDS = 3
"""How often monomials are added that the derivatives of those before have brought in."""


def antiderivative(ring: DifferentialRing, gradient: VectorElement) -> Element | None:
    """Return the ring element P with ∂P/∂θᵢ = gradientᵢ, or None if there is none to be found.

    >>> import sympy
    >>> q = sympy.Symbol("q")
    >>> ring = DifferentialRing((q,), (), [sympy.sin(q)], depth=2)
    >>> ring.to_sympy(antiderivative(ring, (ring.convert(sympy.sin(q) * sympy.cos(q) ** 2),)))
    -cos(q)**3/3
    """
    if not ring.functions:
        return _polynomial(ring, gradient)
    goal = {(i, e): c for i, entry in enumerate(gradient) for e, c in ring.terms(entry)}
    steps = list(_steps(ring))
    columns: dict[_Exponents, dict] = {}
    new = set(goal)
    for _ in range(MAX_ROUNDS):
        candidates = _candidates(new, steps) - columns.keys()
        if len(columns) + len(candidates) > MAX_CANDIDATES:
            return None
        found = {e: _derivatives(ring, e) for e in sorted(candidates)}
        columns |= {e: column for e, column in found.items() if column is not None}
        weights = _solution(columns, goal)
        if weights is not None:
            return ring.reduce(ring.from_terms(weights.items()))
        new = {key for column in columns.values() for key in column}
    return None


def _polynomial(ring: DifferentialRing, gradient: VectorElement) -> Element:
    """Return the potential of a gradient whose entries are polynomials in the variables."""
    terms = []
    for i, entry in enumerate(gradient):
        for e, c in ring.terms(entry):
            # Terms with an earlier variable came from its entry of the gradient.
            if not any(e[:i]):
                terms.append(((*e[:i], e[i] + 1, *e[i + 1 :]), c / (e[i] + 1)))
    return ring.from_terms(terms)


def _steps(ring: DifferentialRing) -> Iterator[tuple[int, _Exponents, _Exponents]]:
    """Yield (i, g, s) for every generator g and monomial s of ∂g/∂θᵢ, as exponents."""
    for g in (*ring.variables, *ring.functions):
        ((generator, _),) = ring.terms(ring.generator(g))
        for i in range(len(ring.variables)):
            try:
                slope = ring.derivative(ring.generator(g), i)
            except NotSmooth:
                continue
            for monomial, _ in ring.terms(slope):
                yield i, generator, monomial


def _candidates(goal: Iterable[tuple[int, _Exponents]], steps: list) -> set[_Exponents]:
    """Return the monomials m·g/s whose derivative by θᵢ may contain the monomial m."""
    found = set()
    for i, monomial in goal:
        for j, generator, slope in steps:
            if i == j:
                e = tuple(m + g - s for m, g, s in zip(monomial, generator, slope, strict=True))
                if min(e) >= 0:
                    found.add(e)
    return found


def _derivatives(ring: DifferentialRing, exponents: _Exponents) -> dict | None:
    """Return {(i, monomial): coefficient in ∂/∂θᵢ} of a monomial."""
    try:
        (row,) = jacobian_rows(ring, (ring.from_terms([(exponents, Fraction(1))]),))
    except NotSmooth:
        return None
    return {(i, e): c for i, entry in enumerate(row) for e, c in ring.terms(entry)}


def _solution(columns: dict[_Exponents, dict], goal: dict) -> dict[_Exponents, Fraction] | None:
    """Return weights w with Σ w · column = goal, or None if there are none."""
    keys = sorted(goal.keys() | {key for column in columns.values() for key in column})
    table = [*columns.values(), goal]
    entries = [fmpq(c.numerator, c.denominator) for c in (t.get(k, 0) for k in keys for t in table)]
    reduced, rank = fmpq_mat(len(keys), len(table), entries).rref()
    weights, names = {}, list(columns)
    for row in range(rank):
        pivot = next(j for j in range(len(table)) if reduced[row, j] != 0)
        if pivot == len(columns):
            return None
        value = reduced[row, len(columns)]
        if value != 0:
            weights[names[pivot]] = Fraction(int(value.p), int(value.q))
    return weights
