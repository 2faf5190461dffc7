"""Methods as tables: exact entries, consistency, names."""

import math
from fractions import Fraction

import pytest
import sympy
from hypothesis import given

from modeq.algebra.entries import exact
from modeq.errors import InvalidMethod
from modeq.methods.named import NAMED, CustomMethod, GradientDescent, RungeKutta, as_method
from modeq.testing import tableaux


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        (1, Fraction(1)),
        (0.1, Fraction(1, 10)),
        (Fraction(2, 3), Fraction(2, 3)),
        (sympy.Rational(2, 7), Fraction(2, 7)),
        (sympy.Integer(-3), Fraction(-3)),
        (-0.25, Fraction(-1, 4)),
    ],
)
def test_entries_become_exact(entry, value):
    assert exact(entry, "b[0]") == value
    assert type(exact(entry, "b[0]")) is Fraction


@pytest.mark.parametrize("entry", [True, "1", None, math.nan, math.inf, 1j, sympy.I, [1]])
def test_an_entry_that_is_no_number_is_named(entry):
    with pytest.raises(InvalidMethod, match=r"b\[1\]") as raised:
        RungeKutta([[0, 0], [1, 0]], [1, entry])
    assert repr(entry) in str(raised.value)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("A", "b"),
    [
        ([[0, 0]], [1]),
        ([[0], [1]], [1]),
        ([[0]], [1, 0]),
        ([[0, 0], [1]], [1, 0]),
        ([], []),
        ([[]], [1]),
        ("0", [1]),
        ([[0]], "1"),
        (0, 1),
        (["0"], [1]),
    ],
)
def test_a_tableau_must_be_square(A, b):
    with pytest.raises(InvalidMethod):
        RungeKutta(A, b)


@pytest.mark.parametrize("b", [[Fraction(1, 2)], [2], [0], [0.9]])
def test_the_weights_must_sum_to_one(b):
    with pytest.raises(InvalidMethod, match="sum"):
        RungeKutta([[0]], b)


@given(tableaux())
def test_a_method_is_a_value(method):
    twin = RungeKutta([list(row) for row in method.A], list(method.b), "another name")
    assert twin == method
    assert hash(twin) == hash(method)
    with pytest.raises(AttributeError):
        method.b = ()


@given(tableaux(explicit=True))
def test_random_explicit_tableaux_are_explicit(method):
    assert method.is_explicit


@pytest.mark.parametrize("name", NAMED)
def test_every_name_is_read_back_from_what_it_prints(name):
    method = as_method(name)
    assert as_method(str(method)) == method
    assert as_method(name.upper().replace("-", "_")) == method
    assert as_method(name.replace("-", "")) == method


@pytest.mark.parametrize("name", ["gradient descent", " Gradient_Descent ", "euler"])
def test_gradient_descent_has_several_names(name):
    assert as_method(name) == GradientDescent()
    assert as_method(name).is_euler


@pytest.mark.parametrize(
    ("name", "near"), [("eulr", "euler"), ("gradient-decent", "gradient-descent")]
)
def test_an_unknown_name_is_answered_with_a_near_one(name, near):
    with pytest.raises(InvalidMethod, match=f"did you mean '{near}'"):
        as_method(name)


@pytest.mark.parametrize("thing", [3, None, [[0]], 1.5])
def test_what_is_no_method_is_refused(thing):
    with pytest.raises(InvalidMethod, match="method is"):
        as_method(thing)


def test_an_update_rule_becomes_a_method_with_its_name():
    def slow_start(theta, f, h):
        return theta + h * f(theta)

    method = as_method(slow_start)
    assert method == CustomMethod(slow_start, "slow_start")
    assert str(method) == "slow_start"
    assert as_method(method) is method
    assert method.rule_over(float) is slow_start


def test_weights_are_converted_for_the_arithmetic():
    rule = RungeKutta([[0, 0], [Fraction(1, 3), 0]], [0, 1]).rule_over(float)
    assert isinstance(rule(1.0, lambda y: -y, 0.5), float)
