"""All rooted trees at once: the numbering that arrays of coefficients are indexed by.

A tree with n >= 2 vertices is a pair (rest, child): its largest child, and the tree that is left
without that child. Trees are numbered from 0 by the number of vertices, within that by the number
of their largest child, and within that by the number of the rest. So for a child c and a number r
of vertices, the trees that may be its rest (those without a child beyond c) are the *first* trees
with r vertices, and everything that is done for each tree from its parts is done for whole ranges.
Nothing but the lengths of these ranges is stored, and only where they vary, which is for children
smaller than their rest.

With several colors, one for each vertex, the trees with one vertex are the colors; a tree has the
color of its rest.

Symmetry and density are found for all trees at once, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import factorial

import numpy as np

from modeq.algebra.counts import tree_counts
from modeq.algebra.trees import RootedTree
from modeq.checks import check_colors, check_order


@dataclass(frozen=True, eq=False)
class Range:
    """Trees with n vertices whose largest child is one of a range of trees with m vertices.

    Attributes:
        child_order: The number m of vertices of the largest child.
        children: The children, as positions among the trees with m vertices.
        start: Position of the first of these trees among those with n vertices.
        lengths: How many rests each child has; an int if that is the same for all.
    """

    vertices: int
    child_order: int
    children: range
    start: int
    lengths: int | np.ndarray

    @property
    def rest_order(self) -> int:
        """The number of vertices of the rest."""
        return self.vertices - self.child_order

    def __len__(self) -> int:
        if isinstance(self.lengths, int):
            return self.lengths * len(self.children)
        return int(self.lengths.sum())

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rest and the child of each tree, as positions among those of their order."""
        if isinstance(self.lengths, int):
            rest = np.tile(np.arange(self.lengths), len(self.children))
            return rest, np.repeat(np.array(self.children), self.lengths)
        ends = np.cumsum(self.lengths)
        rest = np.arange(ends[-1]) - np.repeat(ends - self.lengths, self.lengths)
        return rest, np.repeat(np.array(self.children), self.lengths)


class Catalog:
    """The rooted trees with up to ``vertices`` vertices, numbered as described above.

    >>> catalog = Catalog(4)
    >>> [str(catalog.tree(i)) for i in range(8)]
    ['•', '[•]', '[•,•]', '[[•]]', '[•,•,•]', '[[•],•]', '[[•,•]]', '[[[•]]]']
    >>> catalog.index(RootedTree([RootedTree(), RootedTree()]))
    2

    Attributes:
        counts: Number of trees with 0, 1, 2, … vertices.
        starts: Number of the first tree with 0, 1, 2, … vertices, and the number of all.
        color_type: The type of arrays of colors.
        number_type: The type of arrays of numbers of trees.
    """

    def __init__(self, vertices: int, colors: int = 1):
        self.vertices = check_order(vertices, lowest=1)
        self.colors = check_colors(colors)
        self.color_type = np.min_scalar_type(colors)
        self.counts = tree_counts(vertices, colors)
        self.starts = (0, *(sum(self.counts[:n]) for n in range(1, vertices + 2)))
        self.number_type = np.int32 if len(self) <= 2**31 else np.int64
        # offsets[n][m][c] trees with n vertices have a largest child with m vertices before
        # number c, for m < n - m; further m are uniform.
        self._offsets: list[dict[int, np.ndarray]] = [{}, {}]
        for n in range(2, vertices + 1):
            self._offsets.append(self._varying_offsets(n))

    def __len__(self) -> int:
        return self.starts[-1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Catalog):
            return NotImplemented
        return (self.vertices, self.colors) == (other.vertices, other.colors)

    def __hash__(self) -> int:
        return hash((self.vertices, self.colors))

    def _varying_offsets(self, n: int) -> dict[int, np.ndarray]:
        offsets = {}
        start = 0
        for m in range(1, (n - 1) // 2 + 1):
            children = np.arange(self.counts[m])
            ends = start + np.cumsum(self.offset(n - m, m, children + 1))
            offsets[m] = np.concatenate(([start], ends))
            start = int(ends[-1])
        return offsets

    def offset(self, n: int, m: int, child):
        """Return how many trees with n vertices have a largest child before number ``child`` of
        those with m vertices; ``child`` may be an array.
        """
        if m >= n:
            return np.full_like(child, self.counts[n])
        if m < n - m:
            return self._offsets[n][m][child]
        return self._uniform_start(n, m) + child * self.counts[n - m]

    def _uniform_start(self, n: int, m: int) -> int:
        """Return how many trees with n vertices have a largest child of less than m >= n - m."""
        larger = range(m, n)
        return self.counts[n] - sum(self.counts[k] * self.counts[n - k] for k in larger)

    def ranges(self, n: int, size: int | None = None) -> Iterator[Range]:
        """Yield the trees with n >= 2 vertices in order, by the order of the largest child.

        Args:
            n: The number of vertices.
            size: About how many trees there should be in one range, at most.
        """
        for m in range(1, n):
            yield from self._ranges_of(n, m, size or self.counts[n])

    def _ranges_of(self, n: int, m: int, size: int) -> Iterator[Range]:
        if m >= n - m:
            rests = self.counts[n - m]
            step = max(1, size // rests)
            for first in range(0, self.counts[m], step):
                children = range(first, min(first + step, self.counts[m]))
                yield Range(n, m, children, self._uniform_start(n, m) + first * rests, rests)
            return
        offsets = self._offsets[n][m]
        first = 0
        while first < self.counts[m]:
            last = int(np.searchsorted(offsets, offsets[first] + size, side="right")) - 1
            last = min(max(last, first + 1), self.counts[m])
            lengths = np.diff(offsets[first : last + 1])
            yield Range(n, m, range(first, last), int(offsets[first]), lengths)
            first = last

    def prefix(self, n: int) -> int:
        """Return how many of the trees with n vertices are a rest in this catalog."""
        m = min(n, self.vertices - n)
        if n == 1:
            return self.counts[1]
        return int(self.offset(n, m, np.array(self.counts[m]))) if m else 0

    # one tree

    def index(self, tree: RootedTree) -> int:
        """Return the number of a tree.

        Raises:
            KeyError: The tree has more vertices, or other colors, than those of this catalog, or
                it is no tree.
        """
        if (
            not isinstance(tree, RootedTree)
            or tree.order > self.vertices
            or not 0 <= max(tree.colors) < self.colors
        ):
            raise KeyError(tree)

        def combine(color: int, children: list[tuple[int, int]]) -> tuple[int, int]:
            order, position = 1, color
            for child_order, child in sorted(children):
                order += child_order
                position += int(self.offset(order, child_order, np.array(child)))
            return order, position

        order, position = tree.fold_colored(combine)
        return self.starts[order] + position

    def order_of(self, index: int) -> int:
        """Return the number of vertices of tree number ``index``."""
        return int(np.searchsorted(self.starts[1:], index, side="right"))

    def split(self, index: int) -> tuple[int, int]:
        """Return the numbers of the rest and the largest child of a tree that is not •."""
        n = self.order_of(index)
        position = index - self.starts[n]
        for m in range(1, n):
            if position < self.offset(n, m, np.array(self.counts[m])):
                break
        if m < n - m:
            offsets = self._offsets[n][m]
            child = int(np.searchsorted(offsets, position, side="right")) - 1
            rest = position - int(offsets[child])
        else:
            child, rest = divmod(position - self._uniform_start(n, m), self.counts[n - m])
        return self.starts[n - m] + rest, self.starts[m] + child

    def tree(self, index: int) -> RootedTree:
        """Return tree number ``index``."""
        children = []
        while index >= self.colors:
            index, child = self.split(index)
            children.append(self.tree(child))
        return RootedTree(children, color=index)

    # all trees, as arrays of numbers

    @cached_property
    def rest(self) -> np.ndarray:
        """The number of the rest of each tree; -1 for single vertices."""
        return self._parts[0]

    @cached_property
    def child(self) -> np.ndarray:
        """The number of the largest child of each tree; -1 for single vertices."""
        return self._parts[1]

    @cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        rest, child = np.full((2, len(self)), -1, self.number_type)
        for n in range(2, self.vertices + 1):
            for part in self.ranges(n, 1 << 20):
                place = slice(self.starts[n] + part.start, self.starts[n] + part.start + len(part))
                rest[place], child[place] = self.parts_of(part)
        return frozen(rest), frozen(child)

    def parts_of(self, part: Range) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the rest and the child of each tree of a range."""
        rest, child = part.parts()
        return self.starts[part.rest_order] + rest, self.starts[part.child_order] + child

    @cached_property
    def color(self) -> np.ndarray:
        """The color of the root of each tree."""
        color = np.empty(len(self), self.color_type)
        color[: self.colors] = np.arange(self.colors)
        for n in range(2, self.vertices + 1):
            own = slice(self.starts[n], self.starts[n + 1])
            color[own] = color[self.rest[own]]
        return frozen(color)

    def graft(self, trees: np.ndarray, children: np.ndarray) -> np.ndarray:
        """Return the numbers of u∘v, v grafted on the root of u, for arrays of u and of v.

        >>> catalog = Catalog(4)
        >>> catalog.graft(np.array([0, 3]), np.array([1, 0])).tolist()
        [3, 5]
        """
        trees, children = np.broadcast_arrays(trees, children)
        own = self.child[trees]
        result = np.empty(trees.shape, np.int64)
        last = own <= children
        result[last] = self._with_largest(trees[last], children[last])
        if not last.all():
            inner = ~last
            smaller = self.graft(self.rest[trees[inner]], children[inner])
            result[inner] = self._with_largest(smaller, own[inner])
        return result

    def recolored(self, trees: np.ndarray, color: int) -> np.ndarray:
        """Return the numbers of the same trees with a root of another color."""
        trees = np.asarray(trees)
        result = np.full(trees.shape, color, np.int64)
        larger = np.flatnonzero(trees >= self.colors)
        if len(larger):
            rest = self.recolored(self.rest[trees[larger]], color)
            result[larger] = self._with_largest(rest, self.child[trees[larger]])
        return result

    def _with_largest(self, rest: np.ndarray, child: np.ndarray) -> np.ndarray:
        """Return the numbers of the trees with these rests and largest children."""
        starts = np.array(self.starts[1:])
        rest_order = np.searchsorted(starts, rest, side="right")
        child_order = np.searchsorted(starts, child, side="right")
        result = np.empty(rest.shape, np.int64)
        for r, m in set(zip(rest_order.tolist(), child_order.tolist(), strict=True)):
            chosen = (rest_order == r) & (child_order == m)
            before = self.offset(r + m, m, child[chosen] - self.starts[m])
            result[chosen] = self.starts[r + m] + before + rest[chosen] - self.starts[r]
        return result


def frozen(array: np.ndarray) -> np.ndarray:
    """Return an array that nobody can change, because others will read it too."""
    array.flags.writeable = False
    return array


def catalog(vertices: int, colors: int = 1) -> Catalog:
    """Return the catalog of all trees with up to ``vertices`` vertices, made once."""
    return _catalog(vertices, colors)


_catalog = lru_cache(maxsize=64)(Catalog)


INT64_MAX = 2**63 - 1


class SymmetryAndDensity:
    """Symmetry and density of all trees of a catalog, order by order.

    Both are products over the parts: σ(τ) = σ(rest) σ(child) m, where m is how often the largest
    child occurs, and γ(τ)/|τ| = γ(rest)/|rest| γ(child). Numbers are 64-bit integers while n!
    fits, and Python integers after that (from 21 vertices on).
    """

    def __init__(self, catalog: Catalog):
        self.catalog = catalog
        ones = frozen(np.ones(catalog.colors, np.int64))
        self._symmetry = {1: ones}
        self._density = {1: ones}
        self._multiplicity: dict[int, np.ndarray] = {}

    def symmetry(self, n: int) -> np.ndarray:
        """Return σ of each tree with n vertices."""
        return self._all(n, self._symmetry, self.symmetry_of)

    def density(self, n: int) -> np.ndarray:
        """Return γ of each tree with n vertices."""
        return self._all(n, self._density, self.density_of)

    def symmetry_of(self, part: Range) -> np.ndarray:
        """Return σ of each tree in a range."""
        rest, child = part.parts()
        dtype = _integers(factorial(part.vertices - 1))
        product = self.symmetry(part.rest_order)[rest].astype(dtype)
        product *= self.symmetry(part.child_order)[child]
        product *= self._multiplicity_of(part)
        return product

    def density_of(self, part: Range) -> np.ndarray:
        """Return γ of each tree in a range."""
        rest, child = part.parts()
        dtype = _integers(factorial(part.vertices))
        product = (self.density(part.rest_order) // part.rest_order)[rest].astype(dtype)
        product *= self.density(part.child_order)[child]
        product *= part.vertices
        return product

    def _multiplicity_of(self, part: Range) -> np.ndarray:
        """Return how often the largest child occurs, for each tree in a range."""
        if isinstance(part.lengths, int):
            return np.ones(len(part), np.int8)
        rest, child = part.parts()
        r, m = part.rest_order, part.child_order
        multiplicity = self._all(r, self._multiplicity, self._multiplicity_of)[rest]
        # Rests that have this child already are the last ones.
        first = self.catalog.offset(r, m, child)
        return np.where(rest >= first, multiplicity + 1, 1).astype(np.int8)

    def _all(self, n: int, known: dict[int, np.ndarray], of: Callable) -> np.ndarray:
        if n not in known:
            known[n] = frozen(np.concatenate([of(part) for part in self.catalog.ranges(n)]))
        return known[n]


def _integers(bound: int) -> type:
    return np.int64 if bound <= INT64_MAX else object
