"""The slow orbit of a method with memory, and the field whose flow it is.

Of the solutions of Σⱼ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_{lj} θ_{m+j}) one is a power series in h whose
coefficients are polynomials in the step number m: the orbit of the root 1 of ρ. With Δ the forward
difference in m, and g(m) the right-hand side without h, it solves ρ(1 + Δ) θ = h g, so that

    Δθ = Σ_s r_s Δˢ h g,        Σ r_s xˢ = x/ρ(1 + x),
    h f̃(θ₀) = dθ_m/dm at m = 0 = log(1 + Δ) θ₀ = Σ_s κ_s Δˢ h g(0),
    Σ_s κ_s xˢ = log(1 + x)/ρ(1 + x).

The coefficient of hʲ in g is a polynomial in m of degree at most j, so f at j + 1 successive points
of the orbit says all of it, and Δˢ g = O(hˢ) makes the sums finite (derived here; for a one-step
method this is the logarithm of `modeq.algebra.logarithm`). No equation is solved, only divided by
ρ'(1) = Σ j αⱼ: this serves explicit and implicit methods alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cache
from math import comb
from typing import Any, Protocol

from modeq.algebra.power_series import (
    Coefficient,
    PowerSeries,
    Vector,
    added,
    reciprocal,
    scaled,
)
from modeq.methods.multistep import LinearMultistep

_Row = tuple
"""Weights of successive iterates, without zeros at either end."""

_Components = tuple[Coefficient, ...]


class SeriesFunction(Protocol):
    """A field over power series, as in `modeq.derivation.evaluate`."""

    def start(self) -> Vector:
        """Return the point θ₀."""

    def number(self, entry: Any) -> Any:
        """Return an entry of a table that is no Fraction as a factor of coefficients."""

    def __call__(self, theta: Vector) -> Vector:
        """Return f along a path."""


class SlowOrbit:
    """The slow orbit of a method with memory on a field over power series.

    Args:
        method: The method.
        f: The field.
        tidy: Reduces the coefficients that come from numbers that are no Fractions.

    Example:
        >>> class Growth:  # y' = y from y = 1
        ...     start = lambda self: Vector([PowerSeries([Fraction(1)])])
        ...     number = lambda self, entry: entry
        ...     __call__ = lambda self, y: y
        >>> leapfrog = LinearMultistep([-1, 0, 1], [0, 2, 0])
        >>> print(*SlowOrbit(leapfrog, Growth()).field()[0].first(6))  # h f̃ = arsinh(h)
        0 1 0 -1/6 0 3/40
    """

    def __init__(
        self,
        method: LinearMultistep,
        f: SeriesFunction,
        tidy: Callable[[Coefficient], Coefficient] | None = None,
    ):
        self._f = f
        is_rational = all(isinstance(entry, Fraction) for entry in method.entries)
        self._number = _same if is_rational else f.number
        self._tidy = _same if is_rational or tidy is None else tidy
        self._start = f.start()
        self._terms = [
            (self._number(weight), *_trimmed(row))
            for weight, row in zip(method.beta, method.points, strict=True)
            if weight != 0
        ]
        inverse = self._inverse(method)
        logarithm = PowerSeries(rule=lambda k: Fraction((-1) ** k, k + 1))
        self._summation, self._derivative = inverse, _tidied(inverse * logarithm, self._tidy)
        self._values = cache(self._values)
        self._differences = cache(self._differences)
        self._slopes = cache(self._slopes)
        self._reach = cache(self._reach)

    def _inverse(self, method: LinearMultistep) -> PowerSeries:
        """Return x/ρ(1 + x)."""
        entries = [
            sum(comb(j, s + 1) * alpha for j, alpha in enumerate(method.alpha))
            for s in range(method.steps)
        ]
        rho = PowerSeries(map(self._number, entries))
        return _tidied(reciprocal(rho, self._number(1 / entries[0])), self._tidy)

    def field(self) -> Vector:
        """Return h f̃ as power series."""

        def component(c: int) -> PowerSeries:
            def coefficient(k: int) -> Coefficient:
                slopes = self._slopes(k - 1)
                weights = self._derivative.first(k)
                return self._tidy(combination(weights, (d[c] for d in slopes)))

            return PowerSeries([0], coefficient)

        return Vector(map(component, range(len(self._start))))

    def point(self, m: int) -> Vector:
        """Return θ_m as power series."""
        return self._path((Fraction(1),), m)

    def _slopes(self, j: int) -> list[_Components]:
        """Return Δⁱ g(0) at hʲ, for i = 0, …, j."""
        dimension = range(len(self._start))
        result = []
        for i in range(j + 1):
            weights, vectors = [], []
            for weight, shift, row in self._terms:
                # f at points that are shifted in m: (1 + Δ)^shift Δⁱ.
                for a in range(min(shift, j - i) + 1):
                    weights.append(comb(shift, a) * weight)
                    vectors.append(self._differences(row, j, i + a))
            result.append(
                tuple(self._tidy(combination(weights, (v[c] for v in vectors))) for c in dimension)
            )
        return result

    def _differences(self, row: _Row, j: int, i: int) -> _Components:
        """Return Δⁱ of f along the points of a row, at m = 0 and hʲ."""
        weights = [(-1) ** (i - t) * comb(i, t) for t in range(i + 1)]
        values = [[entry[j] for entry in self._values(row, t)] for t in range(i + 1)]
        return tuple(combination(weights, column) for column in zip(*values, strict=True))

    def _values(self, row: _Row, m: int) -> Vector:
        """Return f at the point of a row at step m."""
        return self._f(self._path(row, m))

    def _path(self, row: _Row, m: int) -> Vector:
        """Return Σ_q row_q θ_{m+q}."""

        def component(c: int) -> PowerSeries:
            def coefficient(k: int) -> Coefficient:
                weights = (self._reach(row, m, i) for i in range(k))
                total = combination(weights, (d[c] for d in self._slopes(k - 1)))
                return self._tidy(total)

            return PowerSeries([self._start[c][0]], coefficient)

        return Vector(map(component, range(len(self._start))))

    def _reach(self, row: _Row, m: int, i: int) -> Any:
        """Return the factor of Δⁱ g(0) in Σ_q row_q (θ_{m+q} - θ_0): with g(t) = C(t, i),
        Σ_s r_s Δˢ g summed over the steps before v is Σ_s r_s C(v, i-s+1).
        """
        weights, factors = [], []
        for s in range(i + 1):
            count = [self._number(comb(m + q, i - s + 1) * entry) for q, entry in enumerate(row)]
            weights.append(sum(count[1:], count[0]))
            factors.append(self._summation[s])
        return self._tidy(combination(weights, factors))


def _same(thing: Any) -> Any:
    return thing


def _tidied(series: PowerSeries, tidy: Callable) -> PowerSeries:
    return PowerSeries(rule=lambda k: tidy(series[k]))


def _trimmed(row: Sequence) -> tuple[int, _Row]:
    """Return the number of zeros a row begins with, and what lies between them and those after."""
    used = [q for q, entry in enumerate(row) if entry != 0]
    return used[0], tuple(row[used[0] : used[-1] + 1])


def combination(weights: Iterable, coefficients: Iterable[Coefficient]) -> Coefficient:
    """Return Σ wᵢ cᵢ."""
    pairs = zip(weights, coefficients, strict=False)
    return added(scaled(coefficient, weight) for weight, coefficient in pairs if weight != 0)
