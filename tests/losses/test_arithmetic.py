"""Derivatives in sympy's own form, without its questions."""

import pytest
import sympy
from hypothesis import given

from modeq.losses.arithmetic import derivative
from modeq.losses.parse import parse_expression
from modeq.testing import losses

x, y = sympy.symbols("x y")


@pytest.mark.parametrize(
    "text",
    [
        "(1 - x)**2 + 100*(y - x**2)**2",
        "x**2*y + exp(y) + exp(-2*y)*exp(1)",
        "sin(x)*cos(x)*pi + (2 + x)**(2/3) + tanh(y*x)**2 + sinh(x) + cosh(x)/(2 + cos(x))",
        "asin(x/2) + acos(x/2) + atan(x) + asinh(x) + atanh(x/3) + acosh(3 + x) + erf(x*y)",
        "x**y + 2**x + (1 + x**2)**(-3/2) + cbrt(x + 3) + sigmoid(x) + softplus(y)",
        "3*(x + y)**2*(x - y)/7",
        "y",
        "x",
    ],
)
def test_the_derivative_is_that_of_sympy_in_the_same_form(text):
    expression = parse_expression(text)
    for symbol in (x, y):
        assert derivative(expression, symbol) == expression.diff(symbol)


@given(losses())
def test_so_it_is_for_every_loss(loss):
    for symbol in loss.variables:
        assert derivative(loss.expression, symbol) == loss.expression.diff(symbol)


def test_other_expressions_are_left_to_sympy():
    for expression in (sympy.zeta(x + 3), sympy.Function("f")(x * y), sympy.LambertW(x)):
        assert derivative(expression, x) == expression.diff(x)


def test_a_part_without_the_variable_has_no_derivative():
    assert derivative(sympy.tanh(y) ** 2 + 3, x) == 0
