"""Methods with a tableau for each part of a field, against substitution into the stages."""

from fractions import Fraction

import numpy as np
import oracle
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import (
    AdditiveRungeKutta,
    AlternatingUpdates,
    ImexArs222,
    ImexEuler,
    ImexMidpoint,
    SimultaneousUpdates,
    SplitField,
    StoermerVerlet,
    SymplecticEuler,
    VectorField,
)
from modeq.errors import InvalidMethod
from modeq.methods.named import NAMED_FOR_PARTS, as_method
from modeq.testing import tableaux

x, y, alpha, lam = sympy.symbols("x y alpha lam")
HALF = Fraction(1, 2)
ADDITIVE = [name for name, make in NAMED_FOR_PARTS.items() if hasattr(make(), "A")]
RATIONAL = [n for n in ADDITIVE if all(isinstance(e, Fraction) for e in as_method(n).entries)]
PARTS = ([x * y + y**2, x - y], [x**2, 1 - x * y])
FIELD = SplitField(VectorField(part, [x, y]) for part in PARTS)
PENDULUM = VectorField(["-sin(q)", "p"], variables="p q")
COUPLED = VectorField([x**2 - x * y, y + x * y**2], [x, y]).split("x", "y")


def steps(method, field, start, h):
    return modeq.iterate(field, start, h=h, steps=1, method=method)[1]


@pytest.mark.parametrize("name", RATIONAL)
def test_counter_terms_are_those_of_the_stages_substituted(name):
    method = as_method(name)
    expected = oracle.counter_terms_of(
        oracle.additive_step(PARTS, (x, y), method.A, method.b, 3), (x, y), 2
    )
    derived = modeq.derive(FIELD, 2, method).counter_terms
    assert all(map(oracle.same, derived, expected[1:]))


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("field", [COUPLED, PENDULUM.split("p", "q")], ids=["coupled", "pendulum"])
def test_the_flow_commutes_with_the_method_and_has_its_slopes(name, field):
    equation = modeq.derive(field, 2, name)
    assert equation.certify()
    assert equation.check([0.3, 0.4], h=0.1)


@given(st.data())
@settings(max_examples=8)
def test_random_tableaus_agree_with_the_stages_substituted(data):
    tables = data.draw(st.lists(tableaux(max_stages=2), min_size=2, max_size=2))
    size = min(len(table.b) for table in tables)
    same = [table for table in tables if len(table.b) == size]
    first, last = same[0], same[-1]
    method = AdditiveRungeKutta([first.A, last.A], [first.b, last.b])
    step = oracle.additive_step(PARTS, (x, y), method.A, method.b, 2)
    expected = oracle.counter_terms_of(step, (x, y), 1)
    assert oracle.same(modeq.derive(FIELD, 1, method).counter_terms[0], expected[1])


@pytest.mark.parametrize("name", ["euler", "implicit-midpoint", "heun", "trapezoid", "rk4"])
def test_one_tableau_for_all_parts_is_the_runge_kutta_method_itself(name):
    table = as_method(name)
    additive = AdditiveRungeKutta([table.A] * 2, [table.b] * 2)
    assert modeq.derive(FIELD, 2, additive).elements == modeq.derive(FIELD, 2, table).elements
    assert additive.is_explicit == table.is_explicit


def test_symplectic_euler_uses_the_new_first_part():
    (p, q), h = (0.3, 0.4), 0.1
    p_new = p - h * np.sin(q)
    kicked = steps("symplectic-euler", PENDULUM.split("p", "q"), [p, q], h)
    assert np.allclose(kicked, [p_new, q + h * p_new], rtol=1e-13, atol=0)


def test_symplectic_euler_of_a_field_that_is_not_separable_solves_for_the_new_first_part():
    (a, b), h = (0.3, 0.4), 0.1
    a_new, b_new = steps("symplectic-euler", COUPLED, [a, b], h)
    assert a_new == pytest.approx(a + h * (a_new**2 - a_new * b), abs=1e-13)
    assert b_new == pytest.approx(b + h * (b + a_new * b**2), abs=1e-13)


def test_the_two_symplectic_eulers_are_adjoint():
    back = VectorField([-f for f in COUPLED.components], [x, y]).split("x", "y")
    forth = steps("symplectic-euler", COUPLED, [0.3, 0.4], 0.1)
    returned = steps("adjoint-symplectic-euler", back, forth, 0.1)
    assert np.allclose(returned, [0.3, 0.4], rtol=1e-12, atol=0)


@pytest.mark.parametrize("first", [0, 1])
def test_stoermer_verlet_is_two_half_steps_of_the_symplectic_eulers(first):
    begin = steps(SymplecticEuler(implicit=first), COUPLED, [0.3, 0.4], 0.05)
    composed = steps(SymplecticEuler(implicit=1 - first), COUPLED, begin, 0.05)
    whole = steps(StoermerVerlet(first), COUPLED, [0.3, 0.4], 0.1)
    assert np.allclose(whole, composed, rtol=1e-12, atol=0)


@pytest.mark.parametrize("first", [0, 1])
def test_the_counter_terms_of_stoermer_verlet_have_even_powers_only(first):
    odd = modeq.derive(COUPLED, 5, StoermerVerlet(first)).counter_terms[::2]
    assert not any(any(term) for term in odd)


@pytest.mark.parametrize("make", [ImexMidpoint, ImexArs222])
def test_implicit_explicit_methods_of_order_two_have_no_first_counter_term(make):
    first, second = modeq.derive(FIELD, 2, make()).counter_terms
    assert oracle.vanishes(first)
    assert not oracle.vanishes(second)


def test_imex_euler_has_order_one():
    assert any(modeq.derive(FIELD, 1, ImexEuler()).counter_terms[0])


def test_ars_222_damps_the_stiff_part_completely():
    # The last stage is the step, so that in the limit of a stiff part nothing of the start is left.
    method = ImexArs222()
    assert method.A[0][-1] == method.b[0]
    stiff = SplitField([VectorField([-(10**6) * x], [x]), VectorField([1], [x])])
    assert abs(steps(method, stiff, [1.0], 0.1)[0]) < 1e-4


def test_imex_euler_is_implicit_in_the_first_part_only():
    stiff = SplitField([VectorField([-100 * x], [x]), VectorField([x**2 + 1], [x])])
    new = steps(ImexEuler(), stiff, [0.5], 0.1)
    assert new == pytest.approx([(0.5 + 0.1 * 1.25) / 11], rel=1e-12)


@pytest.mark.parametrize("players", [2, 3])
def test_simultaneous_updates_are_explicit_euler(players):
    field = VectorField(["x**2 - y*z", "x*z", "y - x"], variables="x y z")
    groups = ("x", "y z") if players == 2 else ("x", "y", "z")
    derived = modeq.derive(field.split(*groups), 3, SimultaneousUpdates(players))
    assert derived.elements == modeq.derive(field, 3, "euler").elements


def test_alternating_updates_let_each_player_see_the_moves_before():
    field = VectorField(["x**2 - y*z", "x*z", "y - x"], variables="x y z").split("x", "y", "z")
    a, b, c, h = 0.3, 0.4, 0.5, 0.1
    a += h * (a**2 - b * c)
    b += h * a * c
    c += h * (b - a)
    assert np.allclose(steps(AlternatingUpdates(3), field, [0.3, 0.4, 0.5], h), [a, b, c])
    assert AlternatingUpdates(3).is_explicit


def test_inner_steps_of_the_first_player_are_steps_of_their_own():
    a, b, h = 0.3, 0.4, 0.1
    for _ in range(4):
        a += h * (a**2 - a * b)
    b += h * (b + a * b**2)
    method = AlternatingUpdates(inner=4)
    assert np.allclose(steps(method, COUPLED.scaled(4, 1), [0.3, 0.4], h), [a, b])
    assert method.is_explicit


GAMES = [
    (x**2 * y - y**2, x * y + x),
    (y**3 + x, -(x**2) * y),
    (-y, x),
]


@pytest.mark.parametrize("game", GAMES, ids=["saddle", "cubic", "bilinear"])
@pytest.mark.parametrize(("method", "sign"), [("simultaneous", 1), ("alternating", -1)])
def test_two_players_with_rates_of_their_own_follow_the_printed_field(game, method, sign):
    # theory.md, section 6: only the sign of what the first player does to the second differs.
    f, g = game
    field = VectorField(game, [x, y]).split("x", "y").scaled(alpha, lam)
    h = modeq.derive(field, 1, method).h
    first = alpha * f - h / 2 * (alpha**2 * f.diff(x) * f + alpha * lam * f.diff(y) * g)
    second = lam * g - h / 2 * (sign * alpha * lam * g.diff(x) * f + lam**2 * g.diff(y) * g)
    assert oracle.same(modeq.derive(field, 1, method).field, [first, second])


def test_alternating_minimization_of_a_loss_has_the_same_fixed_points():
    loss = modeq.Loss("(x - 1)**2 + x*y + y**2")
    split = modeq.derive(loss.split("x", "y"), 2, "alternating")
    minimum = dict(zip(loss.variables, (sympy.Rational(4, 3), sympy.Rational(-2, 3)), strict=True))
    assert split.field.subs(minimum) == sympy.zeros(2, 1)


def test_slopes_without_weight_are_not_computed():
    calls = []

    class Field:
        parts = (lambda z: calls.append(0) or -z, lambda z: calls.append(1) or 2 * z)

    assert AlternatingUpdates().rule(Fraction(1), Field, HALF) == 1
    assert calls == [0, 1]


def test_programs_and_formulas_of_a_split_field_agree():
    equation = modeq.derive(COUPLED, 4, "stoermer-verlet")
    point = np.array([[0.3, 0.4], [0.1, -0.2]])
    expanded, program = (
        equation.lambdify(form=form)(point, 0.1) for form in ("expanded", "program")
    )
    assert np.allclose(expanded, program, rtol=1e-13, atol=0)


def test_solve_and_compare_follow_a_split_field():
    field = PENDULUM.split("p", "q")
    iterates = modeq.iterate(field, [0.3, 0.4], h=0.1, steps=5, method="symplectic-euler")
    flow = modeq.derive(field, 6, "symplectic-euler").solve([0.3, 0.4], h=0.1, steps=5)
    assert np.allclose(flow.theta, iterates, atol=1e-9)
    comparison = modeq.compare(field, [0.3, 0.4], h=0.1, steps=5, method="symplectic-euler")
    assert comparison.errors[3][-1] < comparison.errors[0][-1] / 100


def test_parameters_of_one_part_may_be_missing_from_the_other():
    field = PENDULUM.split("p", "q").scaled("g", 1)
    values = {"g": 2}
    equation = modeq.derive(field, 2, "symplectic-euler")
    assert equation.check([0.3, 0.4], h=0.1, parameters=values)
    assert equation.subs(values) == modeq.derive(field.subs(values), 2, "symplectic-euler")


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        ([[[0]]], [[1]], "at least two parts"),
        ([[[0]], [[0]]], [[1]], "one of each for every part"),
        ([[[0]], [[0, 0], [0, 0]]], [[1], [HALF, HALF]], "tableau of part 1"),
        ([[[0, 0]], [[0]]], [[1], [1]], "tableau of part 0"),
        ([[[0]], [[0]]], [[1], [HALF]], r"weights b\[1\] sum to 1/2"),
        ([[[0]], [["one"]]], [[1], [1]], r"A\[1\]\[0\]\[0\] is 'one'"),
        ("01", [[1], [1]], "A is '01'"),
        ([[[0]], [[0]]], 3, "b is 3"),
        ([[[0]], [0]], [[1], [1]], r"A\[1\]\[0\] is 0"),
        ([[[0]], [[float("nan")]]], [[1], [1]], "finite"),
    ],
)
def test_tables_that_are_no_method_are_refused(A, b, message):
    with pytest.raises(InvalidMethod, match=message):
        AdditiveRungeKutta(A, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SymplecticEuler(implicit=2),
        lambda: StoermerVerlet(first=True),
        lambda: SimultaneousUpdates(1),
        lambda: AlternatingUpdates(2, inner=0),
        lambda: AlternatingUpdates(2.0),
    ],
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(InvalidMethod, match="it must be"):
        make()


def test_values_are_given_by_symbol_or_by_name_and_no_text_is_evaluated():
    g = sympy.Symbol("g")
    method = AdditiveRungeKutta([[[g]], [[0]]], [[1], [1]])
    assert method.subs({"g": 0.5}) == AdditiveRungeKutta([[[0.5]], [[0]]], [[1], [1]])
    for values in ({"g": "print(1)"}, {"print(1)": 1}):
        with pytest.raises(InvalidMethod):
            method.subs(values)


@pytest.mark.parametrize("name", NAMED_FOR_PARTS)
def test_a_field_in_one_piece_or_in_too_many_parts_is_refused(name):
    with pytest.raises(InvalidMethod, match=r"2 parts .* in one piece; split it"):
        modeq.derive(PENDULUM, 1, name)
    field = VectorField([y, x, x], variables="x y z").split("x", "y", "z")
    with pytest.raises(InvalidMethod, match=r"2 parts .* in 3 parts"):
        modeq.iterate(field, [1.0, 1.0, 1.0], h=0.1, steps=1, method=name)


def test_a_name_of_a_partitioned_method_is_suggested():
    with pytest.raises(InvalidMethod, match="did you mean 'symplectic-euler'"):
        as_method("simplectic euler")


def test_a_table_with_a_symbol_gives_counter_terms_with_that_symbol():
    g = sympy.Symbol("g")
    method = AdditiveRungeKutta([[[g]], [[1 - g]]], [[1], [1]])
    equation = modeq.derive(COUPLED, 2, method)
    assert method.symbols == {g}
    assert equation.parameters == (g,)
    assert equation.certify()
    for value, name in ((1, "symplectic-euler"), (0, "adjoint-symplectic-euler")):
        assert method.subs({g: value}) == as_method(name)
        expected = modeq.derive(COUPLED, 2, name).field
        assert oracle.same(equation.field.subs({g: value}), expected)


def test_runge_kutta_methods_do_not_mind_parts():
    assert (
        modeq.derive(FIELD, 3, "rk4").elements
        == modeq.derive(VectorField(FIELD.components, [x, y]), 3, "rk4").elements
    )
