"""No attack breaks a certified bound, and the bounds are those of the theorem where it is known."""

import math
from time import process_time

import mpmath
import numpy as np
import pytest
import sympy
from flint import arb, arb_mat
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

import modeq
from modeq import gradient_flow_bound, problems
from modeq.algebra.power_series import PowerSeries
from modeq.bounds.ball_fields import BallField, counter_terms_along
from modeq.bounds.balls import eigenvalue_bounds, matrix_norm_bound, pieces
from modeq.bounds.bounds import (
    convex_bound,
    saddle_bound,
    saddle_limit,
    strongly_convex_bound,
)
from modeq.bounds.certified import trajectory
from modeq.bounds.closed_fields import closed_field
from modeq.errors import FlowError, InvalidOrder, InvalidPoint, InvalidValue

x, y = sympy.symbols("x y")


def largest_errors(loss, start, bound, rates):
    """Return max_k |θ(kh) - θ_k| for many h at once, with the flow by the classical RK4."""
    field = modeq.derive(loss, order=bound.order).lambdify()
    f = modeq.derive(loss, order=0).lambdify()
    flow = iterates = np.tile(np.asarray(start, float), (len(rates), 1))
    h, worst = rates[:, None] / 6, np.zeros(len(rates))
    for k in range(1, int(bound.time / rates.min()) + 1):
        for _ in range(6):
            a = h * field(flow, rates)
            b = h * field(flow + a / 2, rates)
            c = h * field(flow + b / 2, rates)
            flow = flow + (a + 2 * b + 2 * c + h * field(flow + c, rates)) / 6
        iterates = iterates + rates[:, None] * f(iterates, 0.0)
        runs = k * rates <= bound.time
        worst = np.maximum(worst, np.where(runs, np.linalg.norm(flow - iterates, axis=1), 0))
    return worst


def assert_survives(loss, start, bound, attacks, seed=0):
    assert bound.certified, bound.reason
    top = min(bound.max_learning_rate, bound.time)
    shares = np.random.default_rng(seed).uniform(0.4, 1, attacks)
    shares[0] = 1 - 1e-9
    assert np.max(largest_errors(loss, start, bound, top * shares)) <= bound.tolerance


CASES = [
    *(("double-well", 1.0), ("saddle", 1.0), ("cosine", 1.5), ("two-layer", 1.0)),
    *(("softplus", 2.0), ("rosenbrock", 0.003), ("exponential", 1.0), ("quadratic", 2.0)),
    *(("cubic", 0.5), ("logistic-regression", 1.0)),
]


@pytest.mark.parametrize(("name", "time"), CASES)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_ten_thousand_attacks_do_not_break_a_certified_bound(name, time, order):
    loss = problems.named(name)
    bound = gradient_flow_bound(loss, time=time, tolerance=0.02, order=order)
    assert_survives(loss, loss.start, bound, 340)


@pytest.mark.parametrize("order", [0, 1])
def test_attacks_do_not_break_the_bounds_of_a_network_of_tanh_units(order):
    loss = problems.tanh_network()
    bound = gradient_flow_bound(loss, time=0.2, tolerance=0.02, order=order)
    assert_survives(loss, loss.start, bound, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softplus", "logistic-regression"])
def test_bounds_of_order_three_come_in_seconds_and_higher_orders_do_not_lose(name):
    loss, begin = problems.named(name), process_time()
    bounds = [gradient_flow_bound(loss, time=1.0, tolerance=0.02, order=n) for n in (0, 1, 3)]
    assert all(bound.certified for bound in bounds)
    assert process_time() - begin < 20
    rates = [bound.max_learning_rate for bound in bounds]
    assert rates[0] < rates[1] < 1.5 * rates[2]


@pytest.mark.parametrize(("name", "order"), [("cosine", 0), ("softplus", 1), ("two-layer", 2)])
def test_the_defect_of_one_step_is_inside_its_ball(name, order):
    loss, rng = problems.named(name), np.random.default_rng(5)
    equation = modeq.derive(loss, order=order)
    f = modeq.derive(loss, order=0).lambdify()
    for _ in range(8):
        h, theta = rng.uniform(0.02, 0.1), np.array(loss.start) + rng.normal(size=loss.dimension)
        after = equation.solve(theta, h=h, steps=1).theta[1]
        middle, radius = (theta + after) / 2, np.abs(after - theta) + 1e-3
        field = BallField(loss, order).at(arb(h / 2, h / 2))
        box = [arb(a, b) for a, b in zip(middle.tolist(), radius.tolist(), strict=True)]
        defect = (after - theta - h * f(theta, 0.0)) / h ** (order + 2)
        slack = 1e-11 / h ** (order + 2)
        for ball, value in zip(field.defect(box), defect.tolist(), strict=True):
            assert (ball + arb(0, slack)).contains(arb(value))


@pytest.mark.parametrize("name", ["cosine", "softplus", "two-layer", "tanh-network"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_field_jacobian_and_taylor_coefficients_over_points_are_those_of_the_equation(name, order):
    loss, h = problems.named(name), 0.125
    field = BallField(loss, order).at(arb(h))
    point = [arb(x) for x in loss.start]
    rhs = modeq.derive(loss, order=order).lambdify()
    start = np.array(loss.start)
    value = rhs(start, h)
    assert np.allclose([float(b.mid()) for b in field(point)], value, rtol=1e-10)
    e, d = 1e-6, loss.dimension
    slope = np.array([(rhs(start + e * u, h) - rhs(start - e * u, h)) / (2 * e) for u in np.eye(d)])
    jacobian = field.jacobian(point)
    found = np.array([[float(jacobian[i, j].mid()) for j in range(d)] for i in range(d)])
    assert np.allclose(found, slope.T, atol=1e-7 * (1 + np.abs(slope).max()))
    first, second, *_ = ([float(b.mid()) for b in row] for row in field.taylor(point))
    assert np.allclose(first, value)
    assert np.allclose(second, slope.T @ value / 2, atol=1e-7 * (1 + np.abs(slope).max()))


@pytest.mark.parametrize(
    "text", ["exp(sin(x)*y)", "tanh(x)*log(2 + cos(y))", "sqrt(1 + x**2) + y**3"]
)
def test_along_a_path_elementary_differentials_give_the_counter_terms(text):
    loss = modeq.Loss(text, "x y")
    closed = closed_field(loss)
    values = {sympy.Symbol("x"): sympy.Rational(1, 3), sympy.Symbol("y"): sympy.Rational(-2, 5)}
    context = mpmath.MPContext()
    context.dps = 30

    def constant(expression):
        return context.mpf(str(sympy.N(closed.expanded(expression).subs(values), 30)))

    path = {v: PowerSeries([constant(v)]) for v in loss.variables}
    found = counter_terms_along(closed.components, path, constant, 3, closed.along)
    terms = modeq.derive(loss, order=3).counter_terms
    for column, term in zip(found[1:], terms, strict=True):
        for series, entry in zip(column, term, strict=True):
            assert abs(series[0] - context.mpf(str(entry.subs(values).n(30)))) < 1e-25


NUMBERS = st.fractions(-1, 1, max_denominator=8)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    st.lists(NUMBERS, min_size=6, max_size=6),
    st.tuples(NUMBERS, NUMBERS),
    st.sampled_from([0.2, 0.5]),
    st.sampled_from([0.03, 0.1]),
    st.sampled_from([0, 0, 1]),
)
def test_random_attacks_on_random_losses_find_no_violation(c, start, time, tolerance, order):
    monomials = [x**2, x * y, y**2, x**3, x**2 * y, y**4]
    rational = [sympy.Rational(ci.numerator, ci.denominator) for ci in c]
    expression = sum(ci * m for ci, m in zip(rational, monomials, strict=True))
    loss = modeq.Loss(expression + sympy.sin(x - y), (x, y))
    start = [float(s) for s in start]
    try:
        bound = gradient_flow_bound(loss, start, time=time, tolerance=tolerance, order=order)
    except FlowError:
        return
    if bound.certified and bound.max_learning_rate > 4e-3 * time:
        assert_survives(loss, start, bound, 10)


def test_where_gradient_descent_is_its_own_flow_every_learning_rate_will_do():
    for order in (0, 1):
        bound = gradient_flow_bound("x", [1.0], time=1, tolerance=0.1, order=order)
        assert bound.certified
        assert bound.max_learning_rate > 1e5


def test_a_loss_with_parameters_and_roots_has_a_bound():
    loss = modeq.Loss("lam*x**2/2 + log(1 + exp(sqrt(2)*x))", "x")
    options = {"time": 1, "tolerance": 0.02, "order": 1}
    bound = gradient_flow_bound(loss, [1.0], parameters={"lam": 2}, **options)
    assert_survives(loss.subs({"lam": 2}), [1.0], bound, 20)


def test_a_vector_field_has_a_bound_too():
    field = modeq.VectorField(["y", "-sin(x)"], "x y")
    bound = gradient_flow_bound(field, [1.0, 0.0], time=2.0, tolerance=0.05)
    assert_survives(field, [1.0, 0.0], bound, 50)


def test_on_a_parabola_the_bound_is_the_formula():
    bound = gradient_flow_bound("x**2/2", [1.0], time=1, tolerance=0.01)
    # β = 1, γ = 1 + ε, and the integral is 1 - exp(-t): the infimum is at t = 1.
    exact = 0.01 / (1.01 * (1 - math.exp(-1)))
    assert bound.max_learning_rate <= exact
    assert bound.max_learning_rate == pytest.approx(exact, rel=0.02)
    assert bound.growth[-1] == pytest.approx(1 - math.exp(-1))
    assert bound.factor[-1] == pytest.approx(math.exp(-1))


def test_on_a_saddle_the_bound_is_the_corollary():
    bound = gradient_flow_bound("-y**2/2", [1.0], time=2, tolerance=0.1)
    corollary = saddle_bound(1.0, time=2, tolerance=0.1)
    assert bound.max_learning_rate <= corollary
    assert bound.max_learning_rate == pytest.approx(corollary, rel=0.1)
    assert corollary < saddle_limit(1.0, time=2, tolerance=0.1)


def test_the_limit_on_a_saddle_is_where_gradient_descent_misses_by_the_tolerance():
    h = 2 / 64
    error = math.exp(2) - (1 + h) ** 64
    assert saddle_limit(1.0, time=2, tolerance=error) == pytest.approx(h)


@pytest.mark.parametrize("time", [20, 30])
def test_the_limit_on_a_saddle_has_all_its_digits_for_long_times(time):
    found = saddle_limit(1.0, time=time, tolerance=0.1)
    with mpmath.workdps(60):
        missed = mpmath.exp(time) - (1 + mpmath.mpf(found)) ** (time / mpmath.mpf(found))
        assert float(missed) == pytest.approx(0.1, rel=1e-12)


def test_times_too_long_for_floats_have_corollaries_too():
    assert (
        0 < saddle_bound(1.0, time=300, tolerance=0.1) < saddle_limit(1.0, time=300, tolerance=0.1)
    )
    assert saddle_bound(1.0, time=1000, tolerance=0.1) == 0
    assert saddle_limit(1.0, time=1000, tolerance=0.1) == 0
    assert saddle_limit(0.0, time=1, tolerance=0.1) == math.inf
    for start in (math.nan, "a", 1j):
        with pytest.raises(InvalidPoint, match=r"start|numbers"):
            saddle_bound(start, time=1, tolerance=0.1)


def test_on_a_saddle_the_learning_rate_shrinks_exponentially_with_time():
    limits = [saddle_limit(1.0, time=t, tolerance=0.01) * t for t in (4, 6, 8)]
    assert np.allclose(np.diff(np.log(limits)), -2, atol=0.1)


def test_the_convex_and_strongly_convex_corollaries_are_weaker_than_the_bound():
    tolerance, time = 0.01, 3.0
    bound = gradient_flow_bound("x**2 + y**2/2", [1.0, 1.0], time=time, tolerance=tolerance)
    beta, gamma = 2.0, math.hypot(2 + 2 * tolerance, 1 + tolerance)
    assert convex_bound(beta, gamma, time=time, tolerance=tolerance) <= bound.max_learning_rate
    assert strongly_convex_bound(1.0, beta, gamma, tolerance=tolerance) <= bound.max_learning_rate


def test_the_order_one_bound_grows_with_a_higher_power_of_the_tolerance():
    rates = {
        n: [
            gradient_flow_bound("cos(x)", [1.0], time=1, tolerance=e, order=n).max_learning_rate
            for e in (1e-3, 1e-5)
        ]
        for n in (0, 1)
    }
    assert math.log(rates[0][0] / rates[0][1], 100) == pytest.approx(1, abs=0.1)
    assert math.log(rates[1][0] / rates[1][1], 100) == pytest.approx(1 / 2, abs=0.1)


@pytest.mark.parametrize("name", ["double-well", "two-layer", "cosine", "softplus"])
def test_a_sampled_bound_says_so_and_is_near_the_certified_one(name):
    loss = problems.named(name)
    sampled = gradient_flow_bound(loss, time=1.0, tolerance=0.02, certify=False)
    certified = gradient_flow_bound(loss, time=1.0, tolerance=0.02)
    assert not sampled.certified
    assert "sampled" in str(sampled)
    assert sampled.max_learning_rate == pytest.approx(certified.max_learning_rate, rel=0.3)


def test_the_validated_trajectory_contains_the_solution():
    field = BallField(modeq.VectorField([x - x**3], [x]))
    for segment in trajectory(field, [0.4], 3.0, 0.01):

        def exact(t):
            return 1 / math.sqrt(1 + (1 / 0.16 - 1) * math.exp(-2 * t))

        assert abs(exact(segment.start) - segment.center[0]) <= segment.radius + 1e-15
        for t in np.linspace(segment.start, segment.stop, 5):
            assert segment.box[0].contains(arb(exact(t))) or t in (segment.start, segment.stop)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=9, max_size=9), st.floats(0, 0.5))
def test_eigenvalue_bounds_hold_for_matrices_inside_the_balls(entries, radius):
    middle = np.array(entries).reshape(3, 3)
    balls = arb_mat(3, 3, [arb(e, radius) for e in middle.ravel().tolist()])
    low, high = eigenvalue_bounds(balls)
    rng = np.random.default_rng(1)
    for _ in range(10):
        sample = middle + rng.uniform(-radius, radius, (3, 3))
        values = np.linalg.eigvalsh((sample + sample.T) / 2)
        assert low - 1e-12 <= values[0] <= values[-1] <= high + 1e-12
        assert np.linalg.norm(sample, 2) <= matrix_norm_bound(balls, False) + 1e-12


def test_a_flow_that_blows_up_is_an_error():
    with pytest.raises(FlowError):
        gradient_flow_bound("x**3", [-1.0], time=10, tolerance=0.1)


def test_a_tube_outside_the_domain_is_an_error():
    with pytest.raises(FlowError, match="domain"):
        gradient_flow_bound("x + log(x)", [0.1], time=0.001, tolerance=0.2)


def test_a_function_without_interval_arithmetic_is_sampled_with_the_reason():
    bound = gradient_flow_bound(sympy.besselj(0, x) + x**2, [1.0], time=1, tolerance=0.1)
    assert not bound.certified
    assert bound.reason


@pytest.mark.parametrize("name", ["time", "tolerance"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1"])
def test_a_time_or_tolerance_that_is_not_positive_is_refused(name, value):
    with pytest.raises(InvalidValue, match=f"{name} is"):
        gradient_flow_bound("x**2", [1.0], **({"time": 1, "tolerance": 0.1} | {name: value}))


def test_other_arguments_that_cannot_be_right_are_refused():
    with pytest.raises(InvalidOrder):
        gradient_flow_bound("x**2", [1.0], time=1, tolerance=0.1, order=-1)
    with pytest.raises(InvalidPoint):
        gradient_flow_bound("x**2", [1.0, 2.0], time=1, tolerance=0.1)
    with pytest.raises(InvalidValue):
        strongly_convex_bound(0, 1, 1, tolerance=0.1)


def test_the_picture_shows_curvature_and_growth():
    bound = gradient_flow_bound("cos(x)", [1.0], time=1, tolerance=0.1)
    axes = bound.plot(Figure().subplots())
    assert "lambda" in axes.get_legend_handles_labels()[1][-1]
    assert len(axes.lines) == 3


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 5), st.floats(0, 2), st.floats(-1, 1))
def test_the_halves_of_a_box_cover_it(middle, radius, share):
    box = arb(middle, radius)
    point = arb(middle) + arb(share) * arb(radius)
    assert any(part.overlaps(point) for (part,) in pieces([box]))
    ends = [arb(middle) - arb(radius), arb(middle), arb(middle) + arb(radius)]
    assert all(any(part.overlaps(end) for (part,) in pieces([box])) for end in ends)


@pytest.mark.parametrize(
    ("text", "start", "time"),
    [
        ("(x*y*z - 1)**2/2", [1e-4] * 3, 9_900.0),
        ("(x*y*z - 1)**2/2", [1e-4] * 3, 12_000.0),
        ("(x*y - 1)**2/2", [1e-3] * 2, 30.0),
        ("y*x**2/2 + y**4/4", [0.1, 2.0], 200.0),
    ],
)
def test_sampled_bounds_see_transients_however_short_beside_the_time(text, start, time):
    # In a thin tube it is ε/(sup|H| sup|g| ∫ exp(-∫m)), which a solver finds with its own steps.
    loss, tolerance = modeq.Loss(text), 1e-11
    gradient = sympy.lambdify(loss.variables, list(loss.gradient))
    hessian = sympy.lambdify(loss.variables, loss.hessian)

    def rhs(_, state):
        theta, growth = state[:-1], state[-1]
        m = np.linalg.eigvalsh(hessian(*theta))[0]
        return [*(-np.array(gradient(*theta))), 1 - m * growth]

    path = solve_ivp(rhs, (0, time), [*start, 0], rtol=1e-10, atol=1e-12, max_step=time / 2_000)
    points = path.y[:-1].T
    beta = np.maximum.accumulate([np.linalg.norm(hessian(*x), 2) for x in points])
    gamma = np.maximum.accumulate([np.linalg.norm(gradient(*x)) for x in points])
    expected = tolerance / np.max(beta * gamma * path.y[-1])
    options = {"time": time, "tolerance": tolerance, "certify": False}
    found = gradient_flow_bound(loss, start, **options).max_learning_rate
    assert 0.8 * expected < found < 1.05 * expected


@settings(max_examples=10, deadline=None)
@given(st.floats(1, 1e3), st.integers(-300, 0), st.booleans())
def test_bounds_are_positive_or_say_that_there_is_none(time, power, certify):
    options = {"time": time, "tolerance": 10.0**power, "certify": certify}
    try:
        bound = gradient_flow_bound("-x**2/2 + x**4/400", [0.1], **options)
    except FlowError:
        return
    rate = bound.max_learning_rate
    assert rate >= 0
    assert (rate == 0) == ("no h that a float can be" in str(bound))
    assert not (bound.certified and rate == 0)


POSITIVE = st.floats(min_value=5e-324, allow_infinity=False)


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_corollaries_are_numbers_for_all_floats(mu, beta, gamma, tolerance):
    assert convex_bound(beta, gamma, time=mu, tolerance=tolerance) >= 0
    assert strongly_convex_bound(mu, beta, gamma, tolerance=tolerance) >= 0
    assert saddle_bound(mu, time=beta, tolerance=tolerance) >= 0
    assert saddle_bound(0.0, time=beta, tolerance=tolerance) >= 0
