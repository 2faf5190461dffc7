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
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property
from math import comb

import sympy
from flint import arb, arb_mat

from modeq.accuracy.balls import Box, compiled
from modeq.accuracy.closed_fields import closed_field
from modeq.accuracy.path_differentials import coefficient, counter_terms_along
from modeq.algebra.power_series import Coefficient, PowerSeries, added, scaled, times
from modeq.flows.tape import Node, Tape
from modeq.losses.loss import Field, H

TAYLOR_ORDER = 3
"""The last Taylor coefficient of a trajectory that is not part of its remainder."""

Path = dict[sympy.Symbol, PowerSeries]


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

    def _along(self, path: Path, constant: Callable) -> list[list[PowerSeries]]:
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
