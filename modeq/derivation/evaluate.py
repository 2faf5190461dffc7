"""A sympy expression as a program that runs over power series.

The derivative of a function is what sympy says it is; it is looked up when a further coefficient
of the function is asked for, so functions whose derivatives never close work as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import compress, count
from typing import Any

import sympy
from sympy.core.function import ArgumentIndexError

from modeq.algebra.power_series import (
    Coefficient,
    PowerSeries,
    Vector,
    added,
    integral_coefficient,
    is_absent,
    plus,
    reciprocal,
    scaled,
    times,
)
from modeq.errors import InvalidPoint
from modeq.losses.digits import to_digits
from modeq.losses.expansion import from_leaves


class SeriesEvaluator:
    """Evaluates expressions along a path θ(h) = θ₀ + O(h), given as power series.

    Args:
        path: The series of each variable.
        constant: Gives the value of an expression at θ₀, as a coefficient.

    Example:
        >>> x = sympy.Symbol("x")
        >>> path = {x: PowerSeries([0, 1])}
        >>> at_zero = lambda expression: Fraction(str(expression.subs(x, 0)))
        >>> SeriesEvaluator(path, at_zero)(sympy.tan(x)).first(4)
        [Fraction(0, 1), Fraction(1, 1), Fraction(0, 1), Fraction(1, 3)]
    """

    def __init__(
        self,
        path: Mapping[sympy.Symbol, PowerSeries],
        constant: Callable[[sympy.Expr], Coefficient],
    ):
        self._path = path
        self._constant = constant
        self._known: dict[sympy.Expr, PowerSeries] = dict(path)
        self._varying: dict[sympy.Basic, bool] = dict.fromkeys(path, True)

    def __call__(self, expression: sympy.Expr) -> PowerSeries:
        """Return the series of ``expression`` along the path."""
        if expression not in self._known:
            if not self._varies(expression):
                self._known[expression] = PowerSeries([self._constant(expression)])
            else:
                self._known[expression] = self._evaluate(expression)
        return self._known[expression]

    def _varies(self, expression: sympy.Basic) -> bool:
        """Tell whether an expression has a variable in it, each of its parts asked once."""
        for part in from_leaves(expression, self._varying):
            self._varying[part] = any(self._varying[inner] for inner in part.args)
        return self._varying[expression]

    def _factor(self, expression: sympy.Expr) -> Coefficient:
        """Return a constant factor: a Fraction where it is one, so that products stay cheap."""
        if expression.is_Rational:
            return Fraction(int(expression.p), int(expression.q))
        return self._constant(expression)

    def _evaluate(self, expression: sympy.Expr) -> PowerSeries:
        if expression.is_Add:
            return _sum([self(term) for term in expression.args])
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._power(expression)
        return self._function(expression)

    def _product(self, expression: sympy.Expr) -> PowerSeries:
        constants = [part for part in expression.args if not self._varies(part)]
        product = _product([self(part) for part in expression.args if self._varies(part)])
        if not constants:
            return product
        # Not a product of series: the coefficients, and so the factor, may be series themselves.
        value = self._factor(sympy.Mul(*constants))
        return PowerSeries(rule=lambda k: scaled(product[k], value))

    def _power(self, expression: sympy.Expr) -> PowerSeries:
        base, exponent = expression.base, expression.exp
        if exponent.is_Integer and exponent > 0:
            return self(base) ** int(exponent)
        if exponent == -1:
            return reciprocal(self(base), self._constant(expression))
        if exponent.is_Integer:
            return self(1 / base) ** int(-exponent)
        if not self._varies(exponent):
            return self._constant_power(expression)
        return self._function(expression)

    def _constant_power(self, expression: sympy.Expr) -> PowerSeries:
        """Return y = uᵃ, from u y' = a u' y."""
        base, exponent = self(expression.base), self._factor(expression.exp)
        root, power = inverse_root(expression)
        inverse = one_root = self._constant(root)
        for _ in range(power - 1):
            inverse = inverse * one_root

        def coefficient(k: int) -> Coefficient:
            total = added(
                scaled(times(base[j], y[k - j]), exponent * j - (k - j)) for j in range(1, k + 1)
            )
            return scaled(times(inverse, total), Fraction(1, k))

        y = PowerSeries([self._constant(expression)], coefficient)
        return y

    def _function(self, expression: sympy.Expr) -> PowerSeries:
        """Return y = F(u), from y' = Σ ∂F/∂uᵢ uᵢ'."""
        slopes = slopes_of_function(expression, self._path)
        return self._along(expression, {slope: self(inner) for slope, inner in slopes})

    def _along(self, expression: sympy.Expr, slopes: Mapping) -> PowerSeries:
        """Return y with y' = Σ slope · inner' over ``slopes``; a slope may contain y itself."""

        def coefficient(k: int) -> Coefficient:
            return added(
                integral_coefficient(self(slope), inner, k) for slope, inner in slopes.items()
            )

        return PowerSeries([self._constant(expression)], coefficient)


def constants_at(
    point: Mapping[sympy.Symbol, sympy.Expr], context: Any, digits: int
) -> Callable[[sympy.Expr], Coefficient]:
    """Return what gives the value of an expression at a point, as a number of an mpmath context.

    Raises (the function that is returned):
        InvalidPoint: The value is not a finite real number, as that of a sign at 0.

    >>> import mpmath
    >>> x = sympy.Symbol("x")
    >>> constants_at({x: sympy.Integer(2)}, mpmath.MPContext(), 15)(1 / x)
    mpf('0.5')
    """

    def constant(expression: sympy.Expr) -> Coefficient:
        found = to_digits(expression.xreplace(point), digits)
        if not found.is_Float and not found.is_Rational:
            shown = ", ".join(f"{x} = {sympy.N(point[x], 6)}" for x in sorted(point, key=str))
            raise InvalidPoint(
                f"at {shown} the value of {expression} is {found}; the method is smooth only where "
                f"it is a finite real number"
            )
        return context.mpf(str(found))

    return constant


def slopes_of_function(node: sympy.Expr, variables: Iterable) -> list[tuple]:
    """Return pairs of ∂F/∂u and u for a function or varying power F of the u that vary.

    >>> x, y = sympy.symbols("x y")
    >>> slopes_of_function(sympy.sin(x * y), (x,)), slopes_of_function(y**x, (x,))
    ([(cos(x*y), x*y)], [(y**x, x*log(y))])
    """
    if node.is_Pow:
        return [(node, node.exp * sympy.log(node.base))]
    if isinstance(node, sympy.sign):
        return []
    if isinstance(node, sympy.Function):
        varying = [not u.free_symbols.isdisjoint(variables) for u in node.args]
        try:
            return [(node.fdiff(i + 1), node.args[i]) for i in compress(count(), varying)]
        except ArgumentIndexError:  # sympy knows it by another name, as that of zeta
            pass
    return [(node.diff(x), x) for x in variables]


def needed_for_series(node: sympy.Expr, variables: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    """Return what the power series of a function is made of, beside its arguments.

    >>> x, a = sympy.symbols("x a")
    >>> needed_for_series(sympy.log(a * x), (x,)), needed_for_series(sympy.exp(x) ** a, (x,))
    ([1/(a*x), a*x], [exp(-x)])
    """
    if node.free_symbols.isdisjoint(variables):
        return []
    if node.is_Pow and node.exp.free_symbols.isdisjoint(variables):
        return [] if node.exp.is_Integer else [inverse_root(node)[0]]
    return [part for pair in slopes_of_function(node, variables) for part in pair]


def inverse_root(expression: sympy.Expr) -> tuple[sympy.Expr, int]:
    """Return r and q with 1/u = r^q, for a power u^{p/q}: the root that its powers are made of.

    >>> inverse_root(sympy.sqrt(sympy.Symbol("x")))
    (1/sqrt(x), 2)
    """
    denominator = int(expression.exp.q) if expression.exp.is_Rational else 1
    return expression.base ** sympy.Rational(-1, denominator), denominator


def _product(factors: Sequence[PowerSeries]) -> PowerSeries:
    """Return a product by halves: of many factors in a row, each would wait for the one before."""
    if len(factors) == 1:
        return factors[0]
    middle = (len(factors) + 1) // 2
    return _product(factors[:middle]) * _product(factors[middle:])


def _sum(terms: Sequence[PowerSeries]) -> PowerSeries:
    return PowerSeries(rule=lambda k: added(term[k] for term in terms))


class SeriesField:
    """A field over power series: the ``f`` that an update rule is run with.

    Args:
        components: The components of the field.
        variables: Its variables.
        constant: Gives the value of an expression at the start θ₀, as a coefficient.
        parts: The components of the parts that a split field is the sum of.

    Attributes:
        forces: What an optimizer takes for the components; those, unless the field has a schedule.
        parts: The parts, as fields over power series.
        h: The learning rate, as a power series.
    """

    def __init__(
        self,
        components: Sequence[sympy.Expr],
        variables: Sequence[sympy.Symbol],
        constant: Callable[[sympy.Expr], Coefficient],
        parts: Iterable[Sequence[sympy.Expr]] = (),
    ):
        self.components = self.forces = components
        self.variables = variables
        self.constant = constant
        self.h = STEP
        self.parts = tuple(SeriesField(part, variables, constant) for part in parts)

    def start(self) -> Vector:
        """Return the point θ₀."""
        return Vector(PowerSeries([self.constant(x)]) for x in self.variables)

    def __call__(self, theta: Vector) -> Vector:
        """Return f along the path ``theta``."""
        evaluate = SeriesEvaluator(dict(zip(self.variables, theta, strict=True)), self.constant)
        return Vector(evaluate(component) for component in self.components)

    def number(self, entry: Any) -> Coefficient:
        """Return an entry of a method's table, such as √3 or a symbol, as a coefficient."""
        return self.constant(sympy.sympify(entry))

    def tidy(self, coefficient: Coefficient) -> Coefficient:
        """Return a coefficient in its shortest form."""
        return coefficient

    def near_start(self, theta: Vector) -> Vector:
        """Return a path, if it starts at θ₀ as far as that can be told."""
        return theta

    def flow(self, theta: Vector, time: PowerSeries) -> Vector:
        """Return the exact flow of the field for a time a·h, from the path ``theta``.

        With ψ(s) = Σ sᵏ ψₖ the solution of dψ/ds = f(ψ), ψ₀ = θ(h), a power series in s whose
        coefficients are power series in h, this is Σ aᵏ hᵏ ψₖ(h).
        """
        start = SeriesEvaluator(dict(zip(self.variables, theta, strict=True)), self.constant)
        path = Vector(PowerSeries([series]) for series in theta)
        slopes = SeriesEvaluator(dict(zip(self.variables, path, strict=True)), start)
        for series, component in zip(path, self.components, strict=True):
            series.rule = _antiderivative(slopes(component))
        return Vector(_at(series, time[1]) for series in path)

    def fixed_point(self, sweep: Callable[[tuple], tuple], start: tuple[Vector, ...]) -> tuple:
        """Return the stages k = ``sweep``(k): coefficient j of the right side needs those below j
        of the left, so the equation defines the series as it stands.
        """
        stages = tuple(Vector(PowerSeries() for _ in vector) for vector in start)
        for stage, image in zip(stages, sweep(stages), strict=True):
            for unknown, series in zip(stage, image, strict=True):
                unknown.rule = series.__getitem__
        return stages


def _antiderivative(slope: PowerSeries) -> Callable[[int], Coefficient]:
    return lambda k: scaled(slope[k - 1], Fraction(1, k))


def _at(series: PowerSeries, factor: Coefficient) -> PowerSeries:
    """Return Σ (factor · h)ᵏ ψₖ(h) for a series Σ sᵏ ψₖ(h) in s."""

    def coefficient(k: int) -> Coefficient:
        total, power = 0, 1
        for j in range(k + 1):
            inner = series[j]
            value = 0 if is_absent(inner) else inner[k - j]
            total = plus(total, scaled(value, power))
            power = power * factor
        return total

    return PowerSeries(rule=coefficient)


STEP = PowerSeries([0, 1])
"""The learning rate h as a power series in h."""
