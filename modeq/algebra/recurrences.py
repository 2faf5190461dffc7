"""Rows of numbers: what a method does to one tree, whatever its iterates are multiplied in.

Let a_m(τ) be the coefficient of the m-th iterate. A method evaluates f at points Uᵢ near the m-th
iterate, and both are linear in what f gives there,

    gᵢ(τ)(m) = Πₗ Uᵢ(τₗ)(m),        U(τ) = M g(τ),        τ = [τ₁, …, τₖ],

with M a linear operator on functions of m. All these functions are polynomials in m of degree less
than |τ|, so the values at m = 0, …, |τ| - 1 say everything: they are the *row* of a tree. A
`Recurrence` is M in this representation, and the linear forms that read a coefficient off a row.
For a Runge-Kutta method M = S b + A, with S the sum over the steps before.

Tables of rational numbers are multiplied by their common denominator δ, so that the rows of a tree
with n vertices are integers over δⁿ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from math import comb, inf, lcm, log2
from typing import Any, NamedTuple, Protocol

import numpy as np

_Table = Sequence[Sequence[Sequence[Any]]]


class Arithmetic(NamedTuple):
    """How rows are stored and kept small.

    Attributes:
        dtype: The type of NumPy arrays.
        convert: Makes an entry of such an array from an exact number.
        reduce: Is applied to every result, in place.
    """

    dtype: type
    convert: Callable[[Any], Any]
    reduce: Callable[[np.ndarray], np.ndarray]


def _as_it_is(value: Any) -> Any:
    return value


def _wrapped(number: int) -> np.int64:
    return np.int64((number + 2**63) % 2**64 - 2**63)


EXACT = Arithmetic(object, _as_it_is, _as_it_is)
"""Python objects: integers, or the elements of any ring."""

WRAPPED = Arithmetic(np.int64, _wrapped, _as_it_is)
"""Integers modulo 2⁶⁴, from -2⁶³ to 2⁶³ - 1: exact as long as the *results* are in this range."""

MAX_TERMS = 2**10
"""How many products may be added up modulo a prime before they are reduced."""


def modulo(prime: int) -> Arithmetic:
    """Return integers modulo an odd prime below 2²², as floats from -p/2 to p/2.

    Products are below 2⁴², so that sums of 2¹⁰ of them are exact in double precision.

    >>> seven = modulo(7)
    >>> seven.reduce(np.array([10.0, -4.0, 49.0])).tolist()
    [3.0, 3.0, 0.0]
    """

    def convert(number: int) -> float:
        return float((number + prime // 2) % prime - prime // 2)

    def reduce(values: np.ndarray) -> np.ndarray:
        quotient = values * (1.0 / prime)
        np.rint(quotient, out=quotient)
        quotient *= prime
        values -= quotient
        return values

    return Arithmetic(np.float64, convert, reduce)


class Recurrence(Protocol):
    """One method over one arithmetic.

    Attributes:
        stages: The number of points at which f is evaluated.
        points: The number of steps that a row knows.
        arithmetic: What the rows are made of.
    """

    stages: int
    points: int
    arithmetic: Arithmetic

    def advance(self, g: np.ndarray, color: int) -> np.ndarray:
        """Return U = M g for trees of one color; both have the shape (stages, trees, points)."""

    def readout(self, vertices: int, color: int) -> np.ndarray:
        """Return the linear form, of shape (stages, points), that takes g(τ) to a coefficient."""


@dataclass(frozen=True)
class RungeKuttaTable:
    """A Runge-Kutta table of integers over a common denominator, one (A, b) for each color.

    With one color it is a Runge-Kutta method, with more an additive or partitioned one: f_c is
    multiplied by A^c and b^c.
    """

    A: _Table
    b: Sequence[Sequence[Any]]
    denominator: int = 1

    def __post_init__(self):
        object.__setattr__(self, "A", tuple(tuple(map(tuple, matrix)) for matrix in self.A))
        object.__setattr__(self, "b", tuple(map(tuple, self.b)))

    @classmethod
    def rational(cls, A: _Table, b: Sequence[Sequence[Fraction]]) -> RungeKuttaTable:
        """Return the table of Fractions, brought to a common denominator."""
        entries = [Fraction(e) for table in (*A, b) for row in table for e in row]
        common = lcm(*(entry.denominator for entry in entries))

        def scaled(table):
            return tuple(tuple(int(entry * common) for entry in row) for row in table)

        return cls(tuple(map(scaled, A)), scaled(b), common)

    def field_denominator(self, vertices: int) -> int:
        """Return the common denominator of the field's coefficients for trees of one order."""
        return lcm(*range(1, vertices + 1)) * self.denominator**vertices

    def bits(self, vertices: int) -> float:
        """Return a number of bits that no numerator of a field with so many vertices exceeds."""
        bound = field_bounds(self, vertices)[-1]
        return log2(bound) + log2(self.field_denominator(vertices)) if bound > 0 else inf


class RungeKuttaRows:
    """The recurrence of a Runge-Kutta table, for the field or for the map of one step."""

    def __init__(
        self,
        table: RungeKuttaTable,
        points: int,
        arithmetic: Arithmetic,
        form: Callable[[int], Sequence] | None = None,
    ):
        self.points = points
        self.stages = len(table.b[0])
        self.arithmetic = arithmetic
        self._form = form or field_form
        self._b = [_nonzero(row, arithmetic) for row in table.b]
        self._A = [[_nonzero(row, arithmetic) for row in A] for A in table.A]

    def advance(self, g: np.ndarray, color: int) -> np.ndarray:
        """Return U = S b g + A g."""
        reduce = self.arithmetic.reduce
        before = np.zeros(g.shape[1:], g.dtype)
        slopes = reduce(_combination(self._b[color], g))
        np.cumsum(slopes[:, :-1], axis=1, out=before[:, 1:])
        reduce(before)
        result = np.empty_like(g)
        for stage, row in enumerate(self._A[color]):
            result[stage] = before
            for weight, j in row:
                result[stage] += g[j] if weight == 1 else g[j] * weight
        return reduce(result)

    def readout(self, vertices: int, color: int) -> np.ndarray:
        """Return Σ_t v_t Σⱼ bⱼ gⱼ(t) as an array of the v_t bⱼ."""
        form = np.zeros((self.stages, self.points), self.arithmetic.dtype)
        values = self._form(vertices)
        for weight, j in self._b[color]:
            for t, value in enumerate(values):
                form[j, t] = weight * self.arithmetic.convert(value)
        return self.arithmetic.reduce(form)


def _nonzero(row: Sequence, arithmetic: Arithmetic) -> list[tuple[Any, int]]:
    return [(arithmetic.convert(entry), j) for j, entry in enumerate(row) if entry != 0]


def _combination(row: list[tuple[Any, int]], g: np.ndarray) -> np.ndarray:
    """Return Σⱼ bⱼ gⱼ as a new array."""
    total = None
    for weight, j in row:
        term = g[j] if weight == 1 else g[j] * weight
        total = term if total is None else total + term
    if total is None:
        return np.zeros_like(g[0])
    return total.copy() if total.base is not None else total


@cache
def field_form(vertices: int) -> tuple[int, ...]:
    """Return L v with h f̃ = Σ_t v_t (θ_{t+1} - θ_t) and L = lcm(1, …, vertices), as integers.

    These are the weights of `modeq.algebra.logarithm`, summed: v_t = Σ_{k>t} (-1)ᵗ C(k-1, t)/k.

    >>> field_form(2)  # f̃ = 3/2 f(θ₀) - 1/2 f(θ₁)
    (3, -1)
    """
    common = lcm(*range(1, vertices + 1))
    return tuple(
        (-1) ** t * sum(comb(k - 1, t) * (common // k) for k in range(t + 1, vertices + 1))
        for t in range(vertices)
    )


def map_form(vertices: int) -> list[int]:
    """Return v with θ₁ - θ₀ = Σ_t v_t (θ_{t+1} - θ_t)."""
    return [1]


@cache
def bernoulli_number(m: int) -> Fraction:
    """Return B_m, from x/(eˣ - 1) = Σ B_m xᵐ/m!.

    >>> [str(bernoulli_number(m)) for m in range(5)]
    ['1', '-1/2', '1/6', '0', '-1/30']
    """
    if m > 1 and m % 2:
        return Fraction(0)
    smaller = (comb(m + 1, k) * bernoulli_number(k) for k in range(m))
    return -sum(smaller, Fraction(0)) / (m + 1) if m else Fraction(1)


@lru_cache(maxsize=64)
@np.errstate(over="ignore", invalid="ignore")
def field_bounds(table: RungeKuttaTable, vertices: int) -> tuple[float, ...]:
    """Return for n = 1, …, ``vertices`` a number that |b(τ)| does not exceed for |τ| = n.

    The rows are polynomials Σ cⱼ mʲ, and S takes mʲ to Σₖ C(j, k) Bₖ m^(j+1-k)/(j+1-k). With
    absolute values in place of all numbers, and the largest of each coefficient over all trees with
    n vertices, the recurrence gives bounds of the cⱼ; and b(τ) is the coefficient of m in a_m(τ).
    Rounding is covered by a factor at the end (derived here).

    >>> [round(bound, 3) for bound in field_bounds(RungeKuttaTable([[[0]]], [[1]]), 5)]
    [1.0, 0.5, 0.417, 0.333, 0.339]
    """
    sums = _sums_of_powers(vertices)
    # Of each entry the largest over the colors.
    A = np.max([[[_size(e, table) for e in row] for row in matrix] for matrix in table.A], axis=0)
    b = np.max([[_size(e, table) for e in row] for row in table.b], axis=0)
    # Rows of g and U, by the number of vertices; g[n] is that of trees with n + 1.
    g = [np.ones((len(b), 1))]
    U = []
    bounds = []
    for n in range(1, vertices + 1):
        before = sums[: n + 1, :n] @ (b @ g[-1])
        bounds.append(float(before[1]) * (1 + 1e-6))
        U.append(before + np.pad(A @ g[-1], ((0, 0), (0, 1))))
        products = [
            [np.convolve(u, v) for u, v in zip(U[m - 1], g[n - m], strict=True)]
            for m in range(1, n + 1)
        ]
        g.append(np.max(products, axis=0))
    return tuple(bounds)


def _size(entry: int, table: RungeKuttaTable) -> float:
    try:
        return abs(entry / table.denominator)
    except OverflowError:
        return inf


@cache
def _sums_of_powers(count: int) -> np.ndarray:
    """Return the absolute values of S on coefficients of mʲ, for j < ``count``."""
    matrix = np.zeros((count + 1, count))
    for j in range(count):
        for k in range(j + 1):
            matrix[j + 1 - k, j] = abs(comb(j, k) * float(bernoulli_number(k)) / (j + 1 - k))
    return matrix
