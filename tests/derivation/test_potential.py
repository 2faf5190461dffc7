"""The modified loss, and the witness where there is none."""

import pickle

import oracle
import pytest
import sympy
from hypothesis import given, settings

import modeq
from modeq import VectorField, problems
from modeq.errors import NotAGradient
from modeq.losses.loss import H
from modeq.testing import losses

POTENTIALS = [
    ("x**2*y + y**3", 1, "gradient-descent"),
    ("exp(x*y) + x**2", 1, "gradient-descent"),
    ("tanh(x - y) + x**2/2 + z**2", 1, "implicit-euler"),
    ("log(1 + exp(x + 2*y))", 2, "gradient-descent"),
    ("x**4 + cos(x)", 2, "gradient-descent"),
    ("x**2/2 + x*y + y**2", 4, "rk4"),
    ("x**2*y + y**3", 1, "implicit-midpoint"),
    ("x**4 + y**3 + z**5", 3, "extragradient"),
]


def gradient(expression, variables):
    return [expression.diff(v) for v in variables]


@pytest.mark.parametrize(("text", "order", "method"), POTENTIALS)
def test_the_gradient_of_the_modified_loss_is_minus_the_field(text, order, method):
    equation = modeq.derive(text, order, method)
    assert oracle.same(gradient(equation.modified_loss(), equation.variables), -equation.field)


@settings(max_examples=10)
@given(losses(max_degree=3))
def test_at_order_one_it_is_the_loss_with_a_quarter_h_of_the_squared_gradient(loss):
    """Barrett and Dherin 2021."""
    expected = loss.expression + H / 4 * loss.gradient.dot(loss.gradient)
    difference = modeq.derive(loss, 1).modified_loss() - expected
    assert oracle.vanishes(gradient(difference, loss.variables))


@given(losses(variables="x", max_degree=3, functions=False))
def test_in_one_dimension_every_field_is_a_gradient(loss):
    equation = modeq.derive(loss, 3)
    assert oracle.same(gradient(equation.modified_loss(), loss.variables), -equation.field)


def test_the_field_of_rosenbrock_is_no_gradient_from_order_two_on():
    equation = modeq.derive(problems.rosenbrock(), 3)
    with pytest.raises(NotAGradient, match="no modified loss at order 2") as raised:
        equation.modified_loss()
    assert raised.value.order == 2
    first, second, curl = raised.value.witness
    f = dict(zip(equation.variables, equation.counter_terms[1], strict=True))
    assert sympy.expand(f[first].diff(second) - f[second].diff(first) - curl) == 0
    assert curl != 0


def test_a_rotation_is_no_gradient_at_all():
    x, y = sympy.symbols("x y")
    equation = modeq.derive(VectorField([y, -x], (x, y)), 1)
    with pytest.raises(NotAGradient) as raised:
        equation.modified_loss()
    assert raised.value.order == 0
    assert raised.value.witness == (x, y, 2)
    assert "the field itself is not a gradient" in str(raised.value)
    assert "ask for" not in str(raised.value)


def test_a_vector_field_that_is_a_gradient_has_a_potential():
    equation = modeq.derive(VectorField(["-2*x*y", "-x**2"], "x y"), 1)
    assert oracle.same(gradient(equation.modified_loss(), equation.variables), -equation.field)


def test_the_error_survives_a_journey():
    with pytest.raises(NotAGradient) as raised:
        modeq.derive("x**2*y + y**3", 2).modified_loss()
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (copy.order, str(copy)) == (raised.value.order, str(raised.value))


def test_a_potential_without_a_closed_form_stays_an_integral():
    equation = modeq.derive("x**4/4 + exp(x) + x*sin(x)", 1, modeq.Adam(0.5, 0.75, epsilon=0.1))
    loss = equation.modified_loss()
    assert loss.has(sympy.Integral)
    slope = -loss.diff(sympy.Symbol("x"))
    assert sympy.expand(slope - equation.field[0]) == 0
