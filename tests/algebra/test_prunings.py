"""The prunings of all trees, against those that are found by cutting edges one by one."""

from collections import Counter
from fractions import Fraction
from itertools import permutations, product
from typing import NamedTuple

import gmpy2
import numpy as np
import pytest
import tree_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st

from modeq import RootedTree
from modeq.algebra import counts
from modeq.algebra.catalog import catalog
from modeq.algebra.counts import tree_counts
from modeq.algebra.prunings import (
    BYTES,
    GROWTH,
    collected,
    composition,
    counts_of,
    forest_products,
    merged,
    pairs_of,
    prunings,
)
from modeq.errors import InvalidOrder

CATALOGS = [(7, 1), (4, 2), (3, 3)]


def plain(tree):
    return oracle.from_levels(tree.level_sequence, tree.colors)


def arrays(vertices, colors=1):
    """Draw a rational coefficient for each tree, all as Fractions or all as mpq."""
    numbers = oracle.rationals(len(catalog(vertices, colors)))
    return st.builds(
        lambda entries, kind: np.array([*map(kind, entries)], object),
        numbers,
        st.sampled_from([Fraction, gmpy2.mpq]),
    )


def function_on(trees, array):
    values = {plain(trees.tree(i)): value for i, value in enumerate(array)}
    return values.__getitem__


def cut_by_hand(tree):
    """Count the pairs of a subtree with the root, and the cut trees as children of a vertex."""
    parents, colors = oracle.flat(tree)
    found = Counter()
    for cut in oracle.subsets(range(1, len(parents))):
        if any(w in oracle.vertices_below(v, parents) for v, w in permutations(cut, 2)):
            continue
        forest = tuple(sorted(oracle.piece(v, (), parents, colors) for v in cut))
        found[oracle.piece(0, cut, parents, colors), (0, forest)] += 1
    return found


@pytest.mark.parametrize(("vertices", "colors"), CATALOGS)
def test_prunings_are_all_ways_to_cut_edges_none_below_another(vertices, colors):
    trees = catalog(vertices, colors)
    for n, order in enumerate(prunings(vertices, colors), 1):
        assert len(order.starts) == trees.counts[n]
        ends = order.starts + counts_of(order)
        for i, (start, end) in enumerate(zip(order.starts, ends, strict=True)):
            found = {
                (plain(trees.tree(s)), plain(trees.tree(f))): multiplicity
                for s, f, multiplicity in zip(
                    order.subtree[start:end].tolist(),
                    order.forest[start:end].tolist(),
                    order.multiplicity[start:end].tolist(),
                    strict=True,
                )
            }
            assert len(found) == end - start
            assert found == cut_by_hand(plain(trees.tree(trees.starts[n] + i)))


def test_a_bushy_tree_loses_its_leaves_in_binomially_many_ways():
    order = prunings(6)[-1]
    bushy = slice(order.starts[0], order.starts[1])
    assert sorted(order.multiplicity[bushy].tolist()) == [1, 1, 5, 5, 10, 10]


def test_prunings_are_made_once():
    assert prunings(5) is prunings(5, 1)
    assert prunings(5)[:4] == prunings(4)


@pytest.mark.parametrize(("vertices", "colors"), [(9, 1), (11, 1), (5, 2), (4, 3)])
def test_prunings_are_refused_where_they_would_not_fit_in_memory(vertices, colors, monkeypatch):
    made = prunings(vertices, colors)
    taken = sum(column.nbytes for order in made for column in order)
    expected = int(BYTES * GROWTH**vertices * colors**vertices)
    # More is needed to find them, with more trees of many colors in a catalog.
    assert taken < expected < 30 * taken
    monkeypatch.setattr(counts, "physical_memory", lambda: expected)
    assert prunings(vertices, colors) is made
    monkeypatch.setattr(counts, "physical_memory", lambda: expected - 1)
    size = f"{sum(tree_counts(vertices, colors)):,} trees, which take about {expected:,} bytes"
    with pytest.raises(InvalidOrder, match=f"^order={vertices - 1} means {size}"):
        prunings(vertices, colors)


@pytest.mark.parametrize("empty", [0, 1, 3])
@given(st.data())
def test_composition_is_the_sum_over_prunings(empty, data):
    trees = catalog(5)
    b, a = data.draw(arrays(5)), data.draw(arrays(5))
    found = composition(trees, b, a, empty)
    b_of, a_of = function_on(trees, b), function_on(trees, a)
    for i, value in enumerate(found):
        assert value == oracle.composed(b_of, a_of, empty, plain(trees.tree(i)))


def test_composition_is_right_for_single_trees_and_needs_no_division_for_integers():
    trees = catalog(4)
    units = np.eye(len(trees), dtype=int).astype(object)
    for b, a in product(units, repeat=2):
        found = composition(trees, b, a, 2).tolist()
        b_of, a_of = function_on(trees, b), function_on(trees, a)
        assert found == [oracle.composed(b_of, a_of, 2, plain(trees.tree(k))) for k in range(8)]
        assert {*map(type, found)} == {int}


@given(arrays(4))
def test_a_map_is_composed_with_itself(a):
    trees = catalog(4)
    a_of = function_on(trees, a)
    for i, value in enumerate(composition(trees, a, a, 1)):
        assert value == oracle.composed(a_of, a_of, 1, plain(trees.tree(i)))


def test_the_series_of_f_alone_are_composed():
    trees, b, a = catalog(1), np.array([Fraction(2)]), np.array([Fraction(3)])
    assert forest_products(trees, b).tolist() == [1]
    assert composition(trees, b, a, 5).tolist() == [5 * 2 + 3]


@given(arrays(3, 2), arrays(3, 2), st.integers(-2, 2))
def test_composition_is_the_sum_over_prunings_in_two_colors(b, a, empty):
    trees = catalog(3, 2)
    found = composition(trees, b, a, empty)
    b_of, a_of = function_on(trees, b), function_on(trees, a)
    for i, value in enumerate(found):
        assert value == oracle.composed(b_of, a_of, empty, plain(trees.tree(i)))


@given(arrays(4, 2), arrays(4, 2))
def test_composition_leaves_its_arguments_as_they_were(b, a):
    copies = b.copy(), a.copy()
    composition(catalog(4, 2), b, a, 1)
    assert b.tolist() == copies[0].tolist()
    assert a.tolist() == copies[1].tolist()


@given(arrays(4, 2))
def test_the_product_over_a_forest_does_not_see_the_root(a):
    trees = catalog(4, 2)
    values = function_on(trees, a)
    for i, found in enumerate(forest_products(trees, a)):
        assert found == oracle.prod(map(values, plain(trees.tree(i))[1]))


@pytest.mark.parametrize(("vertices", "colors"), [(7, 1), (4, 2)])
def test_merged_trees_have_the_children_of_both(vertices, colors):
    trees = catalog(vertices, colors)
    pairs = [
        (u, v)
        for u in range(len(trees))
        for v in range(len(trees))
        if trees.order_of(u) + trees.order_of(v) <= vertices + 1
    ]
    chosen = pairs[:: 1 + len(pairs) // 500]
    left, right = np.array(chosen).T
    expected = [
        trees.index(
            RootedTree((*trees.tree(u).children, *trees.tree(v).children), trees.tree(u).color)
        )
        for u, v in chosen
    ]
    assert merged(trees, left, right).tolist() == expected


class Entries(NamedTuple):
    """Entries of some trees, as pairs_of takes them."""

    starts: np.ndarray
    values: np.ndarray

    @property
    def counts(self):
        return counts_of(self).tolist()


def entries_with(counts):
    return Entries(np.cumsum(counts) - counts, np.zeros(sum(counts)))


def test_counts_are_those_between_the_starts():
    assert entries_with([2, 1, 3]).counts == [2, 1, 3]


@given(st.data(), st.integers(0, 2))
def test_pairs_are_all_pairs_of_entries_tree_by_tree(data, extra):
    first = entries_with(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    second = entries_with(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    places = st.tuples(
        st.integers(0, len(first.counts) - 1), st.integers(0, len(second.counts) - 1)
    )
    chosen = data.draw(st.lists(places, min_size=1, max_size=5))
    left, right = np.array(chosen).T
    more = [extra] if extra else []  # there are none unless they are asked for
    i, j, tree = pairs_of(first, left, second, right, *more)
    expected = Counter(
        (first.starts[u] + p, second.starts[v] + q if q >= 0 else q, place)
        for place, (u, v) in enumerate(chosen)
        for p in range(first.counts[u])
        for q in range(-extra, second.counts[v])
    )
    assert Counter(zip(i.tolist(), j.tolist(), tree.tolist(), strict=True)) == expected
    assert tree.tolist() == sorted(tree.tolist())


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.integers(-9, 9))))
def test_collecting_adds_up_what_equal_entries_weigh(drawn):
    # Each of the four trees with four vertices has an entry.
    entries = [(tree, 0, 0, 1) for tree in range(4)] + drawn
    starts, *columns = collected(catalog(4), 4, *np.array(entries).T)
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    total = Counter()
    for *place, weight in entries:
        total[tuple(place)] += weight
    for tree, start, end in zip(range(4), starts, [*starts[1:], None], strict=True):
        expected = [(*key, total[tree, *key]) for t, *key in sorted(total) if t == tree]
        assert found[start:end] == expected
