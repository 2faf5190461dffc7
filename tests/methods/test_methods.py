"""Methods as tables: exact entries, consistency, names."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given

from modeq import (
    AdditiveRungeKutta,
    AverageVectorField,
    CustomMethod,
    GradientDescent,
    LinearMultistep,
    RungeKutta,
    Splitting,
)
from modeq.algebra.entries import exact
from modeq.errors import InvalidMethod, ModeqWarning
from modeq.methods.named import NAMED, NAMED_FOR_PARTS, as_method
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


@pytest.mark.parametrize("entry", [True, "one", None, math.nan, math.inf, 1j, sympy.I, [1]])
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


# floats, texts and nodes


GAUSS_2 = [[0.25, 0.25 - math.sqrt(3) / 6], [0.25 + math.sqrt(3) / 6, 0.25]]
GAUSS_2_AS_TEXT = [["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]]


def test_gauss_typed_with_floats_is_gauss_and_says_so_once():
    with pytest.warns(ModeqWarning, match="is read as 1/4 - 1/6") as caught:
        typed = RungeKutta(GAUSS_2, [0.5, 0.5])
    assert len(caught) == 1
    assert typed == as_method("gauss-2") == RungeKutta(GAUSS_2_AS_TEXT, ["1/2", "0.5"])


def test_nodes_are_taken_and_checked():
    c = ["1/2 - sqrt(3)/6", "(3 + sqrt(3))/6"]
    assert RungeKutta(GAUSS_2_AS_TEXT, ["1/2", "1/2"], c).c == as_method("gauss-2").c
    assert RungeKutta([[0]], [1], [0], "named").name == "named"
    assert RungeKutta([[0]], [1], "named").name == "named"
    with pytest.raises(InvalidMethod, match=r"^the node c\[1\] is 1/3; it must be the sum of A"):
        RungeKutta([[0, 0], [1, 0]], ["1/2", "1/2"], [0, "1/3"])
    with pytest.raises(InvalidMethod, match=r"^there are 1 nodes c; with these w"):
        RungeKutta([[0, 0], [1, 0]], ["1/2", "1/2"], [0])
    with pytest.raises(InvalidMethod, match=r"^c is empty"):
        RungeKutta([[0]], [1], [])


def test_weights_and_nodes_that_are_right_but_for_rounding_are_taken_with_a_warning():
    third = 0.33333333333333
    with pytest.warns(ModeqWarning, match=r"^the sum of the weights b is 1 but for -1e-14, "):
        RungeKutta([[0] * 3] * 3, [third] * 3)
    with pytest.warns(ModeqWarning, match=r"^the node c\[1\] is 1/3 but for -3.3e-15"):
        RungeKutta([[0, 0], ["1/3", 0]], [0, 1], [0, third])
    with pytest.raises(InvalidMethod, match=r"must be 0 exactly, and is off by -1e-15: give fract"):
        LinearMultistep([-1, "0.333333333333333", "0.666666666666666"], [0, 1, 0])


# What a double stores of each entry is enough to get the table back.
@pytest.mark.filterwarnings("ignore:.* is read as")
@pytest.mark.parametrize("name", [*NAMED, *NAMED_FOR_PARTS])
def test_each_table_typed_back_in_floats_is_the_same_table(name):
    method = as_method(name)
    match method:
        case RungeKutta():
            again = RungeKutta(in_floats(method.A), in_floats(method.b), in_floats(method.c))
        case LinearMultistep():
            again = LinearMultistep(*map(in_floats, (method.alpha, method.beta, method.points)))
        case AdditiveRungeKutta():
            again = AdditiveRungeKutta(in_floats(method.A), in_floats(method.b))
        case Splitting():
            again = Splitting(in_floats(method.stages))
        case AverageVectorField():
            tableau = method.tableau(3)
            method, again = tableau, RungeKutta(in_floats(tableau.A), in_floats(tableau.b))
    assert again == method


def in_floats(table):
    """Return nested rows with their entries as doubles; colors of stages stay integers."""
    if isinstance(table, tuple):
        return [in_floats(entry) for entry in table]
    return table if isinstance(table, int) else np.float64(table)
