"""Rows in each arithmetic, forms that read coefficients off them, and bounds of these."""

from fractions import Fraction
from math import lcm, log2

import numpy as np
import pytest
import tree_oracle as oracle
from hypothesis import example, given
from hypothesis import strategies as st

from modeq.algebra.catalog import Catalog
from modeq.algebra.recurrences import (
    EXACT,
    MAX_TERMS,
    WRAPPED,
    RungeKuttaRows,
    RungeKuttaTable,
    bernoulli_number,
    field_bounds,
    field_form,
    map_form,
    modulo,
)
from modeq.algebra.sweep import field_numerators
from modeq.methods.named import as_method

EULER = RungeKuttaTable([[[0]]], [[1]])
LARGEST_PRIME = 4194301


def named(name):
    method = as_method(name)
    return RungeKuttaTable.rational((method.A,), (method.b,))


def largest_coefficients(table, vertices):
    """Return the largest |b(τ)| of the trees with 1, 2, … vertices."""
    largest = [Fraction(0)] * vertices
    for block in field_numerators(Catalog(vertices, len(table.b)), table):
        n = block.vertices
        values = [abs(int(value)) for value in block.values]
        largest[n - 1] = max(largest[n - 1], Fraction(max(values), table.field_denominator(n)))
    return largest


def test_the_form_of_the_field_weighs_the_gradients_along_the_iterates():
    # theory.md: f̃ = Σ v_s f(θ_s), v_s = (-1)^s Σ_{k>s} C(k-1, s)/k
    for n in range(1, 10):
        common = lcm(*range(1, n + 1))
        for s, weight in enumerate(field_form(n)):
            v = sum(Fraction(oracle.comb(k - 1, s), k) for k in range(s + 1, n + 1))
            assert weight == common * (-1) ** s * v


def test_the_form_of_the_map_is_one_step():
    assert map_form(1) == map_form(7) == [1]


def test_bernoulli_numbers_are_those_of_the_recursion():
    numbers = [bernoulli_number(n) for n in range(20)]
    assert numbers == [oracle.bernoulli(n) for n in range(20)]


@given(oracle.tables(colors=2))
def test_a_rational_table_is_integers_over_one_denominator(drawn):
    A, b = drawn
    table = RungeKuttaTable.rational(A, b)
    flat = [entry for part in (*table.A, table.b) for row in part for entry in row]
    assert all(type(entry) is int for entry in flat)
    entries = [entry for part in (*A, b) for row in part for entry in row]
    assert [Fraction(entry, table.denominator) for entry in flat] == entries
    assert table.denominator == lcm(*(entry.denominator for entry in entries))


def test_the_denominator_of_the_field_has_the_logarithm_and_the_table_in_it():
    assert EULER.field_denominator(6) == 60
    assert named("rk4").field_denominator(3) == 6 * 6**3


@given(st.integers(-(10**30), 10**30))
@example(2**63)
@example(2**64)
@example(-(2**63) - 1)
def test_each_arithmetic_takes_integers_to_their_remainders(number):
    assert EXACT.convert(number) == number
    wrapped = WRAPPED.convert(number)
    assert wrapped.dtype == np.int64
    assert (int(wrapped) - number) % 2**64 == 0
    remainder = modulo(LARGEST_PRIME).convert(number)
    assert (int(remainder) - number) % LARGEST_PRIME == 0
    assert abs(remainder) <= LARGEST_PRIME / 2


@given(st.lists(st.integers(-(2**52), 2**52), min_size=1))
def test_reduction_modulo_a_prime_is_exact_below_2_to_the_52(numbers):
    reduced = modulo(LARGEST_PRIME).reduce(np.array(numbers, float))
    assert [(int(r) - n) % LARGEST_PRIME for r, n in zip(reduced, numbers, strict=True)] == [
        0
    ] * len(numbers)
    assert np.abs(reduced).max() <= LARGEST_PRIME / 2 + 1


def test_the_largest_sum_of_products_modulo_a_prime_is_still_exact():
    half = (LARGEST_PRIME - 1) // 2
    total = np.full(MAX_TERMS, float(half)) @ np.full(MAX_TERMS, float(half))
    assert int(total) == MAX_TERMS * half**2
    assert modulo(LARGEST_PRIME).reduce(np.array([total]))[0] == modulo(LARGEST_PRIME).convert(
        MAX_TERMS * half**2
    )


@given(oracle.tables(), st.integers(1, 5))
@example(([[[0, 0], [2, 0]]], [[1, 2]]), 3)
def test_a_row_advances_by_the_sum_over_the_steps_before_and_the_stages(drawn, points):
    A, b = drawn
    table = RungeKuttaTable.rational(A, b)
    rows = RungeKuttaRows(table, points, EXACT)
    stages = len(b[0])
    g = np.arange(1, stages * 2 * points + 1).reshape(stages, 2, points).astype(object) ** 2
    U = rows.advance(g, 0)
    for i in range(stages):
        for tree in range(2):
            for m in range(points):
                slopes = g[:, tree]
                expected = sum(b[0][j] * slopes[j, t] for j in range(stages) for t in range(m))
                expected += sum(A[0][i][j] * slopes[j, m] for j in range(stages))
                assert Fraction(int(U[i, tree, m]), table.denominator) == expected


def test_advancing_leaves_its_rows_as_they_were():
    # The prime itself is not reduced: results are, in place.
    for arithmetic in (EXACT, WRAPPED, modulo(LARGEST_PRIME)):
        g = np.full((1, 2, 3), LARGEST_PRIME).astype(arithmetic.dtype)
        RungeKuttaRows(EULER, 3, arithmetic).advance(g, 0)
        assert np.all(g == LARGEST_PRIME)


@given(oracle.tables(), st.integers(1, 6))
def test_the_bounds_hold_for_random_tables(drawn, vertices):
    table = RungeKuttaTable.rational(*drawn)
    bounds = field_bounds(table, vertices)
    for bound, largest in zip(bounds, largest_coefficients(table, vertices), strict=True):
        assert bound >= largest


@given(oracle.tables(colors=2))
def test_the_bounds_hold_for_random_tables_in_two_colors(drawn):
    table = RungeKuttaTable.rational(*drawn)
    bounds = field_bounds(table, 4)
    for bound, largest in zip(bounds, largest_coefficients(table, 4), strict=True):
        assert bound >= largest


@pytest.mark.parametrize(
    ("name", "factor"), [("euler", 13), ("extragradient", 2**10), ("rk4", 2**13)]
)
def test_the_bounds_are_no_more_than_some_bits_too_large(name, factor):
    table = named(name)
    bounds = field_bounds(table, 12)
    for bound, largest in zip(bounds, largest_coefficients(table, 12), strict=True):
        assert largest <= bound
        assert largest == 0 or bound <= factor * largest


def test_the_bound_of_a_tall_tree_is_met_by_euler():
    bounds = field_bounds(EULER, 4)
    assert bounds == pytest.approx([1, 1 / 2, 5 / 12, 1 / 3])


def test_the_bits_of_a_table_hold_its_numerators():
    table = named("rk4")
    bound = 2 ** table.bits(6)
    assert bound == pytest.approx(field_bounds(table, 6)[-1] * table.field_denominator(6))
    blocks = [b for b in field_numerators(Catalog(6), table) if b.vertices == 6]
    assert max(abs(int(v)) for block in blocks for v in block.values) <= bound


@pytest.mark.parametrize("entry", [10**200, 10**400])
def test_a_table_whose_bound_is_no_float_needs_more_bits_than_there_are(entry):
    assert RungeKuttaTable([[[entry]]], [[1]]).bits(4) == float("inf")


def test_entries_over_a_denominator_that_is_no_float_have_bounds():
    fine = RungeKuttaTable([[[10**400]]], [[10**400]], 10**400)
    assert field_bounds(fine, 4) == field_bounds(RungeKuttaTable([[[1]]], [[1]]), 4)


def test_the_bits_of_euler_are_known():
    assert EULER.bits(1) == pytest.approx(0, abs=1e-5)
    assert EULER.bits(2) == pytest.approx(log2(1), abs=1e-5)
