"""Sums over all trees that become one tree when vertices with one child are left out.

A step in m of θ_{m+1} = θ_m + h f(θ_m) multiplies by μ = 1 + hν in each eigendirection of the
Jacobian, and chains of vertices with one child are powers of it. What is left is a *reduced* tree,
in which no vertex has one child. Its iterates, as functions of the step index m, are

    A_v(m) = Σ_{s<m} μ_v^{m-1-s} Π_u A_u(s)        over the children u of the vertex v,

sums of exponentials b^m (with powers of m where bases meet), because
Σ_{s<m} μ^{m-1-s} b^s = (b^m - μ^m)/(b - μ). The coefficient of the flow is the derivative at m = 0
at the root, which turns b^m into log b. The Taylor series of that coefficient in the hν_v has the
coefficients of modified_equation: those of the trees with so many vertices put in above each v.

With memory (see ``recurrence``) the same holds with a root of the characteristic equation
ρ(μ) = hν σ(μ) for μ, and ρ(b) - hν σ(b) for b - μ.

Of s steps taken as one the iterates are the same A_v(m), at m = 0, s, 2s, … only. The exponentials
through them are those of (1/s) log bˢ, with any branch of the logarithm: the bases b stay in the
denominators as they are, and only what they become in the end is another logarithm.

Everything is a function of the logarithms of the multipliers, analytic but where a product of
them equals another one up to 2πi; log b means the sum of the logarithms of the factors of b.

This is derived here; for one third derivative the closed form is checked in the tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import sympy

from modeq.algebra.trees import RootedTree, rooted_trees
from modeq.principal.multipliers import PLAIN, Recurrence

_Term = tuple[Any, Any, Any]
"""A coefficient c, a base b and its logarithm, for c·b^m."""


@cache
def reduced_trees(excess: int) -> tuple[RootedTree, ...]:
    """Return the trees in which no vertex has one child, with ``excess`` + 1 leaves.

    The excess is Σ (children - 1) over the vertices with children: the power of f in the
    elementary differential beyond the first.

    >>> print(*reduced_trees(0), *reduced_trees(1), *reduced_trees(2))
    • [•,•] [[•,•],•] [•,•,•]
    """
    trees = itertools.chain.from_iterable(map(rooted_trees, range(2 * excess + 1, 0, -1)))
    return tuple(tree for tree in trees if _leaves(tree) == excess + 1)


def _leaves(tree: RootedTree) -> int:
    """Return how many leaves there are, or 0 if some vertex has one child."""
    return tree.fold(lambda below: 1 if not below else sum(below) if _branches(below) else 0)


def _branches(below: Sequence[int]) -> bool:
    return len(below) > 1 and all(below)


def coefficient(
    tree: RootedTree,
    logs: Sequence,
    recurrence: Recurrence = PLAIN,
    exp: Callable[[Any], Any] = np.exp,
    signs: Sequence | None = None,
) -> Any:
    """Return the coefficient of a reduced tree by its formula, over any kind of numbers.

    Args:
        tree: A reduced tree.
        logs: The logarithms of the multipliers, one for each vertex in the order of the level
            sequence. Where a denominator vanishes, so does the use of the formula.
        recurrence: The method.
        exp: The exponential function of these numbers.
        signs: What exp(log) is multiplied by to be the multiplier, for each vertex: roots of unity
            if several steps are composed, 1 unless given.

    >>> round(float(coefficient(RootedTree(), [np.log(0.5)])), 12)  # log(μ)/(μ - 1)
    1.38629436112
    """
    multipliers = [exp(log) for log in logs]
    if signs is not None:
        multipliers = [mu * sign for mu, sign in zip(multipliers, signs, strict=True)]
    vertices = iter(reversed(list(zip(multipliers, logs, strict=True))))

    def combine(children: list[list[_Term]]) -> list[_Term]:
        return _summed(_products(children, recurrence), *next(vertices), recurrence)

    return sum(c * log for c, _, log in tree.fold(combine))


def _products(children: Sequence[list[_Term]], recurrence: Recurrence) -> Iterator[_Term]:
    """Yield the terms of β f(…) for a product of sums of exponentials."""
    for chosen in itertools.product(*children):
        c, base, log = recurrence.weight([b for _, b, _ in chosen]), 1, 0
        for factor, b, ell in chosen:
            c, base, log = c * factor, base * b, log + ell
        yield c, base, log


def _summed(terms: Iterable[_Term], mu: Any, ell: Any, recurrence: Recurrence) -> list[_Term]:
    """Return the solution with A(0) = 0 of the recurrence with these terms on the right."""
    denominator = recurrence.denominator(mu)
    found = [(c / denominator(base), base, log) for c, base, log in terms]
    return [*found, (-sum(c for c, _, _ in found), mu, ell)]


def symbolic_coefficient(
    tree: RootedTree, recurrence: Recurrence = PLAIN
) -> tuple[sympy.Expr, tuple[sympy.Symbol, ...]]:
    """Return the coefficient as a formula in the multipliers μ₀, μ₁, … of the vertices.

    >>> symbolic_coefficient(RootedTree())[0]
    -log(mu_0)/(1 - mu_0)
    """
    mu = sympy.symbols(f"mu_:{tree.order}")
    logs = [_Logarithm(m, sympy.log(m)) for m in mu]
    formula = coefficient(tree, logs, recurrence, exp=lambda log: log.base)
    return sympy.sympify(formula), mu


class _Logarithm:
    """The logarithm of a product of multipliers as a formula, which remembers the product."""

    def __init__(self, base: Any, log: Any):
        self.base = base
        self.log = log

    def __add__(self, other: _Logarithm) -> _Logarithm:
        return self if other == 0 else _Logarithm(self.base * other.base, self.log + other.log)

    __radd__ = __add__

    def __rmul__(self, factor: Any) -> Any:
        return factor * self.log
