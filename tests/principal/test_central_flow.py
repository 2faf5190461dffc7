"""The central flow: against the average of gradient descent, and where it is wrong."""

import numpy as np
import pytest
import sympy

import modeq
from modeq import central_flow
from modeq.errors import FlowError, InvalidLoss, InvalidMethod, InvalidPoint, InvalidStep
from modeq.flows.compare import averaged


def compare_flows(*arguments, **options):
    with pytest.deprecated_call(match="compare takes flows"):
        return modeq.compare_flows(*arguments, **options)


RIVER = "y*log(cosh(x)) + (y - 4)**2/{}"
FACTORED = "(x**2*y**2 - 1)**2/2"


def mean_square_of_the_oscillation(points):
    swing = (points[2:] - 2 * points[1:-1] + points[:-2]) / 4
    return float((swing**2).sum(axis=1).mean())


def test_before_the_edge_it_is_gradient_flow():
    flow = central_flow(FACTORED, [1.5, 0.6], h=0.02, steps=20)
    exact = modeq.derive(FACTORED, 0).solve([1.5, 0.6], h=0.02, steps=20)
    np.testing.assert_allclose(flow.theta, exact.theta, atol=1e-7)
    assert not np.any(flow.variance)


def test_at_the_edge_the_sharpness_stays_and_the_variance_solves_its_equation():
    loss, h = modeq.Loss(FACTORED), 0.2
    flow = central_flow(loss, [1.5, 0.6], h=h, steps=40)
    assert np.all(flow.sharpness <= 2 / h * (1 + 1e-6))
    assert flow.variance[0] == 0 < flow.variance[5]
    hessian = sympy.lambdify(loss.variables, loss.hessian)
    gradient = sympy.lambdify(loss.variables, loss.gradient)

    def sharpness(theta):
        return np.linalg.eigvalsh(np.array(hessian(*theta), float))[-1]

    theta, shifts = flow.theta[5], 1e-5 * np.eye(2)
    slope = [(sharpness(theta + e) - sharpness(theta - e)) / 2e-5 for e in shifts]
    slope = np.array(slope)
    expected = -2 * slope @ np.array(gradient(*theta), float).ravel() / (slope @ slope)
    assert flow.variance[5] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "start", "h", "steps"),
    [(FACTORED, [1.5, 0.6], 0.2, 80), (RIVER.format(200), [0.1, 2.4], 0.8, 100)],
    ids=["factored", "river"],
)
def test_gradient_descent_is_where_it_says_on_average_and_gradient_flow_is_not(
    loss, start, h, steps
):
    found = compare_flows(loss, start, h=h, steps=steps, orders=(0,), corrections=(), central=True)
    assert found.best == "central"
    assert found.errors["central"].max() < found.errors["order 0"].max() / 5
    variance = central_flow(loss, start, h=h, steps=steps).variance
    measured = mean_square_of_the_oscillation(found.iterates[steps // 2 :])
    assert measured == pytest.approx(variance[steps // 2 :].mean(), rel=0.1)


def test_the_quartic_part_moves_the_edge_by_a_third_of_the_variance():
    """y x (1 - x²/3) = (2/h) x for an oscillation of log cosh: y = (2/h)(1 + σ²/3 + O(σ⁴))."""
    misses = []
    for drift in (400, 800):
        start, h = [0.17 * (200 / drift) ** 0.5, 2.5], 0.8
        points = modeq.iterate(RIVER.format(drift), start, h=h, steps=1500)
        flow = central_flow(RIVER.format(drift), start, h=h, steps=20)
        misses.append((points[-200:, 1].mean() - flow.theta[-1, 1]) / flow.variance[-1] / (2 / h))
    np.testing.assert_allclose(misses, 1 / 3, rtol=0.1)


def test_it_does_not_know_how_long_an_oscillation_takes_to_grow():
    """From far below the edge gradient descent goes past it before it oscillates."""
    found = compare_flows(
        RIVER.format(200), [0.1, 1.2], h=0.8, steps=130, orders=(), corrections=(), central=True
    )
    assert found.averages[:, 1].max() > 3
    assert found.flows["central"][:, 1].max() < 2.5 + 1e-6


def test_an_oscillation_has_no_average():
    points = np.array([[1.0], [-1.0], [1.0], [-1.0]]) + np.arange(4.0)[:, None]
    np.testing.assert_allclose(averaged(points)[1:-1], [[1.0], [2.0]])


def test_what_it_cannot_follow_is_refused():
    with pytest.raises(InvalidPoint, match="past the edge"):
        central_flow("x**2", [1.0], h=1.5, steps=3)
    with pytest.raises(InvalidLoss, match="vector field"):
        central_flow(modeq.VectorField(["y", "-x"], "x y"), [1, 0], h=0.1, steps=3)
    with pytest.raises(InvalidStep):
        central_flow("x**2", [1.0], h=0, steps=3)
    with pytest.raises(InvalidMethod, match="gradient descent"):
        compare_flows("x**2", [1.0], h=0.1, central=True, method=modeq.HeavyBall(0.5))


def test_it_ends_where_a_second_eigenvalue_reaches_the_edge():
    loss = "z*(log(cosh(x)) + log(cosh(y))) + (z - 4)**2/50"
    with pytest.raises(FlowError, match="second eigenvalue"):
        central_flow(loss, [0.1, 0.1, 2.4], h=0.8, steps=20)
    found = compare_flows(
        loss, [0.1, 0.1, 2.4], h=0.8, steps=20, orders=(0,), corrections=(), central=True
    )
    assert "second eigenvalue" in found.failures["central"]


def test_a_sharpness_without_slope_at_the_edge_is_an_error():
    with pytest.raises(FlowError, match="no slope"):
        central_flow("x**2/2", [1.0], h=2, steps=3)
