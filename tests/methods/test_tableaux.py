"""Tableaus: printed values, order conditions, and what composing and reversing do."""

from fractions import Fraction
from math import prod

import oracle
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modeq import AverageVectorField, GradientDescent, RungeKutta, composed, repeated
from modeq.algebra.entries import vanishes
from modeq.errors import InvalidMethod
from modeq.methods.collocation import collocation, partner
from modeq.methods.named import as_method
from modeq.methods.tableaux import adjoint
from modeq.testing import tableaux

F = Fraction
ALPHA = sympy.Symbol("alpha")
SQRT3, SQRT6, SQRT15 = map(sympy.sqrt, (3, 6, 15))
R = sympy.Rational

PRINTED = {
    # Hairer, Wanner, Solving Ordinary Differential Equations II, IV.5, tables 5.1 to 5.12
    "gauss-2": (
        [[R(1, 4), R(1, 4) - SQRT3 / 6], [R(1, 4) + SQRT3 / 6, R(1, 4)]],
        [R(1, 2), R(1, 2)],
    ),
    "gauss-3": (
        [
            [R(5, 36), R(2, 9) - SQRT15 / 15, R(5, 36) - SQRT15 / 30],
            [R(5, 36) + SQRT15 / 24, R(2, 9), R(5, 36) - SQRT15 / 24],
            [R(5, 36) + SQRT15 / 30, R(2, 9) + SQRT15 / 15, R(5, 36)],
        ],
        [R(5, 18), R(4, 9), R(5, 18)],
    ),
    "radau-ia-2": ([[F(1, 4), F(-1, 4)], [F(1, 4), F(5, 12)]], [F(1, 4), F(3, 4)]),
    "radau-ia-3": (
        [
            [R(1, 9), (-1 - SQRT6) / 18, (-1 + SQRT6) / 18],
            [R(1, 9), (88 + 7 * SQRT6) / 360, (88 - 43 * SQRT6) / 360],
            [R(1, 9), (88 + 43 * SQRT6) / 360, (88 - 7 * SQRT6) / 360],
        ],
        [R(1, 9), (16 + SQRT6) / 36, (16 - SQRT6) / 36],
    ),
    "radau-iia-2": ([[F(5, 12), F(-1, 12)], [F(3, 4), F(1, 4)]], [F(3, 4), F(1, 4)]),
    "radau-iia-3": (
        [
            [(88 - 7 * SQRT6) / 360, (296 - 169 * SQRT6) / 1800, (-2 + 3 * SQRT6) / 225],
            [(296 + 169 * SQRT6) / 1800, (88 + 7 * SQRT6) / 360, (-2 - 3 * SQRT6) / 225],
            [(16 - SQRT6) / 36, (16 + SQRT6) / 36, R(1, 9)],
        ],
        [(16 - SQRT6) / 36, (16 + SQRT6) / 36, R(1, 9)],
    ),
    "lobatto-iiia-2": ([[0, 0], [F(1, 2), F(1, 2)]], [F(1, 2), F(1, 2)]),
    "lobatto-iiia-3": (
        [[0, 0, 0], [F(5, 24), F(1, 3), F(-1, 24)], [F(1, 6), F(2, 3), F(1, 6)]],
        [F(1, 6), F(2, 3), F(1, 6)],
    ),
    "lobatto-iiib-2": ([[F(1, 2), 0], [F(1, 2), 0]], [F(1, 2), F(1, 2)]),
    "lobatto-iiib-3": (
        [[F(1, 6), F(-1, 6), 0], [F(1, 6), F(1, 3), 0], [F(1, 6), F(5, 6), 0]],
        [F(1, 6), F(2, 3), F(1, 6)],
    ),
}

TWO_STAGES = ["lobatto-iiia-2", "lobatto-iiib-2", "lobatto-iiic-2"]
THREE_STAGES = ["lobatto-iiia-3", "lobatto-iiib-3", "lobatto-iiic-3"]
ORDERS = {
    1: ["euler", "implicit-euler", "proximal-point", "extragradient"],
    2: ["explicit-midpoint", "implicit-midpoint", "trapezoid", "heun", "ralston", *TWO_STAGES],
    3: ["kutta-3", "ssprk-33", "radau-ia-2", "radau-iia-2"],
    4: ["rk4", "kutta-three-eighths", "gauss-2", *THREE_STAGES],
    5: ["radau-ia-3", "radau-iia-3"],
    6: ["gauss-3"],
}
ORDER_OF = {name: order for order, names in ORDERS.items() for name in names}


def weight(tree, method):
    """Return b·Φ(τ), trees as nested tuples: the elementary weight, from the definition."""

    def stages(node):
        values = [F(1)] * len(method.b)
        for child in node:
            inner = stages(child)
            sums = [sum(a * v for a, v in zip(row, inner, strict=True)) for row in method.A]
            values = [x * y for x, y in zip(values, sums, strict=True)]
        return values

    return sum(b * v for b, v in zip(method.b, stages(tree), strict=True))


def density(tree):
    return oracle.size(tree) * prod(map(density, tree))


def tall(n):
    return () if n == 1 else (tall(n - 1),)


def bushy(n):
    return ((),) * (n - 1)


@pytest.mark.parametrize("name", PRINTED)
def test_a_method_made_from_nodes_has_its_printed_tableau(name):
    assert as_method(name) == RungeKutta(*PRINTED[name])


@pytest.mark.parametrize("name", ORDER_OF)
def test_a_named_method_satisfies_the_order_conditions_of_its_order_and_no_more(name):
    method, order = as_method(name), ORDER_OF[name]
    trees = [tree for n in range(1, order + 1) for tree in oracle.trees(n)]
    assert all(weight(tree, method) == F(1, density(tree)) for tree in trees)
    assert any(weight(tree, method) != F(1, density(tree)) for tree in oracle.trees(order + 1))


@pytest.mark.parametrize("name", ["gauss-2", "gauss-3", "implicit-midpoint", "lobatto-iiia-3"])
def test_a_symmetric_method_is_its_own_adjoint(name):
    assert adjoint(as_method(name)) == as_method(name)


def test_the_adjoint_of_explicit_euler_is_implicit_euler():
    assert adjoint(as_method("euler")) == as_method("implicit-euler")


@given(tableaux())
def test_the_adjoint_of_the_adjoint_is_the_method(method):
    assert adjoint(adjoint(method)) == method


@given(tableaux())
def test_one_method_composed_is_itself(method):
    assert composed(method) == repeated(method, 1) == method


@given(tableaux(max_stages=2, explicit=True), tableaux(max_stages=2, explicit=True))
def test_a_composition_runs_one_method_after_the_other(first, second):
    def f(y):
        return y * y - F(1, 3)

    y, h = F(1, 2), F(1, 5)
    middle = first.rule(y, f, h * F(1, 3))
    together = composed(first, second, fractions=[F(1, 3), F(2, 3)])
    assert together.rule(y, f, h) == second.rule(middle, f, h * F(2, 3))


@given(tableaux(max_stages=2), tableaux(max_stages=2), tableaux(max_stages=2))
def test_composing_is_associative(a, b, c):
    left = composed(composed(a, b), c, fractions=[F(2, 3), F(1, 3)])
    right = composed(a, composed(b, c), fractions=[F(1, 3), F(2, 3)])
    assert left == right == composed(a, b, c)


def test_both_eulers_composed_are_the_trapezoid_and_the_midpoint_rule():
    explicit, implicit = map(as_method, ("euler", "implicit-euler"))
    f, y, h = (lambda y: -y * y), 1.0, 0.25
    trapezoid, midpoint = (
        as_method(n).rule_over(float) for n in ("trapezoid", "implicit-midpoint")
    )
    assert composed(explicit, implicit).rule_over(float)(y, f, h) == pytest.approx(
        trapezoid(y, f, h), rel=1e-13
    )
    assert composed(implicit, explicit).rule_over(float)(y, f, h) == pytest.approx(
        midpoint(y, f, h), rel=1e-13
    )


def test_a_composition_says_what_it_is_made_of():
    euler = as_method("euler")
    assert str(composed(euler, as_method("rk4"))) == "euler, then rk4"
    assert str(repeated(euler, 3)) == "euler, 3 times"
    assert str(adjoint(euler)) == "adjoint of euler"


@pytest.mark.parametrize("times", [0, -1, 1.5, True, "2"])
def test_a_method_is_repeated_a_whole_number_of_times(times):
    with pytest.raises(InvalidMethod, match="times is"):
        repeated(GradientDescent(), times)


@pytest.mark.parametrize("methods", [(), (lambda y, f, h: y,), (GradientDescent(), "euler")])
def test_only_tableaus_are_composed(methods):
    with pytest.raises(InvalidMethod, match="cannot compose"):
        composed(*methods)


@pytest.mark.parametrize("fractions", [[1], [F(1, 2), F(1, 3)], [F(1, 3)] * 3])
def test_the_fractions_of_a_composition_sum_to_one(fractions):
    with pytest.raises(InvalidMethod, match="sum to 1"):
        composed(GradientDescent(), GradientDescent(), fractions=fractions)


def two_stages(alpha):
    """Return the family of all explicit two-stage methods of order 2."""
    return RungeKutta([[0, 0], [alpha, 0]], [1 - 1 / (2 * alpha), 1 / (2 * alpha)], "two stages")


def test_symbols_stay_in_a_tableau_until_they_get_values():
    method = two_stages(ALPHA)
    assert method.symbols == {ALPHA}
    assert weight(tall(2), method) == R(1, 2)
    assert method.subs({ALPHA: R(2, 3)}) == as_method("ralston")
    assert method.subs({ALPHA: 1}) == as_method("heun")
    assert as_method("ralston").symbols == frozenset()


@given(st.fractions(F(1, 4), 4, max_denominator=9))
def test_values_may_be_given_before_or_after(alpha):
    assert two_stages(ALPHA).subs({ALPHA: alpha}) == two_stages(alpha)


def test_symbolic_weights_may_sum_to_one_without_looking_like_it():
    b = [(ALPHA + 1) ** 2, -(ALPHA**2), -2 * ALPHA]
    assert RungeKutta([[0] * 3] * 3, b).symbols == {ALPHA}


@pytest.mark.parametrize("b", [[ALPHA, ALPHA], [ALPHA, 0], [sympy.sqrt(2), sympy.sqrt(2)]])
def test_weights_that_do_not_sum_to_one_for_all_values_are_refused(b):
    with pytest.raises(InvalidMethod, match="sum to"):
        RungeKutta([[0, 0], [1, 0]], b)


@pytest.mark.parametrize("entry", [sympy.I, sympy.oo, sympy.nan, sympy.zoo, 1j, sympy.true])
def test_an_entry_that_is_no_real_number_is_named(entry):
    with pytest.raises(InvalidMethod, match=r"A\[0\]\[0\] is"):
        RungeKutta([[entry]], [1])


def test_floats_in_expressions_are_read_as_decimals():
    method = RungeKutta([[sympy.Float(0.1) + 0.2 * ALPHA]], [1])
    assert method.A[0][0] == R(1, 10) + ALPHA / 5


def test_a_value_that_makes_no_sense_is_refused():
    with pytest.raises(InvalidMethod, match=r"b\[0\]"):
        two_stages(ALPHA).subs({ALPHA: 0})


def test_an_irrational_number_that_is_no_root_stays_an_expression():
    method = RungeKutta([[sympy.pi]], [1])
    assert method.A[0][0] == sympy.pi
    assert method.symbols == frozenset()


@pytest.mark.parametrize(
    "nodes", [[0, 0], [F(1, 2), F(1, 2), 1], [ALPHA * (ALPHA + 1), ALPHA**2 + ALPHA]]
)
def test_collocation_needs_different_nodes(nodes):
    with pytest.raises(InvalidMethod, match="different"):
        collocation(nodes)


def test_a_method_with_a_weight_of_zero_has_no_symplectic_partner():
    with pytest.raises(InvalidMethod, match="has a weight b that is 0"):
        partner(as_method("explicit-midpoint"), "partner")


@pytest.mark.parametrize("order", range(7))
def test_the_tableau_of_the_average_vector_field_has_its_elementary_weights(order):
    """For c weights of s in f((1-s)θ + sθ⁺) the integral is 1/(c+1): Φ(τ) = Π 1/(children + 1)."""
    method = AverageVectorField().tableau(order)
    assert all(weight(bushy(n), method) == F(1, n) for n in range(1, order + 2))
    assert all(weight(tall(n), method) == F(1, 2 ** (n - 1)) for n in range(1, order + 2))


def test_a_step_of_the_average_vector_field_keeps_the_energy():
    rule = AverageVectorField().rule_over(float)

    class Pendulum:
        """q' = p, p' = -q³ as one complex number q + ip, H = p²/2 + q⁴/4."""

        def __call__(self, z):
            return complex(z.imag, -(z.real**3))

    def energy(z):
        return z.imag**2 / 2 + z.real**4 / 4

    z = 1 + 0.5j
    for _ in range(20):
        z = rule(z, Pendulum(), 0.2)
    assert energy(z) == pytest.approx(energy(1 + 0.5j), abs=1e-14)


def test_a_step_of_the_average_vector_field_of_a_linear_field_is_the_midpoint_rule():
    step = AverageVectorField().rule_over(float)(1.0, lambda y: -y, 0.1)
    assert step == pytest.approx(0.95 / 1.05, abs=1e-15)


@pytest.mark.parametrize("name", ["gauss-2", "gauss-3", "radau-iia-3", "lobatto-iiic-3"])
def test_implicit_stages_are_solved_for_plain_floats(name):
    step = as_method(name).rule_over(float)(1.0, lambda y: -y, 0.125)
    assert step == pytest.approx(float(sympy.exp(R(-1, 8))), abs=1e-6)


def test_sums_of_entries_know_when_they_vanish():
    assert vanishes(sympy.sin(ALPHA) ** 2 + sympy.cos(ALPHA) ** 2 - 1)
    assert not vanishes(ALPHA)


def test_a_root_of_a_large_integer_stays_an_expression():
    root = sympy.sqrt(10**30 + 57)
    assert RungeKutta([[root]], [1]).A[0][0] == root


@pytest.mark.parametrize(
    "entry", [-sympy.sqrt(2), 1 - sympy.sqrt(2), sympy.sqrt(2) - sympy.sqrt(3)]
)
def test_a_negative_root_is_the_negative_of_the_root(entry):
    assert float(RungeKutta([[entry]], [1]).A[0][0]) == pytest.approx(float(entry))
