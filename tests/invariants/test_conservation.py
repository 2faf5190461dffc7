"""All linear and quadratic quantities that gradient flow keeps are found, with their drift."""

import itertools

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import conserved
from modeq.losses.loss import H

PRODUCTS = ["(x*y - 1)**2", "exp(x*y)", "tanh(x*y)", "x*y + x**3*y**3", "log(1 + exp(-x*y))"]
x, y = sympy.symbols("x y")


def linear_network():
    """Return the square loss of a linear network of widths 2, 2, 1, with its two matrices."""
    first = sympy.Matrix(2, 2, sympy.symbols("a1:5"))
    second = sympy.Matrix(1, 2, sympy.symbols("b1:3"))
    data = [((1, 0), 1), ((1, 2), -1), ((-1, 1), 2)]
    loss = sum(
        (second * first * sympy.Matrix(p))[0] ** 2 - 2 * t * (second * first * sympy.Matrix(p))[0]
        for p, t in data
    )
    return modeq.Loss(sympy.expand(loss), (*first, *second)), first, second


@pytest.mark.parametrize("text", PRODUCTS)
def test_of_a_function_of_a_product_the_difference_of_squares_is_kept(text):
    (quantity,) = conserved(text)
    assert sympy.expand(quantity.expression - (x**2 - y**2)) == 0
    assert quantity.drift(0) == 0


@pytest.mark.parametrize("text", PRODUCTS)
def test_gradient_descent_multiplies_it_by_one_minus_the_square_of_h_times_the_slope(text):
    (quantity,) = conserved(text)
    u = sympy.Symbol("u")
    slope = modeq.Loss(text, (x, y)).expression.subs(y, u / x).diff(u).subs(u, x * y)
    point = {x: sympy.Rational(2, 3), y: sympy.Rational(4, 5), H: sympy.Rational(1, 7)}
    assert abs((quantity.factor - (1 - H**2 * slope**2)).subs(point).n(30)) < 1e-25


@pytest.mark.parametrize("text", PRODUCTS)
def test_the_flow_of_order_one_shrinks_it_at_the_rate_of_the_theory(text):
    (quantity,) = conserved(text)
    assert quantity.rate(0) == 0
    one = (quantity.factor - 1) / H**2
    assert sympy.expand(quantity.rate(1) - H * one) == 0


def test_balancedness_of_a_linear_network_is_kept():
    loss, first, second = linear_network()
    found = [sympy.Poly(q.expression, *loss.variables) for q in conserved(loss)]
    balance = second.T * second - first * first.T
    wanted = [sympy.Poly(balance[i, j], *loss.variables) for i, j in ((0, 0), (0, 1), (1, 1))]
    monomials = sorted({m for p in (*found, *wanted) for m in p.monoms()})
    rows = [[p.coeff_monomial(m) for m in monomials] for p in found]
    assert sympy.Matrix(rows).rank() == len(found)
    assert sympy.Matrix(
        rows + [[p.coeff_monomial(m) for m in monomials] for p in wanted]
    ).rank() == len(found)


def test_nothing_else_of_a_linear_network_is_kept():
    assert len(conserved(linear_network()[0])) == 3


def test_the_change_under_gradient_descent_is_what_a_step_does():
    loss, *_ = linear_network()
    start = np.linspace(-1, 1.5, 6)
    after = modeq.iterate(loss, start, h=0.01, steps=1)[1]
    for quantity in conserved(loss):
        value = sympy.lambdify(loss.variables, quantity.expression)
        change = sympy.lambdify((*loss.variables, H), quantity.gradient_descent)(*start, 0.01)
        assert value(*after) - value(*start) == pytest.approx(change, abs=1e-13)


def test_the_drift_is_the_derivative_along_the_field():
    loss = modeq.Loss("(x*y - 1)**2 + x**2*y**2")
    (quantity,) = conserved(loss)
    field = modeq.derive(loss, order=2).field
    slope = sympy.Matrix([quantity.expression]).jacobian(loss.variables) * field
    assert sympy.expand(slope[0] - quantity.drift(2)) == 0


def test_linear_quantities_come_first_and_their_squares_are_left_out():
    found = conserved("exp(x - y)*z**2")
    assert [q.degree for q in found] == sorted(q.degree for q in found)
    assert found[0].expression == x + y
    assert found[0].gradient_descent == 0
    assert all(sympy.expand(q.expression - (x + y) ** 2) != 0 for q in found)


def test_a_bowl_keeps_nothing():
    assert conserved("x**2 + 2*y**2 + x") == ()


def test_first_integrals_of_a_vector_field_are_found():
    (energy,) = conserved(modeq.VectorField(["-2*y", "x"], "x y"))
    assert sympy.expand(energy.expression - (x**2 + 2 * y**2)) == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=5, max_size=5))
def test_every_quantity_found_is_constant_along_gradient_flow(c):
    loss = modeq.Loss(sum(ci * (x * y) ** i for i, ci in enumerate(c)) + 0 * x, (x, y))
    for quantity in conserved(loss):
        slope = sum(
            quantity.expression.diff(v) * g
            for v, g in zip(loss.variables, loss.gradient, strict=True)
        )
        assert sympy.expand(slope) == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=3, max_size=3))
def test_a_hidden_quadratic_quantity_is_found(c):
    # The field is the cross product of ∇Q with a vector, so ∇Q·f = 0.
    z = sympy.Symbol("z")
    v = (x, y, z)
    q = c[0] * x**2 + c[1] * y**2 + c[2] * z**2 + x * y
    slope = sympy.Matrix([q.diff(a) for a in v])
    field = slope.cross(sympy.Matrix([y * z, x**2 + 1, x - z**2]))
    found = conserved(modeq.VectorField([sympy.expand(e) for e in field], v))
    monomials = [*v, *(a * b for a, b in itertools.combinations_with_replacement(v, 2))]

    def row(e):
        polynomial = sympy.Poly(e, *v)
        return [polynomial.coeff_monomial(m) for m in monomials]

    rows = [row(f.expression) for f in found]
    assert sympy.Matrix([*rows, row(q)]).rank() == len(rows)
