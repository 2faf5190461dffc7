"""Linear differential operators Σ c_α ∂^α with coefficients in a differential ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from math import comb, prod

from modeq.derivation.ring import DifferentialRing, Element

Exponents = tuple[int, ...]
"""α: how often to differentiate by each variable."""

Operator = Mapping[Exponents, Element]
"""{α: c_α}, without coefficients that are zero."""

OperatorSeries = Sequence[Operator]
"""The coefficients of h⁰, h¹, … of an operator that is a power series in h."""


class OperatorAlgebra:
    """Sums, products and logarithms of differential operators over a ring.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> algebra = OperatorAlgebra(DifferentialRing((x,), (), [x], depth=4))
    >>> D, X = {(1,): algebra.ring.one}, {(0,): algebra.ring.convert(x)}
    >>> algebra.add(algebra.product(D, X), algebra.product(X, D), -1)  # ∂x - x∂ = 1
    {(0,): 1}
    """

    def __init__(self, ring: DifferentialRing):
        self.ring = ring

    def add(self, a: Operator, b: Operator, factor: int | Fraction = 1) -> Operator:
        """Return a + factor · b."""
        weight = self.ring.constant(factor)
        total = dict(a)
        for alpha, c in b.items():
            total[alpha] = total.get(alpha, self.ring.zero) + weight * c
        return self._tidy(total)

    def product(self, a: Operator, b: Operator) -> Operator:
        """Return the operator that applies b, and then a, by Leibniz' rule:

        (u ∂^α)(v ∂^β) = Σ_γ C(α, γ) u (∂^γ v) ∂^{α-γ+β}.
        """
        total: dict[Exponents, Element] = {}
        for beta, v in b.items():
            derivative = self._derivatives(v)
            for alpha, u in a.items():
                for gamma in product(*(range(k + 1) for k in alpha)):
                    slope = derivative(gamma)
                    if slope != 0:
                        weight = self.ring.constant(prod(map(comb, alpha, gamma)))
                        orders = zip(alpha, gamma, beta, strict=True)
                        key = tuple(i - j + k for i, j, k in orders)
                        total[key] = total.get(key, self.ring.zero) + weight * u * slope
        return self._tidy(total)

    def _derivatives(self, element: Element) -> Callable[[Exponents], Element]:
        """Return γ ↦ ∂^γ of an element, each computed once."""

        @cache
        def derivative(gamma: Exponents) -> Element:
            if not any(gamma):
                return element
            i = next(i for i, times in enumerate(gamma) if times)
            less = (*gamma[:i], gamma[i] - 1, *gamma[i + 1 :])
            return self.ring.derivative(derivative(less), i)

        return derivative

    def logarithm(self, series: OperatorSeries) -> list[Operator]:
        """Return log(1 + Σ_{k≥1} hᵏ A_k), given 0, A₁, A₂, …; through the same power of h.

        log(1 + X) = Σ_j (-1)^{j+1}/j Xʲ.
        """
        total: list[Operator] = [{} for _ in series]
        power: list[Operator] = [*series]
        for j in range(1, len(series)):
            weight = Fraction((-1) ** (j + 1), j)
            total = [self.add(a, b, weight) for a, b in zip(total, power, strict=True)]
            power = self._times(power, series)
        return total

    def _times(self, a: OperatorSeries, b: OperatorSeries) -> list[Operator]:
        result: list[Operator] = [{} for _ in a]
        for i, j in product(range(len(a)), repeat=2):
            if i + j < len(a) and a[i] and b[j]:
                result[i + j] = self.add(result[i + j], self.product(a[i], b[j]))
        return result

    def _tidy(self, total: Mapping[Exponents, Element]) -> Operator:
        reduced = {alpha: self.ring.reduce(c) for alpha, c in total.items()}
        return {alpha: c for alpha, c in reduced.items() if c != 0}


def exponents(dimension: int, total: int) -> Iterator[Exponents]:
    """Yield the multi-indices of so many entries with a given sum.

    >>> list(exponents(2, 2))
    [(2, 0), (1, 1), (0, 2)]
    """
    if dimension == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in exponents(dimension - 1, total - first):
            yield (first, *rest)
