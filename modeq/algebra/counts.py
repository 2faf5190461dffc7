"""How many rooted trees there are, and whether work on all of them fits in memory."""

from __future__ import annotations

import os
import sys

from modeq.checks import check_limit
from modeq.errors import ExceedsLimit, InvalidOrder

MAX_COUNTED = 400
"""Trees with more vertices are not even counted."""


def tree_counts(vertices: int, colors: int = 1) -> tuple[int, ...]:
    """Return the numbers of rooted trees with 0, 1, …, ``vertices`` vertices.

    They follow from the product Π (1 - xᵏ)^(-Tₖ) over the children (Cayley).

    >>> tree_counts(8), tree_counts(5, colors=2)
    ((0, 1, 1, 2, 4, 9, 20, 48, 115), (0, 2, 4, 14, 52, 214))

    Raises:
        InvalidOrder: There are so many vertices that counting would take long, and nothing else
            could be done with them.
    """
    if vertices > MAX_COUNTED:
        raise InvalidOrder(
            f"order={vertices - 1} means more than 10^100 trees; take an order below 20 or so"
        )
    counts = [0, colors]
    divisor_sums = [0]
    for n in range(1, vertices):
        divisor_sums.append(sum(k * counts[k] for k in range(1, n + 1) if n % k == 0))
        counts.append(sum(divisor_sums[k] * counts[n + 1 - k] for k in range(1, n + 1)) // n)
    return tuple(counts[: vertices + 1])


def check_memory(vertices: int, colors: int, size: int, limit: int | None = None) -> None:
    """Refuse work on all trees that would take more memory than there is.

    Args:
        vertices: How many vertices the largest trees have.
        colors: In how many colors.
        size: How many bytes the work takes.
        limit: How many bytes it may take; all that the machine has, if not given.

    Raises:
        ExceedsLimit: It would take more.
    """
    limit = physical_memory() if limit is None else check_limit(limit)
    if size > limit:
        count = sum(tree_counts(vertices, colors))
        means = f"order={vertices - 1} means {count:,} trees, which take about"
        raise ExceedsLimit(means, size, "bytes", limit)


def physical_memory() -> int:
    """Return how many bytes of memory the machine has; very many if it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize
