"""Counter terms: three derivations against each other, against the definition, against papers."""

import copy
import pickle
from fractions import Fraction

import numpy as np
import oracle
import pytest
import sympy
from hypothesis import given, settings

import modeq
from modeq import GradientDescent, Loss, VectorField
from modeq.derivation.derive import by_lie_recursion, by_series, derive_field, field_ring
from modeq.errors import InvalidLoss, InvalidMethod, InvalidOrder, ModeqWarning
from modeq.flows.follows import assert_follows
from modeq.losses.loss import H
from modeq.methods.named import as_method
from modeq.testing import losses, tableaux, vector_fields

EXPLICIT = ["gradient-descent", "explicit-midpoint", "heun", "extragradient", "rk4"]
IMPLICIT = ["implicit-euler", "implicit-midpoint", "trapezoid"]


def two_different_steps(theta, f, h):
    """Half a step of Euler, and then one of the explicit midpoint rule."""
    middle = theta + h * Fraction(1, 2) * f(theta)
    return middle + h * Fraction(1, 2) * f(middle + h * Fraction(1, 4) * f(middle))


METHODS = [*EXPLICIT, *IMPLICIT, two_different_steps]


def derivations_agree(loss, order, method):
    method = as_method(method)
    arguments = (loss, order, method, field_ring(loss, order, method))
    return by_lie_recursion(*arguments) == by_series(*arguments)


def columns(loss, order, method="gradient-descent"):
    equation = modeq.derive(loss, order, method)
    return [list(loss.components), *(list(term) for term in equation.counter_terms)]


@given(losses())
def test_the_two_derivations_give_the_same_ring_elements(loss):
    assert derivations_agree(loss, 3, "gradient-descent")


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=5)
@given(field=vector_fields(variables="x y", max_degree=2))
def test_the_two_derivations_agree_for_every_method(method, field):
    assert derivations_agree(field, 3, method)


@settings(max_examples=15)
@given(field=vector_fields(variables="x y", max_degree=2), method=tableaux())
def test_the_two_derivations_agree_for_random_tableaux(field, method):
    assert derivations_agree(field, 3, method)


@settings(max_examples=12)
@given(losses(max_degree=3))
def test_counter_terms_of_gradient_descent_are_those_of_the_definition(loss):
    expected = oracle.counter_terms(loss.components, loss.variables, 2)
    assert all(map(oracle.same, columns(loss, 2), expected))


@pytest.mark.slow
@settings(max_examples=6)
@given(
    field=vector_fields(variables="x y", max_degree=2, functions=False),
    method=tableaux(max_stages=2),
)
def test_counter_terms_of_random_tableaux_are_those_of_the_definition(field, method):
    expected = oracle.counter_terms(field.components, field.variables, 2, method.A, method.b)
    assert all(map(oracle.same, columns(field, 2, method), expected))


@pytest.mark.parametrize("name", [*EXPLICIT, *IMPLICIT])
def test_counter_terms_of_named_methods_are_those_of_the_definition(name):
    field = VectorField(["y - x**2", "-x*y"], "x y")
    method = as_method(name)
    expected = oracle.counter_terms(field.components, field.variables, 3, method.A, method.b)
    assert all(map(oracle.same, columns(field, 3, name), expected))


@settings(max_examples=6)
@given(losses(variables="x y", max_degree=3))
def test_counter_terms_are_sums_over_rooted_trees(loss):
    for power, term in enumerate(columns(loss, 3)):
        by_trees = oracle.euler_counter_term_by_trees(loss.components, loss.variables, power)
        assert oracle.same(term, by_trees)


@pytest.mark.slow
@settings(max_examples=8)
@given(field=vector_fields(variables="x y", max_degree=2), method=tableaux())
def test_a_universal_series_put_into_a_field_is_its_modified_field(field, method):
    by_trees = modeq.modified_equation(method, 3).field(field)
    assert oracle.same(by_trees, modeq.derive(field, 3, method).field)


def test_an_update_rule_has_the_field_of_its_series():
    loss = Loss("x**2*y + y**3/3 + exp(x)")
    by_trees = modeq.modified_equation(two_different_steps, 3).field(loss)
    assert oracle.same(by_trees, modeq.derive(loss, 3, two_different_steps).field)


def contraction(tensor, *vectors):
    """Return T[u, v, …] over the last axes of an array."""
    for vector in vectors:
        array = sympy.Array(list(vector))
        tensor = sympy.tensorcontraction(
            sympy.tensorproduct(tensor, array), (tensor.rank() - 1, tensor.rank())
        )
    return sympy.Matrix(list(tensor))


@settings(max_examples=10)
@given(losses(max_degree=4))
def test_the_first_three_counter_terms_are_those_of_miyagawa(loss):
    """ξ₀ = ½Hg, ξ₁ = ⅓H²g + 1/12 T[g,g], ξ₂ = ¼H³g + 1/12 T[g,Hg] + 1/12 H T[g,g] (2022)."""
    g, H_, T = loss.gradient, loss.hessian, loss.third_derivatives
    xi = [
        H_ * g / 2,
        H_ * (H_ * g) / 3 + contraction(T, g, g) / 12,
        H_ * (H_ * (H_ * g)) / 4 + contraction(T, g, H_ * g) / 12 + H_ * contraction(T, g, g) / 12,
    ]
    terms = modeq.derive(loss, 3).counter_terms
    assert all(oracle.same(term, -expected) for term, expected in zip(terms, xi, strict=True))


def test_the_modified_equation_of_y_squared_has_the_known_coefficients():
    """y² - h y³ + 3/2 h² y⁴ - 8/3 h³ y⁵ + 31/6 h⁴ y⁶ - 157/15 h⁵ y⁷ + … (HLW IX.1)."""
    equation = modeq.derive(VectorField("y**2"), 5)
    (y,) = equation.variables
    coefficients = map(sympy.Rational, ("1", "-1", "3/2", "-8/3", "31/6", "-157/15"))
    assert equation.field[0] == sum(c * H**k * y ** (k + 2) for k, c in enumerate(coefficients))


def test_on_a_quadratic_the_field_is_the_series_of_a_logarithm():
    equation = modeq.derive("lam*x**2/2", 7, variables="x")
    (x,), (lam,) = equation.variables, equation.parameters
    logarithm = sympy.series(sympy.log(1 - H * lam) / H, H, 0, 8).removeO()
    assert sympy.expand(equation.field[0] - x * logarithm) == 0


def test_order_zero_is_gradient_flow():
    equation = modeq.derive("x**2*y", 0)
    assert equation.counter_terms == ()
    assert equation.field == -equation.loss.gradient


def test_implicit_euler_is_euler_with_minus_h():
    loss = Loss("x**2*y + y**4")
    explicit = modeq.derive(loss, 4).field
    implicit = modeq.derive(loss, 4, "implicit-euler").field
    assert sympy.expand(explicit.subs(H, -H) - implicit) == sympy.zeros(2, 1)


@pytest.mark.parametrize(("name", "order"), [("implicit-midpoint", 5), ("trapezoid", 5)])
def test_a_symmetric_method_has_even_counter_terms_only(name, order):
    terms = modeq.derive(Loss("x**2*y + y**3"), order, name).counter_terms
    assert all(term == sympy.zeros(2, 1) for term in terms[0::2])
    assert all(term != sympy.zeros(2, 1) for term in terms[1::2])


@pytest.mark.parametrize(("name", "exact"), [("heun", 1), ("explicit-midpoint", 1), ("rk4", 3)])
def test_a_method_of_order_p_has_no_counter_terms_below_h_to_the_p(name, exact):
    terms = modeq.derive(Loss("x**2*y + y**3"), exact + 1, name).counter_terms
    assert all(term == sympy.zeros(2, 1) for term in terms[:exact])
    assert terms[exact] != sympy.zeros(2, 1)


def test_higher_orders_only_add_terms():
    low, high = (modeq.derive("exp(x*y) + x**3", n) for n in (2, 4))
    assert low.counter_terms == high.counter_terms[:2]


def test_parameters_stay_symbols_and_may_be_given_before_or_after():
    general = modeq.derive("a*x**4 + sin(b*x)", 2, variables="x")
    values = {"a": Fraction(1, 3), "b": 2}
    direct = modeq.derive(Loss("x**4/3 + sin(2*x)"), 2)
    assert oracle.same(general.subs(values).field, direct.field)


@pytest.mark.parametrize(
    "text",
    [
        "exp(x) + x**2",
        "sqrt(1 + x**2)*y",
        "1/(1 + x**2 + y**2)",
        "log(1 + exp(x - y))",
        "tanh(x*y)",
    ],
)
def test_the_flow_of_a_loss_with_functions_follows_gradient_descent(text):
    loss = Loss(text)
    step = sympy.Matrix(loss.variables) - H * loss.gradient
    assert_follows(modeq.derive(loss, 2), step, order=2)


@pytest.mark.parametrize("order", [-1, 1.0, 1.5, "2", None, True])
def test_an_order_must_be_an_integer_at_least_zero(order):
    with pytest.raises(InvalidOrder, match=str(order)) as raised:
        modeq.derive("x**2", order)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("method", ["adams", 3, None, object()])
def test_an_unknown_method_is_refused(method):
    with pytest.raises(InvalidMethod):
        derive_field(Loss("x**2"), 1, as_method(method))


@pytest.mark.parametrize("loss", [[1, 2], None, {"x": 1}, sympy.Matrix([1])])
def test_what_is_not_a_loss_is_refused(loss):
    with pytest.raises(InvalidLoss):
        modeq.derive(loss, 1)


@pytest.mark.parametrize(
    "rule",
    [
        lambda theta, f, h: theta + (1 + 1j) * h * f(theta),
        lambda theta, f, h: theta + h * f(theta) * np.complex128(1j),
        lambda theta, f, h: theta + h * (h + 1j) * f(theta),
        lambda theta, f, h: theta + h * f(theta) / 1j,
    ],
)
def test_complex_numbers_in_a_rule_are_refused(rule):
    for loss in ("x**2/2", "x*exp(y) + z**2"):
        with pytest.raises(InvalidMethod, match="must be real"):
            modeq.derive(loss, 2, rule)


@pytest.mark.parametrize("loss", ["x**2/2", "exp(x)"])
@pytest.mark.parametrize(
    "rule",
    [
        lambda theta, f, h: 2 * theta + h * f(theta),
        lambda theta, f, h: theta + h * f(2 * theta),
        lambda theta, f, h: theta + f(theta),
        lambda theta, f, h: h * f(theta),
    ],
)
def test_a_rule_that_does_not_stay_near_theta_is_refused(loss, rule):
    with pytest.raises(InvalidMethod, match="at h = 0 the update rule takes x to"):
        modeq.derive(loss, 2, rule)


def test_derive_without_a_method_takes_gradient_descent():
    assert modeq.derive("x**4", 2).method == GradientDescent()


@pytest.mark.parametrize(
    ("loss", "method"),
    [
        ("x**2*y + exp(y)", None),
        ("a*sin(x)", modeq.HeavyBall(sympy.Symbol("beta"))),
        ("sqrt(1 + x**2)*log(1 + exp(x*y))", "gauss-2"),
        ("x**2/2 + y**4", modeq.Adam(0.5, 0.75, epsilon=1)),
    ],
)
def test_equations_survive_pickling_and_copying(loss, method):
    equation = modeq.derive(loss, 1, method)
    for again in (pickle.loads(pickle.dumps(equation)), copy.deepcopy(equation)):
        assert type(again) is modeq.ModifiedEquation
        assert (again, hash(again), again.text()) == (equation, hash(equation), equation.text())
        assert again.certify().holds


X, K = sympy.symbols("x k")


@pytest.mark.parametrize(
    "loss",
    [sympy.Integral(f, (K, 0, 1)) for f in (sympy.exp(-(K**2) * X**2), sympy.cos(X * K))],
    ids=["gauss", "cosine"],
)
def test_what_stands_under_an_integral_is_no_function_of_its_own(loss):
    with pytest.warns(ModeqWarning, match=type(loss).__name__):
        equation = modeq.derive(Loss(loss, X), 1)
    f = -loss.diff(X)
    difference = equation.counter_terms[0][0] + f.diff(X) * f / 2
    assert abs(difference.doit().subs(X, sympy.Rational(3, 7)).evalf(20)) < 1e-15
