"""Many digits without mpmath's shared precision."""

import mpmath
import pytest
import sympy

from modeq.losses.digits import to_digits

x = sympy.Symbol("x")
HALF = sympy.Rational(1, 2)


@pytest.mark.parametrize(
    "expression",
    [
        sympy.tanh(1) + sympy.erf(sympy.sqrt(2)),
        sympy.tanh(sympy.tanh(1) * sympy.pi),
        sympy.LambertW(3) * sympy.gamma(HALF / 3) - sympy.besselj(0, 2),
        sympy.exp(sympy.erf(1)) / 3 + sympy.asinh(7),
        sympy.asin(2) + sympy.erf(2),
        sympy.sqrt(2) + sympy.pi,
        sympy.Integer(3),
        sympy.tanh(x),
        sympy.Function("unknown")(HALF),
        sympy.Heaviside(sympy.erf(1)),
    ],
)
@pytest.mark.parametrize("digits", [15, 60])
def test_the_digits_are_those_of_sympy(expression, digits):
    assert to_digits(expression, digits) == sympy.N(expression, digits)


def test_digits_that_cancel_are_made_up_for():
    difference = sympy.tanh(1) - sympy.Rational(str(sympy.tanh(1).n(40)))
    assert abs(to_digits(difference, 20) / sympy.N(difference, 20) - 1) < 1e-18


def test_the_shared_precision_is_not_touched(monkeypatch):
    before = mpmath.mp.prec

    def refused(*arguments):
        raise AssertionError("the precision of mpmath was changed")

    expression = sympy.erf(sympy.tanh(HALF)) + sympy.sinh(3)
    monkeypatch.setattr(mpmath, "workprec", refused)
    sympy.core.cache.clear_cache()
    to_digits(expression, 50)
    assert mpmath.mp.prec == before
