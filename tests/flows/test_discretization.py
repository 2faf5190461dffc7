"""The error of a flow is what its leading order says, and the series is best cut where it says."""

import itertools
import math
import pickle

import mpmath
import numpy as np
import pytest

import modeq
from modeq import discretization_error, max_learning_rate, optimal_truncation, problems
from modeq.errors import (
    FlowError,
    InvalidMethod,
    InvalidOrder,
    InvalidPoint,
    InvalidStep,
    InvalidValue,
)
from modeq.flows.next_terms import field_and_next_term, propagated
from modeq.methods.named import as_method

SQUARE = modeq.VectorField(["y**2"], "y")


@pytest.mark.parametrize("name", problems.ALL)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_predicted_over_measured_error_is_one_within_five_percent(name, order):
    error = discretization_error(problems.named(name), steps=3, order=order)
    for ratio in (error.ratio, error.time_ratio):
        assert abs(ratio - 1) < 0.05
    for predicted, measured in (
        (error.step_predictions, error.step_errors),
        (error.time_predictions, error.time_errors),
    ):
        assert np.linalg.norm((predicted - measured)[-1]) < 0.05 * np.linalg.norm(measured[-1])


@pytest.mark.parametrize("name", ["rosenbrock", "double-well", "cosine", "two-layer"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_slopes_are_n_plus_2_at_fixed_steps_and_n_plus_1_at_fixed_time(name, order):
    error = discretization_error(problems.named(name), steps=3, order=order)
    assert np.allclose(error.slopes[-3:], order + 2, atol=0.1)
    assert np.allclose(error.time_slopes[-3:], order + 1, atol=0.1)


METHODS = {
    "heavy ball": modeq.HeavyBall(0.5),
    "nesterov": modeq.Nesterov(0.5),
    "nesterov, parameters": modeq.Nesterov(0.5, sequence="parameters"),
    "adam": modeq.Adam(0.5, 0.6, epsilon=0.01),
    "adams-bashforth": modeq.LinearMultistep([0, -1, 1], [-0.5, 1.5, 0]),
    "implicit midpoint": "implicit-midpoint",
    "rule": lambda theta, f, h: theta + h * f(theta + h * f(theta)),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_prediction_holds_for_other_methods_on_their_slow_manifold(name, order):
    error = discretization_error(
        "cos(x)", [1.0], h=0.05, steps=4, order=order, method=METHODS[name]
    )
    assert abs(error.ratio - 1) < 0.05
    assert abs(error.time_ratio - 1) < 0.05
    assert np.allclose(error.slopes[-3:], error.power + 1, atol=0.1)
    assert np.allclose(error.time_slopes[-3:], error.power, atol=0.1)


@pytest.mark.parametrize(("name", "power"), [("rk4", 4), ("implicit-midpoint", 2), ("heun", 2)])
def test_a_method_of_order_p_has_its_first_error_at_h_to_the_p(name, power):
    error = discretization_error("x**3/3 + x", [0.5], h=0.1, steps=3, order=0, method=name)
    assert error.power == power
    assert error.method == str(as_method(name))
    assert abs(error.ratio - 1) < 0.05


@pytest.mark.parametrize("method", [modeq.HeavyBall(0.5), modeq.SGD(momentum=0.5)])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_from_rest_the_start_of_the_flow_is_part_of_the_error(method, order):
    error = discretization_error(
        problems.cosine(), h=0.05, steps=6, order=order, method=method, at_rest=True
    )
    assert abs(error.time_ratio - 1) < 0.05
    assert np.allclose(error.time_slopes[-3:], order + 1, atol=0.1)
    assert np.all(np.isnan(error.predicted))


def test_on_a_parabola_the_error_from_rest_is_known_in_closed_form():
    # With β = 1/2 the flow is x' = -2x, s₁ = β x/(1-β)² and f₁ = -(1+β) x/(2(1-β)³).
    beta, h, steps = 0.5, 0.01, 50
    error = discretization_error(
        "x**2/2", [1.0], h=h, steps=steps, method=modeq.HeavyBall(beta), at_rest=True
    )
    t = h * np.arange(steps + 1)
    shift, rate = beta / (1 - beta) ** 2, (1 + beta) / (2 * (1 - beta) ** 3)
    expected = h * np.exp(-2 * t) * (rate * t - shift)
    assert np.allclose(error.predicted_at_time[:, 0], expected, rtol=1e-8)


def test_a_method_without_memory_cannot_start_at_rest():
    with pytest.raises(InvalidMethod, match="at rest"):
        discretization_error("x**2", [1.0], h=0.1, at_rest=True)


@pytest.mark.parametrize("method", [modeq.HeavyBall(0.5), "rk4", modeq.Adam(0.5, 0.6, epsilon=0.1)])
def test_at_the_largest_learning_rate_of_a_method_the_measured_error_is_the_tolerance(method):
    options = {"steps": 5, "order": 1, "method": method}
    size = np.linalg.norm(discretization_error("cos(x)", [1.0], h=0.002, **options).measured[-1])
    h = max_learning_rate("cos(x)", [1.0], tolerance=size, **options)
    assert h == pytest.approx(0.002, rel=0.05)
    assert str(as_method(method)) in str(h)


def test_the_best_order_of_a_method_stands_before_its_smallest_term():
    order = 12
    terms = [
        abs(float(c[0].subs("y", 1)))
        for c in modeq.derive(SQUARE, order + 2, "implicit-midpoint").counter_terms
    ]
    best = optimal_truncation(SQUARE, [1.0], h=1.0, max_order=order, method="implicit-midpoint")
    known = [max(pair) for pair in itertools.pairwise(terms)]
    assert np.allclose(best.errors, known[: order + 1])


def test_a_time_may_be_given_in_place_of_steps_if_it_is_a_multiple_of_h():
    by_time = discretization_error("cos(x)", [1.0], h=0.1, time=0.3)
    assert np.array_equal(
        by_time.measured, discretization_error("cos(x)", [1.0], h=0.1, steps=3).measured
    )
    with pytest.raises(InvalidStep, match=r"multiple of h = 0.1, such as 0.2 or 0.3"):
        discretization_error("cos(x)", [1.0], h=0.1, time=0.25)
    with pytest.raises(InvalidStep, match=r"such as 0\.1"):
        discretization_error("cos(x)", [1.0], h=0.1, time=0.05)
    with pytest.raises(InvalidValue, match="time is"):
        discretization_error("cos(x)", [1.0], h=0.1, time=-1)


def test_the_measured_error_is_flow_minus_iterates():
    loss = problems.two_layer()
    error = discretization_error(loss, h=0.1, steps=5, order=1)
    flow = modeq.derive(loss, order=1).solve(loss.start, h=0.1, steps=5)
    iterates = modeq.iterate(loss, loss.start, h=0.1, steps=5)
    assert error.measured.shape == error.predicted.shape == error.predicted_at_time.shape == (6, 2)
    assert np.allclose(error.measured, flow.theta - iterates, atol=1e-10)


def test_the_prediction_is_the_sum_of_the_next_counter_term_over_the_iterates():
    loss, h = problems.rosenbrock(), 1e-4
    error = discretization_error(loss, h=h, steps=4, order=1)
    x, y = loss.variables
    term = modeq.derive(loss, order=2).counter_terms[1]
    iterates = modeq.iterate(loss, loss.start, h=h, steps=4)
    values = [np.array(term.subs({x: a, y: b}), dtype=float).ravel() for a, b in iterates[:4]]
    assert np.allclose(error.predicted[4], -(h**3) * sum(values), rtol=1e-12)


def test_the_propagated_term_is_the_quadrature_with_the_propagator():
    loss, h, steps = problems.double_well(), 0.01, 200
    x, start = loss.variables[0], np.array(loss.start)
    term = field_and_next_term(loss, 0)[1]
    w = propagated(loss, term, start, h, steps)[:, 0]
    theta = modeq.derive(loss, order=0).solve(start, h=h, steps=steps).theta[:, 0]
    slope = np.array([float(-loss.hessian[0].subs(x, value)) for value in theta])
    growth = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * h)])
    inside = np.exp(-growth) * term(theta[:, None], 0.0)[:, 0]
    integral = np.concatenate([[0], np.cumsum((inside[1:] + inside[:-1]) / 2 * h)])
    assert np.allclose(w, -np.exp(growth) * integral, atol=1e-5)


def test_on_a_parabola_both_predictions_are_known_in_closed_form():
    h, n = 0.05, 8
    error = discretization_error("x**2/2", [1.0], h=h, steps=n, order=0)
    t = h * np.arange(n + 1)
    assert np.allclose(error.measured[:, 0], np.exp(-t) - (1 - h) ** np.arange(n + 1), atol=1e-15)
    assert np.allclose(error.predicted[:, 0], h / 2 * (1 - (1 - h) ** np.arange(n + 1)))
    assert np.allclose(error.predicted_at_time[:, 0], h / 2 * t * np.exp(-t))


@pytest.mark.parametrize("name", ["quadratic", "rosenbrock", "double-well", "two-layer"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_at_the_largest_learning_rate_the_measured_error_is_the_tolerance(name, order):
    loss, steps = problems.named(name), 10
    rate = loss.h / 50
    size = np.linalg.norm(discretization_error(loss, h=rate, steps=steps, order=order).measured[-1])
    h = max_learning_rate(loss, steps=steps, order=order, tolerance=size)
    measured = discretization_error(loss, h=h, steps=steps, order=order).measured
    assert np.max(np.linalg.norm(measured, axis=1)) == pytest.approx(size, rel=0.05)


def test_a_larger_tolerance_allows_a_larger_learning_rate():
    rates = [max_learning_rate(problems.rosenbrock(), steps=5, tolerance=10.0**-k) for k in (2, 4)]
    assert rates[0] > rates[1] > 0


def test_the_rate_says_that_it_is_no_bound():
    h = max_learning_rate("x**2/2", [1.0], steps=3, tolerance=0.01)
    assert "leading order" in str(h)
    assert "no bound" in str(h)
    assert isinstance(h, float)
    assert pickle.loads(pickle.dumps(h)) == h


def test_at_rest_every_learning_rate_will_do():
    assert max_learning_rate("x**2/2", [0.0], steps=3, tolerance=0.01) == math.inf


def one_step_errors(h, orders):
    """Return the one-step errors of y' = y² from 1 at several orders, by mpmath's own solver."""
    terms = [mpmath.mpf(1), -1, mpmath.mpf(3) / 2, -mpmath.mpf(8) / 3, mpmath.mpf(31) / 6]
    terms += [-mpmath.mpf(157) / 15]
    errors = []
    for n in orders:

        def rhs(_, y, n=n):
            return sum(c * h**j * y ** (j + 2) for j, c in enumerate(terms[: n + 1]))

        errors.append(float(abs(mpmath.odefun(rhs, 0, mpmath.mpf(1))(h) - 1 - h)))
    return errors


def test_the_smallest_term_of_the_square_is_where_the_known_coefficients_say():
    truncation = optimal_truncation(SQUARE, [1.0], h=0.5, max_order=4)
    known = [1, 3 / 2, 8 / 3, 31 / 6, 157 / 15]
    terms = [c * 0.5 ** (j + 2) for j, c in enumerate(known)]
    assert np.allclose(truncation.errors[:4], [max(terms[j : j + 2]) for j in range(4)])


def test_the_error_of_an_order_is_as_large_as_its_next_term_says():
    truncation = optimal_truncation(SQUARE, [1.0], h=0.1, max_order=5)
    for measured, estimated in zip(one_step_errors(0.1, range(5)), truncation.errors, strict=False):
        assert 0.3 < measured / estimated < 3


def missed_by(h, order):
    """Return |φ_h(1) - 1 - h| for the flow of y' = y² cut at an order, by separating variables."""
    terms = modeq.derive(SQUARE, order=order).counter_terms
    c = [1, *(float(term[0].subs(SQUARE.variables[0], 1)) for term in terms)]
    # With y = 1 + h at the end, the time that the flow takes misses h by the error over f.
    with mpmath.workdps(25):

        def field(y):
            return sum(cj * mpmath.mpf(h) ** j * y ** (j + 2) for j, cj in enumerate(c))

        late = mpmath.quad(lambda y: 1 / field(y), [1, 1 + mpmath.mpf(h)]) - mpmath.mpf(h)
        return float(abs(late * field(1 + mpmath.mpf(h))))


def test_beyond_the_best_order_the_measured_error_grows_again():
    h = 0.3
    best = optimal_truncation(SQUARE, [1.0], h=h)
    errors = {n: missed_by(h, n) for n in (12, 18, 24, 27)}
    assert abs(best.order - 24) <= 2
    assert errors[12] > errors[18] > errors[24] < errors[27]
    assert best.error < errors[24] < 100 * best.error


def test_the_best_order_falls_as_the_step_grows():
    best = [optimal_truncation(SQUARE, [1.0], h=h) for h in (0.3, 0.5, 1.0)]
    assert [truncation.is_reached for truncation in best] == [True, True, True]
    assert best[0].order > best[1].order > best[2].order
    assert best[0].error < best[1].error < best[2].error


def test_a_series_that_still_falls_says_so():
    truncation = optimal_truncation("x**2/2", [1.0], h=0.1, max_order=5)
    assert not truncation.is_reached
    assert "still falls" in str(truncation)


@pytest.mark.parametrize("tolerance", [0, -1, math.nan, math.inf, "x", None])
def test_a_tolerance_that_is_not_positive_is_refused(tolerance):
    with pytest.raises(InvalidValue, match="tolerance is"):
        max_learning_rate("x**2", [1.0], steps=3, tolerance=tolerance)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"h": -1}, InvalidStep),
        ({"steps": 0}, InvalidStep),
        ({"order": -1}, InvalidOrder),
        ({"theta0": [1, 2]}, InvalidPoint),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(options, error):
    with pytest.raises(error):
        discretization_error("x**2", **({"theta0": [1.0], "h": 0.1} | options))


def test_a_trajectory_that_leaves_the_domain_is_an_error():
    with pytest.raises(FlowError):
        discretization_error("x + sqrt(x)", [0.5], h=0.2, steps=5)


def test_a_term_that_vanishes_at_the_start_alone_decides_over_the_learning_rate():
    """At the inflection point f₁ = -Hg/2 is 0, and after a step it is not."""
    h, x = float(max_learning_rate("x + x**3/6", [0.0], steps=3, tolerance=0.1)), [0.0]
    for _ in range(2):
        x.append(x[-1] - h * (1 + x[-1] ** 2 / 2))
    sums = np.cumsum([-y * (1 + y**2 / 2) / 2 for y in x])
    assert h**2 * np.abs(sums).max() == pytest.approx(0.1, rel=1e-9)


def test_tolerances_of_any_size_have_learning_rates():
    rates = [
        float(max_learning_rate("x**2/2", [1.0], steps=1, tolerance=t)) for t in (1e-300, 1e300)
    ]
    assert rates == pytest.approx([math.sqrt(2e-300), math.sqrt(2e300)], rel=1e-9)


@pytest.mark.parametrize(("h", "order"), [(1e11, 0), (1e-30, 30)])
def test_the_best_order_does_not_need_powers_of_h_that_are_floats(h, order):
    assert optimal_truncation("x**4", [1.0], h=h).order == order
