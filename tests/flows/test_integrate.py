"""Trajectories: closed forms, hand-written loops, and flows that end."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Loss, VectorField, problems
from modeq.checks import check_steps
from modeq.errors import DidNotConverge, FlowError, InvalidPoint, InvalidStep, MissingParameter
from modeq.testing import losses, starts, tableaux

SOLUTIONS = [
    ("x**2/2", [1.0], lambda t: [np.exp(-t)]),
    (VectorField("y**2"), [1.0], lambda t: [1 / (1 - t)]),
    (VectorField(["p", "-q"], "q p"), [0.0, 1.0], lambda t: [np.sin(t), np.cos(t)]),
    ("exp(x)", [0.0], lambda t: [-np.log(1 + t)]),
    ("x + 2*y", [0.0, 1.0], lambda t: [-t, 1 - 2 * t]),
]


@pytest.mark.parametrize(("loss", "start", "solution"), SOLUTIONS)
def test_gradient_flow_has_its_closed_form(loss, start, solution):
    trajectory = modeq.derive(loss, 0).solve(start, h=0.05, steps=10)
    np.testing.assert_array_equal(trajectory.t, 0.05 * np.arange(11))
    expected = np.transpose(solution(trajectory.t))
    np.testing.assert_allclose(trajectory.theta, expected, rtol=1e-11, atol=1e-12)


def test_on_a_quadratic_high_orders_meet_the_iterates():
    """The series of log(1 - hλ) at hλ = 1/4, cut at h⁹, leaves about (hλ)¹¹/11 in each step."""
    trajectory = modeq.derive("x**2/2", 9).solve([1.0], h=0.25, steps=5)
    np.testing.assert_allclose(trajectory.theta.ravel(), 0.75 ** np.arange(6), atol=1e-7)
    assert trajectory.theta.shape == (6, 1)


def euler_loop(f, theta, h, steps):
    points = [np.asarray(theta, dtype=float)]
    for _ in range(steps):
        points.append(points[-1] + h * f(points[-1]))
    return np.array(points)


@settings(max_examples=10)
@given(data=st.data(), loss=losses(max_degree=2))
def test_gradient_descent_is_the_loop_that_everyone_writes(data, loss):
    start = data.draw(starts(loss))
    f = modeq.derive(loss, 0).lambdify()
    expected = euler_loop(lambda theta: f(theta, 0.0), start, 0.01, 4)
    iterates = modeq.iterate(loss, start, h=0.01, steps=4)
    np.testing.assert_allclose(iterates, expected, rtol=1e-13, atol=1e-15)


def pendulum(theta):
    return np.array([theta[1], -np.sin(theta[0])])


PENDULUM = VectorField(["p", "-sin(q)"], "q p")


@settings(max_examples=10)
@given(tableaux())
def test_a_tableau_is_stepped_as_it_says(method):
    """Each step is checked by putting the stages into their equations."""
    h, A, b = 0.05, np.array(method.A, dtype=float), np.array(method.b, dtype=float)
    for before, after in np.lib.stride_tricks.sliding_window_view(
        modeq.iterate(PENDULUM, [1.0, 0.5], h=h, steps=3, method=method), (2, 2)
    )[:, 0]:
        k = np.zeros((len(b), 2))
        for _ in range(200):
            k = np.array([pendulum(before + h * row @ k) for row in A])
        np.testing.assert_allclose(after, before + h * b @ k, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "factor"),
    [
        ("gradient-descent", lambda z: 1 - z),
        ("implicit-euler", lambda z: 1 / (1 + z)),
        ("implicit-midpoint", lambda z: (1 - z / 2) / (1 + z / 2)),
        ("trapezoid", lambda z: (1 - z / 2) / (1 + z / 2)),
        ("heun", lambda z: 1 - z + z**2 / 2),
        ("extragradient", lambda z: 1 - z + z**2),
        ("rk4", lambda z: sum((-z) ** k / math.factorial(k) for k in range(5))),
        (lambda theta, f, h: theta + h / 2 * (f(theta) + f(theta)), lambda z: 1 - z),
    ],
)
@pytest.mark.parametrize("h", [0.1, 1.5])
def test_on_a_quadratic_a_method_multiplies_by_its_stability_function(method, factor, h):
    iterates = modeq.iterate("3*x**2/2", [2.0], h=h, steps=3, method=method).ravel()
    np.testing.assert_allclose(iterates, 2 * factor(3 * h) ** np.arange(4), rtol=1e-12)


def test_the_start_is_not_overwritten():
    start = np.array([1.0, 2.0])
    modeq.iterate("x**2 + y**2", start, h=0.1, steps=3)
    modeq.derive("x**2 + y**2", 1).solve(start, h=0.1, steps=3)
    assert start.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("field", "start"),
    [
        (VectorField("y**2"), [1.0]),
        (VectorField("exp(y)"), [0.0]),
        (VectorField("-1/(2*y)"), [1.0]),
        (VectorField("-sqrt(y) - 1"), [0.5]),
    ],
)
def test_a_flow_that_blows_up_or_leaves_the_domain_says_so(field, start):
    with pytest.raises(FlowError, match="soon after t"):
        modeq.derive(field, 0).solve(start, h=0.25, steps=20)


def test_gradient_descent_that_diverges_says_at_which_iterate():
    with pytest.raises(FlowError, match="iterate"):
        modeq.iterate("x**4", [10.0], h=1.0, steps=20)


def test_implicit_stages_that_do_not_exist_are_an_error():
    """k = 1 + (y + h k)² has no real solution for large h."""
    with pytest.raises(DidNotConverge):
        modeq.iterate(VectorField("1 + y**2"), [1.0], h=2.0, steps=1, method="implicit-euler")


def test_parameters_get_their_values():
    loss = Loss("lam*x**2/2", "x")
    assert modeq.iterate(loss, [1], h=0.5, steps=1, parameters={"lam": 1})[-1] == [0.5]
    with pytest.raises(MissingParameter, match="lam"):
        modeq.iterate(loss, [1], h=0.5, steps=1)
    with pytest.raises(MissingParameter, match="lam"):
        modeq.derive(loss, 1).solve([1], h=0.5, steps=1)


def test_a_comparison_holds_everything_side_by_side():
    comparison = modeq.compare("x**2/2 + x**4/4", [0.5], h=0.1, steps=6)
    np.testing.assert_array_equal(comparison.t, 0.1 * np.arange(7))
    np.testing.assert_array_equal(
        comparison.iterates, modeq.iterate("x**2/2 + x**4/4", [0.5], h=0.1, steps=6)
    )
    assert list(comparison.flows) == list(comparison.errors) == [0, 1, 2, 3]
    for order, points in comparison.flows.items():
        distances = np.linalg.norm(points - comparison.iterates, axis=1)
        np.testing.assert_array_equal(comparison.errors[order], distances)
    finals = [error[-1] for error in comparison.errors.values()]
    assert finals == sorted(finals, reverse=True)
    assert len(str(comparison).splitlines()) == 5


def test_a_flow_that_fails_does_not_stop_the_others():
    """y' = y² blows up at t = 1, and the flow of order 1, y' = y² - h y³, stops at y = 1/h."""
    comparison = modeq.compare(VectorField("y**2"), [1.0], h=0.25, steps=6, orders=(0, 1))
    assert list(comparison.flows) == [1]
    assert "blows up" in comparison.failures[0]
    assert "blows up" in str(comparison)


def test_a_problem_brings_its_start_and_step():
    comparison = modeq.compare(problems.double_well(), steps=2, orders=(0,))
    assert comparison.iterates[0].tolist() == [0.4]
    assert comparison.t[1] == 0.1


def test_without_a_start_or_a_step_it_is_said_which_is_missing():
    with pytest.raises(InvalidPoint, match="start is missing"):
        modeq.compare("x**2", h=0.1)
    with pytest.raises(InvalidStep, match="h is missing"):
        modeq.compare("x**2", [1.0])


BAD_STARTS = [[], [1, 2, 3], 1.0, [[1, 2]], [math.nan, 1], [math.inf, 1], ["a", "b"], None, [1j, 1]]


@pytest.mark.parametrize("start", BAD_STARTS, ids=str)
def test_a_start_must_be_one_finite_point(start):
    with pytest.raises(InvalidPoint) as raised:
        modeq.iterate("x**2 + y**2", start, h=0.1, steps=1)
    assert isinstance(raised.value, ValueError)
    with pytest.raises(InvalidPoint):
        modeq.derive("x**2 + y**2", 1).solve(start, h=0.1, steps=1)


@pytest.mark.parametrize("text", ["log(x)", "x*sqrt(x)", "1/x - 1/x**2 + log(x)"])
def test_a_start_outside_the_domain_is_refused(text):
    with pytest.raises(InvalidPoint, match=r"-1\.0"):
        modeq.iterate(text, [-1.0], h=0.1, steps=1)


@pytest.mark.parametrize("h", [0, -1, math.nan, math.inf, "0.1", None])
def test_a_learning_rate_must_be_positive_and_finite(h):
    for call in (modeq.iterate, modeq.derive("x**2", 1).solve):
        with pytest.raises(InvalidStep) as raised:
            call(*(["x**2"] if call is modeq.iterate else []), [1.0], h=h, steps=1)
        assert repr(h) in str(raised.value)


@pytest.mark.parametrize("steps", [0, -3, 1.0, "2", None, True])
def test_steps_must_be_an_integer_at_least_one(steps):
    with pytest.raises(InvalidStep) as raised:
        check_steps(steps)
    assert repr(steps) in str(raised.value)


@pytest.mark.parametrize("steps", [3, np.int64(3)])
def test_steps_may_be_any_integer(steps):
    assert check_steps(steps) == 3


def test_a_learning_rate_may_be_a_fraction():
    assert modeq.iterate("x**2/2", [1], h=Fraction(1, 2), steps=1)[-1] == [0.5]
