"""Fields as numbers: shapes, both forms, and what happens outside the domain."""

import math

import mpmath
import numpy as np
import pytest
import scipy.special
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Loss, VectorField, problems
from modeq.checks import as_points, check_step
from modeq.errors import InvalidLoss, InvalidPoint, InvalidStep, InvalidValue, MissingParameter
from modeq.flows.fields import gradient_field
from modeq.flows.forms import FORMS
from modeq.losses.loss import H
from modeq.testing import losses, starts

EPSILON = np.finfo(float).eps
ORDERS = {"tanh-network": 1, "logistic-regression": 2}


def sizes(equation, theta, h):
    """Return, for each component, the sum of the absolute values of all its terms at a point."""
    symbols = [*equation.variables, H]
    values = [sympy.Rational(x) for x in [*theta, h]]
    point = dict(zip(symbols, values, strict=True))
    with mpmath.workdps(30):
        return [
            float(sum(abs(sympy.N(term.xreplace(point), 30)) for term in sympy.Add.make_args(c)))
            for c in map(sympy.expand_mul, equation.field)
        ]


def assert_equal_to_rounding(left, right, scale, operations):
    """Rounding of n operations on terms of a given size is at most about n ε times that size."""
    assert np.all(np.abs(left - right) <= operations * EPSILON * np.asarray(scale))


@pytest.mark.parametrize("name", problems.ALL)
def test_the_two_forms_of_every_problem_agree_to_rounding(name):
    problem = problems.named(name)
    equation = modeq.derive(problem, ORDERS.get(name, 4))
    expanded, program = (equation.lambdify(form=form) for form in ("expanded", "program"))
    left, right = (rhs(problem.start, problem.h) for rhs in (expanded, program))
    operations = expanded.cost + program.cost
    assert_equal_to_rounding(left, right, sizes(equation, problem.start, problem.h), operations)


@settings(max_examples=10)
@given(data=st.data(), loss=losses())
def test_a_numeric_field_has_the_values_of_the_formula(data, loss):
    start = data.draw(starts(loss))
    equation = modeq.derive(loss, 2)
    point = dict(zip(loss.variables, map(sympy.Rational, start), strict=True))
    exact = [float(sympy.N(c.subs(point | {H: sympy.Rational(1, 8)}), 30)) for c in equation.field]
    for form in ("expanded", "program", None):
        rhs = equation.lambdify(form=form)
        value = rhs(np.array(start, dtype=float), 0.125)
        assert_equal_to_rounding(value, exact, sizes(equation, start, 0.125), 10 * rhs.cost)


FIELDS = ["x**2*y + y**4", "tanh(x*y) + x**2", "erf(x*y) + y**2"]


@pytest.fixture(params=FIELDS)
def rhs(request):
    return modeq.derive(request.param, 2).lambdify()


@pytest.mark.parametrize("shape", [(2,), (1, 2), (5, 2), (3, 4, 2), (0, 2), (2, 0, 3, 2)])
def test_the_result_has_the_shape_of_the_points(rhs, shape):
    assert rhs(np.full(shape, 0.5), 0.1).shape == shape


def test_a_batch_gives_what_single_points_give(rhs):
    points = np.random.default_rng(0).uniform(-1, 1, (3, 4, 2))
    singles = np.array([[rhs(point, 0.1) for point in row] for row in points])
    np.testing.assert_allclose(rhs(points, 0.1), singles, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("count", [2047, 2048, 2049, 4096, 5000])
def test_more_points_than_a_block_give_what_few_points_give(rhs, count):
    points = np.linspace(-1, 1, 2 * count).reshape(count, 2)
    few = np.concatenate([rhs(part, 0.1) for part in np.array_split(points, 7)])
    np.testing.assert_allclose(rhs(points, 0.1), few, rtol=1e-15, atol=0)


def test_an_array_of_learning_rates_goes_along_the_points(rhs):
    points = np.linspace(-1, 1, 5000).reshape(2500, 2)
    rates = np.linspace(0.01, 0.2, 2500)
    each = [rhs(point, h) for point, h in zip(points[::500], rates[::500], strict=True)]
    np.testing.assert_allclose(rhs(points, rates)[::500], each, rtol=1e-13, atol=1e-15)


def test_points_and_learning_rates_broadcast(rhs):
    assert rhs([0.5, 0.25], np.array([0.1, 0.2, 0.3])).shape == (3, 2)
    assert rhs(np.ones((4, 1, 2)), np.array([0.1, 0.2, 0.3])).shape == (4, 3, 2)


def test_points_are_never_changed(rhs):
    points = np.linspace(-1, 1, 10).reshape(5, 2)
    copy = points.copy()
    rhs(points, 0.1)
    np.testing.assert_array_equal(points, copy)


def test_lists_integers_and_other_strides_are_points_too(rhs):
    points = np.arange(12).reshape(2, 6).T / 12
    assert rhs([1, 0], 0.1).dtype == float
    np.testing.assert_array_equal(rhs(points, 0.1), rhs(points.copy(order="C"), 0.1))


@pytest.mark.parametrize("text", ["x**2*y + y**4", "exp(x*y)", "cos(x) + y**2"])
def test_complex_points_give_the_analytic_continuation(text):
    equation = modeq.derive(text, 2)
    point = [0.5 + 0.25j, -0.5j]
    values = dict(zip(equation.variables, map(sympy.sympify, point), strict=True)) | {H: 0.125}
    exact = [complex(c.subs(values)) for c in equation.field]
    np.testing.assert_allclose(equation.lambdify()(point, 0.125), exact, rtol=1e-13)


@pytest.mark.parametrize(
    ("text", "outside", "inside"),
    [("x*log(x)", -1.0, 0.5), ("x*sqrt(x)", -0.5, 0.5), ("asin(x)", 1.5, 0.5)],
)
def test_outside_the_domain_the_field_is_nan(text, outside, inside):
    rhs = modeq.derive(text, 1).lambdify()
    assert not np.isfinite(rhs([outside], 0.1)).any()
    both = rhs([[outside], [inside]], 0.1)
    assert not np.isfinite(both[0]).any()
    np.testing.assert_allclose(both[1], rhs([inside], 0.1), rtol=1e-14)


def test_a_value_too_large_for_a_float_is_not_an_error():
    rhs = modeq.derive("exp(x**2)", 2).lambdify()
    assert not np.isfinite(rhs([100.0], 0.1)).any()


@pytest.mark.parametrize("form", FORMS)
def test_constant_components_are_broadcast(form):
    field = VectorField(["1", "x", "pi"], "x y z")
    rhs = modeq.derive(field, 2).lambdify(form=form)
    expected = [1, 0.5 - 0.1 / 2, math.pi]
    np.testing.assert_allclose(rhs([0.5, 3, 4], 0.1), expected, rtol=1e-15)
    np.testing.assert_allclose(rhs(np.full((3, 3), 0.5), 0.1), [expected] * 3, rtol=1e-15)


@pytest.mark.parametrize(
    ("constant", "value"),
    [("pi", math.pi), ("exp(1)", math.e), ("sqrt(2)", math.sqrt(2)), ("log(3)", math.log(3))],
)
@pytest.mark.parametrize("form", FORMS)
def test_constants_have_their_values(constant, value, form):
    rhs = modeq.derive(f"{constant}*x**2/2", 1, variables="x").lambdify(form=form)
    expected = -value - 0.1 * value**2 / 2
    np.testing.assert_allclose(rhs([[1.0], [2.0]], 0.1).ravel(), [expected, 2 * expected])


@pytest.mark.parametrize("form", [None, *FORMS])
def test_parameters_are_given_by_name_or_symbol(form):
    equation = modeq.derive("a*x**4 + b*x", 1, variables="x")
    a, b = equation.parameters
    by_name = equation.lambdify({"a": 0.25, "b": 2}, form)
    by_symbol = equation.lambdify({a: sympy.Rational(1, 4), b: 2}, form)
    assert by_name([0.5], 0.1) == by_symbol([0.5], 0.1)
    np.testing.assert_allclose(by_name([0.5], 0.1), [-2.125 - 0.05 * 0.75 * 2.125], rtol=1e-15)


def test_a_parameter_without_a_value_is_an_error():
    with pytest.raises(MissingParameter, match="lam") as raised:
        modeq.derive("lam*x**4", 1, variables="x").lambdify()
    assert isinstance(raised.value, ValueError)


def test_an_unknown_parameter_is_an_error():
    with pytest.raises(InvalidLoss, match="mu"):
        modeq.derive("lam*x**4", 1, variables="x").lambdify({"lam": 1, "mu": 2})


@pytest.mark.parametrize("form", ["fast", "", 1, "Expanded"])
def test_an_unknown_form_is_an_error(form):
    with pytest.raises(InvalidValue, match="form"):
        modeq.derive("x**2", 1).lambdify(form=form)


def test_a_program_is_the_default():
    equation = modeq.derive("tanh(x + y)*x + y**2", 4)
    assert equation.lambdify().source() == equation.lambdify(form="program").source()


@pytest.mark.parametrize(
    "points", [1.0, [1.0], [1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]], np.ones((2, 0))]
)
def test_points_of_the_wrong_shape_are_refused(points):
    with pytest.raises(InvalidPoint, match="length 2"):
        as_points(points, 2)


NO_NUMBERS = [
    "ab",
    ["a", "b"],
    ["1", "2"],
    [[1], [1, 2]],
    [object()],
    {"x": 1},
    [10**400, 1],
    np.array(["2026-11-21"] * 2, dtype="datetime64[D]"),
]


@pytest.mark.parametrize("points", NO_NUMBERS)
def test_points_that_are_no_numbers_are_refused(points):
    with pytest.raises(InvalidPoint):
        as_points(points, 2)


@pytest.mark.parametrize("h", ["0.1", "a", 10**400, [1, [2]], object()])
def test_a_field_refuses_learning_rates_that_are_no_numbers(h):
    with pytest.raises(InvalidStep, match="learning rate h"):
        modeq.derive("x**2", 1).lambdify()([1.0], h)


def test_learning_rates_that_do_not_fit_the_points_are_refused():
    with pytest.raises(InvalidStep, match=r"shape \(4,\).*points, \(3,\)"):
        modeq.derive("x**2", 1).lambdify()(np.ones((3, 1)), np.ones(4))


NO_RATES = [0, -1, math.nan, math.inf, -math.inf, "0.1", None, 1j, [1, 2], True, 10**400]


@pytest.mark.parametrize("h", NO_RATES)
def test_a_learning_rate_must_be_positive_and_finite(h):
    with pytest.raises(InvalidStep, match="learning rate"):
        check_step(h)


def test_a_gradient_field_is_the_field_itself():
    rhs = gradient_field(Loss("x**2*y"))
    np.testing.assert_array_equal(rhs([2.0, 3.0], 0.1), [-12.0, -4.0])


def test_an_undefined_function_has_no_numbers():
    phi = sympy.Function("phi")
    x = sympy.Symbol("x")
    with pytest.warns(modeq.errors.ModeqWarning):
        equation = modeq.derive(Loss(phi(x)), 1)
    with pytest.raises(InvalidLoss, match="phi"):
        equation.lambdify()


def test_coefficients_beyond_the_floats_are_refused_and_tiny_ones_are_zero():
    x = sympy.Symbol("x")
    with pytest.raises(InvalidLoss, match="about 1e400 is too large for a float"):
        modeq.derive(10**400 * x**2, 0).lambdify()([1.0], 0.1)
    assert modeq.derive(x**2 / 10**400, 0).lambdify()([1.0], 0.1) == 0


@pytest.mark.filterwarnings("error")
def test_outside_the_domain_of_lambertw_there_is_no_number():
    x = sympy.Symbol("x")
    equation = modeq.derive(sympy.LambertW(x), 1)
    points = np.array([[-1.0], [0.5], [-0.2]])
    values = equation.lambdify()(points, 0.1)
    assert np.isnan(values[0, 0])
    w = scipy.special.lambertw(points[1:, 0]).real
    slope = w / (points[1:, 0] * (1 + w))
    curvature = -np.exp(-2 * w) * (2 + w) / (1 + w) ** 3
    np.testing.assert_allclose(values[1:, 0], -slope - 0.05 * curvature * slope, rtol=1e-12)
    namespace = {}
    exec(equation.to_python(), namespace)
    np.testing.assert_allclose(namespace["modified_field"](points, 0.1), values, rtol=1e-14)
    with pytest.raises(InvalidPoint, match="outside the domain"):
        equation.check([-0.9], h=0.01)
