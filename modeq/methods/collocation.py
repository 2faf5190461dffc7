"""Runge-Kutta methods made from nodes: collocation, its partners, and the average vector field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations
from typing import Any

from modeq.algebra.entries import Entry, exact_row, vanishes
from modeq.errors import InvalidMethod, visible
from modeq.methods.rules import Rule, fixed_point
from modeq.methods.tableaux import RungeKutta
from modeq.show.shown import Shown

GAUSS_NODES = 16
"""Nodes of the integral in the iterates of the average vector field."""


def collocation(nodes: Sequence, name: str = "collocation") -> RungeKutta:
    """Return the collocation method with some nodes, aᵢⱼ = ∫₀^{cᵢ} ℓⱼ and bⱼ = ∫₀¹ ℓⱼ.

    Here ℓⱼ is the polynomial that is 1 at the node cⱼ and 0 at the others.

    >>> print(*map(str, collocation([0, 1]).b))
    1/2 1/2

    Raises:
        InvalidMethod: Two nodes are equal, or one is not a number.

    References:
        Hairer, Lubich, Wanner, Geometric Numerical Integration, II.1.2.
    """
    c = exact_row(nodes, "nodes")
    if any(vanishes(one - other) for one, other in combinations(c, 2)):
        raise InvalidMethod(f"the nodes are {', '.join(map(str, c))}; they must be different")
    integrals = [_integral(_basis_polynomial(c, j)) for j in range(len(c))]
    A = [[_value(integral, node) for integral in integrals] for node in c]
    return RungeKutta(A, [_value(integral, Fraction(1)) for integral in integrals], name=name)


def _basis_polynomial(nodes: Sequence[Entry], j: int) -> list[Entry]:
    """Return the coefficients of ℓⱼ, lowest first."""
    result: list[Entry] = [Fraction(1)]
    for k, node in enumerate(nodes):
        if k != j:
            scale = 1 / (nodes[j] - node)
            shifted = [Fraction(0), *result]
            result = [
                scale * (high - node * low)
                for high, low in zip(shifted, [*result, Fraction(0)], strict=True)
            ]
    return result


def _integral(polynomial: Sequence[Entry]) -> list[Entry]:
    return [Fraction(0), *(c * Fraction(1, k) for k, c in enumerate(polynomial, 1))]


def _value(polynomial: Sequence[Entry], x: Entry) -> Entry:
    total: Entry = Fraction(0)
    for coefficient in reversed(polynomial):
        total = total * x + coefficient
    return total


def partner(method: RungeKutta, name: str) -> RungeKutta:
    """Return the method â with bᵢ âᵢⱼ + bⱼ aⱼᵢ = bᵢ bⱼ, with which it forms a symplectic pair.

    Raises:
        InvalidMethod: A weight is zero, so there is no such method.

    >>> partner(collocation([0, 1]), "Lobatto IIIB").A == ((Fraction(1, 2), 0), (Fraction(1, 2), 0))
    True

    References:
        Hairer, Lubich, Wanner, Geometric Numerical Integration, VI.4, theorem 4.6.
    """
    b, indices = method.b, range(len(method.b))
    if any(map(vanishes, b)):
        raise InvalidMethod(f"{method} has a weight b that is 0, so it has no symplectic partner")
    A = [[b[j] * (1 - method.A[j][i] / b[i]) for j in indices] for i in indices]
    return RungeKutta(A, b, name=name)


@dataclass(frozen=True)
class AverageVectorField(Shown):
    """The average vector field method, which keeps the energy of Hamiltonian systems.

        θ⁺ = θ + h ∫₀¹ f((1-s) θ + s θ⁺) ds

    As a B-series it is, through any power of h, a Runge-Kutta method aᵢⱼ = cᵢ bⱼ with an exact
    quadrature (b, c), which ``tableau`` returns. Iterates are computed with a quadrature of 16
    nodes: exact, up to rounding, for polynomial fields of degree 31.

    Example:
        >>> print(AverageVectorField())
        average vector field

    References:
        Quispel and McLaren, J. Phys. A 41 (2008) 045206.
    """

    name: str = "average vector field"

    symbols = frozenset()
    is_explicit = False

    def tableau(self, order: int) -> RungeKutta:
        """Return a rational tableau that agrees with the method through h^{n+1}, n = ``order``.

        >>> AverageVectorField().tableau(1) == RungeKutta([[Fraction(1, 2)]], [1])
        True
        """
        nodes = 1 if order < 2 else order + 1 - order % 2
        c = [Fraction(1, 2)] if nodes == 1 else [Fraction(i, nodes - 1) for i in range(nodes)]
        b = collocation(c).b
        return RungeKutta([[node * weight for weight in b] for node in c], b, name=self.name)

    @property
    def rule(self) -> Rule:
        """The update rule with rational nodes and weights, exact through h¹⁶."""
        return self.rule_over(lambda weight: weight)

    def rule_over(self, number: Callable[[Fraction], Any]) -> Rule:
        """Return the update rule with its nodes and weights converted by ``number``."""
        c, b = ([number(entry) for entry in row] for row in _gauss_quadrature(GAUSS_NODES))

        def rule(theta, f, h):
            def sweep(slopes):
                values = [w * f(theta + h * (x * slopes[0])) for x, w in zip(c, b, strict=True)]
                return (sum(values[1:], values[0]),)

            solve = getattr(f, "fixed_point", fixed_point)
            return theta + h * solve(sweep, (f(theta),))[0]

        return rule

    def subs(self, values: Any) -> AverageVectorField:
        """Return the method itself: it has no symbols."""
        return self

    def __str__(self) -> str:
        return visible(self.name)


@cache
def _gauss_quadrature(count: int) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Return rational nodes close to those of Gauss, and weights exact to degree ``count`` - 1."""
    nodes = tuple(Fraction(1 + _legendre_zero(count, k)) / 2 for k in range(count))
    return nodes, collocation(nodes).b


def _legendre_zero(degree: int, k: int) -> float:
    """Return a zero of the Legendre polynomial, by Newton's method."""
    x = -math.cos(math.pi * (k + 0.75) / (degree + 0.5))
    for _ in range(10):
        before, value = 1.0, x
        for n in range(1, degree):
            before, value = value, ((2 * n + 1) * x * value - n * before) / (n + 1)
        x -= value * (x * x - 1) / (degree * (x * value - before))
    return x
