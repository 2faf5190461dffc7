"""Which number a float stands for: those of all tables come back, all others stay decimals."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modeq.algebra.floats import RADICANDS, is_float, read_float
from modeq.algebra.surds import Surd, square_root
from modeq.errors import InvalidValue
from modeq.methods.named import NAMED, NAMED_FOR_PARTS

TABLES = {name: make() for name, make in {**NAMED, **NAMED_FOR_PARTS}.items()}
ENTRIES = sorted(
    {entry for table in TABLES.values() for entry in getattr(table, "entries", ())}, key=float
)


def moved(number, steps):
    """Return the float that is some floats above a number."""
    for _ in range(abs(steps)):
        number = math.nextafter(number, math.copysign(math.inf, steps))
    return number


def in_every_library(entry):
    """Return a number as each kind of float that is at least as precise as a double."""
    many = sympy.Float(sympy.N(sympy.sympify(entry), 40), 40)
    text = str(sympy.Float(many, 28))
    kinds = [float(entry), np.float64(entry), sympy.Float(many, 15), many, Decimal(text)]
    return [*kinds, mpmath.mpf(float(entry)), mpmath.mp.make_mpf(many._mpf_), np.longdouble(text)]


@pytest.mark.parametrize("radicand", [1, *RADICANDS])
def test_each_number_in_a_table_comes_back_from_every_kind_of_float(radicand):
    of_root = [x for x in ENTRIES if getattr(x, "terms", [(1, 0)])[-1][0] == radicand]
    for entry in of_root:
        assert {read_float(number) for number in in_every_library(entry)} == {entry}


@given(st.sampled_from(ENTRIES), st.integers(-2, 2))
def test_a_number_comes_back_from_floats_up_to_two_away(entry, steps):
    assert entry == 0 or read_float(moved(float(entry), steps)) == entry


@given(st.fractions(-3, 3, max_denominator=9_999))
def test_a_float_of_a_rational_number_with_a_small_denominator_is_that_number(q):
    assert read_float(float(q)) == q


@given(
    st.fractions(-3, 3, max_denominator=60),
    st.fractions(-2, 2, max_denominator=30),
    st.sampled_from(RADICANDS),
)
def test_a_rational_number_plus_a_multiple_of_a_root_is_found_also_where_they_cancel(p, r, d):
    typed = p.numerator / p.denominator + r.numerator * math.sqrt(d) / r.denominator
    assert read_float(typed) == p + r * square_root(d)


@given(st.integers(10**15, 10**16 - 1), st.integers(14, 18))
def test_other_decimals_stay_decimals_but_for_very_few(digits, places):
    number = float(Fraction(digits, 10**places))
    found = read_float(number)
    if found != Fraction(repr(number)):
        distance = abs(Fraction(float(found)) - Fraction(number))
        assert distance <= 3 * Fraction(math.ulp(max(abs(number), 4)))


def test_random_doubles_are_read_as_roots_in_very_few_cases():
    numbers = np.random.default_rng(0).uniform(-2, 2, 300)
    assert not [x for x in numbers if isinstance(read_float(x), Surd)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0.4358665215084590", "a root of a cubic polynomial"),
        ("1.3512071919596578", "the triple jump"),
        ("3.141592653589793", "pi"),
        ("0.21132486540518", "a node of Gauss cut to fourteen digits"),
    ],
)
def test_published_decimals_stay_what_they_are(text, name):
    assert read_float(float(text)) == Fraction(text), name


@given(st.decimals(-10, 10, places=9))
def test_what_was_typed_with_few_digits_is_that_decimal(number):
    assert read_float(float(number)) == read_float(number) == Fraction(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_read_as_a_number_at_most_three_floats_away(number):
    found = float(read_float(number))
    assert abs(found - number) <= 3 * math.ulp(max(abs(number), abs(found)))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_float_of_few_bits_is_the_decimal_that_it_holds_or_is_refused(kind):
    assert read_float(kind(0.1)) == Fraction(1, 10)
    assert read_float(kind(-0.5)) == Fraction(-1, 2)
    for number in (kind(1 / 3), kind(math.sqrt(3) / 6)):
        with pytest.raises(InvalidValue, match="too few bits to tell which number it stands for"):
            read_float(number)


def test_a_decimal_is_what_it_says_unless_it_has_the_digits_of_a_double():
    assert read_float(Decimal("0.3333")) == Fraction(3333, 10_000)
    with localcontext() as context:
        context.prec = 28
        assert read_float(Decimal(1) / 3) == Fraction(1, 3)


@pytest.mark.parametrize(
    "number",
    [
        *(math.nan, math.inf, np.float32("nan"), Decimal("nan"), mpmath.inf, mpmath.nan),
        *(Decimal("1e-999999999"), Decimal("1e999999"), mpmath.ldexp(1, -(10**9))),
    ],
)
def test_a_number_that_is_not_finite_is_refused(number):
    with pytest.raises(InvalidValue, match="it must be finite"):
        read_float(number)


def test_a_number_of_very_many_digits_is_refused():
    with pytest.raises(InvalidValue, match=r"^b has \d\d,\d{3} bits; at most 4,000 are read$"):
        read_float(sympy.Float(1, 5_000) / 3, "b")


def test_floats_are_told_from_other_numbers():
    floats = [0.5, np.float32(0.5), Decimal(1), sympy.Float(1), mpmath.mpf(1)]
    others = [1, Fraction(1, 2), sympy.Rational(1, 2), square_root(2), "0.5", None, float]
    assert all(map(is_float, floats))
    assert not any(map(is_float, others))
