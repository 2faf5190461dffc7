"""A flow of order n over balls: its field, Jacobian, Taylor coefficients and one-step defect.

Nothing is expanded. The field f̃ = f + h f₁ + … + hⁿ fₙ is a sum of elementary differentials, which
are power series along a path: θ + s eᵢ gives the columns of the Jacobian, and a path θ(s) that
solves θ' = f̃(θ) gives Taylor coefficients cₖ. All of it is recorded once and compiled, so that
subexpressions such as exp(u) are shared by everything.

*The defect.* One step of the flow is θ + Σ_{k ≤ n+1} cₖ(θ, h) hᵏ + c_{n+2} h^{n+2}, the last one
somewhere along the way. Each cₖ is a polynomial in h, and all of the powers of h up to h^{n+1}
make up θ + h f(θ). What is left of cₖ hᵏ is, by Lagrange's remainder in h, h^{n+2} times the Taylor
coefficient of power n + 2 - k of cₖ(θ, ξ + t) in t, for some ξ in [0, h]. So with all ξ in a ball,

    (φ_h(θ) - θ - h f(θ))/h^{n+2} = Σ_{k=2}^{n+2} [t^{n+2-k}] c_k(θ, ξ + t)        (derived here).

Elementary differentials along a path, from nothing but f over nested power series.

F(τ) for τ = [τ₁, …, τ_k] is the derivative f⁽ᵏ⁾(F(τ₁), …, F(τ_k)), which is the coefficient of
ε₁⋯ε_k in f(θ + ε₁ F(τ₁) + … + ε_k F(τ_k)); of m equal subtrees, m! times that of εᵐ. The counter
terms f_j = Σ_{|τ| = j+1} b(τ)/σ(τ) F(τ) come without any cancellation, which keeps interval
arithmetic tight (derived here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property
from math import comb, factorial
from typing import Any

import sympy
from flint import arb, arb_mat

from modeq.algebra.power_series import Coefficient, PowerSeries, added, is_absent, scaled, times
from modeq.algebra.trees import RootedTree
from modeq.bounds.balls import Box, compiled
from modeq.bounds.closed_fields import closed_field
from modeq.derivation.evaluate import SeriesEvaluator
from modeq.flows.tape import Node, Tape
from modeq.losses.loss import Field, H
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.methods.universal import modified_equation

_Path = Mapping[sympy.Symbol, PowerSeries]
_Column = list[Coefficient]
_Constant = Callable[[sympy.Expr], Coefficient]
Along = Callable[[_Path, _Constant], Callable[[sympy.Expr], PowerSeries]]


def counter_terms_along(
    components: Sequence[sympy.Expr],
    path: _Path,
    constant: _Constant,
    order: int,
    along: Along = SeriesEvaluator,
) -> list[_Column]:
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

    def __init__(self, components, path: _Path, constant: _Constant, along: Along):
        self._components, self._path, self._along = components, dict(path), along
        self._evaluate = along(path, constant)
        self._known: dict[RootedTree, _Column] = {}

    def __call__(self, tree: RootedTree) -> _Column:
        """Return the components of F(τ), as power series."""
        if tree not in self._known:
            self._known[tree] = self._differential(Counter(tree.children))
        return self._known[tree]

    def _differential(self, children: Mapping[RootedTree, int]) -> _Column:
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


def _combination(pairs: Sequence[tuple], dimension: int) -> _Column:
    """Return Σ c·F, component by component."""
    return [_sum([(c, column[i]) for c, column in pairs]) for i in range(dimension)]


def _sum(pairs: Sequence[tuple]) -> PowerSeries:
    return PowerSeries(
        rule=lambda k: added(scaled(coefficient(series, k), c) for c, series in pairs)
    )


TAYLOR_ORDER = 3
"""The last Taylor coefficient of a trajectory that is not part of its remainder."""


class BallField:
    """The flow of order n of gradient descent, or Euler's method, over balls.

    Args:
        loss: A loss or vector field.
        order: The order n.
        values: Values of the parameters.

    >>> from modeq.losses.loss import Loss
    >>> field = BallField(Loss("x**2/2"), order=1).at(arb(0.5))
    >>> [x] = field([arb(2)])
    >>> float(x), float(field.jacobian([arb(2)])[0, 0])
    (-2.5, -1.25)
    """

    def __init__(self, loss: Field, order: int = 0, values: Mapping | None = None):
        self.loss, self.order, self.rate = loss, order, arb(0)
        self.dimension = loss.dimension
        self._tape = Tape((*loss.variables, H), dict(values or {}))
        self._closed = closed_field(loss)

    def at(self, rate: arb) -> BallField:
        """Return the field for the learning rates in a ball."""
        # Compiled here once, and not for each rate again.
        _ = self._value, self._jacobian, self._taylor, self.order and self._defect
        other = copy(self)
        other.rate = arb(rate)
        return other

    def __call__(self, box: Box) -> Box:
        """Return a box that contains f̃ of all points of a box."""
        return self._value(*box, self.rate)

    def jacobian(self, box: Box) -> arb_mat:
        """Return a matrix of balls that contains f̃' of all points of a box."""
        columns = self._jacobian(*box, self.rate)
        return arb_mat(self.dimension, self.dimension, columns).transpose()

    def taylor(self, box: Box) -> list[Box]:
        """Return balls for the Taylor coefficients c₁, …, c₄ of the flow from points of a box."""
        flat, d = self._taylor(*box, self.rate), self.dimension
        return [flat[i : i + d] for i in range(0, len(flat), d)]

    def defect(self, box: Box) -> Box:
        """Return a box that contains the defect of one step over h^{n+2}, wherever the flow stays
        in the box during the step.

        >>> from modeq.losses.loss import Loss
        >>> field = BallField(Loss("x**2/2"), order=0).at(arb(0.25, 0.25))
        >>> [x] = field.defect([arb(0.95, 0.05)])
        >>> bool(x.contains((arb(-0.1).exp() - 0.9) / arb(0.01)))
        True
        """
        return self._defect(*box, self.rate)

    @cached_property
    def _value(self) -> Callable[..., Box]:
        path = {x: PowerSeries([self._tape.convert(x)]) for x in self.loss.variables}
        return compiled(self._tape, self._outputs(self._along(path, self._tape.convert), 0))

    @cached_property
    def _jacobian(self) -> Callable[..., Box]:
        """The columns of the Jacobian, one after another."""
        columns = []
        for x in self.loss.variables:
            path = {
                y: PowerSeries([self._tape.convert(y), int(x == y)]) for y in self.loss.variables
            }
            columns += self._outputs(self._along(path, self._tape.convert), 1)
        return compiled(self._tape, columns)

    def _outputs(self, terms: Sequence[Sequence], k: int) -> list[Node]:
        """Return the coefficients of sᵏ of f̃ along a path, as polynomials in h."""
        return [
            self._tape.polynomial(H, [coefficient(series, k) for series in component])
            for component in zip(*terms, strict=True)
        ]

    def _along(self, path: _Path, constant: Callable) -> list[list[PowerSeries]]:
        """Return the components of f, f₁, …, fₙ along a path, as power series in s."""
        if self._closed is None:
            return counter_terms_along(self.loss.components, path, constant, self.order)
        return counter_terms_along(
            self._closed.components,
            path,
            lambda polynomial: constant(self._closed.expanded(polynomial)),
            self.order,
            self._closed.along,
        )

    @cached_property
    def _flow(self) -> list[PowerSeries]:
        """θ(s) from θ, at the learning rate h + t: power series in s, their coefficients in t."""
        tape = self._tape
        path = {x: PowerSeries([PowerSeries([tape.convert(x)])]) for x in self.loss.variables}
        terms = self._along(path, lambda expression: PowerSeries([tape.convert(expression)]))
        powers = [self._power(j) for j in range(self.order + 1)]
        for series, component in zip(path.values(), zip(*terms, strict=True), strict=True):
            series.rule = _antiderivative(component, powers)
        return list(path.values())

    def _power(self, j: int) -> PowerSeries:
        """Return (h + t)ʲ as a power series in t."""
        h = self._tape.convert(H)
        return PowerSeries([comb(j, p) * self._tape.power(h, j - p) for p in range(j + 1)])

    @cached_property
    def _taylor(self) -> Callable[..., Box]:
        orders = range(1, TAYLOR_ORDER + 2)
        nodes = [self._tape.node(coefficient(s[k], 0)) for k in orders for s in self._flow]
        return compiled(self._tape, nodes)

    @cached_property
    def _defect(self) -> Callable[..., Box]:
        last = self.order + 2
        nodes = []
        for series in self._flow:
            parts = (coefficient(series[k], last - k) for k in range(2, last + 1))
            nodes.append(sum(map(self._tape.node, parts), self._tape.node(0)))
        return compiled(self._tape, nodes)


def _antiderivative(terms: Sequence[PowerSeries], powers: Sequence[PowerSeries]) -> Callable:
    """Return the rule of the series whose derivative is Σ (h + t)ʲ fⱼ."""

    def rule(k: int) -> Coefficient:
        values = (coefficient(term, k - 1) for term in terms)
        total = added(
            value if power is powers[0] else times(value, power)
            for value, power in zip(values, powers, strict=True)
        )
        return scaled(total, Fraction(1, k))

    return rule
