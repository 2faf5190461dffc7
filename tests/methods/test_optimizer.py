"""Optimizers as update rules with memory: how they are declared, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

from modeq import State, optimizer
from modeq.errors import InvalidMethod
from modeq.methods.functions import absolute, norm, power, sign, sqrt
from modeq.methods.optimizer import FRACTION_OF_ONE, POSITIVE, Interval

BETA = sympy.Symbol("beta")


@optimizer(memory=["v"], ranges={"beta": FRACTION_OF_ONE, "eps": POSITIVE}, beta=..., eps=0.5)
def momentum(state, grad, h, parameters):
    """Add a decaying sum of gradients."""
    v = parameters.beta * state.v + grad(state.theta)
    return state.replace(theta=state.theta - h * v, v=v)


def test_parameters_are_exact():
    assert momentum(beta=0.1).entries == (Fraction(1, 10), Fraction(1, 2))


def test_parameters_may_be_symbols_and_get_values_later():
    method = momentum(beta=BETA)
    assert method.symbols == {BETA}
    assert method.subs({BETA: Fraction(1, 3)}) == momentum(beta=Fraction(1, 3))


def test_equal_parameters_make_equal_optimizers():
    assert momentum(beta=0.5) == momentum(beta=Fraction(1, 2))
    assert hash(momentum(beta=0.5)) == hash(momentum(beta=Fraction(1, 2)))
    assert momentum(beta=0.5) != momentum(beta=0.25)


def test_an_optimizer_keeps_the_docstring_and_the_name_of_its_rule():
    assert momentum.__doc__ == "Add a decaying sum of gradients."
    assert str(momentum(beta=0)) == "momentum"


def test_a_rule_runs_over_arrays():
    state = State(theta=np.array([1.0, 2.0]), v=np.zeros(2))
    method = momentum(beta=0.5)
    for _ in range(2):
        state = method.step(state, lambda theta: theta, 0.1, float)
    assert state.theta.tolist() == pytest.approx([0.76, 1.52])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "momentum needs a value for beta"),
        ({"beta": 1}, r"beta of momentum is 1; it must be in \[0, 1\)"),
        ({"beta": -0.5}, r"beta of momentum is -0.5; it must be in \[0, 1\)"),
        ({"beta": "nine"}, "beta of momentum is 'nine'; it must be a number"),
        ({"beta": float("nan")}, "beta of momentum is nan; it must be finite"),
        ({"beta": 0, "eps": 0}, "eps of momentum is 0; it must be > 0"),
        ({"betta": 0}, "momentum has no parameter 'betta': did you mean 'beta'?"),
        ({"beta": 0, "x": 0}, "momentum has no parameter 'x': it has beta, eps"),
    ],
)
def test_bad_parameters_get_one_clear_error(given, message):
    with pytest.raises(InvalidMethod, match=message):
        momentum(**given)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({BETA: 1}, r"beta of momentum is 1; it must be in \[0, 1\)"),
        ({"beta": 2.5}, "beta of momentum is 5/2; it must be"),
        ({"betta": 0}, "'betta' is no symbol of the method; its symbols are: beta"),
        ({"beta": "half"}, "beta is 'half'; it must be a number"),
    ],
)
def test_values_of_symbols_are_checked_like_parameters(values, message):
    with pytest.raises(InvalidMethod, match=message):
        momentum(beta=BETA).subs(values)


@pytest.mark.parametrize("beta", [sympy.sqrt(2), -sympy.sqrt(2) / 2, sympy.E, sympy.sin(-1)])
def test_roots_and_other_numbers_of_sympy_are_compared_with_the_range(beta):
    with pytest.raises(InvalidMethod, match="it must be in"):
        momentum(beta=beta)
    assert momentum(beta=1 / (1 + beta**2)).symbols == frozenset()


@pytest.mark.parametrize("memory", [["theta"], ["v", "v"], [3], ["replace"], ["not a name"]])
def test_slots_have_names_of_their_own(memory):
    with pytest.raises(InvalidMethod, match="slots are different names"):
        optimizer(memory)(lambda state, grad, h, parameters: state)()


def test_a_state_has_the_slots_that_were_declared():
    with pytest.raises(InvalidMethod, match="the state has no 'w'; it has theta, v"):
        State(theta=1, v=2).replace(w=3)


def test_a_rule_that_returns_no_state_is_refused():
    wrong = optimizer()(lambda state, grad, h, parameters: state.theta)()
    with pytest.raises(InvalidMethod, match="must return"):
        wrong.step(State(theta=1.0), lambda theta: theta, 0.1, float)


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "text"),
    [
        (Interval(0, 1, closed_low=True), (0, 0.5), (-1, 1), "in [0, 1)"),
        (Interval(0, 1, closed_high=True), (0.5, 1), (0, 2), "in (0, 1]"),
        (Interval(0), (1e-300, 1e9), (0, -1), "> 0"),
        (Interval(0, closed_low=True), (0, 1), (-1,), ">= 0"),
    ],
)
def test_an_interval_says_what_is_in_it(interval, inside, outside, text):
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)
    assert str(interval) == text


@pytest.mark.parametrize("function", [sqrt, absolute, sign, norm])
def test_functions_agree_on_floats_and_on_expressions(function):
    numbers = np.array([0.3, 2.0, 1.5])
    symbols = np.array(sympy.symbols("a b c"), object)
    values = dict(zip(symbols, numbers, strict=True))
    exact = np.atleast_1d(function(symbols))
    assert [float(e.subs(values)) for e in exact] == pytest.approx(
        np.atleast_1d(function(numbers)).tolist()
    )


def test_powers_of_expressions_are_exact():
    x = sympy.Symbol("x")
    assert power(np.array([x], object), Fraction(1, 3))[0] == x ** sympy.Rational(1, 3)
