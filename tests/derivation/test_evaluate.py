"""Expressions over power series, against the Taylor series of sympy and mpmath."""

from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import given, settings

from modeq.algebra.power_series import PowerSeries
from modeq.derivation.evaluate import SeriesEvaluator, SeriesField
from modeq.testing import losses

t, x, y = sympy.symbols("t x y", real=True)
PATH = [Fraction(1, 3), Fraction(1, 2), Fraction(-1, 4)]
COUNT = 6
DIGITS = 40

FUNCTIONS = [
    *(sympy.exp, sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.tanh, sympy.log),
    *(sympy.asin, sympy.acos, sympy.atan, sympy.asinh, sympy.atanh, sympy.erf, sympy.erfc),
    *(sympy.gamma, sympy.loggamma, sympy.sqrt, sympy.cbrt, sympy.LambertW, sympy.sec, sympy.cot),
    *(
        lambda u: 1 / u,
        lambda u: u**-3,
        lambda u: u ** sympy.Rational(-5, 3),
        lambda u: u**sympy.pi,
    ),
    *(lambda u: u**u, lambda u: 2**u, lambda u: sympy.besselj(1, u), lambda u: u**7 - u**2),
    *(lambda u: sympy.acosh(1 + u), lambda u: sympy.log(1 + sympy.exp(u)), lambda u: sympy.pi * u),
    *(lambda u: sympy.atan2(u, 2), lambda u: sympy.exp(sympy.sin(u)) / (1 + u**2)),
]
IDS = [str(function(x)) for function in FUNCTIONS]


@pytest.fixture(scope="module")
def context():
    context = mpmath.MPContext()
    context.dps = DIGITS
    return context


def along_path(expression, context, paths):
    """Return the Taylor coefficients of an expression along paths, as numbers of many digits."""

    def constant(e):
        values = {v: sympy.Rational(p[0].numerator, p[0].denominator) for v, p in paths.items()}
        return context.mpf(str(sympy.N(e.subs(values), DIGITS + 5)))

    series = {
        v: PowerSeries([context.mpf(c.numerator) / c.denominator for c in p])
        for v, p in paths.items()
    }
    return SeriesEvaluator(series, constant)(expression).first(COUNT)


def by_mpmath(expression, paths):
    """Return the same from numeric differentiation of the expression along the paths."""
    along = {
        v: sum(sympy.Rational(c.numerator, c.denominator) * t**k for k, c in enumerate(p))
        for v, p in paths.items()
    }
    function = sympy.lambdify(t, expression.subs(along, simultaneous=True), "mpmath")
    with mpmath.workdps(3 * DIGITS):
        return mpmath.taylor(function, 0, COUNT - 1)


def assert_close(left, right):
    for a, b in zip(left, right, strict=True):
        assert abs(a - b) < mpmath.mpf(10) ** (10 - DIGITS) * (1 + abs(b))


@pytest.mark.parametrize("function", FUNCTIONS, ids=IDS)
def test_every_function_has_the_series_of_mpmath(function, context):
    paths = {x: PATH}
    assert_close(along_path(function(x), context, paths), by_mpmath(function(x), paths))


@settings(max_examples=15)
@given(losses(variables="x y"))
def test_random_losses_have_the_series_of_mpmath(loss):
    context = mpmath.MPContext()
    context.dps = DIGITS
    X, Y = loss.variables
    paths = {X: PATH, Y: [Fraction(-1, 2), Fraction(1), Fraction(0), Fraction(1, 3)]}
    expression = loss.expression
    assert_close(along_path(expression, context, paths), by_mpmath(expression, paths))


@pytest.mark.parametrize(
    "expression", [sympy.exp(x), sympy.tan(x), 1 / (1 - x - x**2), sympy.sqrt(1 + x), sympy.atan(x)]
)
def test_series_of_rational_coefficients_are_exact(expression):
    def constant(e):
        return Fraction(str(e.subs(x, 0)))

    ours = SeriesEvaluator({x: PowerSeries([Fraction(0), Fraction(1)])}, constant)(expression)
    theirs = sympy.series(expression, x, 0, 8).removeO()
    assert [Fraction(c) for c in ours.first(8)] == [
        Fraction(str(theirs.coeff(x, k))) for k in range(8)
    ]


def test_what_does_not_vary_is_evaluated_once():
    asked = []

    def constant(e):
        asked.append(e)
        return Fraction(2)

    series = SeriesEvaluator({x: PowerSeries([Fraction(0), Fraction(1)])}, constant)
    assert series(sympy.exp(y) * x).first(3) == [0, 2, 0]
    assert series(sympy.exp(y) * x**2).first(3) == [0, 0, 2]
    assert asked.count(sympy.exp(y)) <= 2


def test_a_field_over_series_starts_where_it_is_told():
    field = SeriesField((x * y, x + y), (x, y), lambda e: Fraction(str(e.subs({x: 2, y: 3}))))
    start = field.start()
    assert [series.first(2) for series in start] == [[2, 0], [3, 0]]
    assert [series.first(2) for series in field(start)] == [[6, 0], [5, 0]]
