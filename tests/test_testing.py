"""The tools for users' own derivations: they accept what is right and refuse what is wrong."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Loss, RungeKutta, VectorField
from modeq.errors import FlowError, InvalidLoss, InvalidOrder, InvalidPoint, InvalidStep
from modeq.flows.follows import assert_follows
from modeq.losses.loss import H
from modeq.testing import SMOOTH_FUNCTIONS, losses, rooted_trees, starts, tableaux, vector_fields

x, y, h = sympy.symbols("x y h")


def descent(loss):
    return sympy.Matrix(loss.variables) - H * loss.gradient


@given(losses())
def test_a_random_loss_is_exact_moderate_and_not_constant(loss):
    assert isinstance(loss, Loss)
    assert 1 <= loss.dimension <= 3
    assert not loss.expression.atoms(sympy.Float)
    assert any(loss.gradient)
    corner = dict.fromkeys(loss.variables, sympy.S.One)
    assert all(abs(entry.subs(corner)) < 300 for entry in [loss.expression, *loss.gradient])


@given(losses(variables="u v", max_degree=2, functions=False))
def test_the_degree_and_the_variables_can_be_chosen(loss):
    assert [v.name for v in loss.variables] == ["u", "v"]
    assert sympy.Poly(loss.expression, *loss.variables).total_degree() <= 2


@pytest.mark.parametrize("name", SMOOTH_FUNCTIONS)
def test_every_smooth_function_has_counter_terms(name):
    loss = Loss(SMOOTH_FUNCTIONS[name](x / 2 + y), variables=(x, y))
    assert modeq.derive(loss, 2).certify()


@given(vector_fields())
def test_a_random_field_moves(field):
    assert isinstance(field, VectorField)
    assert any(field.components)


@given(rooted_trees(max_order=4))
def test_a_random_tree_is_as_small_as_asked(tree):
    assert 1 <= tree.order <= 4


@given(data=st.data(), loss=losses())
def test_a_random_start_is_in_the_cube_and_not_at_rest(data, loss):
    start = data.draw(starts(loss))
    assert len(start) == loss.dimension
    assert all(-1 <= entry <= 1 and float(entry) == entry for entry in start)
    f = modeq.derive(loss, 0).lambdify()
    assert np.max(np.abs(f(np.array(start, dtype=float), 0.0))) > 0.009


@given(tableaux())
def test_a_random_tableau_is_a_consistent_method(method):
    assert isinstance(method, RungeKutta)
    assert sum(method.b) == 1
    assert len(method.b) <= 3


@pytest.mark.parametrize("explicit", [True, False])
def test_tableaux_may_be_explicit_only(explicit):
    @given(tableaux(explicit=explicit))
    def check(method):
        assert method.is_explicit or not explicit

    check()


@settings(max_examples=8)
@given(losses(max_degree=3, functions=False))
def test_what_is_derived_follows_exactly(loss):
    assert_follows(modeq.derive(loss, 2), descent(loss), order=2)


@settings(max_examples=5)
@given(field=vector_fields(variables="x y", max_degree=2, functions=False))
def test_a_wrong_counter_term_is_refused_exactly(field):
    step = sympy.Matrix(field.variables) + H * sympy.Matrix(field.components)
    right = modeq.derive(field, 2)
    wrong = right.field + H**2 * sympy.Matrix([1, 0]) / 1000
    with pytest.raises(AssertionError, match=r"expected a one-step error of order h\^4.* h\^3"):
        assert_follows(wrong, step, order=2, variables=field.variables)


def test_a_field_cut_too_early_is_refused_at_its_power():
    with pytest.raises(AssertionError, match=r"but it is of order h\^3"):
        assert_follows([-x - h * x / 2], [x - h * x], order=2, variables=[x])


def test_maps_that_are_no_polynomials_in_h_are_expanded():
    exact = sympy.log(1 / (1 + h)) / h * x
    series = sum((-h) ** k / (k + 1) for k in range(5)) * -x
    assert_follows([series], [x / (1 + h)], order=4, variables=[x])
    assert sympy.series(exact - series, h, 0, 5).removeO() == 0


def test_a_map_that_does_not_start_at_the_identity_is_refused():
    with pytest.raises(AssertionError, match=r"of order h\^0"):
        assert_follows([-x], [x + 1 - h * x], order=1, variables=[x])


def test_identities_between_functions_are_seen():
    loss = Loss(sympy.sin(x) + sympy.sqrt(1 + x**2), variables=[x])
    g = loss.gradient[0]
    field = [-g - h / 2 * sympy.expand_trig(g.diff(x) * g).rewrite(sympy.exp)]
    assert_follows(field, [x - h * g], order=1, variables=[x])


def test_symbols_of_one_name_are_one():
    equation = modeq.derive("x**2*y", 1)
    assert_follows(equation, [x - 2 * h * x * y, y - h * x**2], order=1)


def numeric_descent(theta, rate):
    return theta - rate * theta**3


def numeric_flow(order):
    rhs = modeq.derive("x**4/4", order).lambdify()
    return lambda theta, rate: rhs(theta, rate)


@pytest.mark.parametrize("order", range(4))
def test_functions_are_measured_by_their_slopes(order):
    assert_follows(numeric_flow(order), numeric_descent, order, theta0=[1.0], h=0.1)


@pytest.mark.parametrize("order", range(1, 4))
def test_functions_of_a_lower_order_are_refused_with_a_table(order):
    with pytest.raises(AssertionError) as raised:
        assert_follows(numeric_flow(order - 1), numeric_descent, order, theta0=[1.0], h=0.1)
    message = str(raised.value)
    assert f"expected slopes {order + 2}, measured" in message
    measured = float(message.split("measured ")[1].split(",")[0])
    assert measured == pytest.approx(order + 1, abs=0.1)
    assert len(message.splitlines()) >= 6


def test_functions_of_a_higher_order_are_refused_too():
    with pytest.raises(AssertionError, match="expected slopes 2, measured"):
        assert_follows(numeric_flow(1), numeric_descent, 0, theta0=[1.0], h=0.1)


def test_a_slope_is_never_made_of_round_off():
    with pytest.raises(InvalidStep, match="round-off"):
        assert_follows(numeric_flow(4), numeric_descent, 4, theta0=[1.0], h=1e-3)


def test_an_exact_field_leaves_nothing_to_measure():
    with pytest.raises(InvalidStep, match="round-off"):
        assert_follows(lambda t, r: -1.0 + 0 * t, lambda t, r: t - r, 0, theta0=[1.0], h=0.5)


def test_a_flow_that_blows_up_is_an_error():
    with pytest.raises(FlowError):
        assert_follows(lambda t, r: t**2, lambda t, r: t, 0, theta0=[1.0], h=5.0)


@pytest.mark.parametrize("theta0", [None, 1.0, [[1.0]], [np.nan], [np.inf]])
def test_a_start_must_be_one_finite_point(theta0):
    with pytest.raises(InvalidPoint):
        assert_follows(numeric_flow(0), numeric_descent, 0, theta0=theta0, h=0.1)


@pytest.mark.parametrize("rate", [None, 0, -0.1, np.nan, np.inf, "0.1"])
def test_a_learning_rate_must_be_positive_and_finite(rate):
    with pytest.raises(InvalidStep):
        assert_follows(numeric_flow(0), numeric_descent, 0, theta0=[1.0], h=rate)


@pytest.mark.parametrize("order", [-1, 1.5, None, True])
def test_an_order_must_be_an_integer_at_least_zero(order):
    with pytest.raises(InvalidOrder):
        assert_follows([-x], [x - h * x], order, variables=[x])


@pytest.mark.parametrize(
    ("field", "step", "variables"),
    [
        ([-x], [x - h * x], None),
        ([-x, y], [x - h * x], [x]),
        ([-x], [x - h * x, y], [x]),
        (numeric_flow(0), [x - h * x], [x]),
        ([-x], numeric_descent, [x]),
        (-x, [x - h * x], [x]),
        ([object()], [x], [x]),
    ],
)
def test_formulas_and_variables_must_fit_together(field, step, variables):
    with pytest.raises(InvalidLoss):
        assert_follows(field, step, 1, variables=variables)
