"""The numbering of all trees: their parts, products and colors."""

from itertools import pairwise

import numpy as np
import pytest
import tree_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st

from modeq import RootedTree, rooted_trees
from modeq.algebra.catalog import Catalog, catalog
from modeq.errors import InvalidOrder, InvalidValue

CATALOGS = [(1, 1), (2, 1), (3, 1), (8, 1), (1, 2), (2, 3), (6, 2), (4, 3)]


def numbers(trees):
    return [trees.index(tree) for tree in map(trees.tree, range(len(trees)))]


def parts_of_ranges(trees, n, size):
    """Return the rest and the child of each tree with n vertices, and check that none is left."""
    columns, end = [], 0
    for part in trees.ranges(n, size):
        assert part.start == end
        assert len(part) == len(part.parts()[0])
        end += len(part)
        rest, child = part.parts()
        columns.append(
            (rest + trees.starts[part.rest_order], child + trees.starts[part.child_order])
        )
    assert end == trees.counts[n]
    return [np.concatenate(column).tolist() for column in zip(*columns, strict=True)]


def level_sequences(vertices=9, colors=1):
    """Return a strategy for level sequences that are not canonical, with colors."""

    def to_levels(choices):
        levels = [1]
        for choice, _ in choices:
            levels.append(2 + choice % levels[-1])
        return levels, [0, *(color for _, color in choices)]

    pairs = st.tuples(st.integers(0, vertices), st.integers(0, colors - 1))
    return st.lists(pairs, max_size=vertices - 1).map(to_levels)


@pytest.mark.parametrize(("vertices", "colors"), CATALOGS)
def test_the_catalog_has_each_tree_once(vertices, colors):
    trees = Catalog(vertices, colors)
    for n in range(1, vertices + 1):
        own = [trees.tree(i) for i in range(trees.starts[n], trees.starts[n + 1])]
        assert sorted(own) == list(rooted_trees(n, colors))
    assert len(trees) == sum(trees.counts)


@pytest.mark.parametrize(("vertices", "colors"), CATALOGS)
def test_index_and_tree_are_inverse_to_each_other(vertices, colors):
    trees = Catalog(vertices, colors)
    assert numbers(trees) == list(range(len(trees)))
    for n in range(1, vertices + 1):
        for tree in rooted_trees(n, colors):
            assert trees.tree(trees.index(tree)) == tree
            assert trees.order_of(trees.index(tree)) == n


@given(level_sequences(30))
def test_index_and_tree_are_inverse_for_trees_too_many_to_list(sequence):
    trees = catalog(13)
    tree = RootedTree.from_level_sequence(sequence[0][:13])
    assert trees.tree(trees.index(tree)) == tree


@given(level_sequences(6, colors=2), st.randoms(use_true_random=False))
def test_shuffled_children_are_the_same_tree(sequence, random):
    def shuffled(tree):
        children = [shuffled(child) for child in tree.children]
        random.shuffle(children)
        return RootedTree(children, color=tree.color)

    tree = RootedTree.from_level_sequence(*sequence)
    trees = catalog(6, 2)
    assert trees.index(shuffled(tree)) == trees.index(tree)
    assert oracle.from_levels(*sequence) == oracle.from_levels(tree.level_sequence, tree.colors)


@pytest.mark.parametrize(("vertices", "colors"), CATALOGS)
def test_trees_are_sorted_by_order_then_largest_child_then_rest(vertices, colors):
    trees = Catalog(vertices, colors)
    keys = [(trees.order_of(i), trees.child[i], trees.rest[i]) for i in range(len(trees))]
    assert keys[colors:] == sorted(keys[colors:])


@pytest.mark.parametrize(("vertices", "colors"), CATALOGS)
def test_a_tree_is_its_largest_child_grafted_on_its_rest(vertices, colors):
    trees = Catalog(vertices, colors)
    for index in range(colors, len(trees)):
        rest, child = trees.split(index)
        assert (rest, child) == (trees.rest[index], trees.child[index])
        assert child == max(map(trees.index, trees.tree(index).children))
        assert trees.tree(rest).butcher_product(trees.tree(child)) == trees.tree(index)
    assert trees.rest[:colors].tolist() == trees.child[:colors].tolist() == [-1] * colors


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, None])
@pytest.mark.parametrize(("vertices", "colors"), [(8, 1), (5, 2), (4, 3)])
def test_ranges_give_the_same_parts_in_blocks_of_any_size(vertices, colors, size):
    trees = Catalog(vertices, colors)
    for n in range(2, vertices + 1):
        own = slice(trees.starts[n], trees.starts[n + 1])
        rest, child = parts_of_ranges(trees, n, size)
        assert rest == trees.rest[own].tolist()
        assert child == trees.child[own].tolist()


@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_range_is_larger_than_asked_for_only_with_a_single_child(size):
    for part in Catalog(9).ranges(9, size):
        assert len(part) <= size or len(part.children) == 1


@pytest.mark.parametrize("size", [1, 6, 10, 12, 13, 100])
def test_a_range_has_as_many_children_as_there_is_room_for(size):
    for part, following in pairwise(Catalog(9).ranges(9, size)):
        if part.child_order == following.child_order:
            assert len(part) + np.ravel(following.lengths)[0] > size


def test_the_starts_are_the_sums_of_the_counts():
    trees = Catalog(6)
    assert trees.counts == (0, 1, 1, 2, 4, 9, 20)
    assert trees.starts == (0, 0, 1, 2, 4, 8, 17, 37)


def test_the_numbers_of_all_trees_cannot_be_changed():
    trees = Catalog(4, 2)
    for array in (trees.rest, trees.child, trees.color):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("vertices", "colors", "wide"),
    [(8, 1, False), (24, 1, False), (25, 1, True), (1, 2**31, False), (1, 2**31 + 1, True)],
)
def test_numbers_of_trees_take_32_bits_where_that_is_enough(vertices, colors, wide):
    trees = Catalog(vertices, colors)
    assert np.dtype(trees.number_type).itemsize == (8 if wide else 4)
    assert np.iinfo(trees.number_type).max >= len(trees) - 1


def test_arrays_take_no_more_room_than_their_numbers_need():
    trees = Catalog(6, 2)
    assert trees.rest.dtype == trees.child.dtype == np.int32
    assert trees.color.dtype == np.uint8


@pytest.mark.parametrize(("vertices", "colors"), [(8, 1), (5, 2), (4, 3)])
def test_the_rests_are_the_first_trees_of_their_order(vertices, colors):
    trees = Catalog(vertices, colors)
    for n in range(1, vertices):
        rests = {i for i in trees.rest.tolist() if trees.starts[n] <= i < trees.starts[n + 1]}
        assert rests == set(range(trees.starts[n], trees.starts[n] + trees.prefix(n)))
    assert trees.prefix(vertices) == (0 if vertices > 1 else colors)


@pytest.mark.parametrize(("vertices", "colors"), [(7, 1), (4, 2)])
def test_an_offset_counts_the_trees_whose_largest_child_comes_before(vertices, colors):
    trees = Catalog(vertices, colors)
    for n in range(2, vertices + 1):
        largest = trees.child[trees.starts[n] : trees.starts[n + 1]]
        for m in range(1, vertices + 1):
            children = np.arange(trees.counts[m])
            expected = [np.count_nonzero(largest < trees.starts[m] + child) for child in children]
            assert trees.offset(n, m, children).tolist() == expected


@pytest.mark.parametrize(("vertices", "colors"), [(7, 1), (4, 2), (3, 3)])
def test_graft_is_the_butcher_product(vertices, colors):
    trees = Catalog(vertices, colors)
    pairs = [
        (u, v)
        for u in range(len(trees))
        for v in range(len(trees))
        if trees.order_of(u) + trees.order_of(v) <= vertices
    ]
    left, right = np.array(pairs).T
    expected = [trees.index(trees.tree(u).butcher_product(trees.tree(v))) for u, v in pairs]
    found = trees.graft(left, right)
    assert found.tolist() == expected
    assert found.dtype == np.int64


def test_one_tree_is_grafted_on_many():
    trees = Catalog(4)
    assert trees.graft(np.array([0, 1, 2, 3]), np.array(0)).tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize(("vertices", "colors"), [(5, 2), (4, 3)])
def test_recolored_changes_the_color_of_the_root_alone(vertices, colors):
    trees = Catalog(vertices, colors)
    everything = np.arange(len(trees))
    assert trees.color.tolist() == [trees.tree(i).color for i in everything]
    for color in range(colors):
        expected = [
            trees.index(RootedTree(trees.tree(i).children, color=color)) for i in everything
        ]
        assert trees.recolored(everything, color).tolist() == expected


def test_there_may_be_more_colors_than_a_byte_can_tell_apart():
    trees = Catalog(2, 300)
    assert trees.color[:300].tolist() == list(range(300))
    last = RootedTree([RootedTree(color=7)], color=299)
    assert trees.tree(trees.index(last)) == last
    assert trees.color[trees.index(last)] == 299


def test_trees_that_are_not_in_a_catalog_have_no_number():
    trees = Catalog(3, 2)
    tall = RootedTree.from_level_sequence([1, 2, 3, 4])
    for tree in (tall, RootedTree(color=2), RootedTree([RootedTree(color=5)])):
        with pytest.raises(KeyError) as caught:
            trees.index(tree)
        assert caught.value.args == (tree,)


@pytest.mark.parametrize("arguments", [(0,), (-1,), (1.5,), (True,), ("3",), (3, 0), (3, 1.5)])
def test_a_catalog_has_natural_numbers_of_vertices_and_colors(arguments):
    which, error = ("order", InvalidOrder) if len(arguments) == 1 else ("colors", InvalidValue)
    with pytest.raises(error, match=f"^{which} is .*; it must be an integer >= 1"):
        Catalog(*arguments)


def test_catalogs_are_made_once_and_equal_if_they_number_the_same_trees():
    assert catalog(5) is catalog(5)
    assert catalog(5) is catalog(5, 1)
    assert Catalog(5) == catalog(5)
    assert hash(Catalog(5)) == hash(catalog(5)) != hash(Catalog(4))
    assert Catalog(5) != Catalog(5, 2)
    assert Catalog(5) != Catalog(4)
    assert Catalog(5) != 5
