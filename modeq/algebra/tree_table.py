"""The coefficients of a modified equation for all trees at once, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import gmpy2
import numpy as np

from modeq.algebra.catalog import Catalog, Range, SymmetryAndDensity, catalog, frozen
from modeq.algebra.counts import check_memory, tree_counts
from modeq.algebra.recurrences import RungeKuttaTable
from modeq.algebra.series import BSeries
from modeq.algebra.sweep import field_numerators, primes_needed
from modeq.algebra.trees import RootedTree
from modeq.checks import as_integer, shortened
from modeq.errors import InvalidTree, InvalidValue
from modeq.show.document import Block, Table, Text
from modeq.show.shown import Shown

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class TreeBlock:
    """Consecutive trees with equally many vertices, and their coefficients b.

    Attributes:
        vertices: How many vertices each of the trees has.
        start: The number of the first of the trees.
        numerators: The numerators of b(τ), without 1/σ(τ): 64-bit integers where they fit, else
            Python integers.
        denominator: The common denominator of b(τ) for all trees with so many vertices.
    """

    vertices: int
    start: int
    numerators: np.ndarray
    denominator: int
    _part: Range | None
    _structure: SymmetryAndDensity

    def __len__(self) -> int:
        return len(self.numerators)

    @cached_property
    def rest(self) -> np.ndarray:
        """The number of each tree without its largest child; -1 for single vertices."""
        return self._parts[0]

    @cached_property
    def child(self) -> np.ndarray:
        """The number of the largest child of each tree; -1 for single vertices."""
        return self._parts[1]

    @cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        if self._part is None:
            none = np.full(len(self), -1)
            return none, none
        return self._structure.catalog.parts_of(self._part)

    @cached_property
    def symmetry(self) -> np.ndarray:
        """The symmetry σ of each tree."""
        if self._part is None:
            return self._structure.symmetry(1)
        return self._structure.symmetry_of(self._part)

    @cached_property
    def density(self) -> np.ndarray:
        """The density γ of each tree."""
        if self._part is None:
            return self._structure.density(1)
        return self._structure.density_of(self._part)


def blocks_of(
    table: RungeKuttaTable,
    order: int,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Iterator[TreeBlock]:
    """Yield the coefficients of h f̃ in blocks, so that nobody has to hold them all.

    Args:
        table: The method, for one field or several.
        order: The highest power of h in f̃; trees with up to ``order`` + 1 vertices take part.
        limit: How many bytes may be used; all that the machine has, if not given.
        progress: Is called with the number of trees that are done, and that of all.

    Raises:
        InvalidOrder: If the work would not fit in memory.

    >>> [block.numerators.tolist() for block in blocks_of(RungeKuttaTable([[[0]]], [[1]]), 2)]
    [[1], [-1], [1], [2]]
    """
    check_memory(order + 1, len(table.b), sweep_bytes(table, order), limit)
    trees = catalog(order + 1, len(table.b))
    structure = SymmetryAndDensity(trees)
    done = 0
    for block in field_numerators(trees, table):
        n, part, values = block
        start = trees.starts[n] + (part.start if part else 0)
        yield TreeBlock(n, start, values, table.field_denominator(n), part, structure)
        done += len(values)
        if progress:
            progress(done, len(trees))


def sweep_bytes(table: RungeKuttaTable, order: int) -> int:
    """Return about how many bytes the rows take that a sweep keeps."""
    colors = len(table.b)
    counts = tree_counts(order + 1, colors)
    rows = sum(counts[: max(2, order)])
    sweeps = 1 + primes_needed(table, order + 1)
    top = counts[order] * colors
    return 8 * sweeps * (rows * (order + 1) * len(table.b[0]) + top)


class TreeTable(Shown):
    """The coefficients b(τ) of a modified equation for all trees with up to order + 1 vertices.

    Trees are numbered from 0, by the number of vertices first; see `modeq.algebra.catalog`. Arrays
    are for the trees with n vertices; numbers in them are those of trees. A number n of vertices
    that no tree of the table has is an InvalidValue.

    >>> table = tree_table_of(RungeKuttaTable([[[0]]], [[1]]), 3)
    >>> table.coefficients(4)
    (array([ 0, -1, -2, -3]), 12)
    >>> table[RootedTree([RootedTree(), RootedTree()])]
    Fraction(1, 6)

    Attributes:
        order: The highest power of h in f̃.
    """

    def __init__(self, trees: Catalog, numerators: list[np.ndarray], denominators: list[int]):
        self.order = trees.vertices - 1
        self._catalog = trees
        self._structure = SymmetryAndDensity(trees)
        self._numerators = list(map(frozen, numerators))
        self._denominators = denominators

    def __len__(self) -> int:
        return len(self._catalog)

    def __getitem__(self, tree: RootedTree) -> Fraction:
        index = self.index(tree)
        n = self._catalog.order_of(index)
        numerator = self._numerators[n][index - self._catalog.starts[n]]
        return Fraction(int(numerator), self._denominators[n])

    def index(self, tree: RootedTree) -> int:
        """Return the number of a tree.

        Raises:
            InvalidTree: If the table does not have the tree.
        """
        try:
            return self._catalog.index(tree)
        except KeyError:
            raise InvalidTree(
                f"{shortened(tree)} is not a rooted tree of at most {self.order + 1} vertices"
            ) from None

    def tree(self, index: int) -> RootedTree:
        """Return tree number ``index``."""
        number = as_integer(index)
        if number is None or not 0 <= number < len(self):
            raise InvalidTree(f"tree number {shortened(index)}: the table has 0 to {len(self) - 1}")
        return self._catalog.tree(number)

    def count(self, n: int) -> int:
        """Return how many trees with n vertices there are."""
        return self._catalog.counts[self._checked(n)]

    def start(self, n: int) -> int:
        """Return the number of the first tree with n vertices."""
        return self._catalog.starts[self._checked(n)]

    def coefficients(self, n: int) -> tuple[np.ndarray, int]:
        """Return the numerators of b(τ) for |τ| = n, without 1/σ(τ), and their denominator."""
        n = self._checked(n)
        return self._numerators[n], self._denominators[n]

    def rest(self, n: int) -> np.ndarray:
        """Return the number of each tree without its largest child; -1 for single vertices."""
        return self._catalog.rest[self._own(n)]

    def child(self, n: int) -> np.ndarray:
        """Return the number of the largest child of each tree; -1 for single vertices."""
        return self._catalog.child[self._own(n)]

    def symmetry(self, n: int) -> np.ndarray:
        """Return σ of each tree with n vertices."""
        return self._structure.symmetry(self._checked(n))

    def density(self, n: int) -> np.ndarray:
        """Return γ of each tree with n vertices."""
        return self._structure.density(self._checked(n))

    def _own(self, n: int) -> slice:
        n = self._checked(n)
        return slice(self._catalog.starts[n], self._catalog.starts[n + 1])

    def _checked(self, n: Any) -> int:
        """Return a number of vertices, or raise InvalidValue if no tree of the table has it."""
        number = as_integer(n)
        if number is None or not 1 <= number <= self.order + 1:
            raise InvalidValue(
                f"n is {shortened(n)}; the trees of the table have 1 to {self.order + 1} vertices"
            )
        return number

    def series(self) -> BSeries:
        """Return the same coefficients as a mapping from trees."""
        entries = [
            gmpy2.mpq(numerator, self._denominators[n])
            for n in range(1, self.order + 2)
            for numerator in self._numerators[n].tolist()
        ]
        return BSeries.of_array(self._catalog, np.array(entries, object))

    def show(self) -> list[Block]:
        """Return how many trees there are, and their denominators."""
        rows = tuple(
            (str(n), f"{self.count(n):,}", f"{self.coefficients(n)[1]:,}")
            for n in range(1, self.order + 2)
        )
        head = ("vertices", "trees", "common denominator")
        return [Text(f"{len(self):,} trees"), Table(head, rows, numeric=True)]

    def __repr__(self) -> str:
        return f"<TreeTable of order {self.order}: {len(self):,} trees>"


def tree_table_of(
    table: RungeKuttaTable,
    order: int,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> TreeTable:
    """Return the coefficients of all trees; the arguments are those of ``blocks_of``."""
    colors = len(table.b)
    size = 8 * sum(tree_counts(order + 1, colors)) + sweep_bytes(table, order)
    check_memory(order + 1, colors, size, limit)
    trees = catalog(order + 1, colors)
    numerators = [np.empty(count, np.int64) for count in trees.counts]
    for block in blocks_of(table, order, limit=limit, progress=progress):
        n = block.vertices
        if block.numerators.dtype == object and numerators[n].dtype != object:
            numerators[n] = numerators[n].astype(object)
        first = block.start - trees.starts[n]
        numerators[n][first : first + len(block)] = block.numerators
    denominators = [table.field_denominator(n) for n in range(order + 2)]
    return TreeTable(trees, numerators, denominators)
