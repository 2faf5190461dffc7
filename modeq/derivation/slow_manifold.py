"""The slow manifold of an optimizer with memory, and the field that is followed on it.

The state is (θ, M), and one step is θ⁺ = θ + h U(θ, M, h), M⁺ = N(θ, M, h), with a memory that at
h = 0 is a cascade of blocks, N = J M + c in each; see ``modeq.derivation.optimizer_map``.

Of the orbits that start at θ₀ one is a power series in h whose coefficients are polynomials in the
step number m. It lies on the slow manifold. Block by block and order by order,

    θ at hʲ:  a sum over the steps before of U at h^{j-1},
    M at hʲ:  (E - J)⁻¹ r = Σ_s (-1)^s (I - J)^{-s-1} Δˢ r,

with E the shift and Δ the difference in m, and r the coefficient of N where M stands without its
own coefficient of hʲ. Polynomials of degree j are known from their values at m = 0, …, j. And

    h f̃(θ₀) = dθ_m/dm at m = 0 = Σ_k (-1)^{k+1}/k Δᵏ θ_0            (derived here).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb

import sympy

from modeq.algebra.power_series import (
    Coefficient,
    PowerSeries,
    Vector,
    added,
    is_absent,
    plus,
    scaled,
    times,
)
from modeq.derivation.evaluate import SeriesEvaluator, SeriesField
from modeq.derivation.optimizer_map import Components, OptimizerMap, optimizer_map
from modeq.derivation.orbit import combination
from modeq.losses.loss import H
from modeq.methods.optimizer import Optimizer


class SlowManifold:
    """The slow orbit of an optimizer on a field over power series.

    Args:
        step: One step of the optimizer.
        f: The field, which says what coefficients are.

    Example:
        >>> from modeq.methods.optimizer import optimizer
        >>> @optimizer(memory=["v"], beta=Fraction(1, 2))
        ... def momentum(state, grad, h, p):
        ...     v = p.beta * state.v + grad(state.theta)
        ...     return state.replace(theta=state.theta - h * v, v=v)
        >>> x = sympy.Symbol("x")
        >>> at_one = lambda expression: Fraction(str(expression.subs(x, 1)))
        >>> f = SeriesField((-x,), (x,), at_one)
        >>> [component] = slow_manifold(momentum(), f).field(order=2)
        >>> [str(coefficient) for coefficient in component.first(3)]
        ['0', '-2', '-6']
    """

    def __init__(self, step: OptimizerMap, f: SeriesField):
        self._step = step
        self._f = f
        self._blocks = [
            (indices, [[f.number(entry) for entry in row] for row in inverse.tolist()])
            for indices, inverse in step.blocks
        ]
        start = [[f.constant(x)] for x in step.variables]
        fixed = [[f.constant(entry)] for entry in step.fixed]
        # Coefficients of h⁰, h¹, …: of each coordinate the values at m = 0, 1, …, j.
        self._theta = [[coefficients] for coefficients in start]
        self._memory = [[coefficients] for coefficients in fixed]
        self._order = 0

    def field(self, order: int) -> Vector:
        """Return h f̃ as power series, right through h^{n+1}."""
        self._extend(order + 1)
        return Vector(
            PowerSeries([0, *(_slope(values) for values in series[1 : order + 2])])
            for series in self._theta
        )

    def step(self, order: int) -> Vector:
        """Return θ₁, one step on the slow manifold, as power series right through h^{n+1}."""
        self._extend(order + 1)
        return Vector(
            PowerSeries([value_at(values, 1) for values in series]) for series in self._theta
        )

    def _extend(self, order: int) -> None:
        while self._order < order:
            self._order += 1
            self._extend_theta(self._order)
            self._extend_memory(self._order)

    def _extend_theta(self, j: int) -> None:
        """Find the coefficients of hʲ of θ, which are sums of those of h U."""
        steps = [self._coefficients(self._step.theta, m, j) for m in range(j)]
        for i, series in enumerate(self._theta):
            values: list[Coefficient] = [0]
            for row in steps:
                values.append(plus(values[-1], row[i]))
            series.append([self._tidy(value) for value in values])

    def _extend_memory(self, j: int) -> None:
        """Find the coefficients of hʲ of M, block by block."""
        for indices, inverse in self._blocks:
            following = tuple(self._step.following[i] for i in indices)
            rows = [self._coefficients(following, m, j) for m in range(j + 1)]
            for i, column in zip(
                indices, zip(*self._solved(inverse, rows), strict=True), strict=True
            ):
                self._memory[i].append([self._tidy(value) for value in column])

    def _solved(self, inverse: Sequence, rows: Sequence) -> list[list[Coefficient]]:
        """Return (E - J)⁻¹ r, from the values of r at m = 0, 1, …."""
        total = [self._apply(inverse, row) for row in rows]
        term = total
        while len(term) > 1:
            differences = [
                [plus(a, scaled(b, -1)) for a, b in zip(row, following, strict=True)]
                for row, following in pairwise(term)
            ]
            term = [self._apply(inverse, row) for row in differences]
            # Polynomials: what is known at fewer points is continued to all of them.
            last = len(rows) - 1
            columns = [_continued(list(column), last) for column in zip(*term, strict=True)]
            total = [
                [plus(a, b) for a, b in zip(row, extra, strict=True)]
                for row, extra in zip(total, zip(*columns, strict=True), strict=True)
            ]
        return total

    def memory(self, order: int) -> Vector:
        """Return the memory on the slow manifold at θ₀, as power series right through hⁿ."""
        self._extend(order)
        return Vector(PowerSeries([values[0] for values in series]) for series in self._memory)

    def _apply(self, inverse: Sequence, row: Sequence[Coefficient]) -> list[Coefficient]:
        """Return (I - J)⁻¹ times a vector."""
        return [
            self._tidy(
                added(times(w, entry) for w, entry in zip(weights, row, strict=True) if w != 0)
            )
            for weights in inverse
        ]

    def _coefficients(self, expressions: Components, m: int, j: int) -> list[Coefficient]:
        """Return the coefficients of hʲ of expressions at step m, from what is known so far."""
        path: dict[sympy.Expr, PowerSeries] = {H: self._f.h}
        for symbols, known in (
            (self._step.variables, self._theta),
            (self._step.memory, self._memory),
        ):
            for symbol, series in zip(symbols, known, strict=True):
                path[symbol] = PowerSeries([value_at(values, m) for values in series])
        evaluate = SeriesEvaluator(path, lambda e: self._f.constant(self._step.at_rest(e)))
        return [self._tidy(evaluate(expression)[j]) for expression in expressions]

    def _tidy(self, coefficient: Coefficient) -> Coefficient:
        return coefficient if is_absent(coefficient) else self._f.tidy(coefficient)


def value_at(values: Sequence[Coefficient], m: int) -> Coefficient:
    """Return the value at m of the polynomial with these values at 0, 1, ….

    >>> value_at([0, 1, 4], 5)
    25
    """
    if m < len(values):
        return values[m]
    degree = len(values) - 1
    weights = [
        (-1) ** (degree - t) * comb(m, t) * comb(m - t - 1, degree - t) for t in range(degree + 1)
    ]
    return combination(weights, values)


def differences(values: Sequence[Coefficient]) -> Iterator[list[Coefficient]]:
    """Yield the values of r, Δr, Δ²r, … at 0, 1, …, as far as those of r tell them.

    >>> list(differences([0, 1, 4]))
    [[0, 1, 4], [1, 3], [2]]
    """
    row = list(values)
    while row:
        yield row
        row = [plus(b, scaled(a, -1)) for a, b in pairwise(row)]


def _continued(values: list[Coefficient], last: int) -> list[Coefficient]:
    return [value_at(values, m) for m in range(last + 1)]


def _slope(values: Sequence[Coefficient]) -> Coefficient:
    """Return the derivative at 0 of the polynomial with these values at 0, 1, ….

    >>> _slope([Fraction(0), Fraction(3), Fraction(8)])  # m² + 2 m
    Fraction(2, 1)
    """
    weights = [
        sum(
            (Fraction((-1) ** (s + 1) * comb(k, s), k) for k in range(max(s, 1), len(values))),
            Fraction(0),
        )
        for s in range(len(values))
    ]
    return combination(weights, values)


def slow_manifold(method: Optimizer, f: SeriesField) -> SlowManifold:
    """Return the slow manifold of an optimizer on a field over power series."""
    return SlowManifold(optimizer_map(method, f), f)
