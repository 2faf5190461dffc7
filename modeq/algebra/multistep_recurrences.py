"""The recurrence of a method with memory, whose iterates stay on a slow manifold.

On that manifold the iterates of

    Σⱼ αⱼ θ_{m+j} = h Σₗ βₗ f(Σⱼ c_{lj} θ_{m+j})

are polynomials in m for each tree, with value 0 at m = 0. With E = e^D the shift by one step,
Σⱼ αⱼ Eʲ = ρ(E), and a = D⁻¹ κ(D) Σₗ βₗ gₗ, κ(D) = D/ρ(E), where D⁻¹ has no constant term. f is
evaluated at Uₗ = Σⱼ c_{lj} Eʲ a. All of this is linear, so on values at m = 0, 1, … it is one
matrix for each l. (Derived here; for a linear multistep method it is a rule for Bernoulli-like
numbers κⱼ j!.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import factorial, lcm
from typing import Any

import numpy as np

from modeq.algebra.recurrences import EXACT


class MultistepRows:
    """The recurrence of a linear method with memory, for the field or for the map of one step.

    Args:
        alpha: The weights α₀, …, α_k of the iterates.
        beta: The weights βₗ of the values of f.
        points_of_f: The rows c_{l0}, …, c_{lk} that say where f is evaluated.
        vertices: How many vertices the largest trees have.
        field: Whether the readout is that of the modified field, or of one step on the manifold.
        number: Makes an entry from a Fraction; entries are elements of some field.

    Where entries are Fractions, rows are multiplied by common denominators.
    """

    arithmetic = EXACT

    def __init__(
        self,
        alpha: Sequence,
        beta: Sequence,
        points_of_f: Sequence[Sequence],
        vertices: int,
        field: bool,
        number: Callable[[Fraction], Any] = Fraction,
    ):
        self.stages = len(beta)
        self.points = points = vertices if field else vertices + 1
        alpha, *points_of_f = ([number(e) for e in row] for row in (alpha, *points_of_f))
        values = _values_at_integers(points)
        coefficients = _matrix(_inverse(values), number)
        values = _matrix(values, number)
        kappa = _reciprocal(_moments(alpha, points + 1, number)[1:], number(Fraction(1)))
        slow = _integral(kappa, points, number)
        self._beta = np.array([number(e) for e in beta], object)
        self._advance = [
            values @ _shift(row, points, number) @ slow @ coefficients for row in points_of_f
        ]
        form = np.array(kappa[:points], object) if field else (values @ slow)[1]
        self._form = np.outer(self._beta, form @ coefficients)
        self._scale = self._form_scale = 1
        if number is Fraction:
            self._clear_denominators()

    def _clear_denominators(self) -> None:
        """Make all entries integers: β times its denominator, the matrices times ``_scale``."""
        common = _denominator(self._beta)
        self._beta = _integers(self._beta * common)
        matrices = [matrix / common for matrix in self._advance]
        self._scale = lcm(*map(_denominator, matrices))
        self._advance = [_integers(matrix * self._scale) for matrix in matrices]
        self._form_scale = _denominator(self._form)
        self._form = _integers(self._form * self._form_scale)

    def denominator(self, vertices: int) -> int:
        """Return what the values for trees with so many vertices are to be divided by."""
        return self._form_scale * self._scale ** (vertices - 1)

    def advance(self, g: np.ndarray, color: int) -> np.ndarray:
        """Return the values of Uₗ = Σⱼ c_{lj} a(m + j)."""
        slopes = sum(rows * b for b, rows in zip(self._beta, g, strict=True))
        return np.stack([slopes @ matrix.T for matrix in self._advance])

    def readout(self, vertices: int, color: int) -> np.ndarray:
        """Return the linear form of the rows that gives a coefficient."""
        return self._form


def _moments(weights: Sequence, count: int, number: Callable) -> list[Any]:
    """Return the coefficients of Σⱼ wⱼ e^{jD} as a power series in D."""
    return [
        sum(
            (w * number(Fraction(j**k, factorial(k))) for j, w in enumerate(weights)),
            number(Fraction(0)),
        )
        for k in range(count)
    ]


def _reciprocal(series: list[Any], one: Any) -> list[Any]:
    """Return the coefficients of 1/series, given the one of the field that they belong to."""
    first = one / series[0]
    result = [first]
    for k in range(1, len(series)):
        total = sum((series[i] * result[k - i] for i in range(2, k + 1)), series[1] * result[k - 1])
        result.append(-first * total)
    return result


def _integral(kappa: list[Any], points: int, number: Callable) -> np.ndarray:
    """Return D⁻¹ κ(D) without constant term, on coefficients of mʲ/j! for j < ``points``."""
    matrix = np.full((points, points), number(Fraction(0)), object)
    for j in range(points - 1):
        for k in range(j + 1):
            matrix[j + 1 - k, j] = kappa[k]
    return matrix


def _shift(weights: Sequence, points: int, number: Callable) -> np.ndarray:
    """Return Σⱼ wⱼ Eʲ on coefficients of mʲ/j!."""
    moments = _moments(weights, points, number)
    matrix = np.full((points, points), number(Fraction(0)), object)
    for j in range(points):
        for k in range(j + 1):
            matrix[j - k, j] = moments[k]
    return matrix


def _values_at_integers(points: int) -> np.ndarray:
    """Return the matrix that takes coefficients of mʲ/j! to values at m = 0, 1, …."""
    rows = [[Fraction(t**j, factorial(j)) for j in range(points)] for t in range(points)]
    return np.array(rows, object)


def _inverse(values: np.ndarray) -> np.ndarray:
    """Return the inverse of the matrix of values at integers, by Gauss-Jordan elimination.

    Its leading minors are those of Vandermonde over factorials, Π i!/Π j! = 1: each pivot is 1.
    """
    n = len(values)
    unit = [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]
    rows = np.concatenate([values, np.array(unit, object)], axis=1)
    for i in range(n):
        for k in range(n):
            if k != i:
                rows[k] = rows[k] - rows[k, i] * rows[i]
    return rows[:, n:]


def _matrix(matrix: np.ndarray, convert: Callable) -> np.ndarray:
    """Return the matrix of the converted entries."""
    result = np.empty(matrix.shape, object)
    result.flat = [convert(entry) for entry in matrix.flat]
    return result


def _integers(matrix: np.ndarray) -> np.ndarray:
    return _matrix(matrix, int)


def _denominator(matrix: np.ndarray) -> int:
    return lcm(*(entry.denominator for entry in matrix.flat))
