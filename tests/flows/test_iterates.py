"""Methods with memory, symbols and roots as numbers: iterates, starts, checks, comparisons."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import modeq
from modeq import HeavyBall, LinearMultistep, Loss, Nesterov, RungeKutta, VectorField
from modeq.errors import FlowError, InvalidMethod, InvalidPoint, InvalidStep, MissingParameter
from modeq.methods.multistep_by_name import NAMED
from modeq.methods.named import as_method


def compare_flows(*arguments, **options):
    with pytest.deprecated_call(match="compare takes flows"):
        return modeq.compare_flows(*arguments, **options)


F = Fraction
ALPHA, BETA = sympy.symbols("alpha beta")
LOSS = Loss("x**2*y**2/2 + x**2/2 + y**4/4 + y")
START = [0.3, 0.4]


def gradient(theta):
    x, y = theta
    return np.array([x * y**2 + x, x**2 * y + y**3 + 1])


def momentum(beta, h, steps, nesterov=False):
    """PyTorch's SGD, as its documentation writes it; the parameters after each step."""
    points, velocity = [np.array(START)], 0
    for _ in range(steps):
        g = gradient(points[-1])
        velocity = beta * velocity + g
        points.append(points[-1] - h * (g + beta * velocity if nesterov else velocity))
    return np.array(points)


def test_heavy_ball_starts_at_rest_as_optimizers_do():
    found = modeq.iterate(LOSS, START, h=0.05, steps=20, method=HeavyBall(0.9))
    assert np.allclose(found, momentum(0.9, 0.05, 20), atol=1e-13, rtol=0)


def test_the_parameters_of_nesterov_start_at_rest_as_in_pytorch():
    found = modeq.iterate(LOSS, START, h=0.05, steps=20, method=Nesterov(0.9, "parameters"))
    assert np.allclose(found, momentum(0.9, 0.05, 20, nesterov=True), atol=1e-13, rtol=0)


def test_the_theta_sequence_of_nesterov_is_one_gradient_step_behind_the_parameters():
    parameters = momentum(0.9, 0.05, 20, nesterov=True)
    found = modeq.iterate(LOSS, START, h=0.05, steps=20, method=Nesterov(0.9))
    behind = [y - 0.05 * gradient(y) for y in parameters]
    assert np.allclose(found[1:], behind[:-1], atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", NAMED)
def test_a_multistep_method_stays_close_to_the_exact_flow(name):
    exact = modeq.derive(LOSS, 0).solve(START, h=0.01, steps=40).theta
    found = modeq.iterate(LOSS, START, h=0.01, steps=40, method=name)
    error = np.abs(found - exact).max()
    first = name in ("adams-bashforth-1", "bdf-1")
    assert error < (0.01 if first else 1e-4)
    assert np.allclose(found[: as_method(name).steps], exact[: as_method(name).steps], atol=1e-10)


@pytest.mark.parametrize(
    ("linear", "one_step"),
    [("adams-bashforth-1", "euler"), ("bdf-1", "implicit-euler"), ("adams-moulton-1", "trapezoid")],
)
def test_a_linear_form_of_one_step_has_the_iterates_of_the_one_step_method(linear, one_step):
    left, right = (modeq.iterate(LOSS, START, h=0.1, steps=5, method=m) for m in (linear, one_step))
    assert np.allclose(left, right, atol=1e-12)


@pytest.mark.parametrize("name", [*NAMED, HeavyBall(0.5), Nesterov(0.5)], ids=str)
@given(rate=st.floats(0.01, 0.2))
def test_iterates_satisfy_the_equation_of_the_method(name, rate):
    method = as_method(name)
    theta = modeq.iterate("x**4/4 + x**2/2", [0.5], h=rate, steps=8, method=method).ravel()
    f = lambda x: -(x**3) - x  # noqa: E731 - one line of mathematics
    for m in range(max(1, method.steps - 1), 8 - method.steps):
        window = theta[m : m + method.steps + 1]
        left = sum(float(a) * x for a, x in zip(method.alpha, window, strict=True))
        points = [
            sum(float(c) * x for c, x in zip(row, window, strict=True)) for row in method.points
        ]
        right = rate * sum(float(b) * f(p) for b, p in zip(method.beta, points, strict=True))
        assert abs(left - right) < 1e-11


def test_points_to_start_from_may_be_given():
    start = [[1.0], [0.7]]
    found = modeq.iterate("x**2/2", None, h=0.1, steps=3, method="leapfrog", start=start)
    assert found.ravel().tolist() == pytest.approx([1.0, 0.7, 0.86, 0.528])


@pytest.mark.parametrize(
    "start", [[[1.0]], [1.0, 0.7], [[1.0, 2.0]], [[1.0]] * 3, [[1.0], [np.nan]]]
)
def test_points_to_start_from_must_be_as_many_as_the_method_needs(start):
    with pytest.raises(InvalidPoint, match=r"shape|finite"):
        modeq.iterate("x**2/2", None, h=0.1, steps=3, method="leapfrog", start=start)


def test_a_one_step_method_has_no_points_to_start_from():
    with pytest.raises(InvalidPoint, match="and no start"):
        modeq.iterate("x**2/2", [1.0], h=0.1, steps=3, method="rk4", start=[[1.0]])


def test_fewer_steps_than_the_method_remembers_are_the_start_alone():
    assert modeq.iterate("x**2/2", [1.0], h=0.1, steps=2, method="bdf-6").shape == (3, 1)


def test_momentum_that_diverges_is_named():
    with pytest.raises(FlowError, match="diverges"):
        modeq.iterate("x**4", [10.0], h=10, steps=50, method=HeavyBall(0.9))


CHECKED = [
    *("adams-bashforth-2", "adams-moulton-2", "bdf-2", "bdf-4", "leapfrog"),
    *("gauss-2", "gauss-3", "radau-iia-3", "lobatto-iiic-3", "average-vector-field"),
    *(HeavyBall(F(1, 2)), Nesterov(F(1, 2)), Nesterov(F(1, 2), "parameters")),
    LinearMultistep([F(1, 5), F(-6, 5), 1], [1, F(1, 3)], [[F(-1, 2), F(3, 2), 0], [0, 2, -1]]),
]


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("method", CHECKED, ids=str)
def test_the_flow_has_its_order_against_the_method(method, order):
    report = modeq.derive(LOSS, order, method).check(START, h=0.1)
    assert report.passed, report
    assert report.expected_local >= order + 2


@pytest.mark.parametrize("power", [0, 1])
def test_a_wrong_field_fails_the_check(power):
    right = modeq.derive(Loss("x**4/4"), 1, HeavyBall(F(1, 2)))
    elements = [list(vector) for vector in right.elements]
    elements[power][0] = 2 * elements[power][0]
    wrong = type(right)(right.loss, right.method, 1, right.ring, tuple(map(tuple, elements)))
    assert right.check([1], h=0.1).passed
    assert not wrong.check([1], h=0.1).passed


def test_symbols_of_a_method_get_their_values_with_the_parameters():
    values = {"beta": F(1, 3), "lam": 2}
    equation = modeq.derive("lam*x**4/4", 2, HeavyBall(BETA), variables="x")
    direct = modeq.derive("x**4/2", 2, HeavyBall(F(1, 3)))
    assert equation.subs(values) == direct
    assert str(equation.subs(values).method) == "heavy ball with beta = 1/3"
    for form in ("expanded", "program"):
        rhs = equation.lambdify(values, form=form)
        assert rhs([0.7], 0.1) == pytest.approx(direct.lambdify()([0.7], 0.1), rel=1e-13)
    solved = equation.solve([0.7], h=0.1, steps=3, parameters=values).theta
    assert np.allclose(solved, direct.solve([0.7], h=0.1, steps=3).theta, atol=1e-10)
    assert equation.check([0.7], h=0.1, parameters=values).passed
    iterates = modeq.iterate(
        equation.loss, [0.7], h=0.1, steps=3, method=HeavyBall(BETA), parameters=values
    )
    assert np.allclose(
        iterates,
        modeq.iterate("x**4/2", [0.7], h=0.1, steps=3, method=HeavyBall(F(1, 3))),
        atol=1e-14,
    )


def test_the_source_of_a_field_takes_the_values_of_symbols():
    equation = modeq.derive("x**4/4", 2, HeavyBall(BETA))
    namespace = {}
    exec(equation.to_python(parameters={"beta": 0.5}), namespace)
    expected = modeq.derive("x**4/4", 2, HeavyBall(F(1, 2))).lambdify()([0.7], 0.1)
    assert namespace["modified_field"]([0.7], 0.1) == pytest.approx(expected, rel=1e-13)


TWO_STAGES = RungeKutta([[0, 0], [ALPHA, 0]], [1 - 1 / (2 * ALPHA), 1 / (2 * ALPHA)])


@pytest.mark.parametrize("method", [HeavyBall(BETA), TWO_STAGES], ids=str)
def test_a_symbol_without_a_value_is_named(method):
    equation = modeq.derive("x**4/4", 1, method)
    for run in (
        lambda: equation.lambdify(),
        lambda: equation.solve([1], h=0.1, steps=1),
        lambda: equation.check([1], h=0.1),
        lambda: modeq.iterate("x**4/4", [1], h=0.1, steps=1, method=method),
    ):
        with pytest.raises(MissingParameter, match=r"alpha|beta"):
            run()


@pytest.mark.parametrize("values", [{"gamma": 1}, {sympy.Symbol("gamma"): 1}])
def test_a_name_that_is_no_symbol_of_the_method_is_refused(values):
    with pytest.raises(InvalidMethod, match="'gamma' is no symbol"):
        HeavyBall(BETA).subs(values)


def test_values_may_be_given_by_name():
    assert HeavyBall(BETA).subs({"beta": 0.5}) == HeavyBall(BETA).subs({BETA: F(1, 2)})


def test_a_comparison_starts_a_method_with_memory_on_the_highest_flow():
    comparison = modeq.compare(LOSS, START, h=0.02, method="bdf-3", steps=30)
    assert np.array_equal(comparison.iterates[:3], comparison.flows[3][:3])
    largest = [error.max() for error in comparison.errors.values()]
    assert largest[0] == largest[1] == largest[2] > 5 * largest[3]


def test_momentum_compared_from_its_own_flow_shows_the_orders():
    comparison = modeq.compare(LOSS, START, h=0.01, method=HeavyBall(0.5), steps=50)
    largest = [error.max() for error in comparison.errors.values()]
    assert all(a > 3 * b for a, b in pairwise(largest))


def test_a_pendulum_under_leapfrog_has_the_order_of_its_flow():
    pendulum = VectorField(["p", "-sin(q)"], "q p")
    assert modeq.derive(pendulum, 2, "leapfrog").check([1, 0], h=0.2).passed


@pytest.mark.parametrize("result", [None, 1.0, np.ones(3)])
def test_an_update_rule_that_returns_no_point_is_refused(result):
    with pytest.raises(InvalidMethod, match="must return the next point"):
        modeq.iterate("x**2", [1.0], h=0.1, steps=2, method=lambda theta, f, h: result)


@pytest.mark.parametrize("value", [[np.nan], [1j], [1.0, 2.0], "1"])
def test_a_memory_that_is_no_finite_point_is_refused(value):
    adam = modeq.Adam(0.5, 0.5, epsilon=0.1)
    start = {slot: [1.0] for slot in adam.memory} | {"mean": value}
    with pytest.raises(InvalidPoint):
        modeq.iterate("x**2", [1.0], h=0.1, steps=2, method=adam, start=start)


@pytest.mark.parametrize("compare", [modeq.compare, compare_flows])
def test_a_comparison_that_would_be_the_start_alone_is_refused(compare):
    with pytest.raises(InvalidStep, match="at least 2 steps"):
        compare("x**2/2", [1.0], h=0.01, steps=1, method=HeavyBall(0.5))


def test_both_comparisons_start_an_optimizer_on_its_slow_manifold():
    settings = {"h": 0.001, "steps": 3, "method": modeq.Adam(0.5, 0.5, epsilon=0.1)}
    all_flows = compare_flows("x**2/2", [1.0], corrections=(), **settings)
    orders = modeq.compare("x**2/2", [1.0], **settings)
    np.testing.assert_array_equal(all_flows.iterates, orders.iterates)
    assert all_flows.errors["order 2"].max() < 1e-10
