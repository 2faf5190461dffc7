"""Rooted trees, against definitions written out here and counts from the literature."""

import copy
import pickle
import re
from fractions import Fraction
from itertools import permutations
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeq import RootedTree, rooted_trees
from modeq.checks import check_order
from modeq.errors import ExceedsLimit, InvalidOrder, InvalidTree, InvalidValue

LEAF = RootedTree()
CHAIN = range(1, 1001)
COUNTS = (1, 1, 2, 4, 9, 20, 48, 115, 286, 719, 1842)  # OEIS A000081
COLORED_COUNTS = {2: (2, 4, 14, 52, 214, 916, 4116), 3: (3, 9, 45, 246, 1485)}  # A000151, A006964
SMALL = [(order, colors) for colors, counts in COLORED_COUNTS.items() for order in range(1, 6)]


def parents(levels):
    """Return the parent of each vertex but the first: the last vertex one level above it."""
    return [max(j for j in range(i) if levels[j] == levels[i] - 1) for i in range(1, len(levels))]


def automorphisms(tree):
    """Count the permutations of the vertices that keep the root, every parent and every color."""
    parent, color = [0, *parents(tree.level_sequence)], tree.colors
    return sum(
        all(
            image[parent[i]] == parent[image[i]] and color[image[i]] == color[i]
            for i in range(tree.order)
        )
        for image in ((0, *rest) for rest in permutations(range(1, tree.order)))
    )


def tree_factorial(tree):
    result = tree.order
    for child in tree.children:
        result *= tree_factorial(child)
    return result


@st.composite
def parent_lists(draw, most=12):
    """A tree with its vertices in an arbitrary order, as the parents of vertices 1, 2, …"""
    size = draw(st.integers(1, most))
    return [draw(st.integers(0, vertex - 1)) for vertex in range(1, size)]


def grow(parent, shuffle=lambda children: children, colors=None):
    """Build a tree from its list of parents, the children in the order that shuffle gives them."""
    colors = colors or [0] * (len(parent) + 1)
    children = {vertex: [] for vertex in range(len(parent) + 1)}
    for vertex in range(len(parent), 0, -1):
        tree = RootedTree(shuffle(children[vertex]), color=colors[vertex])
        children[parent[vertex - 1]].append(tree)
    return RootedTree(shuffle(children[0]), color=colors[0])


@st.composite
def colorings(draw, most=12, colors=6):
    """The parents of vertices 1, 2, … and the colors of all vertices."""
    parent = draw(parent_lists(most))
    size = len(parent) + 1
    return parent, draw(st.lists(st.integers(0, colors - 1), min_size=size, max_size=size))


def colored(parent_and_colors):
    parent, colors = parent_and_colors
    return grow(parent, colors=colors)


def trees_by_counting_multisets(order, colors):
    """Count trees in k colors: k times the forests with one vertex less, counted by Euler."""
    trees, forests = [0], [1]
    for n in range(1, order + 1):
        trees.append(colors * forests[n - 1])
        divided = [sum(d * trees[d] for d in range(1, i + 1) if i % d == 0) for i in range(n + 1)]
        forests.append(sum(divided[i] * forests[n - i] for i in range(1, n + 1)) // n)
    return trees[order]


@pytest.mark.parametrize("order", range(1, 12))
def test_the_number_of_rooted_trees_is_known(order):
    trees = rooted_trees(order)
    assert len(trees) == len(set(trees)) == COUNTS[order - 1]
    assert all(tree.order == order for tree in trees)


@pytest.mark.parametrize("order", range(1, 11))
def test_the_trees_of_one_order_weigh_as_much_as_the_increasing_labelings(order):
    weights = [Fraction(factorial(order), t.symmetry * t.density) for t in rooted_trees(order)]
    assert all(weight.denominator == 1 for weight in weights)
    assert sum(weights) == factorial(order - 1)


@pytest.mark.parametrize("order", range(1, 9))
def test_generated_trees_are_canonical_and_sorted(order):
    trees = rooted_trees(order)
    assert list(trees) == sorted(trees)
    for tree in trees:
        assert RootedTree.from_level_sequence(tree.level_sequence) == tree
        assert RootedTree(tree.children) == tree
        assert list(tree.children) == sorted(
            tree.children, key=lambda child: child.level_sequence, reverse=True
        )


@pytest.mark.parametrize("order", range(1, 8))
def test_symmetry_counts_the_automorphisms(order):
    for tree in rooted_trees(order):
        assert tree.symmetry == automorphisms(tree)


@pytest.mark.parametrize("order", range(1, 9))
def test_density_is_the_product_of_the_sizes_of_all_subtrees(order):
    for tree in rooted_trees(order):
        assert tree.density == tree_factorial(tree)


@given(parent_lists(), st.randoms(use_true_random=False))
def test_the_order_of_the_children_does_not_matter(parent, random):
    def shuffled(children):
        return random.sample(children, len(children))

    tree, other = grow(parent), grow(parent, shuffled)
    assert tree == other
    assert hash(tree) == hash(other)
    assert repr(tree) == repr(other)
    assert str(tree) == str(other)
    assert (tree.symmetry, tree.density) == (other.symmetry, other.density)


@given(st.data())
def test_every_level_sequence_of_a_tree_gives_the_same_tree(data):
    tree = grow(data.draw(parent_lists()))

    def any_sequence(subtree, level):
        children = data.draw(st.permutations(subtree.children))
        return [level, *(x for child in children for x in any_sequence(child, level + 1))]

    start = data.draw(st.integers(-3, 3))
    sequence = any_sequence(tree, start)
    assert RootedTree.from_level_sequence(sequence) == tree
    assert tuple(level - start + 1 for level in sequence) <= tree.level_sequence


@given(parent_lists())
def test_repr_and_pickle_give_the_tree_back(parent):
    tree = grow(parent)
    assert eval(repr(tree)) == tree
    assert pickle.loads(pickle.dumps(tree)) == tree == copy.deepcopy(tree)


@given(parent_lists(), parent_lists())
def test_the_butcher_product_grafts_one_tree_on_the_root_of_another(first, second):
    u, v = grow(first), grow(second)
    product = u.butcher_product(v)
    assert product.order == u.order + v.order
    assert sorted(product.children) == sorted([*u.children, v])


@given(parent_lists(), parent_lists(), parent_lists())
def test_grafting_two_trees_on_a_root_does_not_depend_on_which_comes_first(first, second, third):
    u, v, w = grow(first), grow(second), grow(third)
    assert u.butcher_product(v).butcher_product(w) == u.butcher_product(w).butcher_product(v)


@given(parent_lists(), parent_lists())
def test_trees_are_sorted_by_order_and_then_from_tall_to_bushy(first, second):
    u, v = grow(first), grow(second)
    assert (u < v) + (u == v) + (u > v) == 1
    if u.order != v.order:
        assert (u < v) == (u.order < v.order)


@pytest.mark.parametrize("order", range(1, 7))
def test_there_is_one_tall_and_one_bushy_tree_of_each_order(order):
    trees = rooted_trees(order)
    assert [t.is_tall for t in trees] == [True] + [False] * (len(trees) - 1)
    assert [t.is_bushy for t in trees] == [False] * (len(trees) - 1) + [True]


def test_a_tree_prints_as_nested_brackets():
    assert [str(t) for n in (1, 2, 3) for t in rooted_trees(n)] == ["•", "[•]", "[[•]]", "[•,•]"]
    assert str(RootedTree([LEAF, RootedTree([LEAF, RootedTree([LEAF])])])) == "[[[•],•],•]"


def test_a_tree_of_a_thousand_levels_is_a_tree_like_any_other():
    tree = LEAF
    for _ in CHAIN[1:]:
        tree = RootedTree([tree])
    again = RootedTree.from_level_sequence(CHAIN)
    assert tree == again
    assert hash(tree) == hash(again)
    assert tree <= again
    assert (tree.order, tree.symmetry, tree.density) == (1000, 1, factorial(1000))
    assert tree.is_tall
    assert not tree.is_bushy
    assert eval(repr(tree)) == tree
    assert str(tree) == "[" * 999 + "•" + "]" * 999
    assert tree.children[0].order == 999
    assert pickle.loads(pickle.dumps(tree)) == tree


def test_a_thousand_leaves_may_change_places():
    assert RootedTree([LEAF] * 1000).symmetry == factorial(1000)


def test_a_tree_cannot_be_changed():
    with pytest.raises(AttributeError):
        LEAF.level_sequence = (1, 2)


def test_numpy_integers_are_integers():
    np = pytest.importorskip("numpy")
    tree = RootedTree.from_level_sequence(np.array([0, 1, 1]))
    assert tree == RootedTree([LEAF, LEAF])
    assert all(type(level) is int for level in tree.level_sequence)


@pytest.mark.parametrize(
    ("sequence", "fault"),
    [
        ([], "at least one level, got \\[\\]"),
        (7, "at least one level, got 7"),
        ("12", "entry 0 is '1', not an integer"),
        ([1, 2.0], "entry 1 is 2.0, not an integer"),
        ([False, True], "entry 0 is False, not an integer"),
        ([1, 2, 1], "entry 2 is 1, but every entry after the first must be more than the first, 1"),
        ([1, 0], "entry 1 is 0, but every entry"),
        ([1, 2, 4], r"\[1, 2, 4\] is not .* entry 2 is 4, more than one above .* before it, 2"),
    ],
)
def test_a_bad_level_sequence_is_told_where_it_is_bad(sequence, fault):
    with pytest.raises(InvalidTree, match=fault):
        RootedTree.from_level_sequence(sequence)


@pytest.mark.parametrize("length", [1, 79, 80, 81, 1000])
def test_an_error_shows_at_most_eighty_characters_of_a_value(length):
    class Long:
        def __repr__(self):
            return "".join(str(i % 10) for i in range(length))

    whole = repr(Long())
    shown = whole if length <= 80 else whole[:77] + "..."
    with pytest.raises(InvalidTree, match=f"color is {re.escape(shown)}; it must"):
        RootedTree(color=Long())


@pytest.mark.parametrize(
    ("children", "shown"),
    [
        (LEAF, "RootedTree.from_level_sequence((1,))"),
        (3, "3"),
        ([1], "[1]"),
        ("abc", "['a', 'b', 'c']"),
        ([LEAF, None], "[RootedTree.from_level_sequence((1,)), None]"),
    ],
)
def test_children_must_be_a_list_of_trees(children, shown):
    wrong = re.escape(f"children must be a list of RootedTree, got {shown}")
    with pytest.raises(InvalidTree, match=f"^{wrong}$"):
        RootedTree(children)


@pytest.mark.parametrize("order", [0, -1, 2.0, "3", True, None])
def test_the_number_of_vertices_must_be_a_positive_integer(order):
    with pytest.raises(InvalidOrder, match=r"order is .* must be an integer >= 1"):
        rooted_trees(order)


def test_trees_need_room_for_themselves_and_their_levels(monkeypatch):
    room = 20 * (100 + 8 * 6)
    monkeypatch.setattr("modeq.algebra.trees.physical_memory", lambda: room)
    assert len(rooted_trees(6)) == 20
    monkeypatch.setattr("modeq.algebra.trees.physical_memory", lambda: room - 1)
    with pytest.raises(ExceedsLimit, match=f"take about {room:,} bytes"):
        rooted_trees(6)


@pytest.mark.parametrize(
    ("order", "colors", "count"), [(30, 1, "354,426,847,597"), (25, 2, "20,714,056,652,990,194")]
)
def test_more_trees_than_fit_in_memory_are_not_begun(order, colors, count, monkeypatch):
    monkeypatch.setattr("modeq.algebra.trees.level_sequences", lambda order: pytest.fail("begun"))
    with pytest.raises(ExceedsLimit, match=f"order={order} means {count} trees, which take about"):
        rooted_trees(order, colors)


def test_nobody_counts_the_trees_with_a_thousand_vertices(monkeypatch):
    monkeypatch.setattr("modeq.algebra.trees.level_sequences", lambda order: pytest.fail("begun"))
    with pytest.raises(InvalidOrder, match="order=1000 means more than"):
        rooted_trees(1000)


def test_an_order_may_be_any_kind_of_integer():
    np = pytest.importorskip("numpy")
    assert type(check_order(np.int64(3))) is int


def test_an_order_may_be_zero_where_nothing_is_said():
    assert check_order(0) == 0
    with pytest.raises(InvalidOrder, match="order is -1; it must be an integer >= 0"):
        check_order(-1)


def test_a_tree_does_not_compare_with_anything_else():
    assert LEAF != (1,)
    with pytest.raises(TypeError):
        assert LEAF < (1,)


@pytest.mark.parametrize(
    ("order", "colors"),
    [(n, k) for k, counts in COLORED_COUNTS.items() for n in range(1, len(counts) + 1)],
)
def test_the_number_of_colored_trees_is_known(order, colors):
    trees = rooted_trees(order, colors)
    assert len(trees) == len(set(trees)) == COLORED_COUNTS[colors][order - 1]
    assert all(tree.order == order and max(tree.colors) < colors for tree in trees)


@pytest.mark.parametrize("colors", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_colored_trees_are_counted_by_multisets_of_their_children(order, colors):
    assert len(rooted_trees(order, colors)) == trees_by_counting_multisets(order, colors)


@pytest.mark.parametrize(("order", "colors"), SMALL)
def test_colored_trees_weigh_as_much_as_the_colored_increasing_labelings(order, colors):
    trees = rooted_trees(order, colors)
    weight = sum(Fraction(factorial(order), t.symmetry * t.density) for t in trees)
    assert weight == colors**order * factorial(order - 1)


@pytest.mark.parametrize(("order", "colors"), SMALL)
def test_generated_colored_trees_are_canonical_and_sorted(order, colors):
    trees = rooted_trees(order, colors)
    assert list(trees) == sorted(trees)
    for tree in trees:
        assert RootedTree.from_level_sequence(tree.level_sequence, tree.colors) == tree
        assert RootedTree(tree.children, tree.color) == tree
        keys = [(child.level_sequence, child.colors) for child in tree.children]
        assert keys == sorted(keys, reverse=True)


def test_one_color_is_no_color():
    assert rooted_trees(6, colors=1) == rooted_trees(6)
    assert [tree for tree in rooted_trees(5, colors=3) if not any(tree.colors)] == [
        *rooted_trees(5)
    ]


@pytest.mark.parametrize("order", range(1, 6))
def test_symmetry_counts_the_automorphisms_that_keep_colors(order):
    for tree in rooted_trees(order, colors=2):
        assert tree.symmetry == automorphisms(tree)


@given(colorings(), st.randoms(use_true_random=False))
def test_the_order_of_colored_children_does_not_matter(parent_and_colors, random):
    parent, colors = parent_and_colors

    def shuffled(children):
        return random.sample(children, len(children))

    tree, other = grow(parent, colors=colors), grow(parent, shuffled, colors)
    assert tree == other
    assert hash(tree) == hash(other)
    assert repr(tree) == repr(other)
    assert str(tree) == str(other)
    assert tree.symmetry == other.symmetry
    assert sorted(tree.colors) == sorted(colors)


@given(st.data())
def test_every_sequence_of_levels_and_colors_gives_the_same_tree(data):
    tree = colored(data.draw(colorings()))

    def any_sequence(subtree, level):
        children = data.draw(st.permutations(subtree.children))
        inner = (vertex for child in children for vertex in any_sequence(child, level + 1))
        return [(level, subtree.color), *inner]

    sequence = any_sequence(tree, data.draw(st.integers(-3, 3)))
    assert RootedTree.from_level_sequence(*zip(*sequence, strict=True)) == tree


@given(parent_lists())
def test_a_tree_in_color_zero_is_the_tree_without_colors(parent):
    plain = grow(parent)
    zeros = RootedTree.from_level_sequence(plain.level_sequence, [0] * plain.order)
    assert plain == zeros == RootedTree(plain.children, color=0)
    assert hash(plain) == hash(zeros)
    assert plain.colors == (0,) * plain.order
    assert repr(plain) == f"RootedTree.from_level_sequence({plain.level_sequence})"


@given(colorings())
def test_colors_do_not_change_the_shape(parent_and_colors):
    plain, tree = grow(parent_and_colors[0]), colored(parent_and_colors)
    assert tree.level_sequence == plain.level_sequence
    assert (tree.order, tree.density) == (plain.order, plain.density)
    assert (tree.is_tall, tree.is_bushy) == (plain.is_tall, plain.is_bushy)
    assert plain.symmetry % tree.symmetry == 0
    assert (tree == plain) == (not any(tree.colors))
    assert (tree != plain) == (plain < tree)


@given(colorings())
def test_repr_and_pickle_give_the_colored_tree_back(parent_and_colors):
    tree = colored(parent_and_colors)
    assert eval(repr(tree)) == tree
    assert pickle.loads(pickle.dumps(tree)) == tree == copy.deepcopy(tree)


@given(colorings(), colorings())
def test_different_colored_trees_print_differently(first, second):
    u, v = colored(first), colored(second)
    assert (u == v) == (str(u) == str(v)) == (repr(u) == repr(v))
    assert (u < v) + (u == v) + (u > v) == 1


@given(colorings(), colorings())
def test_the_butcher_product_keeps_the_color_of_the_root(first, second):
    u, v = colored(first), colored(second)
    product = u.butcher_product(v)
    assert product.color == u.color
    assert sorted(product.children) == sorted([*u.children, v])
    assert sorted(product.colors) == sorted([*u.colors, *v.colors])


@given(colorings())
def test_folding_with_colors_builds_the_tree_again(parent_and_colors):
    tree = colored(parent_and_colors)
    assert tree.fold_colored(lambda color, children: RootedTree(children, color)) == tree
    assert tree.fold(RootedTree) == grow(parent_and_colors[0])


def test_colored_trees_print_with_a_mark_for_each_color():
    assert " ".join(str(RootedTree(color=color)) for color in range(6)) == "• ∘ ▪ ▫ •4 •5"
    tree = RootedTree([RootedTree(), RootedTree([LEAF], color=4), RootedTree(color=1)], color=1)
    assert str(tree) == "∘[•4[•],∘,•]"
    assert str(RootedTree([tree])) == "[∘[•4[•],∘,•]]"


def test_a_colored_tree_of_a_thousand_levels_is_a_tree_like_any_other():
    tree = RootedTree.from_level_sequence(CHAIN, [level % 3 for level in CHAIN])
    assert (tree.order, tree.symmetry, tree.color) == (1000, 1, 1)
    assert tree.children[0].color == 2
    assert str(tree).startswith("∘[▪[[∘[▪[[∘[")
    assert eval(repr(tree)) == tree


@pytest.mark.parametrize("color", [-1, 1.0, 0.0, "1", True, False, None, [0]])
def test_a_color_is_an_integer_of_at_least_zero(color):
    wrong = re.escape(f"color is {color!r}; it must be an integer >= 0")
    with pytest.raises(InvalidTree, match=wrong):
        RootedTree(color=color)
    with pytest.raises(InvalidTree, match=wrong):
        RootedTree.from_level_sequence([1, 2], [0, color])


@pytest.mark.parametrize("colors", [[], [1], [0, 0, 0], 3, "colors"])
def test_there_is_one_color_for_each_vertex(colors):
    wrong = re.escape(f"colors must list one color for each of 2 vertices, got {colors!r}")
    with pytest.raises(InvalidTree, match=wrong):
        RootedTree.from_level_sequence([1, 2], colors)


@pytest.mark.parametrize("colors", [0, -2, 1.0, "2", True, None])
def test_the_number_of_colors_must_be_a_positive_integer(colors):
    wrong = re.escape(f"colors is {colors!r}; it must be an integer >= 1")
    with pytest.raises(InvalidValue, match=wrong):
        rooted_trees(3, colors)


def test_numpy_integers_are_colors():
    np = pytest.importorskip("numpy")
    tree = RootedTree.from_level_sequence(np.array([0, 1]), np.array([0, 1]))
    assert tree == RootedTree([RootedTree(color=np.int64(1))])
    assert all(type(color) is int for color in tree.colors)
