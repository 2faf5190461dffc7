"""The sweep over all trees, in every arithmetic and block size, and the switch between these."""

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
import tree_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st

from modeq import BSeries
from modeq.algebra import sweep
from modeq.algebra.catalog import Catalog, catalog
from modeq.algebra.recurrences import (
    EXACT,
    WRAPPED,
    RungeKuttaRows,
    RungeKuttaTable,
    map_form,
    modulo,
)
from modeq.algebra.rule_series import AbstractField, modified_equation, run
from modeq.algebra.series import identity
from modeq.algebra.sweep import (
    MAX_PRIMES,
    combined,
    field_numerators,
    largest_primes,
    primes_needed,
)
from modeq.methods.named import as_method
from modeq.methods.partitioned import additive_runge_kutta
from modeq.methods.partitioned_by_name import NAMED
from modeq.methods.rules import runge_kutta

EULER = RungeKuttaTable([[[0]]], [[1]])
PRIME = 4194301
LARGE = RungeKuttaTable.rational(
    [[[Fraction(1, 97), Fraction(-3, 89)], [Fraction(5, 101), Fraction(7, 83)]]],
    [[Fraction(1, 3), Fraction(2, 3)]],
)
RATIONAL = [
    name
    for name, method in ((name, make()) for name, make in NAMED.items())
    if all(isinstance(e, Fraction) for table in (*method.A, method.b) for row in table for e in row)
]


class InParts:
    """A rule for several fields, as the series run it."""

    def __init__(self, A, b):
        self.colors = len(b)
        self.rule = additive_runge_kutta(A, b)


def named(name):
    method = as_method(name)
    if hasattr(method, "colors"):
        return RungeKuttaTable.rational(method.A, method.b)
    return RungeKuttaTable.rational((method.A,), (method.b,))


def values_of(blocks):
    return [value for block in blocks for value in block.values.tolist()]


def exact_values(table, vertices):
    trees = Catalog(vertices, len(table.b))
    return values_of(sweep.sweep(trees, RungeKuttaRows(table, vertices, EXACT)))


def found_by_the_sweep(A, b, vertices):
    """Return the series of the modified field from integers over common denominators."""
    table = RungeKuttaTable.rational(A, b)
    trees = catalog(vertices, len(b))
    blocks = field_numerators(trees, table)
    values = [
        Fraction(int(value), table.field_denominator(block.vertices))
        for block in blocks
        for value in block.values
    ]
    return BSeries(
        {trees.tree(i): value for i, value in enumerate(values)},
        order=vertices - 1,
        colors=len(b),
    )


def as_integers(values):
    return [int(value) for value in values]


# arithmetics


@given(oracle.tables(), st.integers(1, 6))
def test_every_arithmetic_gives_the_same_residues(drawn, vertices):
    table = RungeKuttaTable.rational(*drawn)
    trees = Catalog(vertices)
    exact = exact_values(table, vertices)
    wrapped = values_of(sweep.sweep(trees, RungeKuttaRows(table, vertices, WRAPPED)))
    residues = values_of(sweep.sweep(trees, RungeKuttaRows(table, vertices, modulo(PRIME))))
    assert all((int(x) - w) % 2**64 == 0 for x, w in zip(exact, wrapped, strict=True))
    assert all((int(x) - int(r)) % PRIME == 0 for x, r in zip(exact, residues, strict=True))
    assert values_of(field_numerators(trees, table)) == exact


@given(oracle.tables(colors=2, most=2), st.integers(1, 4))
def test_every_arithmetic_gives_the_same_residues_in_two_colors(drawn, vertices):
    table = RungeKuttaTable.rational(*drawn)
    trees = Catalog(vertices, 2)
    exact = exact_values(table, vertices)
    residues = values_of(sweep.sweep(trees, RungeKuttaRows(table, vertices, modulo(PRIME))))
    assert all((int(x) - int(r)) % PRIME == 0 for x, r in zip(exact, residues, strict=True))
    assert values_of(field_numerators(trees, table)) == exact


@pytest.mark.parametrize(
    ("name", "vertices"), [("rk4", 8), ("gradient-descent", 8), ("stoermer-verlet", 5)]
)
@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (7, 1), (3, 100), (10**6, 10**6)])
@pytest.mark.parametrize("arithmetic", [EXACT, WRAPPED, modulo(PRIME)])
def test_blocks_of_any_size_give_the_same(name, vertices, sizes, arithmetic, monkeypatch):
    table = named(name)
    trees = catalog(vertices, len(table.b))

    def swept():
        blocks = sweep.sweep(trees, RungeKuttaRows(table, vertices, arithmetic))
        return as_integers(values_of(blocks))

    expected = swept()
    monkeypatch.setattr(sweep, "ROWS_AT_ONCE", sizes[0])
    monkeypatch.setattr(sweep, "COEFFICIENTS_AT_ONCE", sizes[1])
    assert swept() == expected


def test_blocks_come_in_the_order_of_the_catalog(monkeypatch):
    monkeypatch.setattr(sweep, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(sweep, "COEFFICIENTS_AT_ONCE", 5)
    trees = Catalog(7)
    end = 0
    for block in field_numerators(trees, EULER):
        first = block.part.start if block.part else 0
        assert trees.starts[block.vertices] + first == end
        assert block.values.shape == (len(block.part) if block.part else 1,)
        # Of the largest trees and those with one vertex fewer no rows are made.
        most = 3 if block.vertices <= 5 else 5
        assert len(block.values) <= most or len(block.part.children) == 1
        end += len(block.values)
    assert end == len(trees)


@pytest.mark.parametrize("name", ["rk4", "imex-midpoint"])
def test_no_more_rows_are_made_at_once_than_asked_for(name, monkeypatch):
    made, original = [], sweep._Sweep.rows

    def rows(self, part):
        made.append(part)
        return original(self, part)

    monkeypatch.setattr(sweep, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(sweep._Sweep, "rows", rows)
    table = named(name)
    list(sweep.sweep(Catalog(6, len(table.b)), RungeKuttaRows(table, 6, EXACT)))
    assert {part.vertices for part in made} == {2, 3, 4, 5}
    assert all(len(part) <= 3 or len(part.children) == 1 for part in made)
    assert {part.child_order for part in made if part.vertices == 5} == {1}


@pytest.mark.parametrize(("vertices", "name"), list(product([1, 2, 3], ["rk4", "imex-midpoint"])))
def test_few_vertices_are_the_beginning_of_many(vertices, name):
    table = named(name)
    many = exact_values(table, 5)
    few = values_of(field_numerators(Catalog(vertices, len(table.b)), table))
    trees = Catalog(5, len(table.b))
    assert len(few) == trees.starts[vertices + 1]
    assert few == values_of(
        sweep.sweep(Catalog(vertices, len(table.b)), RungeKuttaRows(table, vertices, WRAPPED))
    )
    assert few == many[: len(few)]


# against the update rule, run over B-series


@given(oracle.tables(), st.integers(1, 5))
def test_random_tables_have_the_field_that_their_rule_has(drawn, vertices):
    A, b = drawn
    rule = runge_kutta(A[0], b[0])
    assert found_by_the_sweep(A, b, vertices) == modified_equation(rule, vertices - 1)


@given(oracle.tables(colors=2, most=2), st.integers(1, 4))
def test_random_tables_in_two_colors_have_the_field_that_their_rule_has(drawn, vertices):
    rule = InParts(*drawn)
    assert found_by_the_sweep(*drawn, vertices) == modified_equation(rule, vertices - 1)


@given(oracle.tables(colors=3, most=2))
def test_random_tables_in_three_colors_have_the_field_that_their_rule_has(drawn):
    assert found_by_the_sweep(*drawn, 3) == modified_equation(InParts(*drawn), 2)


@pytest.mark.parametrize("name", RATIONAL)
def test_rational_methods_for_parts_have_the_field_that_their_rule_has(name):
    method = NAMED[name]()
    found = found_by_the_sweep(method.A, method.b, 5)
    assert found == modified_equation(method, 4)


@given(oracle.tables(), st.integers(1, 5))
def test_the_form_of_the_map_reads_off_one_step(drawn, vertices):
    A, b = drawn
    trees = catalog(vertices)
    rows = RungeKuttaRows(RungeKuttaTable(A, b), 1, EXACT, map_form)
    step = run(runge_kutta(A[0], b[0]), identity(vertices - 1), AbstractField())
    assert values_of(sweep.sweep(trees, rows)) == [step[trees.tree(i)] for i in range(len(trees))]


def test_a_color_without_weights_has_coefficients_zero():
    A = [[[0, 0], [1, 0]], [[0, 0], [0, 0]]]
    b = [[Fraction(1, 2), Fraction(1, 2)], [0, 0]]
    found = found_by_the_sweep(A, b, 4)
    heun = found_by_the_sweep(A[:1], b[:1], 4)
    assert all(found[tree] == 0 for tree in found if tree.color == 1)
    assert all(found[tree] == heun[tree] for tree in heun)


@pytest.mark.parametrize("arithmetic", [EXACT, WRAPPED, modulo(PRIME)])
@pytest.mark.parametrize("b", [[[0]], [[1]], [[0], [0]], [[1], [2]]])
def test_coefficients_are_of_the_type_of_the_arithmetic_even_where_none_has_a_weight(b, arithmetic):
    rows = RungeKuttaRows(RungeKuttaTable([[[1]]] * len(b), b), 4, arithmetic)
    blocks = list(sweep.sweep(Catalog(4, len(b)), rows))
    assert {block.values.dtype for block in blocks} == {np.dtype(arithmetic.dtype)}
    assert any(block.values.any() for block in blocks) == any(weight for [weight] in b)


def test_there_may_be_more_colors_than_a_signed_byte_can_tell_apart():
    # Forward Euler with the weight c + 1 for f_c
    table = RungeKuttaTable([[[0]]] * 130, [[c + 1] for c in range(130)])
    trees = Catalog(3, 130)
    values = np.concatenate([block.values for block in field_numerators(trees, table)])
    for index in range(trees.starts[3], len(trees), 9973):
        tree = trees.tree(index)
        euler = 2 if tree.is_tall else 1  # over the denominator 6
        assert values[index] == euler * prod(color + 1 for color in tree.colors)


# how many primes


def test_the_largest_primes_are_prime_and_next_to_each_other():
    found = largest_primes(3, below=100)
    assert found == [97, 89, 83]
    assert largest_primes(3, below=26) == [23, 19, 17]
    assert largest_primes(2, below=101) == [97, 89]
    many = largest_primes(MAX_PRIMES)
    assert many[0] == PRIME
    assert sorted(many, reverse=True) == many
    assert all(2**sweep.BITS_OF_A_PRIME < prime < 2**22 for prime in many)


@given(st.lists(st.integers(-(2**100), 2**100)), st.integers(2, 5))
def test_numbers_are_recovered_from_their_remainders(numbers, count):
    primes = largest_primes(count)
    wrapped = np.array([int(WRAPPED.convert(x)) for x in numbers], np.int64)
    residues = [np.array([modulo(p).convert(x) for x in numbers], float) for p in primes]
    assert combined(wrapped, residues, primes).tolist() == numbers


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers_that_fit_in_64_bits_stay_there(numbers):
    wrapped = np.array(numbers, np.int64)
    residues = [np.array([modulo(PRIME).convert(x) for x in numbers], float)]
    assert combined(wrapped, residues, [PRIME]) is wrapped


@given(oracle.tables(), st.integers(1, 7))
def test_as_many_primes_as_needed_hold_every_numerator(drawn, vertices):
    table = RungeKuttaTable.rational(*drawn)
    count = primes_needed(table, vertices)
    modulus = 2**64
    for prime in largest_primes(count):
        modulus *= prime
    assert all(2 * abs(value) < modulus for value in exact_values(table, vertices))


def test_euler_stays_in_64_bits_through_order_21():
    assert primes_needed(EULER, 22) == 0


def test_the_switch_to_wider_numbers_is_where_the_bound_says():
    rk4 = named("rk4")
    assert rk4.bits(13) + 1 <= 63 < rk4.bits(14) + 1
    assert (primes_needed(rk4, 13), primes_needed(rk4, 14)) == (0, 1)
    for vertices in (13, 14):
        found = values_of(field_numerators(Catalog(vertices), rk4))
        assert found == exact_values(rk4, vertices)


@pytest.mark.parametrize(("vertices", "primes"), [(3, 2), (6, 5), (8, 8)])
def test_large_denominators_take_several_primes(vertices, primes):
    assert primes_needed(LARGE, vertices) == primes
    found = values_of(field_numerators(Catalog(vertices), LARGE))
    assert found == exact_values(LARGE, vertices)
    assert max(map(abs, found)) > 2**63
    assert all(type(value) is int for value in found)


def test_beyond_the_most_primes_python_takes_over(monkeypatch):
    assert primes_needed(LARGE, 12) == MAX_PRIMES + 1
    monkeypatch.setattr(sweep, "MAX_PRIMES", 2)
    assert primes_needed(LARGE, 4) == 3
    blocks = list(field_numerators(Catalog(4), LARGE))
    assert all(block.values.dtype == object for block in blocks)
    assert values_of(blocks) == exact_values(LARGE, 4)


def test_as_many_primes_as_there_may_be_leave_small_numbers_in_64_bits(monkeypatch):
    monkeypatch.setattr(sweep, "MAX_PRIMES", 3)
    assert primes_needed(LARGE, 4) == 3
    blocks = list(field_numerators(Catalog(4), LARGE))
    assert blocks[0].values.dtype == np.int64
    assert values_of(blocks) == exact_values(LARGE, 4)


@pytest.mark.parametrize("entry", [10**200, 10**400])
def test_entries_of_any_size_are_exact(entry):
    table = RungeKuttaTable([[[entry]]], [[1]])
    assert primes_needed(table, 3) == MAX_PRIMES + 1
    assert values_of(field_numerators(Catalog(3), table)) == exact_values(table, 3)
    # f(θ + h a k): the tree [•] has the coefficient a - 1/2
    assert values_of(field_numerators(Catalog(2), table))[1] == 2 * entry - 1


def test_only_blocks_that_need_it_are_of_wide_numbers():
    dtypes = {}
    for block in field_numerators(Catalog(5), LARGE):
        dtypes.setdefault(block.vertices, set()).add(block.values.dtype)
        if block.values.dtype == object:
            assert max(map(abs, block.values)) >= 2**63
    assert dtypes[1] == {np.dtype(np.int64)}
    assert dtypes[5] == {np.dtype(object)}
