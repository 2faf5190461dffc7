"""The entries of tables: what is exact, what is refused, and what becomes of symbols."""

from decimal import Decimal
from fractions import Fraction

import gmpy2
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modeq.algebra.entries import (
    exact,
    exact_matrix,
    exact_row,
    name_with_values,
    symbols_of,
    values_of,
    vanishes,
    with_values,
)
from modeq.algebra.floats import read_float
from modeq.algebra.number_text import MAX_RADICAND, read_number
from modeq.algebra.surds import Surd, square_root
from modeq.algebra.zeros import is_expression
from modeq.errors import InvalidMethod, ModeqWarning

x, y = sympy.symbols("x y")
RATIONALS = st.fractions(-5, 5, max_denominator=12)


# one entry


def is_plain(found):
    """Tell whether a number is a Fraction of Python's own integers, which never overflow."""
    return [*map(type, (found, found.numerator, found.denominator))] == [Fraction, int, int]


@given(RATIONALS)
def test_a_rational_number_of_any_kind_becomes_the_same_fraction(q):
    alike = [q, sympy.Rational(q.numerator, q.denominator), gmpy2.mpq(q)]
    for entry in alike:
        found = exact(entry, "c")
        assert found == q
        assert is_plain(found)


@pytest.mark.parametrize("entry", [7, np.int8(7), np.uint64(7), gmpy2.mpz(7), sympy.Integer(7)])
def test_an_integer_of_any_kind_becomes_a_fraction(entry):
    assert exact(entry, "c") == Fraction(7)
    assert is_plain(exact(entry, "c"))
    assert exact(entry, "c") ** 30 == 7**30


@given(st.floats(allow_nan=False, allow_infinity=False))
@pytest.mark.filterwarnings("ignore:c = .* is read as")
def test_a_float_of_any_library_becomes_the_number_that_it_stands_for(number):
    found = {exact(kind(number), "c") for kind in (float, np.float64, sympy.Float, mpmath.mpf)}
    assert found == {read_float(number)}


@given(st.integers(-(10**9), 10**9), st.integers(-30, 30))
def test_a_float_that_was_typed_becomes_the_decimal_that_was_typed(digits, exponent):
    typed = f"{digits}e{exponent}"
    found = exact(float(typed), "c")
    assert is_plain(found)
    assert found == exact(Decimal(typed), "c") == exact(typed, "c") == Fraction(typed)


def test_a_float_of_any_precision_becomes_its_shortest_decimal():
    tenths = [np.float16(0.1), np.float32(0.1), np.longdouble("0.1"), sympy.Float("0.1", 50)]
    assert {exact(entry, "c") for entry in tenths} == {Fraction(1, 10)}
    digits = "0.1234567890123456789012345678901"
    assert exact(sympy.Float(digits, 31), "c") == Fraction(digits)
    assert exact(x + sympy.Float("1e-400"), "c") == x + sympy.Rational(1, 10**400)
    assert exact(sympy.Float("1e500"), "c") == 10**500


@given(RATIONALS, RATIONALS, st.integers(1, 99), st.integers(1, 99))
def test_a_sum_of_square_roots_becomes_a_surd(p, q, d, e):
    number = sympy.Rational(p.numerator, p.denominator) * sympy.sqrt(d)
    number += sympy.Rational(q.numerator, q.denominator) * sympy.sqrt(e)
    expected = p * square_root(d) + q * square_root(e)
    found = exact(number, "c")
    assert found == expected
    assert type(found) is type(expected)
    assert exact(found, "c") == found


def test_products_of_roots_are_multiplied_out_first():
    product = (1 + sympy.sqrt(2)) * (3 - sympy.sqrt(2))
    assert isinstance(product, sympy.Mul)
    assert exact(product, "c") == (1 + square_root(2)) * (3 - square_root(2))


def test_roots_of_large_numbers_stay_expressions():
    assert isinstance(exact(sympy.sqrt(MAX_RADICAND - 1), "c"), Surd)
    assert exact(sympy.sqrt(MAX_RADICAND), "c") == 100
    assert exact(sympy.sqrt(MAX_RADICAND + 1), "c") == sympy.sqrt(MAX_RADICAND + 1)


@pytest.mark.parametrize(
    "number",
    [sympy.pi, sympy.E, sympy.cbrt(2), sympy.sqrt(2) + sympy.pi, sympy.sqrt(2 + sympy.sqrt(3))],
    ids=str,
)
def test_other_real_numbers_stay_as_they_are(number):
    assert exact(number, "c") is number


def test_an_entry_of_a_matrix_of_symbols_stays_as_it_is():
    entry = sympy.MatrixSymbol("A", 2, 2)[0, 1]
    assert exact(entry, "c") is entry
    assert exact(0.5 * entry, "c") == entry / 2


def test_floats_in_expressions_become_their_decimals():
    assert exact(0.1 * x + 2.5 * y**2, "c") == x / 10 + sympy.Rational(5, 2) * y**2
    assert exact(x + sympy.Float("0.1"), "c").atoms(sympy.Float) == set()
    assert exact(sympy.Float(0.1), "c") == Fraction(1, 10)
    assert exact(1.5 + sympy.sqrt(2), "c") == Fraction(3, 2) + square_root(2)


@pytest.mark.parametrize("entry", [True, "x", "", "1/0", "beta/2"])
def test_what_looks_like_a_number_is_refused_with_an_example(entry):
    expected = rf"^c\[0\] is {entry!r}; it must be a number, such as Fraction\(1, 2\)$"
    with pytest.raises(InvalidMethod, match=expected):
        exact(entry, "c[0]")


@pytest.mark.parametrize("entry", [float("nan"), float("inf"), -np.inf])
def test_a_float_that_is_not_finite_is_refused(entry):
    with pytest.raises(InvalidMethod, match=r"^c is .*(nan|inf)\)?; it must be finite$"):
        exact(entry, "c")


SURDS = st.builds(
    lambda p, q, d: p + q * square_root(d), RATIONALS, RATIONALS, st.sampled_from([2, 3, 5, 7, 30])
)


@given(SURDS, SURDS)
def test_a_text_is_the_number_that_it_says(a, b):
    texts = {f"({a})*({b})": a * b, f"({a}) - ({b})": a - b, f" ( {a} )": a, f"+({b})": b}
    if b != 0:
        texts[f"({a})/({b})"] = a / b
    assert [exact(text, "c") for text in texts] == [*texts.values()]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1/6", Fraction(1, 6)),
        ("sqrt(3)/6", square_root(3) / 6),
        ("(3 - sqrt(3))/6", (3 - square_root(3)) / 6),
        ("1/sqrt(2)", square_root(2) / 2),
        ("sqrt(1/2)", square_root(2) / 2),
        ("-1.25e-1", Fraction(-1, 8)),
        ("1 - -1", None),
        (".5", Fraction(1, 2)),
    ],
)
def test_texts_are_read_as_they_are_written_in_books(text, number):
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("__import__('os').system('true')", "lambda: 1", "1;2", "x", "1j", "1_000", "2**9", "1 2"),
        *(
            "sqrt(sqrt(2))",
            "sqrt(-1)",
            "sqrt(99999999)",
            "sqrt 2",
            "sqrt()",
            "()",
            "(1",
            "1)",
            "1+",
        ),
        *("(" * 10_000, "9" * 10_000, "1e999999999", "1e-999", "*".join(["sqrt(2)"] * 20)),
        *("1/(sqrt(2)*sqrt(2) - 2)", "\ud800", "\u0661", "1\0", "nan", "inf", "-", " "),
    ],
)
def test_a_hostile_text_is_refused_at_once(text):
    with pytest.raises(InvalidMethod, match=r"^c is .{1,100}; it must be a number, such as"):
        exact(text, "c")


def test_one_warning_says_what_the_floats_of_a_table_are_read_as():
    with pytest.warns(ModeqWarning) as caught:
        exact_matrix([[1 / 3, 0.5], [3**0.5 / 6, 2 / 3]])
    assert [str(one.message) for one in caught] == [
        "A[0][0] = 0.3333333333333333 is read as 1/3, and 2 more likewise: give fractions, or "
        "texts such as '1/6' or 'sqrt(3)/6'"
    ]
    assert caught[0].filename == __file__


KINDS = "it must be an integer, a Fraction, a float or a sympy expression"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [1],
        1j,
        np.bool_(True),
        np.array(2),
        sympy.eye(1),
        sympy.sin,
    ],
    ids=repr,
)
def test_what_is_no_number_is_refused_with_all_that_could_stand_there(entry):
    with pytest.raises(InvalidMethod) as caught:
        exact(entry, "c")
    assert str(caught.value) == f"c is {entry!r}; {KINDS}"


@pytest.mark.parametrize(
    "entry",
    [
        *(sympy.oo, sympy.zoo, sympy.nan, sympy.I, sympy.sqrt(-2)),
        *(x * sympy.oo, x / sympy.S(0), x + sympy.oo),
        sympy.Symbol("z", imaginary=True),
        2 * sympy.Symbol("z", infinite=True),
    ],
    ids=str,
)
def test_an_expression_is_finite_and_real(entry):
    with pytest.raises(InvalidMethod) as caught:
        exact(entry, "c")
    assert str(caught.value) == f"c is {entry}; it must be a finite real number"


@pytest.mark.parametrize(
    "entry", [x > 0, sympy.Tuple(x), sympy.Symbol("n", commutative=False), sympy.Poly(x)], ids=str
)
def test_an_expression_is_one_of_numbers(entry):
    with pytest.raises(InvalidMethod) as caught:
        exact(entry, "c")
    assert str(caught.value) == f"c is {entry}; it must be a sympy expression of real numbers"


def test_expressions_are_told_from_numbers():
    assert all(map(is_expression, [x, 2 * x + 1, sympy.pi, sympy.Integer(1)]))
    assert not any(map(is_expression, [1, 1.0, Fraction(1, 2), square_root(2), "x", sympy.sin]))


# rows and matrices


def test_each_entry_of_a_row_and_of_a_matrix_is_made_exact():
    assert exact_row((1, 0.5, x), "b") == (Fraction(1), Fraction(1, 2), x)
    assert exact_row(np.array([1, 2]), "b") == (Fraction(1), Fraction(2))
    assert exact_matrix([[1, 0.5], (x,)]) == ((Fraction(1), Fraction(1, 2)), (x,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact_row([1, 2, "three"], "b"), r"b\[2\] is 'three'; it must be a number"),
        (lambda: exact_row("12", "b"), "^b is '12'; it must be a sequence of numbers$"),
        (lambda: exact_row(12, "b"), "^b is 12; it must be a sequence of numbers$"),
        (lambda: exact_row([], "b"), "^b is empty; it must have at least one entry$"),
        (lambda: exact_matrix("12"), "^A is '12'; it must be a matrix of numbers$"),
        (lambda: exact_matrix(12, "c"), "^c is 12; it must be a matrix of numbers$"),
        (lambda: exact_matrix([[1], [None]]), r"^A\[1\]\[0\] is None; it must be an integer"),
        (lambda: exact_matrix([[1], 2], "c"), r"^c\[1\] is 2; it must be a sequence of numbers$"),
        (lambda: exact_matrix([[1], []]), r"^A\[1\] is empty"),
    ],
)
def test_an_error_says_where_the_entry_is(make, message):
    with pytest.raises(InvalidMethod, match=message):
        make()


# symbols


def test_an_entry_vanishes_if_it_is_zero_for_all_values_of_its_symbols():
    zeros = [0, Fraction(0), 0.0, sympy.Integer(0), x - x, (x + 1) ** 2 - x**2 - 2 * x - 1]
    others = [1, Fraction(1, 9), square_root(2), x, x * y, sympy.pi]
    assert [vanishes(entry) for entry in zeros] == [True] * len(zeros)
    assert [vanishes(entry) for entry in others] == [False] * len(others)


def test_the_symbols_of_entries_are_those_of_all_of_them():
    assert symbols_of([]) == symbols_of([Fraction(1), square_root(2)]) == frozenset()
    assert symbols_of([Fraction(1), x, x * y]) == {x, y}


def test_values_are_given_by_symbol_or_by_name():
    assert values_of({x: 0.5, "y": 2}, [x, y]) == {x: Fraction(1, 2), y: Fraction(2)}
    assert values_of({}, [x]) == {}
    # The symbol of the method counts, whatever is assumed of the one that is given.
    assert values_of({sympy.Symbol("x", positive=True): 1}, [x]) == {x: 1}


def test_a_name_that_is_no_symbol_is_refused_with_those_that_are():
    with pytest.raises(InvalidMethod) as caught:
        values_of({"z": 1}, [y, x])
    assert str(caught.value) == "'z' is no symbol of the method; its symbols are: x y"
    with pytest.raises(InvalidMethod) as caught:
        values_of({3: 1}, [])
    assert str(caught.value) == "3 is no symbol of the method; its symbols are: none"


def test_a_value_that_is_no_number_is_named():
    with pytest.raises(InvalidMethod, match=r"^x is 'one'; it must be a number"):
        values_of({x: "one"}, [x])


def test_values_take_the_places_of_symbols_all_at_once():
    assert with_values(x - 2 * y, {x: y, y: x}, "c") == y - 2 * x
    assert with_values(x / 2, {x: Fraction(1, 3)}, "c") == Fraction(1, 6)
    assert with_values(x + 1, {x: square_root(2)}, "c") == 1 + square_root(2)
    assert with_values(Fraction(1, 3), {x: 1}, "c") == Fraction(1, 3)
    with pytest.raises(InvalidMethod, match=r"^c is zoo; it must be a finite"):
        with_values(1 / x, {x: 0}, "c")


def test_a_name_tells_the_values_in_the_order_of_their_symbols():
    assert name_with_values("a method", {y: 2, x: Fraction(1, 2)}) == "a method with x = 1/2, y = 2"
    assert name_with_values("a method", {}) == "a method"
