"""All ways to cut a tree, as arrays: what compositions and substitutions sum over.

*Pruning* a tree τ leaves an ordered subtree s with the root of τ and a forest of cut trees. The
forest is stored as the tree that has it for children, so both are numbers of the catalog. Pruning
[…, c] either cuts c off or prunes it, independently of the rest:

    P(•) = {(•, ∅)},    P(rest∘c) = {(s∘s', t t') : (s, t) ∈ P(rest), (s', t') ∈ P(c) or (∅, c)}.

The sum over all prunings is the coproduct of Connes and Kreimer (Commun. Math. Phys. 199, 1998),
up to the one that cuts off the root.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import gmpy2
import numpy as np

from modeq.algebra.catalog import Catalog, catalog
from modeq.algebra.counts import check_memory

GROWTH = 3.7
"""By what the number of prunings of all trees grows with each vertex, in one color (measured)."""

BYTES = 15
"""How many bytes they take over that power: about 200 for each of the 354,387 of the trees with 12
vertices, with what is needed to find them, and those of smaller trees.
"""


class Prunings(NamedTuple):
    """The prunings of all trees with n vertices, those of one tree after those of another.

    Attributes:
        starts: Where the prunings of each tree start.
        subtree: The numbers of the subtrees s.
        forest: The numbers of the trees [cut trees], with a root of color 0.
        multiplicity: How many prunings are this pair.
    """

    starts: np.ndarray
    subtree: np.ndarray
    forest: np.ndarray
    multiplicity: np.ndarray


def prunings(vertices: int, colors: int = 1) -> tuple[Prunings, ...]:
    """Return the prunings of the trees with 1, 2, …, ``vertices`` vertices.

    >>> [int(order.multiplicity.sum()) for order in prunings(3)]
    [1, 2, 7]

    Raises:
        InvalidOrder: They would not fit in memory, which ends far sooner than that for the trees.
    """
    check_memory(vertices, colors, int(BYTES * GROWTH**vertices * colors**vertices))
    return _prunings(vertices, colors)


@lru_cache(maxsize=64)
def _prunings(vertices: int, colors: int) -> tuple[Prunings, ...]:
    if vertices == 1:
        return (_single_vertices(colors),)
    smaller = _prunings(vertices - 1, colors)
    return (*smaller, _prunings_of(catalog(vertices, colors), smaller))


def composition(trees: Catalog, b: np.ndarray, a: np.ndarray, empty: Any) -> np.ndarray:
    """Return a(∅) b(τ) + Σ_s a(s) Π_v b(v), over the prunings of each tree into s and the v.

    Args:
        trees: The catalog that numbers the trees.
        b: The coefficients of the map that is applied first.
        a: The coefficients of the map or field that is applied to its image.
        empty: The coefficient a(∅).
    """
    products, first = over_common_denominator(forest_products(trees, b))
    rows, second = over_common_denominator(a)
    values = empty * b
    left, right = products.astype(bool), rows.astype(bool)
    for n, order in enumerate(prunings(trees.vertices, trees.colors), 1):
        used = np.flatnonzero(left[order.forest] & right[order.subtree])
        terms = products[order.forest[used]] * rows[order.subtree[used]]
        multiplicity = order.multiplicity[used]
        several = multiplicity != 1
        terms[several] *= multiplicity[several].astype(object)
        tree = np.repeat(np.arange(len(order.starts)), counts_of(order))[used]
        starts = np.flatnonzero(np.diff(tree, prepend=-1))
        if len(starts):
            place = trees.starts[n] + tree[starts]
            # For other numbers than mpq the denominators are 1, and 1 / 1 would be a float.
            total = np.add.reduceat(terms, starts)
            values[place] += total if first * second == 1 else total / (first * second)
    return values


def over_common_denominator(array: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return integers and their denominator for an array of mpq, and other arrays over 1.

    Sums of products are then made without a greatest common divisor for each.

    >>> over_common_denominator(np.array([gmpy2.mpq(1, 2), gmpy2.mpq(1, 3)], object))
    (array([mpz(3), mpz(2)], dtype=object), mpq(6,1))
    """
    entries = array.tolist()
    if not all(type(entry) is gmpy2.mpq for entry in entries):
        return array, 1
    common = gmpy2.lcm(*(entry.denominator for entry in entries))
    integers = np.empty(len(entries), object)
    integers[:] = [entry.numerator * (common // entry.denominator) for entry in entries]
    return integers, gmpy2.mpq(common)


def forest_products(trees: Catalog, a: np.ndarray) -> np.ndarray:
    """Return Π a(τᵢ) for each tree [τ₁, …, τₖ], in the order of the catalog."""
    products = np.empty(len(trees), object)
    products[: trees.colors] = 0 * a[0] + 1
    for n in range(2, trees.vertices + 1):
        own = slice(trees.starts[n], trees.starts[n + 1])
        products[own] = products[trees.rest[own]] * a[trees.child[own]]
    return products


def _single_vertices(colors: int) -> Prunings:
    numbers = np.arange(colors)
    return Prunings(numbers, numbers, np.zeros_like(numbers), np.ones_like(numbers))


def _prunings_of(trees: Catalog, smaller: tuple[Prunings, ...]) -> Prunings:
    """Return the prunings of the trees with the most vertices."""
    n = trees.vertices
    parts = [_pairs(trees, part, smaller) for part in trees.ranges(n)]
    entries = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Prunings(*collected(trees, n, *entries))


def _pairs(trees: Catalog, part, smaller: tuple[Prunings, ...]) -> tuple[np.ndarray, ...]:
    """Return tree, subtree, forest and multiplicity for each pair of prunings of the parts."""
    rest, child = part.parts()
    of_rest, of_child = smaller[part.rest_order - 1], smaller[part.child_order - 1]
    child_numbers = trees.starts[part.child_order] + child
    # Number -1 among the prunings of the child cuts it off.
    i, j, tree = pairs_of(of_rest, rest, of_child, child, extra=1)
    cut = j < 0
    subtree = of_rest.subtree[i]
    forest = of_rest.forest[i]
    multiplicity = of_rest.multiplicity[i]
    kept = ~cut
    new_subtree = subtree.copy()
    new_subtree[kept] = trees.graft(subtree[kept], of_child.subtree[j[kept]])
    new_forest = np.empty_like(forest)
    new_forest[cut] = trees.graft(forest[cut], child_numbers[tree[cut]])
    new_forest[kept] = merged(trees, forest[kept], of_child.forest[j[kept]])
    multiplicity = multiplicity.copy()
    multiplicity[kept] *= of_child.multiplicity[j[kept]]
    return part.start + tree, new_subtree, new_forest, multiplicity


def counts_of(entries: Prunings | Any) -> np.ndarray:
    """Return how many entries each tree has, in a tuple of arrays that begins with ``starts``."""
    return np.diff(entries.starts, append=len(entries[1]))


def pairs_of(first, left: np.ndarray, second, right: np.ndarray, extra: int = 0):
    """Return all pairs (i, j) of an entry of ``first`` and one of ``second``, tree by tree.

    Args:
        first, second: Entries, in tuples of arrays that begin with ``starts``.
        left, right: For each tree, which of these its entries come from.
        extra: How many entries -1, -2, … each tree has beside those of ``second``.

    Returns:
        i, j, and the position of the tree, for each pair.
    """
    counts_left = counts_of(first)[left]
    counts_right = counts_of(second)[right] + extra
    sizes = counts_left * counts_right
    tree = np.repeat(np.arange(len(left)), sizes)
    within = np.arange(len(tree)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    i, j = np.divmod(within, counts_right[tree])
    j -= extra
    return first.starts[left][tree] + i, np.where(j < 0, j, second.starts[right][tree] + j), tree


def merged(trees: Catalog, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the numbers of the trees with the children of both, and the root of the left.

    >>> merged(catalog(5), np.array([1, 2]), np.array([3, 0])).tolist()
    [5, 2]
    """
    result = left.copy()
    open_ = np.flatnonzero(right >= trees.colors)
    remaining = right[open_]
    while len(open_):
        result[open_] = trees.graft(result[open_], trees.child[remaining])
        remaining = trees.rest[remaining]
        going_on = remaining >= trees.colors
        open_, remaining = open_[going_on], remaining[going_on]
    return result


def collected(
    trees: Catalog,
    n: int,
    tree: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    weight: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Return entries of the trees with n vertices sorted by tree, with equal ones added up.

    Args:
        trees: The catalog that numbers the trees.
        n: How many vertices the trees have.
        tree: The position of the tree of each entry among those with n vertices.
        left, right: What two entries have in common if their weights are to be added up.
        weight: The weights.

    Returns:
        Where the entries of each tree start, and the left, right and weight of each.
    """
    base = len(trees)
    key = (tree * base + left) * base + right
    order = np.argsort(key)
    key = key[order]
    groups = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    chosen = order[groups]
    starts = np.searchsorted(tree[chosen], np.arange(trees.counts[n]))
    return starts, left[chosen], right[chosen], np.add.reduceat(weight[order], groups)
