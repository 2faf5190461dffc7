"""The laws of B-series: axioms, definitions, and what they mean for given fields."""

from fractions import Fraction
from math import prod

import pytest
import sympy
import tree_oracle as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from modeq import (
    BSeries,
    RootedTree,
    compose,
    exact_flow,
    inverse,
    power,
    rooted_trees,
    scaled,
    substitute,
)
from modeq.algebra.laws import (
    adjoint,
    derivative,
    field_with,
    flow,
    modified_equation_of,
    modifying_integrator_of,
    modifying_integrator_of_rule,
    order_of_accuracy,
)
from modeq.algebra.recurrences import RungeKuttaTable
from modeq.algebra.rule_series import AbstractField, modified_equation, run
from modeq.algebra.series import identity
from modeq.algebra.surds import square_root
from modeq.algebra.tree_table import tree_table_of
from modeq.errors import InvalidMethod, InvalidOrder, InvalidValue
from modeq.methods.rules import runge_kutta

LEAF = RootedTree()
ORDER = 3


def plain(tree):
    return oracle.from_levels(tree.level_sequence, tree.colors)


def function_on(series):
    """Return the series as a function of the trees of the oracle."""
    return {plain(tree): value for tree, value in series.items()}.__getitem__


def of_function(function, order, empty, colors=1):
    """Return the series with the values of a function of the trees of the oracle."""
    trees = [t for n in range(1, order + 2) for t in rooted_trees(n, colors)]
    values = {tree: function(plain(tree)) for tree in trees}
    return BSeries(values, order=order, empty=empty, colors=colors)


def series(empty, order=ORDER, colors=1, leading=None):
    """Draw a rational series."""
    trees = [t for n in range(1, order + 2) for t in rooted_trees(n, colors)]

    def made(values):
        coefficients = dict(zip(trees, values, strict=True))
        if leading is not None:
            coefficients[LEAF] = leading
        return BSeries(coefficients, order=order, empty=empty, colors=colors)

    return oracle.rationals(len(trees)).map(made)


def maps(order=ORDER, colors=1):
    return series(1, order, colors)


def fields(order=ORDER, colors=1):
    return series(0, order, colors)


def dot(order=ORDER):
    """Return the series of h f alone."""
    return BSeries({LEAF: 1}, order=order)


def euler(order):
    return identity(order) + identity(order).b_plus()


def step_of(A, b, order):
    return run(runge_kutta(A, b), identity(order), AbstractField())


# composition


@given(maps(), maps(), series(7))
def test_composition_is_associative(a, b, c):
    assert compose(compose(a, b), c) == compose(a, compose(b, c))


@given(maps(2, 2), maps(2, 2), series(0, 2, 2))
def test_composition_is_associative_in_two_colors(a, b, c):
    assert compose(compose(a, b), c) == compose(a, compose(b, c))


@given(maps(), series(3))
def test_the_map_that_does_nothing_is_neutral(a, c):
    assert compose(a, identity(ORDER)) == a
    assert compose(identity(ORDER), a) == a
    assert compose(identity(ORDER), c) == c


@given(maps())
def test_the_inverse_is_one_on_both_sides(a):
    assert compose(a, inverse(a)) == identity(ORDER)
    assert compose(inverse(a), a) == identity(ORDER)
    assert inverse(inverse(a)) == a


@given(maps(3, 2), maps(3, 2))
def test_the_inverse_of_a_composition_is_that_of_the_inverses_in_reverse(a, b):
    assert inverse(compose(a, b)) == compose(inverse(b), inverse(a))
    assert compose(a, inverse(a)) == identity(3, 2)


@given(maps(), series(2))
def test_composition_is_what_its_definition_says(b, a):
    b_of, a_of = function_on(b), function_on(a)
    assert compose(b, a) == of_function(lambda t: oracle.composed(b_of, a_of, 2, t), ORDER, 2)


@given(maps(), fields(), fields(), st.fractions(max_denominator=9))
def test_composition_is_linear_in_what_is_applied_last(b, a, c, factor):
    assert compose(b, a + factor * c) == compose(b, a) + factor * compose(b, c)


def test_a_composition_is_known_as_far_as_both_of_its_factors():
    assert compose(exact_flow(5), exact_flow(2)) == compose(exact_flow(2), exact_flow(5))
    assert compose(exact_flow(5), exact_flow(2)).order == 2


@given(maps(), maps(), st.fractions(max_denominator=9))
def test_scaling_the_step_is_an_automorphism(a, b, factor):
    assert scaled(compose(b, a), factor) == compose(scaled(b, factor), scaled(a, factor))
    assert scaled(scaled(a, factor), 3) == scaled(a, 3 * factor)
    assert scaled(a, 1) == a


@pytest.mark.parametrize("factor", [square_root(2), sympy.Symbol("t"), Fraction(-2, 3), 0.25, 0])
def test_the_step_is_scaled_by_numbers_of_any_kind(factor):
    e = scaled(exact_flow(3, colors=2), factor)
    known = Fraction(factor) if isinstance(factor, float) else factor
    for tree, value in e.items():
        expected = prod([known] * tree.order, start=Fraction(1, tree.density))
        assert value == expected
        assert isinstance(value, Fraction) == isinstance(expected, Fraction)
    assert e.empty == 1


@settings(max_examples=4)
@given(maps(2), maps(2), fields(2), fields(2))
def test_the_laws_hold_for_coefficients_with_square_roots(a, c, b, d):
    a, b = a + square_root(2) * (c - identity(2)), b + square_root(3) * d
    assert compose(compose(a, c), b) == compose(a, compose(c, b))
    assert compose(a, inverse(a)) == compose(inverse(a), a) == identity(2)
    assert substitute(b, compose(a, c)) == compose(substitute(b, a), substitute(b, c))
    assert flow(b) == substitute(b, exact_flow(2))
    assert flow(modified_equation_of(a)) == a == flow(field_with(flow, a))


@given(maps(), maps())
def test_the_adjoint_is_an_involution_that_reverses_compositions(a, b):
    assert adjoint(adjoint(a)) == a
    assert adjoint(compose(b, a)) == compose(adjoint(a), adjoint(b))
    assert compose(scaled(a, -1), adjoint(a)) == identity(ORDER)


def test_explicit_and_implicit_euler_are_adjoint():
    assert adjoint(euler(5)) == step_of([[1]], [1], 5)


@given(maps(), st.integers(0, 3), st.integers(0, 3))
def test_powers_of_a_map_add_up(a, j, k):
    assert power(a, j + k) == compose(power(a, j), power(a, k))
    assert (power(a, 0), power(a, 1)) == (identity(ORDER), a)


@given(maps(2, 2))
def test_a_power_is_that_many_steps_in_two_colors(a):
    assert power(a, 3) == compose(a, compose(a, a))
    assert power(a, 0) == identity(2, 2)


@given(st.fractions(max_denominator=9), st.fractions(max_denominator=9))
def test_the_exact_flow_is_a_group(s, t):
    e = exact_flow(ORDER)
    assert compose(scaled(e, s), scaled(e, t)) == scaled(e, s + t)


# substitution


@given(series(2), fields())
def test_the_field_itself_is_neutral_for_substitution(a, b):
    assert substitute(dot(), a) == a
    assert substitute(b, dot()) == b


@given(fields(), fields(), series(5))
def test_substitution_is_an_action(c, b, a):
    assert substitute(c, substitute(b, a)) == substitute(substitute(c, b), a)


@given(fields(), maps(), series(3))
def test_substitution_distributes_over_composition(b, a, c):
    assert substitute(b, compose(a, c)) == compose(substitute(b, a), substitute(b, c))


@given(fields(), maps())
def test_substitution_distributes_over_inverses(b, a):
    assert substitute(b, inverse(a)) == inverse(substitute(b, a))


@given(fields(), fields(), maps(), st.fractions(max_denominator=9))
def test_substitution_is_linear_in_what_is_substituted_into(b, a, c, factor):
    assert substitute(b, factor * a + c) == factor * substitute(b, a) + substitute(b, c)


@given(maps(), st.fractions(max_denominator=9))
def test_scaling_is_substitution_of_a_multiple_of_the_field(a, factor):
    assert substitute(factor * dot(), a) == scaled(a, factor)


@given(fields(), series(2))
def test_substitution_is_what_its_definition_says(b, a):
    b_of, a_of = function_on(b), function_on(a)
    assert substitute(b, a) == of_function(lambda t: oracle.substituted(b_of, a_of, t), ORDER, 2)


@settings(max_examples=2)
@given(maps(6), maps(6), fields(6), fields(6))
def test_the_axioms_hold_with_up_to_seven_vertices(a, b, f, g):
    assert compose(compose(a, b), f) == compose(a, compose(b, f))
    assert compose(inverse(a), a) == identity(6)
    assert substitute(f, substitute(g, a)) == substitute(substitute(f, g), a)
    assert substitute(f, compose(a, b)) == compose(substitute(f, a), substitute(f, b))
    assert substitute(f, exact_flow(6)) == flow(f)
    assert flow(modified_equation_of(a)) == a


# flows


@given(fields())
def test_the_flow_is_substitution_into_the_exact_flow(b):
    assert flow(b) == substitute(b, exact_flow(ORDER))


@settings(max_examples=5)
@given(fields(3, 2))
def test_the_flow_in_two_colors_is_what_its_definition_says(b):
    b_of = function_on(b)
    expected = of_function(lambda t: oracle.substituted(b_of, oracle.exact_flow, t), 3, 1, 2)
    assert flow(b) == expected


@given(fields(3, 2), st.fractions(max_denominator=9), st.fractions(max_denominator=9))
def test_flows_of_one_field_are_a_group(b, s, t):
    assert compose(flow(s * b), flow(t * b)) == flow((s + t) * b)


@given(series(3, 3), fields(3))
def test_the_derivative_along_a_field_is_what_a_small_step_changes(a, b):
    d = derivative(b, a)
    moved = [compose(identity(3) + s * b, a) - a for s in range(1, 5)]
    for tree in d:
        assert d[tree] == oracle.slope_at_zero([m[tree] for m in moved])


@given(fields(3), fields(3), series(2, 3))
def test_the_commutator_of_derivatives_is_the_derivative_along_the_bracket(b, c, a):
    bracket = derivative(b, c) - derivative(c, b)
    left = derivative(b, derivative(c, a)) - derivative(c, derivative(b, a))
    assert left == derivative(bracket, a)


# both directions of backward error analysis


@given(maps())
def test_the_flow_of_the_modified_equation_is_the_map(a):
    b = modified_equation_of(a)
    assert substitute(b, exact_flow(ORDER)) == flow(b) == a
    assert modified_equation_of(flow(b)) == b


@settings(max_examples=5)
@given(maps(3, 2))
def test_the_flow_of_the_modified_equation_is_the_map_in_two_colors(a):
    b_of = oracle.field_of(function_on(a))
    assert modified_equation_of(a) == of_function(b_of, 3, 0, 2)
    assert flow(modified_equation_of(a)) == a


@given(series(1, leading=Fraction(-2, 3)))
def test_the_map_of_the_modifying_integrator_is_the_exact_flow(a):
    b = modifying_integrator_of(a)
    assert substitute(b, a) == exact_flow(ORDER)
    assert b[LEAF] == Fraction(-3, 2)
    assert b == of_function(oracle.solved(function_on(a), oracle.exact_flow), ORDER, 0)


@given(series(1, leading=5))
def test_modified_equation_and_modifying_integrator_are_inverse_to_each_other(a):
    forth, back = modified_equation_of(a), modifying_integrator_of(a)
    assert substitute(forth, back) == substitute(back, forth) == dot()


@given(maps(), maps())
def test_the_modified_equation_of_the_adjoint_has_h_reversed(a, b):
    assert modified_equation_of(adjoint(a)) == -scaled(modified_equation_of(a), -1)
    assert modified_equation_of(power(a, 2)) == 2 * modified_equation_of(a)


def test_the_modifying_integrator_of_euler_is_the_exact_flow_without_its_start():
    assert modifying_integrator_of(euler(6)) == exact_flow(6) - identity(6)


@given(oracle.tables())
def test_six_computations_of_a_modified_equation_agree(drawn):
    A, b = drawn
    rule = runge_kutta(A[0], b[0])
    a = step_of(A[0], b[0], ORDER)
    found = [
        tree_table_of(RungeKuttaTable.rational(A, b), ORDER).series(),
        modified_equation(rule, ORDER),
        modified_equation_of(a),
        field_with(flow, a),
        field_with(lambda x: substitute(x, exact_flow(ORDER).cut(x.order)), a),
        of_function(oracle.field_of(oracle.runge_kutta_map(A, b)), ORDER, 0),
    ]
    assert found == [found[0]] * 6


@given(oracle.tables())
def test_a_random_step_is_that_of_its_table(drawn):
    A, b = drawn
    assert step_of(A[0], b[0], ORDER) == of_function(oracle.runge_kutta_map(A, b), ORDER, 1)


@pytest.mark.parametrize(
    ("A", "b"),
    [
        ([[0]], [1]),
        ([[1]], [1]),
        ([[0, 0], [Fraction(2, 3), 0]], [Fraction(1, 4), Fraction(3, 4)]),
        ([[Fraction(1, 3), Fraction(-1, 3)], [1, 0]], [Fraction(1, 2), Fraction(1, 2)]),
    ],
)
def test_a_rule_and_its_series_have_one_modifying_integrator(A, b):
    found = modifying_integrator_of_rule(runge_kutta(A, b), ORDER)
    assert found == modifying_integrator_of(step_of(A, b, ORDER))
    a_of = oracle.runge_kutta_map([A], [b])
    assert found == of_function(oracle.solved(a_of, oracle.exact_flow), ORDER, 0)


# given fields


@given(
    st.tuples(oracle.polynomials(), oracle.polynomials()),
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    oracle.tables(most=2),
)
def test_the_modified_equation_of_a_given_field_is_the_logarithm_of_its_iterates(f, start, drawn):
    A, b = drawn
    goal = oracle.logarithm_of_step(
        lambda point: oracle.runge_kutta_step([f], A, b, point), start, ORDER
    )
    found = modified_equation_of(step_of(A[0], b[0], ORDER - 1))
    assert oracle.series_at(function_on(found), [f], start, ORDER) == goal


@settings(max_examples=10)
@given(
    st.tuples(oracle.polynomials(), oracle.polynomials()),
    st.tuples(oracle.polynomials(), oracle.polynomials()),
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    oracle.tables(colors=2, most=2),
)
def test_so_it_is_for_two_given_fields(f, g, start, drawn):
    A, b = drawn
    goal = oracle.logarithm_of_step(
        lambda point: oracle.runge_kutta_step([f, g], A, b, point), start, 3
    )
    table = tree_table_of(RungeKuttaTable.rational(A, b), 2)
    assert oracle.series_at(function_on(table.series()), [f, g], start, 3) == goal


@given(
    st.tuples(oracle.polynomials(), oracle.polynomials()),
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    oracle.tables(most=2),
    oracle.tables(most=2),
)
def test_the_composition_of_series_is_that_of_maps(f, start, first, second):
    point = [[Fraction(x), *[Fraction(0)] * ORDER] for x in start]
    between = oracle.runge_kutta_step([f], *first, point)
    end = oracle.runge_kutta_step([f], *second, between)
    moved = [[e - s for e, s in zip(*row, strict=True)] for row in zip(end, point, strict=True)]
    steps = [step_of(A[0], b[0], ORDER - 1) for A, b in (first, second)]
    assert oracle.series_at(function_on(compose(*steps)), [f], start, ORDER) == moved


# orders and errors


@pytest.mark.parametrize("p", range(5))
def test_the_order_of_accuracy_is_that_of_the_first_wrong_tree(p):
    wrong = rooted_trees(p + 1)[-1]
    a = exact_flow(4) + BSeries({wrong: 1}, order=4)
    assert order_of_accuracy(a) == p
    assert order_of_accuracy(exact_flow(4)) == 5
    assert order_of_accuracy(exact_flow(2, colors=2)) == 3


@pytest.mark.parametrize(
    "law",
    [
        *(inverse, adjoint, modified_equation_of, modifying_integrator_of, order_of_accuracy),
        lambda a: power(a, 1),
    ],
)
def test_what_is_for_maps_refuses_fields(law):
    with pytest.raises(InvalidValue, match=r"a\(∅\) is 0; the series of a map has a\(∅\) = 1"):
        law(dot())


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), "2", None])
def test_the_step_is_scaled_by_finite_numbers_only(factor):
    with pytest.raises(InvalidValue):
        scaled(exact_flow(2), factor)


def test_only_a_map_can_be_applied_first():
    with pytest.raises(InvalidValue, match=r"b\(∅\) is 0; the series of a map has b\(∅\) = 1"):
        compose(dot(), exact_flow(ORDER))


@pytest.mark.parametrize(
    "law", [lambda b: substitute(b, exact_flow(ORDER)), flow], ids=["substitute", "flow"]
)
def test_only_a_field_can_be_substituted(law):
    with pytest.raises(InvalidValue, match=r"b\(∅\) is 1; the series of a field has b\(∅\) = 0"):
        law(exact_flow(ORDER))


@pytest.mark.parametrize("law", [compose, substitute, derivative])
def test_series_with_different_numbers_of_fields_do_not_combine(law):
    with pytest.raises(InvalidValue, match="the series have 1 and 2 fields"):
        law(identity(2), exact_flow(2, colors=2))


def test_several_fields_cannot_be_substituted():
    with pytest.raises(InvalidValue, match="the series have 2 fields; one field can be"):
        substitute(BSeries({}, order=2, colors=2), exact_flow(2, colors=2))


def test_a_method_that_does_not_move_has_no_modifying_integrator():
    with pytest.raises(InvalidMethod, match=r"^the series has coefficient 0 at •, .* move$"):
        modifying_integrator_of(identity(3))


@pytest.mark.parametrize("k", [-1, 0.5, True, "2"])
def test_a_power_is_a_natural_number(k):
    with pytest.raises(InvalidOrder, match="must be an integer >= 0"):
        power(exact_flow(2), k)
