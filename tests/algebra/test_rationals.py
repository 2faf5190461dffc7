"""Rational numbers of several libraries, as Fractions and as mpq."""

from fractions import Fraction

import gmpy2
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modeq.algebra.rationals import as_fraction, exact, plain, plain_array
from modeq.errors import InvalidValue


@given(st.integers(), st.integers(1))
def test_a_rational_number_of_any_library_is_the_same_fraction(numerator, denominator):
    expected = Fraction(numerator, denominator)
    for number in (
        expected,
        gmpy2.mpq(numerator, denominator),
        sympy.Rational(numerator, denominator),
    ):
        found = as_fraction(number)
        assert type(found.numerator) is int
        assert (type(found), found) == (Fraction, expected)
        assert (type(exact(number)), exact(number)) == (gmpy2.mpq, expected)
        assert exact(number).denominator == expected.denominator
        assert (type(plain(exact(number))), plain(exact(number))) == (Fraction, expected)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_the_shortest_decimal_that_rounds_to_it(number):
    found = as_fraction(number)
    assert found == Fraction(repr(number)) == as_fraction(np.float64(number)) == exact(number)
    assert float(found) == number
    assert type(exact(number)) is gmpy2.mpq


def test_floats_of_fewer_digits_are_shorter_decimals():
    assert as_fraction(np.float32(0.1)) == as_fraction(np.float16(0.1)) == Fraction(1, 10)
    assert as_fraction(np.int8(-3)) == -3


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), np.float32("inf")])
def test_a_number_is_finite(number):
    for convert in (as_fraction, exact):
        with pytest.raises(InvalidValue, match=f"^a number is {number}; it must be finite$"):
            convert(number)


NO_NUMBERS = [None, "1", b"1", [1], (), range(2), np.ones(2), np.array(1), {}, Fraction, sympy.oo]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_no_coefficient(value):
    with pytest.raises(InvalidValue, match=r"is no coefficient; it must be a number or symbols"):
        exact(value)


def test_what_is_not_rational_stays_what_it_is():
    for value in (sympy.Symbol("x"), sympy.sqrt(2), 1j):
        assert exact(value) is value
        assert plain(value) is value


def test_an_array_has_its_mpq_replaced():
    x = sympy.Symbol("x")
    array = np.fromiter([gmpy2.mpq(1, 2), x, gmpy2.mpq(3)], object)
    found = plain_array(array)
    assert found.tolist() == [Fraction(1, 2), x, Fraction(3)]
    assert [type(entry) for entry in found] == [Fraction, sympy.Symbol, Fraction]
    assert array[0] == gmpy2.mpq(1, 2)
