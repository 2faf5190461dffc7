"""Tables of all trees, with progress where people wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modeq.algebra.tree_table import Progress as Callback
from modeq.algebra.tree_table import TreeBlock, TreeTable
from modeq.derivation import universal
from modeq.progress import waiting

LONG = 2_000_000
"""Trees from which on a progress bar is worth its place."""


def tree_table(
    method: Any, order: int, *, limit: int | None = None, progress: Callback | None = None
) -> TreeTable:
    """Return the coefficients b(τ) of a method for all trees with up to order + 1 vertices.

    Numerators are exact integers over one denominator for all trees with equally many vertices.
    Long work shows a progress bar on standard error if that is a terminal.

    Args:
        method: A method with a rational table (Runge-Kutta, additive or partitioned), or its name.
        order: The highest power of h; 19 means 20,247,374 trees, 21 means 152,524,387.
        limit: How many bytes may be used; all that the machine has, if not given.
        progress: Is called with the number of trees that are done, and that of all, in place of
            the progress bar.

    Raises:
        InvalidMethod: The method has no rational table.
        InvalidOrder: The table would not fit in memory.

    >>> table = tree_table("euler", order=9)
    >>> len(table), table.coefficients(3)
    (1205, (array([1, 2]), 6))
    """
    with waiting("trees", least=LONG, progress=progress) as callback:
        return universal.tree_table(method, order, limit=limit, progress=callback)


def tree_blocks(
    method: Any, order: int, *, limit: int | None = None, progress: Callback | None = None
) -> Iterator[TreeBlock]:
    """Yield the coefficients of ``tree_table`` in blocks, so that nobody has to hold them all.

    >>> counts = {}
    >>> for block in tree_blocks("euler", order=12):
    ...     zeros = int((block.numerators == 0).sum())
    ...     counts[block.vertices] = counts.get(block.vertices, 0) + zeros
    >>> counts[4], counts[8]  # trees that do not occur in the equation of gradient descent
    (1, 12)
    """
    with waiting("trees", least=LONG, progress=progress) as callback:
        yield from universal.blocks_of_trees(method, order, limit=limit, progress=callback)
