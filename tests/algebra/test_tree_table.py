"""All coefficients of modified equations at once, in tables and in blocks."""

from fractions import Fraction
from importlib import import_module

import numpy as np
import pytest
import tree_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st

from modeq import RootedTree, rooted_trees
from modeq.algebra import counts, sweep
from modeq.algebra.catalog import catalog
from modeq.algebra.counts import physical_memory, tree_counts
from modeq.algebra.notation import differential
from modeq.algebra.recurrences import WRAPPED, RungeKuttaRows, RungeKuttaTable
from modeq.algebra.rule_series import modified_equation
from modeq.algebra.sweep import primes_needed
from modeq.algebra.tree_table import blocks_of, sweep_bytes, tree_table_of
from modeq.errors import InvalidOrder, InvalidTree, InvalidValue
from modeq.methods.named import as_method

LEAF = RootedTree()
EULER = RungeKuttaTable([[[0]]], [[1]])
SYMPLECTIC_EULER = RungeKuttaTable([[[1]], [[0]]], [[1], [1]])
LARGE = RungeKuttaTable([[[10**9]]], [[1]], 10**9 + 7)


def named(name):
    method = as_method(name)
    return RungeKuttaTable.rational((method.A,), (method.b,))


def tall(vertices):
    return RootedTree.from_level_sequence(range(vertices))


def bushy(vertices):
    return RootedTree([LEAF] * (vertices - 1))


def plain(tree):
    return oracle.from_levels(tree.level_sequence, tree.colors)


def columns(blocks):
    """Return the columns of blocks, each in one list."""
    rows = [
        (*row, block.denominator)
        for block in blocks
        for row in zip(
            range(block.start, block.start + len(block)),
            block.rest.tolist(),
            block.child.tolist(),
            block.symmetry.tolist(),
            block.density.tolist(),
            block.numerators.tolist(),
            strict=True,
        )
    ]
    return list(zip(*rows, strict=True))


# the coefficients of Euler


# Hairer, Lubich, Wanner, IX.1, for the first three powers; Miyagawa 2022, ξ₂, for the fourth
@pytest.mark.parametrize(
    ("formula", "coefficient"),
    {
        "f": "1",
        "f'f": "-1/2",
        "f'f'f": "1/3",
        "f''(f,f)": "1/12",
        "f'f'f'f": "-1/4",
        "f''(f,f'f)": "-1/12",
        "f'f''(f,f)": "-1/12",
        "f'''(f,f,f)": "0",
    }.items(),
)
def test_the_first_coefficients_of_euler_are_those_in_the_books(formula, coefficient):
    table = tree_table_of(EULER, 3)
    [tree] = [t for n in range(1, 5) for t in rooted_trees(n) if differential(t) == formula]
    assert table[tree] / tree.symmetry == Fraction(coefficient)


def test_the_coefficients_of_euler_are_order_polynomials_with_bernoulli_numbers_for_powers():
    table = tree_table_of(EULER, 8)
    for n in range(1, 10):
        for tree in rooted_trees(n):
            assert table[tree] == oracle.euler_coefficient(plain(tree))


@given(st.lists(st.integers(0, 20), min_size=9, max_size=13))
def test_so_are_those_of_random_trees_with_up_to_14_vertices(choices):
    levels = [1]
    for choice in choices:
        levels.append(2 + choice % levels[-1])
    tree = RootedTree.from_level_sequence(levels)
    assert EULER_13[tree] == oracle.euler_coefficient(plain(tree))


EULER_13 = tree_table_of(EULER, 13)


def test_the_coefficients_of_euler_count_labelings():
    table = tree_table_of(EULER, 5)
    for n in range(1, 7):
        for tree in rooted_trees(n):
            values = [oracle.strict_labelings(plain(tree), m) for m in range(1, n + 1)]
            assert table[tree] == oracle.slope_at_zero(values)


def test_bushy_and_tall_trees_of_euler_have_bernoulli_numbers_and_the_logarithm_to_order_15():
    table = tree_table_of(EULER, 15)
    for n in range(1, 17):
        assert table[bushy(n)] == oracle.bernoulli(n - 1)
        assert table[tall(n)] == Fraction((-1) ** (n + 1), n)
    assert len(table) == 376_464


def test_the_field_of_euler_on_y_squared_is_the_one_in_the_book():
    # Hairer, Lubich, Wanner, IX.1, Example 1.1 at y = 1, where f = 1, f' = f'' = 2, and theory.md
    def value(tree):
        return tree.fold(lambda children: (1, 2, 2, *[0] * 9)[len(children)] * np.prod(children))

    table = tree_table_of(EULER, 5)
    terms = [
        sum(table[tree] / tree.symmetry * int(value(tree)) for tree in rooted_trees(n))
        for n in range(1, 7)
    ]
    assert terms == [Fraction(c) for c in ["1", "-1", "3/2", "-8/3", "31/6", "-157/15"]]


# tables and blocks


@pytest.mark.parametrize(
    ("table", "order"), [(EULER, 8), (named("rk4"), 6), (SYMPLECTIC_EULER, 4), (LARGE, 4)]
)
@pytest.mark.parametrize("size", [1, 10, 10**6])
def test_blocks_one_after_another_are_the_table(table, order, size, monkeypatch):
    monkeypatch.setattr(sweep, "ROWS_AT_ONCE", size)
    monkeypatch.setattr(sweep, "COEFFICIENTS_AT_ONCE", size)
    found = columns(blocks_of(table, order))
    whole = tree_table_of(table, order)
    expected = [[], [], [], [], [], [], []]
    for n in range(1, order + 2):
        numerators, denominator = whole.coefficients(n)
        expected[0] += range(whole.start(n), whole.start(n) + whole.count(n))
        for column, array in zip(
            expected[1:6],
            (whole.rest(n), whole.child(n), whole.symmetry(n), whole.density(n), numerators),
            strict=True,
        ):
            column += array.tolist()
        expected[6] += [denominator] * whole.count(n)
    assert found == [tuple(column) for column in expected]


def test_a_table_has_wide_numbers_only_for_the_orders_that_need_them(monkeypatch):
    monkeypatch.setattr(sweep, "COEFFICIENTS_AT_ONCE", 1)
    table = tree_table_of(LARGE, 4)
    dtypes = [table.coefficients(n)[0].dtype for n in range(1, 6)]
    assert dtypes[0] == np.dtype(np.int64)
    assert dtypes[-1] == np.dtype(object)
    assert all(type(value) is int for value in table.coefficients(5)[0])


@pytest.mark.parametrize(("table", "order"), [(EULER, 6), (SYMPLECTIC_EULER, 4)])
def test_the_columns_of_a_table_describe_its_trees(table, order):
    found = tree_table_of(table, order)
    for n in range(1, order + 2):
        for i in range(found.count(n)):
            index = found.start(n) + i
            tree = found.tree(index)
            assert found.index(tree) == index
            assert (found.symmetry(n)[i], found.density(n)[i]) == (tree.symmetry, tree.density)
            if n > 1:
                rest, child = found.tree(found.rest(n)[i]), found.tree(found.child(n)[i])
                assert rest.butcher_product(child) == tree
    assert found.rest(1).tolist() == found.child(1).tolist() == [-1] * found.count(1)
    assert len(found) == sum(map(found.count, range(1, order + 2)))


@pytest.mark.parametrize(("name", "order"), [("rk4", 5), ("implicit-midpoint", 5), ("euler", 0)])
def test_a_table_and_its_series_are_the_same_mapping(name, order):
    table = tree_table_of(named(name), order)
    series = table.series()
    assert series == modified_equation(as_method(name), order)
    assert all(table[tree] == series[tree] for tree in series)
    assert all(isinstance(table[tree], Fraction) for tree in series)


def test_what_a_table_tells_cannot_be_changed():
    table = tree_table_of(EULER, 3)
    for n in range(1, 5):
        columns = (table.rest, table.child, table.symmetry, table.density)
        for array in (*(column(n) for column in columns), table.coefficients(n)[0]):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 7


def test_blocks_are_told_apart_as_objects():
    first, *others = blocks = list(blocks_of(EULER, 3))
    assert first == first
    assert first not in others
    assert len(set(blocks)) == len(blocks)


def test_the_repr_of_a_table_says_how_large_it_is():
    assert repr(tree_table_of(EULER, 9)) == "<TreeTable of order 9: 1,205 trees>"


# progress and memory


@pytest.mark.parametrize("make", [tree_table_of, lambda *a, **k: list(blocks_of(*a, **k))])
def test_progress_rises_to_the_number_of_all_trees(make, monkeypatch):
    monkeypatch.setattr(sweep, "ROWS_AT_ONCE", 10)
    calls = []
    make(EULER, 8, progress=lambda done, total: calls.append((done, total)))
    total = sum(tree_counts(9))
    assert len(calls) > 20
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (total, total)
    assert {total for _, total in calls} == {total}


@pytest.mark.parametrize("make", [tree_table_of, lambda *a, **k: next(blocks_of(*a, **k))])
def test_a_table_that_does_not_fit_is_refused_before_it_is_begun(make, monkeypatch):
    def begun(*_):
        raise AssertionError("the sweep was begun")

    # The package has a function of the same name as the module.
    monkeypatch.setattr(import_module("modeq.algebra.tree_table"), "field_numerators", begun)
    with pytest.raises(InvalidOrder) as caught:
        make(EULER, 15, limit=1000)
    message = str(caught.value)
    assert message.startswith("order=15 means 376,464 trees, which take about ")
    assert "bytes; 1,000 are allowed: take a lower order, or give a larger limit" in message


def test_a_table_larger_than_the_machine_is_refused():
    assert sweep_bytes(EULER, 29) > physical_memory()
    with pytest.raises(InvalidOrder, match=r"order=29 means 5\d\d,\d\d\d,\d\d\d,\d\d\d trees"):
        tree_table_of(EULER, 29)


def test_blocks_need_less_memory_than_a_table():
    limit = sweep_bytes(EULER, 12)
    assert sum(len(block) for block in blocks_of(EULER, 12, limit=limit)) == sum(tree_counts(13))
    with pytest.raises(InvalidOrder, match="order=12 means 20,299 trees"):
        tree_table_of(EULER, 12, limit=limit)


@pytest.mark.parametrize(
    ("table", "order"), [(EULER, 11), (named("rk4"), 9), (SYMPLECTIC_EULER, 6)]
)
def test_the_memory_of_a_sweep_is_about_that_of_the_rows_it_keeps(table, order):
    rows = RungeKuttaRows(table, order + 1, WRAPPED)
    swept = sweep._Sweep(catalog(order + 1, len(table.b)), rows)
    for _ in swept.run():
        pass
    kept = [*swept.U.values(), *swept.g.values(), swept.single]
    assert sweep_bytes(table, order) == pytest.approx(sum(a.nbytes for a in kept), rel=0.25)


@pytest.mark.parametrize(
    ("table", "order"), [(EULER, 2), (EULER, 7), (named("rk4"), 3), (SYMPLECTIC_EULER, 4)]
)
def test_that_memory_is_that_of_the_children_and_of_the_trees_next_to_the_largest(table, order):
    rows = RungeKuttaRows(table, order + 1, WRAPPED)
    swept = sweep._Sweep(catalog(order + 1, len(table.b)), rows)
    for _ in swept.run():
        pass
    assert sweep_bytes(table, order) == sum(a.nbytes for a in (*swept.U.values(), swept.single))


def test_each_prime_takes_a_sweep_of_its_own():
    assert primes_needed(LARGE, 7) > 1
    assert sweep_bytes(LARGE, 6) == (1 + primes_needed(LARGE, 7)) * sweep_bytes(EULER, 6)


@pytest.mark.parametrize(("table", "order"), [(EULER, 7), (SYMPLECTIC_EULER, 4)])
def test_a_table_takes_memory_for_its_numerators_beside_the_sweep(table, order):
    trees = sum(tree_counts(order + 1, len(table.b)))
    limit = 8 * trees + sweep_bytes(table, order)
    assert len(tree_table_of(table, order, limit=limit)) == trees
    with pytest.raises(InvalidOrder, match=f"order={order} means {trees:,} trees"):
        tree_table_of(table, order, limit=limit - 1)
    limit = sweep_bytes(table, order)
    assert sum(map(len, blocks_of(table, order, limit=limit))) == trees
    with pytest.raises(InvalidOrder, match=f"order={order} means {trees:,} trees"):
        next(blocks_of(table, order, limit=limit - 1))


def test_a_limit_may_be_larger_than_the_machine(monkeypatch):
    monkeypatch.setattr(counts, "physical_memory", lambda: 10)
    with pytest.raises(InvalidOrder, match="order=3 means 8 trees"):
        tree_table_of(EULER, 3)
    assert len(tree_table_of(EULER, 3, limit=10_000)) == 8


def test_more_primes_and_more_colors_take_more_memory():
    assert sweep_bytes(named("rk4"), 13) > sweep_bytes(named("rk4"), 12)
    assert sweep_bytes(LARGE, 6) > sweep_bytes(EULER, 6)
    assert sweep_bytes(SYMPLECTIC_EULER, 6) > sweep_bytes(EULER, 6)


# errors


@pytest.mark.parametrize("tree", [tall(5), "f", None, RootedTree(color=1), (1, 2)])
def test_a_tree_that_is_not_in_the_table_is_an_error(tree):
    table = tree_table_of(EULER, 3)
    for get in (table.__getitem__, table.index):
        with pytest.raises(InvalidTree, match="is not a rooted tree of at most 4 vertices"):
            get(tree)


@pytest.mark.parametrize("n", [0, -1, 5, 1.5, None, "2"])
@pytest.mark.parametrize(
    "column", ["count", "start", "coefficients", "rest", "child", "symmetry", "density"]
)
def test_columns_are_those_of_trees_in_the_table(column, n):
    table = tree_table_of(EULER, 3)
    with pytest.raises(InvalidValue, match=f"^n is {n!r}; the trees of the table have 1 to 4 ver"):
        getattr(table, column)(n)


@pytest.mark.parametrize("index", [-1, 8, 100, 1.5, None])
def test_a_number_that_no_tree_has_is_an_error(index):
    with pytest.raises(InvalidTree, match=rf"tree number {index}: the table has 0 to 7"):
        tree_table_of(EULER, 3).tree(index)
