"""Rooted trees: the indices of B-series.

A rooted tree is • or [τ₁, …, τₖ], a root with the trees τ₁, …, τₖ grafted on it; the order of the
τᵢ does not matter. It is stored as its *level sequence*: the distance from the root, plus one, of
each vertex in depth-first order. Every tree has several; the canonical one is lexicographically
largest, which means that the children of each vertex come in descending order of their own level
sequences (Beyer and Hedetniemi, SIAM J. Comput. 9, 1980). A tree is made canonical when it is
constructed, so equality, hashes and all functions of a tree are functions of that one tuple.

The vertices may have colors 0, 1, 2, …, one for each of several fields f₀, f₁, … (Hairer, Lubich,
Wanner, *Geometric Numerical Integration*, III.2). Then children with equal level sequences come in
descending order of their colors. Where nothing is said of colors, all are zero.

Nothing here is recursive, so that a tall tree of many thousand vertices is a tree like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import total_ordering
from itertools import chain, combinations_with_replacement, pairwise, product
from math import factorial, prod
from operator import attrgetter
from typing import Any

from modeq.algebra.counts import physical_memory, tree_counts
from modeq.algebra.layout import svg
from modeq.algebra.levels import (
    Colors,
    Value,
    checked_levels,
    fold_colored_levels,
    fold_levels,
    join_colored_levels,
    join_levels,
    level_sequences,
    size_and_density,
)
from modeq.checks import as_integer, check_colors, check_order, shortened
from modeq.errors import ExceedsLimit, InvalidTree

_MARKS = "•∘▪▫"

_BYTES_PER_TREE = 100
"""About what a tree takes, beside eight bytes for each vertex."""


@total_ordering
@dataclass(frozen=True, slots=True, init=False, repr=False)
class RootedTree:
    """The tree [τ₁, …, τₖ], made from its children; without children, the single vertex •.

    Equal trees are equal objects, whatever the order of the children. Trees are sorted by number
    of vertices, and among equally many, tall trees come first and bushy trees last; trees of one
    shape come in ascending order of colors. That is the order of `rooted_trees`. See Hairer,
    Lubich, Wanner, *Geometric Numerical Integration*, III.1.1, and for colors III.2.1.

    >>> leaf = RootedTree()
    >>> tree = RootedTree([leaf, RootedTree([leaf])])
    >>> print(tree)
    [[•],•]
    >>> tree
    RootedTree.from_level_sequence((1, 2, 3, 2))
    >>> tree == RootedTree([RootedTree([leaf]), leaf])
    True
    >>> print(RootedTree([leaf, RootedTree(color=1)], color=1))
    ∘[∘,•]

    Attributes:
        level_sequence: The canonical level sequence, with the root at level 1.

    Args:
        children: The trees τ₁, …, τₖ, in any order.
        color: The color of the root.

    Raises:
        InvalidTree: If a child is not a RootedTree, or the color not an integer of at least zero.
    """

    level_sequence: tuple[int, ...]
    # Empty if all colors are zero, so that trees without colors cost what they would without this.
    _nonzero_colors: Colors

    def __init__(self, children: Iterable[RootedTree] = (), color: int = 0):
        trees = _checked_children(children)
        if type(color) is int and color == 0 and not any(map(_get_colors, trees)):
            _set_levels(self, join_levels(map(_get_levels, trees)))
            _set_colors(self, ())
        else:
            root = _checked_color(color)
            levels, colors = join_colored_levels(
                root, [(t.level_sequence, t.colors) for t in trees]
            )
            _set_levels(self, levels)
            _set_colors(self, _nonzero(colors))

    @classmethod
    def from_level_sequence(
        cls, levels: Iterable[int], colors: Iterable[int] | None = None
    ) -> RootedTree:
        """Return the tree with this level sequence, canonical or not, its root at any level.

        >>> print(RootedTree.from_level_sequence([0, 1, 1, 2]))
        [[•],•]
        >>> print(RootedTree.from_level_sequence([0, 1, 1, 2], colors=[0, 1, 0, 2]))
        [[▪],∘]

        Args:
            levels: The levels of the vertices, in depth-first order.
            colors: The colors of the same vertices in the same order.

        Raises:
            InvalidTree: If it is empty, not of integers, back at the root's level or rises by two,
                or if there is not one color, an integer of at least zero, for each vertex.
        """
        checked = checked_levels(levels)
        if colors is None or not any(numbers := _checked_colors(colors, len(checked))):
            return cls._canonical(fold_levels(checked, join_levels))
        return cls._canonical(*fold_colored_levels(checked, numbers, join_colored_levels))

    @classmethod
    def _canonical(cls, levels: tuple[int, ...], nonzero_colors: Colors = ()) -> RootedTree:
        """Return the tree of sequences that are known to be canonical."""
        tree = _new(cls)
        _set_levels(tree, levels)
        _set_colors(tree, nonzero_colors)
        return tree

    @property
    def colors(self) -> Colors:
        """The colors of the vertices, in the order of the level sequence.

        >>> RootedTree([RootedTree(), RootedTree(color=1)]).colors
        (0, 1, 0)
        """
        return self._nonzero_colors or (0,) * self.order

    @property
    def color(self) -> int:
        """The color of the root.

        >>> RootedTree(color=2).color
        2
        """
        return self._nonzero_colors[0] if self._nonzero_colors else 0

    @property
    def children(self) -> tuple[RootedTree, ...]:
        """The trees τ₁, …, τₖ, in descending order of their level sequences, then their colors.

        >>> [str(child) for child in RootedTree.from_level_sequence([1, 2, 3, 2]).children]
        ['[•]', '•']
        """
        levels, colors = self.level_sequence, self._nonzero_colors
        starts = [i for i, level in enumerate(levels) if level == 2]
        return tuple(
            self._canonical(
                tuple(level - 1 for level in levels[start:stop]), _nonzero(colors[start:stop])
            )
            for start, stop in pairwise([*starts, len(levels)])
        )

    @property
    def order(self) -> int:
        """The number of vertices |τ|.

        >>> RootedTree.from_level_sequence([1, 2, 3, 2]).order
        4
        """
        return len(self.level_sequence)

    @property
    def symmetry(self) -> int:
        """The number of automorphisms, σ(•) = 1, σ([τ₁^m₁, τ₂^m₂, …]) = Π mᵢ! σ(τᵢ)^mᵢ.

        The τᵢ are different from each other, in shape or in color, and mᵢ is how often each occurs
        (Hairer, Lubich, Wanner, III.1.2).

        >>> RootedTree.from_level_sequence([1, 2, 2, 2]).symmetry
        6
        >>> RootedTree.from_level_sequence([1, 2, 2, 2], colors=[0, 1, 0, 0]).symmetry
        2
        """
        classes: dict[tuple[int, ...], int] = {}
        automorphisms = 1

        def classify(color: int, children: list[int]) -> int:
            nonlocal automorphisms
            if len(children) > 1:
                automorphisms *= prod(map(factorial, Counter(children).values()))
            return classes.setdefault((color, *children), len(classes))

        self.fold_colored(classify)
        return automorphisms

    @property
    def density(self) -> int:
        """The tree factorial, γ(•) = 1, γ([τ₁, …, τₖ]) = |τ| γ(τ₁) ⋯ γ(τₖ).

        It is the product of the sizes of all subtrees, and 1/γ are the coefficients of the exact
        flow (Hairer, Lubich, Wanner, III.1.1).

        >>> RootedTree.from_level_sequence([1, 2, 3, 2]).density
        8
        """
        return self.fold(size_and_density)[1]

    @property
    def is_tall(self) -> bool:
        """Whether no vertex has two children; • and [•] are both tall and bushy.

        >>> [tree.is_tall for tree in rooted_trees(3)]
        [True, False]
        """
        return self.level_sequence[-1] == self.order

    @property
    def is_bushy(self) -> bool:
        """Whether all vertices but the root are leaves; • and [•] are both tall and bushy.

        >>> [tree.is_bushy for tree in rooted_trees(3)]
        [False, True]
        """
        return max(self.level_sequence) <= 2

    def butcher_product(self, other: RootedTree) -> RootedTree:
        """Return u∘v = [u₁, …, uₖ, v]: the tree v grafted on the root of u = [u₁, …, uₖ].

        See Hairer, Lubich, Wanner, VI.7.

        >>> leaf = RootedTree()
        >>> print(leaf.butcher_product(leaf).butcher_product(leaf))
        [•,•]
        """
        return RootedTree((*self.children, other), self.color)

    def fold(self, combine: Callable[[list[Value]], Value]) -> Value:
        """Return X(τ) where X([τ₁, …, τₖ]) = combine([X(τ₁), …, X(τₖ)]).

        The values are worked out from the leaves to the root, without recursion.

        >>> tree = RootedTree.from_level_sequence([1, 2, 3, 2])
        >>> tree.fold(lambda leaves: sum(leaves) or 1)
        2
        """
        return fold_levels(self.level_sequence, combine)

    def fold_colored(self, combine: Callable[[int, list[Value]], Value]) -> Value:
        """Return X(τ) where X([τ₁, …, τₖ]) = combine(color of the root, [X(τ₁), …, X(τₖ)]).

        >>> tree = RootedTree.from_level_sequence([1, 2, 3, 2], colors=[0, 1, 0, 1])
        >>> tree.fold_colored(lambda color, children: color + sum(children))
        2
        """
        return fold_colored_levels(self.level_sequence, self.colors, combine)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, RootedTree):
            return NotImplemented
        # Crosswise, so that of equally many vertices the larger sequence comes first.
        smaller = (self.order, other.level_sequence, self._nonzero_colors)
        return smaller < (other.order, self.level_sequence, other._nonzero_colors)

    def _repr_svg_(self, size: float = 24) -> str:
        return svg(self.level_sequence, self.colors, str(self), size)

    def __repr__(self) -> str:
        colors = f", {self._nonzero_colors}" if self._nonzero_colors else ""
        return f"RootedTree.from_level_sequence({self.level_sequence}{colors})"

    def __str__(self) -> str:
        parts = []
        for level, following in pairwise((*self.level_sequence, 1)):
            parts.append("[" if following > level else "•" + "]" * (level - following) + ",")
        for vertex, color in enumerate(self._nonzero_colors):
            if color:
                parts[vertex] = color_mark(color) + parts[vertex].removeprefix("•")
        return "".join(parts).removesuffix(",")


# A frozen class leaves the descriptors of its slots as they are, and trees are made in large
# numbers: through these the slots are set without looking them up by name each time.
_new = object.__new__
_get_levels = attrgetter("level_sequence")
_get_colors = attrgetter("_nonzero_colors")
_set_levels = RootedTree.level_sequence.__set__
_set_colors = RootedTree._nonzero_colors.__set__


def rooted_trees(order: int, colors: int = 1) -> tuple[RootedTree, ...]:
    """Return all rooted trees with ``order`` vertices, each once, from the tall to the bushy one.

    There are 1, 1, 2, 4, 9, 20, 48, 115, 286, 719, … of them, and with vertices in two colors
    2, 4, 14, 52, 214, 916, … Those in k colors satisfy Σ_{|τ|=n} n!/(σ(τ) γ(τ)) = kⁿ (n-1)!.
    Each level sequence is found from the one before it by the successor function of Beyer and
    Hedetniemi (SIAM J. Comput. 9, 1980).

    >>> print(*rooted_trees(4))
    [[[•]]] [[•,•]] [[•],•] [•,•,•]
    >>> print(*rooted_trees(2, colors=2))
    [•] [∘] ∘[•] ∘[∘]

    Args:
        order: The number of vertices.
        colors: The number of colors that a vertex may have: 0, 1, …, colors - 1.

    Raises:
        InvalidOrder: If ``order`` is not an integer of at least one, or means more trees than fit
            in memory.
        InvalidValue: If ``colors`` is not an integer of at least one.
    """
    order, colors = check_order(order, lowest=1), check_colors(colors)
    _check_number(order, colors)
    if colors == 1:
        return tuple(map(RootedTree._canonical, level_sequences(order)))
    return tuple(
        RootedTree._canonical(levels, _nonzero(coloring))
        for levels, colorings in _colorings(order, colors).items()
        for coloring in reversed(colorings)
    )


def color_mark(color: int) -> str:
    """Return how a vertex of this color is written.

    >>> print(*map(color_mark, range(6)))
    • ∘ ▪ ▫ •4 •5
    """
    return _MARKS[color] if color < len(_MARKS) else f"•{color}"


def _check_number(order: int, colors: int) -> None:
    """Raise ExceedsLimit if so many trees would not fit in memory."""
    count = tree_counts(order + 1, colors)[order]
    size, limit = count * (_BYTES_PER_TREE + 8 * order), physical_memory()
    if size > limit:
        means = f"order={order} means {count:,} trees, which take about"
        raise ExceedsLimit(means, size, "bytes", limit)


def _colorings(order: int, colors: int) -> dict[tuple[int, ...], list[Colors]]:
    """Return the canonical colorings of each level sequence, in descending order."""
    found: dict[tuple[int, ...], list[Colors]] = {}
    for size in range(1, order + 1):
        smaller, found = found, found if size < order else {}
        for levels in level_sequences(size):
            found[levels] = _colorings_of(RootedTree._canonical(levels), colors, smaller)
    return found


def _colorings_of(
    shape: RootedTree, colors: int, smaller: dict[tuple[int, ...], list[Colors]]
) -> list[Colors]:
    """Return the canonical colorings of one shape, given those of all smaller ones.

    Children of one shape are colored in descending order, which is a choice with repetition.
    """
    roots = [(color,) for color in reversed(range(colors))]
    choices = [
        [tuple(chain(*chosen)) for chosen in combinations_with_replacement(smaller[levels], times)]
        for levels, times in Counter(child.level_sequence for child in shape.children).items()
    ]
    return [tuple(chain(*parts)) for parts in product(roots, *choices)]


def _nonzero(colors: Colors) -> Colors:
    return colors if any(colors) else ()


def _checked_children(children: Any) -> list[RootedTree]:
    trees = list(children) if isinstance(children, Iterable) else children
    if trees is children or not all(isinstance(tree, RootedTree) for tree in trees):
        raise InvalidTree(f"children must be a list of RootedTree, got {shortened(trees)}")
    return trees


def _checked_color(color: Any) -> int:
    number = as_integer(color)
    if number is None or number < 0:
        raise InvalidTree(f"color is {shortened(color)}; it must be an integer >= 0")
    return number


def _checked_colors(colors: Any, vertices: int) -> list[int]:
    entries = list(colors) if isinstance(colors, Iterable) else []
    if len(entries) != vertices:
        raise InvalidTree(
            f"colors must list one color for each of {vertices} vertices, got {shortened(colors)}"
        )
    return [_checked_color(entry) for entry in entries]
