"""Power series: their laws as a ring, equations that define them, and vectors of them."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modeq.algebra.power_series import (
    PowerSeries,
    Vector,
    integral_coefficient,
    is_absent,
    reciprocal,
    scaled,
    times,
)
from modeq.errors import InvalidValue

COUNT = 7
FRACTIONS = st.fractions(-3, 3, max_denominator=5)
SERIES = st.lists(FRACTIONS, max_size=5).map(PowerSeries)
STEP = PowerSeries([0, 1])


def integral(slope, inner, constant):
    return PowerSeries([constant], lambda k: integral_coefficient(slope, inner, k))


def first(series):
    return [Fraction(c) for c in series.first(COUNT)]


@given(SERIES, SERIES, SERIES)
def test_series_are_a_commutative_ring(a, b, c):
    assert first(a + b) == first(b + a)
    assert first(a * b) == first(b * a)
    assert first((a * b) * c) == first(a * (b * c))
    assert first(a * (b + c)) == first(a * b + a * c)
    assert first(a - a) == [0] * COUNT
    assert first(-a) == first(0 - a)


@given(SERIES, SERIES)
def test_a_product_is_the_sum_over_all_splits(a, b):
    expected = [sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(COUNT)]
    assert first(a * b) == expected


@given(SERIES)
def test_a_square_is_a_product_with_itself(a):
    assert first(a * a) == first(a * PowerSeries(a.first(COUNT)))


@given(SERIES, st.integers(1, 6))
def test_a_power_is_a_repeated_product(a, exponent):
    product = a
    for _ in range(exponent - 1):
        product = product * a
    assert first(a**exponent) == first(product)


@given(SERIES, FRACTIONS.filter(bool))
def test_a_reciprocal_is_undone_by_a_product(a, constant):
    series = PowerSeries([constant, *a.first(4)])
    assert first(series * reciprocal(series, 1 / constant)) == [1] + [0] * (COUNT - 1)


@given(SERIES, FRACTIONS.filter(bool))
def test_a_quotient_by_a_number_is_undone_by_a_product(a, number):
    assert first(a / number * number) == first(a)


@given(SERIES, FRACTIONS)
def test_an_integral_has_the_slope_it_was_made_from(slope, constant):
    y = integral(slope, STEP, constant)
    assert y[0] == constant
    assert [(k + 1) * Fraction(y[k + 1]) for k in range(COUNT)] == first(slope)


def test_a_series_may_stand_in_its_own_equation():
    tangent = PowerSeries([0], lambda k: integral_coefficient(1 + tangent * tangent, STEP, k))
    assert first(tangent) == [0, 1, 0, Fraction(1, 3), 0, Fraction(2, 15), 0]


def test_a_coefficient_is_computed_once_and_in_order():
    asked = []
    series = PowerSeries([1], lambda k: asked.append(k) or k)
    assert (series[3], series[3], series[1]) == (3, 3, 1)
    assert asked == [1, 2, 3]


def test_a_series_without_a_rule_ends():
    assert PowerSeries([1, 2]).first(4) == [1, 2, 0, 0]


def test_a_series_is_no_sequence():
    with pytest.raises(TypeError):
        list(PowerSeries([1]))


@pytest.mark.parametrize(
    ("coefficient", "factor", "expected"),
    [
        (2, Fraction(1, 4), Fraction(1, 2)),
        (Fraction(1, 3), 0.5, Fraction(1, 6)),
        (1, 0.1, Fraction(1, 10)),
        (0, 0.1, 0),
        (1, sympy.Rational(1, 3), Fraction(1, 3)),
        (Fraction(1, 2), np.float64(0.1), Fraction(1, 20)),
        (3, np.int64(2), 6),
        (3, 2, 6),
    ],
)
def test_scaling_is_exact_and_reads_floats_as_decimals(coefficient, factor, expected):
    result = scaled(coefficient, factor)
    assert result == expected
    assert not isinstance(result, float)


def test_only_the_integer_zero_is_absent():
    assert [is_absent(x) for x in (0, 0.0, False, Fraction(0), 1)] == [True, *[False] * 4]


class Whole:
    """A coefficient that knows integers and no Fractions, as polynomials do, nor what is absent."""

    def __init__(self, value):
        self.value = Fraction(value)

    def __mul__(self, other):
        assert isinstance(other, int | Whole)
        assert not is_absent(other)
        return Whole(self.value * getattr(other, "value", other))

    __rmul__ = __mul__

    def __truediv__(self, other):
        assert isinstance(other, int)
        return Whole(self.value / other)

    def __add__(self, other):
        return Whole(self.value + other.value)


@pytest.mark.parametrize(
    "pair", [(Fraction(2, 3), Whole(3)), (Whole(3), Fraction(2, 3)), (Whole(2), Whole(1))]
)
def test_a_fraction_may_multiply_what_knows_integers_only(pair):
    assert times(*pair).value == 2


def whole(*values):
    """Return a series of Whole numbers, absent where a value is 0."""
    return PowerSeries([Whole(v) if v else 0 for v in values])


def values(series, count=COUNT):
    return [0 if is_absent(c) else c.value for c in series.first(count)]


SPARSE = st.lists(st.sampled_from([0, 0, 1, -2, 3]), min_size=COUNT, max_size=COUNT)


@given(SPARSE, SPARSE)
def test_an_absent_coefficient_is_neither_multiplied_nor_added(a, b):
    def product(a, b):
        return [sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(COUNT)]

    assert values(whole(*a) * whole(*b)) == product(a, b)
    square = whole(*a)
    assert values(square * square) == product(a, a)
    assert values(whole(*a) + whole(*b)) == [x + y for x, y in zip(a, b, strict=True)]
    assert values(whole(*a) / 3) == [Fraction(x, 3) for x in a]
    slopes = [k * x for k, x in enumerate(b)][1:]
    y = values(integral(whole(*a), whole(*b), 0))
    assert [k * y[k] for k in range(1, COUNT)] == product(a, [*slopes, 0])[:-1]
    inverse = reciprocal(whole(1, *a), Whole(1))
    assert values(whole(1, *a) * inverse) == [1] + [0] * (COUNT - 1)


def test_a_square_mixes_fractions_with_what_knows_integers_only():
    series = PowerSeries([Fraction(1, 2), Whole(3)])
    square = series * series
    assert (square[0], square[1].value, square[2].value) == (Fraction(1, 4), 3, 9)


def test_scaling_by_a_whole_number_does_not_divide():
    assert scaled(np.array([1, 2]), Fraction(3)).dtype == np.array([1, 2]).dtype


def test_coefficients_that_are_floats_are_multiplied_as_floats():
    assert times(0.1, 0.1) == 0.1 * 0.1 != Fraction(1, 100)
    assert times(3, 2) == 6


def test_nothing_comes_of_scaling_what_is_absent():
    assert is_absent(scaled(0, Fraction(1, 3)))
    assert is_absent(times(0, Whole(1)))
    assert is_absent(times(Whole(1), 0))


def test_a_factor_may_be_a_symbol():
    beta = sympy.Symbol("beta")
    assert scaled(2, beta) == 2 * beta
    assert (STEP * beta / beta)[1] == 1
    assert (STEP / beta)[1] == 1 / beta


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("-inf")])
def test_a_factor_is_finite(number):
    with pytest.raises(InvalidValue, match=f"a number is {number}; it must be finite"):
        (number * STEP).first(2)
    with pytest.raises(InvalidValue, match="must be finite"):
        STEP / number


def test_a_float_of_any_size_stands_for_its_shortest_decimal():
    for number in (np.float16(0.1), np.float32(0.1), np.float64(0.1), 0.1):
        assert (STEP * number)[1] == Fraction(1, 10)
        assert (STEP / number)[1] == 10


@pytest.mark.parametrize("operation", [lambda s: 1 / s, lambda s: s / s, lambda s: s / Vector([s])])
def test_a_series_divides_nothing(operation):
    with pytest.raises(TypeError, match="unsupported operand"):
        operation(STEP)


@pytest.mark.parametrize("exponent", [-1, 0.5, Fraction(1, 2), "2", None])
def test_powers_are_whole(exponent):
    with pytest.raises(TypeError, match=r"has powers 0, 1, 2, …, and not"):
        STEP**exponent


def test_the_zeroth_power_is_one():
    assert (STEP**0).first(3) == [1, 0, 0]
    assert (STEP ** np.int64(2)).first(3) == (STEP ** sympy.Integer(2)).first(3) == [0, 0, 1]


def test_a_series_may_be_multiplied_in_its_own_equation():
    geometric = PowerSeries(rule=lambda k: (1 + STEP * geometric)[k])
    assert first(geometric) == [1] * COUNT
    catalan = PowerSeries(rule=lambda k: (STEP + catalan * catalan)[k] if k else 0)
    assert first(catalan) == [0, 1, 1, 2, 5, 14, 42]


@given(SERIES, FRACTIONS)
def test_a_series_may_be_taken_from_a_number(a, number):
    assert first(number - a) == first(-(a - number)) == first(number + -1 * a)


def test_a_rule_may_halve_the_step_in_any_way():
    theta = PowerSeries([Whole(1), Whole(2)])
    half = [STEP / 2, STEP * Fraction(1, 2), 0.5 * STEP, sympy.S.Half * STEP, STEP / 2.0]
    assert [(h * theta)[2].value for h in half] == [1] * 5


VECTORS = st.tuples(SERIES, SERIES).map(Vector)


@given(VECTORS, VECTORS, SERIES)
def test_vectors_add_up_and_take_scalars(u, v, a):
    left, right = a * (u + v), a * u + a * v
    assert all(first(x) == first(y) for x, y in zip(left, right, strict=True))
    nothing = u - v + -u - -v
    assert all(first(x) == [0] * COUNT for x in nothing)
    assert all(first(x) == first(y) for x, y in zip(u - v + v, u, strict=True))


@given(VECTORS)
def test_vectors_can_be_summed_and_divided(u):
    whole = sum([u / 3, u / 3, u / 3])
    assert all(first(x) == first(y) for x, y in zip(whole, u, strict=True))


def test_vectors_of_different_lengths_have_no_sum():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        Vector([STEP]) + Vector([STEP, STEP])


@pytest.mark.parametrize("number", [1, 0.0, "x"])
def test_only_the_beginning_of_a_sum_is_added_to_a_vector(number):
    with pytest.raises(TypeError, match=r"unsupported operand|can only concatenate"):
        number + Vector([STEP])


def test_coefficient_vectors_go_through_the_powers():
    v = Vector([PowerSeries([1, 2]), PowerSeries([3])])
    assert list(v.coefficient_vectors(3)) == [(1, 3), (2, 0), (0, 0)]


@given(SERIES, SERIES, FRACTIONS)
def test_the_derivative_of_an_integral_is_the_slope_times_the_inner_derivative(slope, inner, start):
    y = first(integral(slope, inner, start))
    slopes = [Fraction(c) for c in slope.first(COUNT)]
    inners = [k * Fraction(c) for k, c in enumerate(inner.first(COUNT))][1:]
    assert y[0] == start
    for k in range(1, COUNT):
        assert k * y[k] == sum(slopes[i] * inners[k - 1 - i] for i in range(k))


def test_a_series_prints_its_first_six_coefficients():
    assert repr(PowerSeries([1, Fraction(1, 2)])) == "PowerSeries(1, 1/2, 0, 0, 0, 0, ...)"


def test_a_series_has_no_negative_powers():
    with pytest.raises(IndexError, match=r"no coefficient of h\*\*-1"):
        PowerSeries([1, 2])[-1]
