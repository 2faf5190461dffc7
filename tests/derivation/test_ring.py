"""The ring: derivatives, canonical forms, and functions whose derivatives never end."""

from fractions import Fraction

import oracle
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Loss
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidLoss, ModeqWarning, Undecided
from modeq.losses.vanishing import Vanishing, vanishing_expression
from modeq.testing import losses

x, y, a = sympy.symbols("x y a", real=True)
b = sympy.Symbol("beta")
u = x * y / 2 + sympy.Rational(1, 3)

CLOSED = [
    *(sympy.exp(u), sympy.exp(-2 * u) + sympy.exp(3 * u), sympy.sin(u) * sympy.cos(u) ** 2),
    *(sympy.tan(u), sympy.sinh(u), sympy.cosh(u), sympy.tanh(u), sympy.log(1 + u**2)),
    *(sympy.sqrt(1 + u**2), (1 + u**2) ** sympy.Rational(-3, 2), 1 / (2 + u**4)),
    *(sympy.atan(u), sympy.asinh(u), sympy.erf(u), sympy.asin(u / 9), sympy.acos(u / 9)),
    *((2 + u**2) ** sympy.Rational(1, 3), (1 + u**2) ** a, sympy.log(1 + sympy.exp(u))),
    *(sympy.exp(sympy.sin(u)), sympy.tanh(sympy.sqrt(1 + u**2)), sympy.pi * u, sympy.exp(1) * u),
    *(a * sympy.exp(a * u), sympy.exp(sympy.exp(u / 4)), sympy.LambertW(3 + u), (2 + u**2) ** u),
]


def ring_of(*expressions, depth=3):
    return DifferentialRing((x, y), (a,), expressions, depth)


@pytest.mark.parametrize("expression", CLOSED, ids=str)
def test_derivatives_are_those_of_sympy(expression):
    ring = ring_of(expression)
    element = ring.convert(expression)
    second = ring.derivative(ring.derivative(element, 0), 1)
    left = [ring.to_sympy(e) for e in (element, ring.derivative(element, 1), second)]
    assert oracle.same(left, [expression, expression.diff(y), expression.diff(x, y)])


@pytest.mark.parametrize("expression", CLOSED, ids=str)
def test_derivations_commute_and_obey_the_rule_of_products(expression):
    ring = ring_of(expression)
    e, p = ring.convert(expression), ring.convert(x**2 * y)
    assert ring.vanishes(
        ring.derivative(ring.derivative(e, 0), 1) - ring.derivative(ring.derivative(e, 1), 0)
    )
    product = ring.derivative(e * p, 0) - e * ring.derivative(p, 0) - p * ring.derivative(e, 0)
    assert ring.reduce(product) == 0


@given(losses())
def test_an_element_is_the_expression_that_it_was_made_from(loss):
    ring = DifferentialRing(loss.variables, (), [loss.expression], depth=1)
    element = ring.convert(loss.expression)
    assert oracle.same([ring.to_sympy(element)], [loss.expression])
    assert ring.convert(ring.to_sympy(element)) == element
    assert ring.from_terms(ring.terms(element)) == element


SAME = [
    (sympy.sin(x) ** 2 + sympy.cos(x) ** 2, sympy.S.One),
    (sympy.cosh(x) ** 2 - sympy.sinh(x) ** 2, sympy.S.One),
    ((x + y) ** 3, sympy.expand((x + y) ** 3)),
    (sympy.exp(x) * sympy.exp(-x, evaluate=False), sympy.S.One),
    (sympy.sqrt(1 + x**2) ** 2, 1 + x**2),
    (sympy.sqrt(1 + x**2) / (1 + x**2), 1 / sympy.sqrt(1 + x**2)),
    ((1 + x**2) * (1 / (1 + x**2)), sympy.S.One),
    (x**2 / (1 + x**2), 1 - 1 / (1 + x**2)),
    (sympy.sin(x) ** 4, 1 - 2 * sympy.cos(x) ** 2 + sympy.cos(x) ** 4),
    (sympy.sqrt(2) * sympy.sqrt(2), sympy.S(2)),
    (1 / (x * y), sympy.Mul(1 / x, 1 / y)),
]


@pytest.mark.parametrize(("left", "right"), SAME, ids=str)
def test_two_ways_to_write_an_element_are_equal(left, right):
    held = sympy.Add(left, right, evaluate=False)
    ring = ring_of(held, left, right)
    assert ring.reduce(ring.convert(left)) == ring.reduce(ring.convert(right))
    assert ring.vanishes(ring.convert(left) - ring.convert(right))


@pytest.mark.parametrize("expression", CLOSED, ids=str)
def test_an_element_that_is_not_zero_does_not_vanish(expression):
    ring = ring_of(expression)
    element = ring.convert(expression)
    assert not ring.vanishes(element)
    assert not ring.vanishes(element * element + ring.constant(Fraction(1, 10**6)))


def test_what_vanishes_without_a_relation_is_found_by_value():
    tangent = sympy.tan(x) - sympy.sin(x) / sympy.cos(x)
    ring = ring_of(tangent)
    assert ring.vanishes(ring.convert(tangent))


phi = sympy.Function("phi")
OPEN = [sympy.gamma(3 + x), sympy.besselj(1, x), phi(x), sympy.zeta(3 + x)]


@pytest.mark.parametrize("function", OPEN, ids=str)
def test_an_open_function_warns_once_and_has_the_right_derivatives(function):
    with pytest.warns(ModeqWarning) as warned:
        ring = ring_of(function * y, depth=2)
    assert len([w for w in warned if w.category is ModeqWarning]) == 1
    element = ring.convert(function * y)
    second = ring.derivative(ring.derivative(element, 0), 0)
    assert sympy.simplify(ring.to_sympy(second) - y * function.diff(x, 2)) == 0


@pytest.mark.parametrize("function", OPEN[:2], ids=str)
def test_an_open_function_gives_the_right_counter_terms(function):
    with pytest.warns(ModeqWarning):
        equation = modeq.derive(Loss(function), 2)
    expected = oracle.counter_terms([-function.diff(x)], [x], 2)
    assert all(
        oracle.same(term, right)
        for term, right in zip(equation.counter_terms, expected[1:], strict=True)
    )


def test_an_undefined_function_gives_general_formulas():
    with pytest.warns(ModeqWarning):
        equation = modeq.derive(Loss(phi(x)), 2)
    d = [phi(x).diff(x, k) for k in range(5)]
    first, second = (term[0] for term in equation.counter_terms)
    assert sympy.expand(first + d[1] * d[2] / 2) == 0
    assert sympy.expand(second + d[1] * d[2] ** 2 / 3 + d[1] ** 2 * d[3] / 12) == 0


@settings(max_examples=15)
@given(st.fractions(-9, 9), st.fractions(-9, 9))
def test_constants_are_exact(p, q):
    ring = ring_of(x)
    assert ring.constant(p) + ring.constant(q) == ring.constant(p + q)
    assert ring.terms(ring.constant(p) * ring.constant(q)) == (
        [((0,) * len(ring.generators), p * q)] if p * q else []
    )


def test_the_first_terms_of_a_long_element_can_be_had_alone():
    ring = ring_of(x)
    element = ring.convert((1 + x + y) ** 9)
    assert len(ring.sympy_terms(element, 3)) == 3
    assert sympy.expand((1 + x + y) ** 9) == ring.to_sympy(element)


def test_parameters_are_constants():
    ring = ring_of(sympy.exp(a * x))
    assert ring.derivative(ring.convert(a**2), 0) == 0
    assert ring.to_sympy(ring.derivative(ring.convert(sympy.exp(a * x)), 0)) == a * sympy.exp(a * x)


@pytest.mark.parametrize(
    ("expression", "collected"),
    [
        (x * (1 + b) / (1 - b) ** 3, "x*(beta + 1)/(1 - beta)**3"),
        (-x * (1 + b) / 2 / (1 - b) ** 3, "-x*(beta + 1)/(2*(1 - beta)**3)"),
        (-x - x * b, "-x*(beta + 1)"),
        (b * x / (1 - b) + x * y, "beta*x/(1 - beta) + x*y"),
        ((1 + 4 * b + b**2) * y / (3 * (1 - b) ** 5), "y*(beta**2 + 4*beta + 1)/(3*(1 - beta)**5)"),
    ],
)
def test_rational_functions_of_parameters_are_collected_in_lowest_terms(expression, collected):
    ring = DifferentialRing((x, y), (b,), [1 / (1 - b)], depth=1)
    element = ring.reduce(ring.convert(sympy.expand(expression, deep=False)))
    assert str(ring.to_sympy(element)) == collected


@pytest.mark.parametrize(("p", "q"), [(x, y), sympy.symbols("x y")], ids=["real", "plain"])
def test_the_root_of_a_square_is_a_sign_times_its_root(p, q):
    u = p**2 - q
    root = sympy.sqrt(u**2)
    ring = DifferentialRing((p, q), (), [root, 1 / (root + 1)], depth=2)
    size = ring.convert(root)
    assert ring.reduce(size**2 - ring.convert(u**2)) == 0
    assert ring.vanishes(size * ring.derivative(size, 0) - ring.convert(u * 2 * p))
    inverse = ring.derivative(ring.convert(1 / (root + 1)), 1)
    assert ring.vanishes(inverse * size - ring.convert(u) * ring.convert(1 / (root + 1)) ** 2)


def test_functions_that_close_at_the_last_derivative_are_not_called_open():
    x = sympy.Symbol("x")
    ring = DifferentialRing((x,), (), [sympy.log(x**2 + 1)], depth=1)
    slope = ring.derivative(ring.convert(sympy.log(x**2 + 1)), 0)
    assert ring.to_sympy(ring.derivative(slope, 0)) != 0


X, Y = sympy.symbols("x y")
ZEROS = [
    sympy.log(6 * X) - sympy.log(2 * X) - sympy.log(3),
    sympy.exp(2 * X) - sympy.exp(X) ** 2,
    sympy.tan(X) - sympy.sin(X) / sympy.cos(X),
    sympy.gamma(X + 2) - (X + 1) * X * sympy.gamma(X),
    sympy.asinh(X) - sympy.log(X + sympy.sqrt(X**2 + 1)),
    sympy.sqrt(3 + 2 * sympy.sqrt(2)) - 1 - sympy.sqrt(2) + 0 * X,
    sympy.besselj(0, X) + sympy.besselj(2, X) - 2 * sympy.besselj(1, X) / X,
]


@pytest.mark.parametrize("zero", ZEROS)
def test_what_is_zero_is_zero_and_what_is_added_to_it_is_seen(zero):
    assert vanishing_expression(zero) is not Vanishing.REFUTED
    for change in (sympy.Rational(1, 10**40), X / 10**30, (X - 1) ** 3, X * sympy.exp(X)):
        assert vanishing_expression(zero + change) is Vanishing.REFUTED


def test_what_is_zero_on_one_side_only_is_not_zero():
    assert vanishing_expression(sympy.sqrt(X**2) - X) is Vanishing.REFUTED
    positive = sympy.Symbol("p", positive=True)
    assert vanishing_expression(sympy.log(positive**2) - 2 * sympy.log(positive)) is not (
        Vanishing.REFUTED
    )


def test_what_is_zero_near_the_origin_only_is_not_zero():
    far = sympy.sqrt(X**2 - 2000 * X + 1000**2) + X - 1000
    assert vanishing_expression(far) is Vanishing.REFUTED


def test_what_is_zero_inside_a_function_is_seen():
    one = sympy.sin(X) ** 2 + sympy.cos(X) ** 2
    assert vanishing_expression(sympy.log(one)) is Vanishing.CHECKED
    assert vanishing_expression(sympy.log(one + sympy.Rational(1, 10**50))) is Vanishing.REFUTED


def test_unknown_functions_have_any_values():
    unknown = sympy.Function("unknown")
    assert vanishing_expression(unknown(X) - X) is Vanishing.REFUTED
    same = sympy.exp(2 * unknown(X)) - sympy.exp(unknown(X)) ** 2
    assert vanishing_expression(same) is not Vanishing.REFUTED


def test_what_vanishes_with_one_sign_of_a_part_only_is_not_decided():
    u = X - 10**40
    ring = DifferentialRing((X,), (), [sympy.Abs(u), 1 / u], depth=1)
    one_sided = ring.convert(sympy.Abs(u)) + ring.convert(u)
    with pytest.raises(Undecided, match="not decided"):
        ring.vanishing(one_sided)
    assert ring.vanishing(one_sided * (one_sided - 2 * ring.convert(u))) is Vanishing.PROVED


def test_where_nothing_has_a_value_nothing_is_decided():
    nowhere = 1 / (sympy.sin(X) ** 2 + sympy.cos(X) ** 2 - 1)
    with pytest.raises(Undecided, match="no value at any of 80 random points"):
        vanishing_expression(nowhere - X)


@pytest.mark.parametrize(
    "text",
    [
        "1/((x + 1)*(x - 1) - x**2 + 1)",
        "y/(sin(x)**2 + cos(x)**2 - 1)",
        "log((x + 1)*(x - 1) - x**2 + 1) + y",
        "y*sqrt(exp(x + 1)*exp(-x) - exp(1) + x - x*cos(x)**2 - x*sin(x)**2)",
        "1/(log(3*x**2) - log(3) - 2*log(x))",
        "x**2 + (tanh(y)*cosh(y) - sinh(y))**(-2)",
    ],
)
def test_divisors_that_are_zero_everywhere_are_refused(text):
    with pytest.raises(InvalidLoss, match="is zero everywhere"):
        modeq.Loss(text)
