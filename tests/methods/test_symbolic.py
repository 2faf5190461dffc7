"""Coefficients that are functions of a method's symbols."""

from fractions import Fraction
from functools import cache

import gmpy2
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from modeq import (
    AdditiveRungeKutta,
    AverageVectorField,
    BSeries,
    HeavyBall,
    LinearMultistep,
    Nesterov,
    RungeKutta,
    Splitting,
    method_series,
    modified_equation,
    modifying_integrator,
)
from modeq.algebra.notation import differential
from modeq.algebra.surds import square_root
from modeq.methods.symbolic import _degree, _newton_to_monomial, interpolated, number_field
from modeq.methods.universal import _over_number_field, _rational

beta, s, t = sympy.symbols("beta s t")

THETA = RungeKutta([[t]], [1], "theta method")
SECOND_ORDER = RungeKutta([[0, 0], [s, 0]], [1 - 1 / (2 * s), 1 / (2 * s)])
POLYNOMIAL = [
    HeavyBall(beta),
    Nesterov(beta),
    Nesterov(beta, sequence="parameters"),
    HeavyBall(beta**2 / 3),
    THETA,
    RungeKutta([[0, 0], [t, 0]], [1 - t, t]),
]


def name_of(method):
    return str(method)


def is_same(left, right):
    """Tell whether two series are equal as functions of their symbols."""
    if left.empty != right.empty or len(left) != len(right):
        return False
    return all(sympy.cancel(left[tree] - right[tree]) == 0 for tree in left)


def with_values(series, values):
    """Return a series with symbols replaced by rational values."""
    numbers = {tree: sympy.Rational(sympy.sympify(b).subs(values)) for tree, b in series.items()}
    fractions = {tree: Fraction(int(q.p), int(q.q)) for tree, q in numbers.items()}
    return BSeries(fractions, order=series.order, empty=series.empty, colors=series.colors)


@pytest.mark.parametrize("is_field", [True, False])
@pytest.mark.parametrize("method", POLYNOMIAL, ids=name_of)
def test_interpolation_gives_what_the_field_of_rational_functions_gives(method, is_field):
    [symbol] = method.symbols
    order = 3 if method == HeavyBall(beta) else 2

    def compute(numeric):
        return _rational(numeric, order=order, is_field=is_field, limit=None)

    found = interpolated(method, symbol, compute, order)
    assert is_same(found, _over_number_field(method, order, is_field))


# theory.md, 2; the values are b/σ
@pytest.mark.parametrize(
    ("formula", "value"),
    {
        "f": 1 / (1 - beta),
        "f'f": -(1 + beta) / (2 * (1 - beta) ** 3),
        "f''(f,f)": (1 + 10 * beta + beta**2) / (12 * (1 - beta) ** 5),
        "f'f'f": (1 + 4 * beta + beta**2) / (3 * (1 - beta) ** 5),
        "f'''(f,f,f)": -beta * (1 + beta) / (2 * (1 - beta) ** 7),
        "f'f'f'f": -(1 + beta) * (1 + 8 * beta + beta**2) / (4 * (1 - beta) ** 7),
    }.items(),
)
def test_the_field_of_the_heavy_ball_is_the_one_in_theory_md(formula, value):
    b = modified_equation(HeavyBall(beta), 3)
    [tree] = [tree for tree in b if differential(tree) == formula]
    assert sympy.cancel(b[tree] / tree.symmetry - value) == 0


def test_coefficients_are_in_lowest_terms():
    b = modified_equation(HeavyBall(beta), 3)
    for value in b.values():
        numerator, denominator = sympy.fraction(sympy.together(value))
        common = sympy.gcd(sympy.expand(numerator), sympy.expand(denominator))
        assert not common.has(beta)


@settings(max_examples=3)
@given(st.fractions(-3, 3, max_denominator=5).filter(lambda q: q not in (0, 1)))
def test_values_for_the_symbols_can_be_put_in_before_or_after(value):
    for method in (*POLYNOMIAL, SECOND_ORDER, modified_strang()):
        [symbol] = method.symbols
        number = sympy.Rational(value.numerator, value.denominator)
        if symbol == beta and (number**2 / 3 == 1 or number == 1):
            continue
        for compute in (modified_equation, method_series):
            before = compute(method.subs({symbol: value}), 2)
            assert with_values(with_symbols(compute, method), {symbol: number}) == before


@cache
def with_symbols(compute, method):
    return compute(method, 2)


def modified_strang():
    return Splitting([(0, t), (1, 1), (0, 1 - t)])


def test_the_coefficients_of_a_splitting_with_symbols_are_exact():
    for series in (modified_equation(modified_strang(), 3), method_series(modified_strang(), 3)):
        assert not any(sympy.sympify(value).has(sympy.Float) for value in series.values())


def test_two_symbols_are_computed_in_their_field():
    # x f(θ + s h f) + … of order one for all s and t
    method = RungeKutta([[0, 0], [s, 0]], [1 - t, t])
    b = modified_equation(method, 3)
    for values in ({s: 2, t: 3}, {s: sympy.Rational(1, 2), t: -1}):
        assert with_values(b, values) == modified_equation(method.subs(values), 3)
    general = LinearMultistep([beta, -1 - beta, 1], [1], [[-s, 1 + s, 0]])
    b = modified_equation(general, 2)
    values = {beta: sympy.Rational(1, 2), s: sympy.Rational(1, 3)}
    assert with_values(b, values) == modified_equation(general.subs(values), 2)
    assert is_same(
        BSeries({x: v.subs(s, 0) for x, v in b.items()}, order=2),
        modified_equation(HeavyBall(beta), 2),
    )


def test_all_second_order_methods_of_two_stages_have_the_field_of_heun_and_the_midpoint_in_them():
    b = modified_equation(SECOND_ORDER, 4)
    for value, name in ((1, "heun"), (Fraction(2, 3), "ralston"), (Fraction(1, 2), None)):
        number = sympy.Rational(str(value))
        assert with_values(b, {s: number}) == modified_equation(name or "explicit-midpoint", 4)
    # a second-order method misses f'f'f by -1/6 and f''(f,f) by s/4 - 1/6
    [tall, bushy] = [tree for tree in b if tree.order == 3]
    assert b[tall] == -sympy.Rational(1, 6)
    assert sympy.expand(b[bushy] / 2 - (s / 4 - sympy.Rational(1, 6))) == 0


def test_symbols_in_several_colors_are_computed_too():
    method = AdditiveRungeKutta([[[t]], [[0]]], [[1], [1]])
    b = modified_equation(method, 2)
    assert with_values(b, {t: 1}) == modified_equation("symplectic-euler", 2)
    assert with_values(b, {t: 0}) == modified_equation("simultaneous", 2)


def test_the_modifying_integrator_with_symbols_has_them_in_lowest_terms():
    b = modifying_integrator(HeavyBall(beta), 2)
    leaf, tall, *_ = b
    assert sympy.expand(b[leaf] - (1 - beta)) == 0
    assert sympy.expand(b[tall] - (1 + beta) / 2) == 0
    assert with_values(b, {beta: 0}) == modifying_integrator("euler", 2)
    theta = modifying_integrator(THETA, 3)
    assert with_values(theta, {t: sympy.Rational(1, 2)}) == modifying_integrator(
        "implicit-midpoint", 3
    )


def test_numbers_that_a_method_does_not_allow_are_left_out_of_the_interpolation():
    # With beta - 1 in place of beta, 2 is not allowed, and it is the first number that is tried.
    b = modified_equation(HeavyBall(beta - 1), 2)
    shifted = {
        tree: v.subs(beta, beta - 1) for tree, v in modified_equation(HeavyBall(beta), 2).items()
    }
    assert is_same(b, BSeries(shifted, order=2))


@pytest.mark.parametrize(
    ("entries", "degree"),
    [
        ([Fraction(1, 2), t, 3], 1),
        ([t**3 - t, t], 3),
        ([Fraction(1)], 0),
        ([1 / t], None),
        ([sympy.sqrt(2) * t], None),
        ([square_root(2), t], None),
        ([sympy.sin(t)], None),
        ([s * t], None),
    ],
)
def test_only_rational_polynomials_in_the_symbol_are_interpolated(entries, degree):
    assert _degree(entries, t) == degree


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.integers(-5, 5))
def test_a_polynomial_is_found_from_its_values(coefficients, first):
    nodes = [first + 2 * i for i in range(len(coefficients))]
    values = [
        [gmpy2.mpq(factor * sum(c * x**k for k, c in enumerate(coefficients))) for factor in (1, 3)]
        for x in nodes
    ]
    found = _newton_to_monomial(nodes, np.array(values, object))
    assert found[:, 0].tolist() == coefficients
    assert found[:, 1].tolist() == [3 * c for c in coefficients]


def test_a_number_field_takes_exact_numbers_back_and_forth():
    number, back = number_field([square_root(2), t])
    assert back(number(square_root(2)) ** 2) == 2
    total = back(number(Fraction(1, 3)) + number(t))
    assert sympy.expand(total - t - sympy.Rational(1, 3)) == 0
    assert number(number(t)) == number(t)


def test_roots_and_symbols_go_together():
    # Gauss's method with two stages, its nodes moved apart by a factor
    root = t * square_root(3)._sympy_() / 6
    c = [sympy.Rational(1, 2) - root, sympy.Rational(1, 2) + root]
    method = RungeKutta([[0, c[0]], [c[1], 0]], [Fraction(1, 2), Fraction(1, 2)])
    b = modified_equation(method, 2)
    assert all(sympy.sympify(value).free_symbols <= {t} for value in b.values())
    numeric = modified_equation(method.subs({t: 1}), 2)
    for tree in b:
        assert sympy.simplify(sympy.sympify(b[tree]).subs(t, 1) - numeric[tree]) == 0


def test_the_average_vector_field_has_no_symbols():
    assert modified_equation(AverageVectorField(), 3).is_rational
