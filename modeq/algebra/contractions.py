"""All ways to contract a tree, as arrays: what substitutions sum over.

*Contracting* a tree τ means to cut any of its edges: it falls apart into pieces, and the *skeleton*
is the tree that is left when each piece becomes one vertex. The edge above the largest child is cut
or not, independently of the rest, which makes the contractions of rest∘c from those of its parts as
in `modeq.algebra.prunings`. While the piece with the root can still grow, the contraction is open.

The sum over all contractions is the coproduct of Calaque, Ebrahimi-Fard and Manchon (Adv. Appl.
Math. 47, 2011).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from modeq.algebra.catalog import Catalog, Range
from modeq.algebra.prunings import collected, counts_of, merged, pairs_of


class _Skeletons(NamedTuple):
    """For each tree with n vertices, the skeletons that contractions give, with weights."""

    starts: np.ndarray
    tree: np.ndarray
    weight: np.ndarray


class _Open(NamedTuple):
    """The same before the piece with the root is complete.

    Attributes:
        piece: The number of the piece with the root.
        skeleton: The number of the skeleton, in which that piece is the root.
        weight: The product of b over all other pieces.
    """

    starts: np.ndarray
    piece: np.ndarray
    skeleton: np.ndarray
    weight: np.ndarray


def substitution(trees: Catalog, b: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Return Σ a(skeleton) Π b(pieces), over the contractions of each tree.

    Args:
        trees: The catalog that numbers the trees, in one color.
        b: The coefficients of the field that is substituted.
        a: The coefficients of the series that it is put into.
    """
    sums = [
        np.add.reduceat(skeletons.weight * a[skeletons.tree], skeletons.starts)
        for skeletons in _contractions(trees, b)
    ]
    return np.concatenate(sums)


def _contractions(trees: Catalog, b: np.ndarray) -> list[_Skeletons]:
    """Return the skeletons of the trees with 1, 2, … vertices, weighted by b over the pieces."""
    one = np.array([0 * b[0] + 1], object)
    zero = np.zeros(1, np.int64)
    opened = [_Open(zero, zero, zero, one)]
    closed = [_closed(trees, b, 1, opened[0])]
    for n in range(2, trees.vertices + 1):
        columns = [_joined(trees, part, opened, closed) for part in trees.ranges(n)]
        entries = (np.concatenate(column) for column in zip(*columns, strict=True))
        opened.append(_Open(*collected(trees, n, *entries)))
        closed.append(_closed(trees, b, n, opened[-1]))
    return closed


def _joined(
    trees: Catalog, part: Range, opened: list[_Open], closed: list[_Skeletons]
) -> tuple[np.ndarray, ...]:
    """Return the open contractions of a range of trees, from those of rest and child."""
    rest, child = part.parts()
    of_rest, of_child = opened[part.rest_order - 1], opened[part.child_order - 1]
    whole = closed[part.child_order - 1]
    i, j, kept = pairs_of(of_rest, rest, of_child, child)
    k, m, cut = pairs_of(of_rest, rest, whole, child)
    kept_skeleton = merged(trees, of_rest.skeleton[i], of_child.skeleton[j])
    cut_skeleton = trees.graft(of_rest.skeleton[k], whole.tree[m])
    return (
        part.start + np.concatenate([kept, cut]),
        np.concatenate([trees.graft(of_rest.piece[i], of_child.piece[j]), of_rest.piece[k]]),
        np.concatenate([kept_skeleton, cut_skeleton]),
        np.concatenate(
            [of_rest.weight[i] * of_child.weight[j], of_rest.weight[k] * whole.weight[m]]
        ),
    )


def _closed(trees: Catalog, b: np.ndarray, n: int, opened: _Open) -> _Skeletons:
    """Return the contractions with the piece of the root complete, which weighs b(piece)."""
    tree = np.repeat(np.arange(len(opened.starts)), counts_of(opened))
    weight = opened.weight * b[opened.piece]
    starts, _, skeleton, weight = collected(
        trees, n, tree, np.zeros_like(tree), opened.skeleton, weight
    )
    return _Skeletons(starts, skeleton, weight)
