"""Learning-rate schedules."""

import numpy as np
import pytest
import sympy

import modeq
from modeq.derivation.schedules import scheduled
from modeq.errors import InvalidLoss
from modeq.optimizers import Adam, EMAMomentum

LOSS = modeq.Loss("x**4/4 + x**2*y/2 + lam*y**2", variables="x y")
T = sympy.Symbol("t")
RATES = ["1/(1 + t)", "exp(-c*t)", "(1 + cos(t))/2", "c"]


@pytest.mark.parametrize("rate", RATES)
def test_the_schedule_adds_its_slope_to_the_counter_term(rate):
    eta = sympy.sympify(rate)
    found = modeq.derive(scheduled(LOSS, rate), 1).counter_terms[0]
    expected = (eta.diff(T) * LOSS.gradient - eta**2 * LOSS.hessian * LOSS.gradient) / 2
    assert sympy.simplify(sympy.Matrix(found[:2]) - expected) == sympy.zeros(2, 1)
    assert found[2] == 0


@pytest.mark.parametrize("method", [EMAMomentum(0.5), modeq.RungeKutta([[0.5]], [1])])
def test_time_passes_at_its_own_rate(method):
    equation = modeq.derive(scheduled("x**3/3", "1/(1 + t)"), 2, method)
    assert equation.field[1] == 1


def test_the_heavy_ball_runs_ahead_of_the_clock():
    assert modeq.derive(scheduled("x**3/3", "t"), 1, modeq.HeavyBall(0.5)).field[1] == 2


def test_the_iterates_have_the_learning_rates_of_the_schedule():
    h, x, expected = 0.1, 1.0, [1.0]
    for n in range(5):
        x = x - h / (1 + n * h) * x**3
        expected.append(x)
    found = modeq.iterate(scheduled("x**4/4", "1/(1 + t)"), [1.0, 0.0], h=h, steps=5)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(found[:, 1], h * np.arange(6), rtol=1e-14)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_flow_follows_the_schedule_to_its_order(order):
    equation = modeq.derive(scheduled("x**4/4", "1/(1 + t)"), order)
    assert equation.check([1.0, 0.0], h=0.1).passed


def test_parameters_of_the_loss_may_stand_in_the_schedule():
    field = scheduled(LOSS, "1/(1 + lam*t)")
    assert field.parameters == (sympy.Symbol("lam"),)


BAD = [
    ({"eta": "1/(1 + x)"}, r"eta = 1/\(x \+ 1\) depends on x; a schedule depends on the time t"),
    ({"eta": "t", "time": "y"}, "the time has the name y, which the loss has too"),
    ({"eta": "t", "time": "s t"}, "time is 's t'; it must be one name"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_schedules_that_are_none_are_refused(arguments, message):
    with pytest.raises(InvalidLoss, match=message):
        scheduled(LOSS, **arguments)


def test_an_optimizer_that_scales_every_coordinate_scales_the_clock_too():
    """Adam divides t' = 1 by its own root, so its time is not that of the schedule."""
    equation = modeq.derive(scheduled("x**2/2", "1"), 0, Adam(epsilon=3))
    assert equation.field[1] == sympy.Rational(1, 2)
