"""Elementary differentials along a path, from nothing but f over nested power series.

F(τ) for τ = [τ₁, …, τ_k] is the derivative f⁽ᵏ⁾(F(τ₁), …, F(τ_k)), which is the coefficient of
ε₁⋯ε_k in f(θ + ε₁ F(τ₁) + … + ε_k F(τ_k)); of m equal subtrees, m! times that of εᵐ. The counter
terms f_j = Σ_{|τ| = j+1} b(τ)/σ(τ) F(τ) come without any cancellation, which keeps interval
arithmetic tight (derived here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import factorial
from typing import Any

import sympy

from modeq.algebra.power_series import Coefficient, PowerSeries, added, is_absent, scaled
from modeq.algebra.trees import RootedTree
from modeq.derivation.evaluate import SeriesEvaluator
from modeq.derivation.universal import modified_equation
from modeq.methods.named import GradientDescent

Path = Mapping[sympy.Symbol, PowerSeries]
Column = list[Coefficient]
Constant = Callable[[sympy.Expr], Coefficient]
Along = Callable[[Path, Constant], Callable[[sympy.Expr], PowerSeries]]


def counter_terms_along(
    components: Sequence[sympy.Expr],
    path: Path,
    constant: Constant,
    order: int,
    along: Along = SeriesEvaluator,
) -> list[Column]:
    """Return f, f₁, …, fₙ of gradient descent along a path, as power series in its parameter.

    Args:
        components: The components of f.
        path: The power series of each variable.
        constant: Gives the value of an expression at the start of the path, as a coefficient.
        order: The order n.
        along: Makes what evaluates the components from a path and such constants.

    >>> x = sympy.Symbol("x")
    >>> at_one = lambda expression: sympy.Rational(expression.subs(x, 1))
    >>> path = {x: PowerSeries([sympy.Integer(1), sympy.Integer(1)])}  # 1 + s
    >>> [f1] = counter_terms_along([x**2], path, at_one, 1)[1]  # f₁ = -x³
    >>> f1.first(4)
    [-1, -3, -3, -1]
    """
    differentials = _Differentials(components, path, constant, along)
    terms: list[list] = [[] for _ in range(order + 1)]
    for tree, b in modified_equation(GradientDescent(), order).items():
        if tree.order <= order + 1 and b != 0:
            terms[tree.order - 1].append((b / tree.symmetry, differentials(tree)))
    return [_combination(pairs, len(components)) for pairs in terms]


class _Differentials:
    """F(τ) along a path, each found once."""

    def __init__(self, components, path: Path, constant: Constant, along: Along):
        self._components, self._path, self._along = components, dict(path), along
        self._evaluate = along(path, constant)
        self._known: dict[RootedTree, Column] = {}

    def __call__(self, tree: RootedTree) -> Column:
        """Return the components of F(τ), as power series."""
        if tree not in self._known:
            self._known[tree] = self._differential(Counter(tree.children))
        return self._known[tree]

    def _differential(self, children: Mapping[RootedTree, int]) -> Column:
        evaluate, path = self._evaluate, self._path
        for depth, child in enumerate(children):
            directions = [_lifted(entry, depth) for entry in self(child)]
            path = {
                x: PowerSeries([series, direction])
                for (x, series), direction in zip(path.items(), directions, strict=True)
            }
            evaluate = self._along(path, evaluate)
        column = [evaluate(component) for component in self._components]
        for count in reversed(children.values()):
            column = [scaled(coefficient(s, count), factorial(count)) for s in column]
        return column


def _lifted(value: Coefficient, depth: int) -> Coefficient:
    """Return a constant as a power series of power series …, ``depth`` of them."""
    for _ in range(0 if is_absent(value) else depth):
        value = PowerSeries([value])
    return value


def coefficient(series: Any, k: int) -> Coefficient:
    """Return a coefficient of a power series, or of a constant that stands for one.

    >>> coefficient(PowerSeries([1, 2]), 1), coefficient(3, 0), coefficient(3, 1)
    (2, 3, 0)
    """
    if isinstance(series, PowerSeries):
        return series[k]
    return series if k == 0 else 0


def _combination(pairs: Sequence[tuple], dimension: int) -> Column:
    """Return Σ c·F, component by component."""
    return [_sum([(c, column[i]) for c, column in pairs]) for i in range(dimension)]


def _sum(pairs: Sequence[tuple]) -> PowerSeries:
    return PowerSeries(
        rule=lambda k: added(scaled(coefficient(series, k), c) for c, series in pairs)
    )
