"""Rooted trees: the indices of B-series.

A rooted tree is • or [τ₁, …, τₖ], a root with the trees τ₁, …, τₖ grafted on it; the order of the
τᵢ does not matter. It is stored as its *level sequence*: the distance from the root, plus one, of
each vertex in depth-first order. Every tree has several; the canonical one is lexicographically
largest, which means that the children of each vertex come in descending order of their own level
sequences (Beyer and Hedetniemi, SIAM J. Comput. 9, 1980). A tree is made canonical when it is
constructed, so equality, hashes and all functions of a tree are functions of that one tuple.

Nothing here is recursive, so that a tall tree of many thousand vertices is a tree like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import total_ordering
from itertools import cycle, islice
from math import factorial, prod
from operator import index
from typing import Any, TypeVar

from modeq.errors import InvalidOrder, InvalidTree

Value = TypeVar("Value")


@total_ordering
@dataclass(frozen=True, slots=True, init=False, repr=False)
class RootedTree:
    """The tree [τ₁, …, τₖ], made from its children; without children, the single vertex •.

    Equal trees are equal objects, whatever the order of the children. Trees are sorted by number
    of vertices, and among equally many, tall trees come first and bushy trees last, which is the
    order of `rooted_trees`. See Hairer, Lubich, Wanner, *Geometric Numerical Integration*, III.1.1.

    >>> leaf = RootedTree()
    >>> tree = RootedTree([leaf, RootedTree([leaf])])
    >>> print(tree)
    [[•],•]
    >>> tree
    RootedTree.from_level_sequence((1, 2, 3, 2))
    >>> tree == RootedTree([RootedTree([leaf]), leaf])
    True

    Attributes:
        level_sequence: The canonical level sequence, with the root at level 1.

    Raises:
        InvalidTree: If a child is not a RootedTree.
    """

    level_sequence: tuple[int, ...]

    def __init__(self, children: Iterable[RootedTree] = ()):
        trees = _checked_children(children)
        object.__setattr__(self, "level_sequence", _join(tree.level_sequence for tree in trees))

    @classmethod
    def from_level_sequence(cls, levels: Iterable[int]) -> RootedTree:
        """Return the tree with this level sequence, canonical or not, its root at any level.

        >>> print(RootedTree.from_level_sequence([0, 1, 1, 2]))
        [[•],•]

        Raises:
            InvalidTree: If it is empty, not of integers, back at the root's level or rises by two.
        """
        return cls._canonical(_fold(_checked_levels(levels), _join))

    @classmethod
    def _canonical(cls, levels: tuple[int, ...]) -> RootedTree:
        """Return the tree of a sequence that is known to be canonical."""
        tree = object.__new__(cls)
        object.__setattr__(tree, "level_sequence", levels)
        return tree

    @property
    def children(self) -> tuple[RootedTree, ...]:
        """The trees τ₁, …, τₖ, in descending order of their level sequences.

        >>> [str(child) for child in RootedTree.from_level_sequence([1, 2, 3, 2]).children]
        ['[•]', '•']
        """
        levels = self.level_sequence
        starts = [i for i, level in enumerate(levels) if level == 2]
        return tuple(
            self._canonical(tuple(level - 1 for level in levels[start:stop]))
            for start, stop in zip(starts, [*starts[1:], len(levels)], strict=False)
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

        The τᵢ are different from each other and mᵢ is how often each occurs
        (Hairer, Lubich, Wanner, III.1.2).

        >>> RootedTree.from_level_sequence([1, 2, 2, 2]).symmetry
        6
        """
        classes: dict[tuple[int, ...], int] = {}
        automorphisms = 1

        def classify(children: list[int]) -> int:
            nonlocal automorphisms
            automorphisms *= prod(map(factorial, Counter(children).values()))
            return classes.setdefault(tuple(children), len(classes))

        self.fold(classify)
        return automorphisms

    @property
    def density(self) -> int:
        """The tree factorial, γ(•) = 1, γ([τ₁, …, τₖ]) = |τ| γ(τ₁) ⋯ γ(τₖ).

        It is the product of the sizes of all subtrees, and 1/γ are the coefficients of the exact
        flow (Hairer, Lubich, Wanner, III.1.1).

        >>> RootedTree.from_level_sequence([1, 2, 3, 2]).density
        8
        """
        return self.fold(_size_and_density)[1]

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
        return RootedTree((*self.children, other))

    def fold(self, combine: Callable[[list[Value]], Value]) -> Value:
        """Return X(τ) where X([τ₁, …, τₖ]) = combine([X(τ₁), …, X(τₖ)]).

        The values are worked out from the leaves to the root, without recursion.

        >>> tree = RootedTree.from_level_sequence([1, 2, 3, 2])
        >>> tree.fold(lambda leaves: sum(leaves) or 1)
        2
        """
        return _fold(self.level_sequence, combine)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, RootedTree):
            return NotImplemented
        # Crosswise, so that of equally many vertices the larger sequence comes first.
        return (self.order, other.level_sequence) < (other.order, self.level_sequence)

    def __repr__(self) -> str:
        return f"RootedTree.from_level_sequence({self.level_sequence})"

    def __str__(self) -> str:
        parts = []
        levels = self.level_sequence
        for level, following in zip(levels, (*levels[1:], 1), strict=True):
            parts.append("[" if following > level else "•" + "]" * (level - following) + ",")
        return "".join(parts).removesuffix(",")


def rooted_trees(order: int) -> tuple[RootedTree, ...]:
    """Return all rooted trees with ``order`` vertices, each once, from the tall to the bushy one.

    There are 1, 1, 2, 4, 9, 20, 48, 115, 286, 719, … of them, and they satisfy
    Σ_{|τ|=n} n!/(σ(τ) γ(τ)) = (n-1)!. Each level sequence is found from the one before it by the
    successor function of Beyer and Hedetniemi (SIAM J. Comput. 9, 1980).

    >>> print(*rooted_trees(4))
    [[[•]]] [[•,•]] [[•],•] [•,•,•]

    Raises:
        InvalidOrder: If ``order`` is not an integer of at least one.
    """
    return tuple(map(RootedTree._canonical, _level_sequences(check_order(order, lowest=1))))


def check_order(order: Any, lowest: int = 0) -> int:
    """Return ``order`` as an int, or raise InvalidOrder unless it is an integer >= ``lowest``.

    >>> check_order(3)
    3
    """
    number = _integer(order)
    if number is None or number < lowest:
        raise InvalidOrder(f"order is {order!r}; it must be an integer >= {lowest}")
    return number


def _level_sequences(order: int) -> Iterator[tuple[int, ...]]:
    """Yield the canonical level sequences in descending lexicographic order."""
    levels = list(range(1, order + 1))
    yield tuple(levels)
    while max(levels) > 2:
        _replace_by_successor(levels)
        yield tuple(levels)


def _replace_by_successor(levels: list[int]) -> None:
    """Turn the sequence into the next smaller canonical one.

    The last vertex deeper than level 2 moves up to the level of its parent. What follows repeats
    the branch at that parent, because a canonical sequence can end in nothing larger.
    """
    moved = len(levels) - 1
    while levels[moved] == 2:
        moved -= 1
    parent = moved - 1
    while levels[parent] >= levels[moved]:
        parent -= 1
    levels[moved:] = islice(cycle(levels[parent:moved]), len(levels) - moved)


def _fold(levels: Sequence[int], combine: Callable[[list[Value]], Value]) -> Value:
    """Return the value at the root; children reach ``combine`` in the order of the sequence."""
    pending: list[tuple[int, Value]] = []
    for level in reversed(levels):
        children = []
        while pending and pending[-1][0] > level:
            children.append(pending.pop()[1])
        pending.append((level, combine(children)))
    return pending[0][1]


def _join(children: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the canonical level sequence of a root with these canonical children."""
    descending = sorted(children, reverse=True)
    return (1, *(level + 1 for child in descending for level in child))


def _size_and_density(children: list[tuple[int, int]]) -> tuple[int, int]:
    size = 1 + sum(size for size, _ in children)
    return size, size * prod(density for _, density in children)


def _checked_children(children: Any) -> list[RootedTree]:
    trees = list(children) if isinstance(children, Iterable) else children
    if trees is children or not all(isinstance(tree, RootedTree) for tree in trees):
        raise InvalidTree(f"children must be a list of RootedTree, got {_short(trees)}")
    return trees


def _checked_levels(sequence: Any) -> list[int]:
    entries = list(sequence) if isinstance(sequence, Iterable) else []
    if not entries:
        raise InvalidTree(f"a level sequence must list at least one level, got {_short(sequence)}")
    for position, entry in enumerate(entries):
        if fault := _fault(entries, position):
            place = f"entry {position} is {_short(entry)}, {fault}"
            raise InvalidTree(f"{_short(entries)} is not a level sequence: {place}")
    return [index(entry) for entry in entries]


def _fault(entries: list, position: int) -> str | None:
    """Return what is wrong with one entry, given that those before it are right."""
    level = _integer(entries[position])
    if level is None:
        return "not an integer"
    if position and level <= entries[0]:
        return f"but every entry after the first must be more than the first, {entries[0]}"
    if position and level > entries[position - 1] + 1:
        return f"more than one above the entry before it, {entries[position - 1]}"
    return None


def _integer(value: Any) -> int | None:
    """Return the value of anything that stands for an integer, and None for the rest."""
    try:
        return None if isinstance(value, bool) else index(value)
    except TypeError:
        return None


def _short(value: Any, width: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."
