"""A field as polynomials in its variables and functions, closed under differentiation.

Functions such as r = 1/(1 + exp(x)) become symbols whose derivatives are polynomials again,
r' = r² - r, reduced by the relations that hold between them. Along a path they are power series
that solve these equations, so each function is evaluated once, at the start of the path. In
interval arithmetic that avoids what quotients such as exp(x)/(1 + exp(x)) lose.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cached_property

import sympy

from modeq.algebra.power_series import Coefficient, PowerSeries, added, integral_coefficient
from modeq.derivation.derive import field_ring
from modeq.derivation.evaluate import SeriesEvaluator
from modeq.derivation.ring import Element
from modeq.errors import ModeqWarning, NotSmooth
from modeq.losses.loss import Field
from modeq.methods.tableaux_by_name import GradientDescent

_Path = Mapping[sympy.Symbol, PowerSeries]
_Constant = Callable[[sympy.Expr], Coefficient]


class ClosedField:
    """The components of a field as polynomials in variables and symbols for functions.

    Attributes:
        components: The polynomials.
        functions: {symbol: the function that it stands for}.

    >>> from modeq.losses.loss import Loss
    >>> field = ClosedField(Loss("log(1 + exp(x))"))
    >>> [field.expanded(component) for component in field.components]
    [-1 + 1/(exp(x) + 1)]
    """

    def __init__(self, loss: Field):
        self._ring = field_ring(loss, 0, GradientDescent())
        self.functions = {sympy.Dummy(f"u{i}"): g for i, g in enumerate(self._ring.functions)}
        self._symbols = {g: symbol for symbol, g in self.functions.items()}
        self.components = [self._shorter(component) for component in loss.components]

    def _shorter(self, component: sympy.Expr) -> sympy.Expr:
        """Return a component as it is written or expanded and reduced, whichever is shorter."""
        reduced = self._polynomial(self._ring.reduce(self._ring.convert(component)))
        written = self._substituted(component)
        if written is None or written.count_ops() >= reduced.count_ops():
            return reduced
        return written

    def _substituted(self, expression: sympy.Expr) -> sympy.Expr | None:
        """Return an expression with symbols for functions, or None if it is no polynomial then."""
        if expression in self._symbols:
            return self._symbols[expression]
        if expression.is_Atom:
            return expression
        is_power = expression.is_Pow and expression.exp.is_Integer and expression.exp > 0
        if not (is_power or expression.is_Add or expression.is_Mul):
            return None
        parts = [self._substituted(part) for part in expression.args]
        return None if None in parts else expression.func(*parts)

    def _polynomial(self, element: Element) -> sympy.Expr:
        names = [self._symbols.get(g, g) for g in self._ring.generators]
        expression = sympy.Add(
            *(
                sympy.Mul(
                    sympy.Rational(c.numerator, c.denominator),
                    *(x**e for x, e in zip(names, exponents, strict=True)),
                )
                for exponents, c in self._ring.terms(element)
            )
        )
        symbols = [x for x in names if expression.has(x)]
        return sympy.horner(expression, *symbols) if symbols else expression

    def expanded(self, polynomial: sympy.Expr) -> sympy.Expr:
        """Return a polynomial with the functions in place of their symbols."""
        return polynomial.xreplace(self.functions)

    @cached_property
    def slopes(self) -> dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]]:
        """The partial derivatives of each function, as polynomials."""
        ring = self._ring
        return {
            symbol: {
                x: self._polynomial(ring.derivative(ring.generator(g), i))
                for i, x in enumerate(ring.variables)
                if g.has(x)
            }
            for symbol, g in self.functions.items()
        }

    def along(self, path: _Path, constant: _Constant) -> SeriesEvaluator:
        """Return what evaluates polynomials along a path of the variables.

        Args:
            path: The power series of each variable.
            constant: Gives the value of a symbol or number at the start, as a coefficient.

        >>> from modeq.losses.loss import Loss
        >>> field = ClosedField(Loss("exp(x)"))
        >>> evaluate = field.along(
        ...     {x: PowerSeries([0, sympy.Integer(1)]) for x in field.variables},
        ...     lambda e: field.expanded(e).subs("x", 0),
        ... )
        >>> evaluate(field.components[0]).first(4)
        [-1, -1, -1/2, -1/6]
        """
        functions = {symbol: PowerSeries([constant(symbol)]) for symbol in self.functions}
        evaluate = SeriesEvaluator({**path, **functions}, constant)
        for symbol, series in functions.items():
            series.rule = _along(self.slopes[symbol], path, evaluate)
        return evaluate

    @property
    def variables(self) -> tuple[sympy.Symbol, ...]:
        """The variables."""
        return self._ring.variables


def closed_field(loss: Field) -> ClosedField | None:
    """Return the closed form of a field, or None for functions that have none, such as gamma.

    >>> from modeq.losses.loss import Loss
    >>> closed_field(Loss("tanh(x)")).components
    [_u0**2 - 1]
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModeqWarning)
        try:
            field = ClosedField(loss)
            _ = field.slopes
        except NotSmooth:
            return None
    # What is constant piece by piece has slopes 0 on boxes across the ends of a piece, too.
    pieces = any(isinstance(g, sympy.Abs | sympy.sign) for g in field.functions.values())
    return None if pieces else field


def _along(slopes: Mapping, path: _Path, evaluate: SeriesEvaluator) -> Callable:
    """Return the rule of y with y' = Σ slope · x'."""

    def rule(k: int) -> Coefficient:
        parts = (integral_coefficient(evaluate(slope), path[x], k) for x, slope in slopes.items())
        return added(parts)

    return rule
