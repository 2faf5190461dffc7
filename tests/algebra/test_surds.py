"""Sums of square roots: exact arithmetic against floats and the laws of a field."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from modeq.algebra.surds import Surd, square_root

RATIONALS = st.fractions(-3, 3, max_denominator=4)


@st.composite
def surds(draw):
    """Draw q + r √a + s √b, which may be rational."""
    total = draw(RATIONALS)
    for _ in range(2):
        total = total + draw(RATIONALS) * square_root(draw(st.integers(1, 12)))
    return total


@given(surds(), surds())
def test_arithmetic_agrees_with_floats(x, y):
    a, b = float(x), float(y)
    assert math.isclose(float(x + y), a + b, abs_tol=1e-9)
    assert math.isclose(float(x - y), a - b, abs_tol=1e-9)
    assert math.isclose(float(x * y), a * b, abs_tol=1e-9)


@given(surds(), surds(), surds())
def test_surds_are_a_commutative_ring(x, y, z):
    assert x + y == y + x
    assert x * y == y * x
    assert (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z


@given(surds())
def test_every_surd_but_zero_has_an_inverse(x):
    assume(x != 0)
    assert x * (1 / x) == 1
    assert x / x == 1


@given(surds())
def test_a_number_without_roots_is_a_fraction(x):
    difference = x - x
    assert isinstance(difference, Fraction)
    assert difference == 0


@given(st.integers(1, 300))
def test_a_square_root_squares_to_its_number(n):
    root = square_root(n)
    assert root * root == n
    assert isinstance(root, Fraction) == (math.isqrt(n) ** 2 == n)


def test_equal_surds_have_equal_hashes():
    assert hash(square_root(12)) == hash(2 * square_root(3))
    assert square_root(2) != square_root(3)
    assert square_root(2) != 1


@pytest.mark.parametrize("other", [0.5, sympy.Symbol("x"), sympy.Rational(1, 2), sympy.pi])
def test_a_surd_stands_beside_floats_and_expressions(other):
    root, same = square_root(2), sympy.sqrt(2)
    pairs = [
        (root + other, same + other),
        (other + root, other + same),
        (root - other, same - other),
        (other - root, other - same),
        (root * other, same * other),
        (other * root, other * same),
        (root / other, same / other),
        (other / root, other / same),
    ]
    assert all(a == b or abs(a - b) < 1e-15 for a, b in pairs)


def test_sympy_reads_a_surd_exactly():
    assert sympy.sympify(1 - square_root(12)) == 1 - 2 * sympy.sqrt(3)
    third = Fraction(1, 3) - square_root(2) / 7
    assert sympy.sympify(third) == sympy.Rational(1, 3) - sympy.sqrt(2) / 7


def test_beside_a_symbol_a_surd_is_an_expression():
    x = sympy.Symbol("x")
    root = square_root(2) / 3
    assert root + x == x + root == x + sympy.sqrt(2) / 3
    assert root * x == x * root == sympy.sqrt(2) * x / 3


def test_a_surd_multiplies_an_array_of_exact_numbers():
    row = np.array([Fraction(1), square_root(2)], dtype=object)
    for product in (row * square_root(2), square_root(2) * row):
        assert product.tolist() == [square_root(2), 2]


@pytest.mark.parametrize("other", ["1", None, [1]])
def test_a_surd_refuses_what_is_no_number(other):
    with pytest.raises(TypeError):
        square_root(2) + other


def test_a_surd_prints_as_a_sum():
    assert str(Fraction(1, 2) - square_root(12) / 3) == "1/2 - 2/3*sqrt(3)"
    assert isinstance(square_root(2), Surd)
