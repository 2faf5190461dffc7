"""What a B-series keeps for every field of a kind: gradients, Hamiltonians, energy, symmetry.

With u∘v the tree v grafted on the root of u, and coefficients without 1/σ(τ), a modified field is

- a gradient for every gradient f            if and only if  b(u∘v) = b(v∘u) for all u, v,
- Hamiltonian for every Hamiltonian f        if and only if  b(u∘v) + b(v∘u) = 0 for all u, v,
- tangent to the level sets of H for every Hamiltonian f = J∇H if and only if for each free tree the
  sum of (-1)^d b(τ) vanishes, over the leaves of it, with τ what is left without that leaf, rooted
  where it was, and d the distance of the leaf from a fixed one,
- that of a symmetric method                  if and only if  b(τ) = 0 for all even |τ|.

(Hairer, Lubich, Wanner, *Geometric Numerical Integration*, VI.7.2 and IX.9; Celledoni, McLachlan,
Owren, Quispel, Found. Comput. Math. 10 (2010). The third in this form is derived here: a leaf on
the root of F(τ) stands for ∇H, and moving the root to the next vertex transposes one J.)

With several fields these are about fields that are all of the kind. If two fields are the parts of
one Hamiltonian field, u and v are of different colors, and b must not depend on the color of the
root (Hairer, Lubich, Wanner, VI.7.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.algebra.catalog import Catalog
from modeq.algebra.drawing import tree_drawing
from modeq.algebra.prunings import composition
from modeq.algebra.residuals import Residuals, nearly
from modeq.algebra.trees import RootedTree
from modeq.show.document import Block, Finding, Table
from modeq.show.shown import Shown

Condition = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Verdict(Shown):
    """Whether a property holds for all trees of a series; true or false in conditions.

    Attributes:
        holds: Whether it holds for all of them.
        order: The highest power of h in f̃ through which it holds; -1 if for none.
        witness: Trees for which it fails, with the fewest vertices; empty if it holds.
        reason: The same in words; what was taken for zero, where it holds.
        proved: Whether exact algebra decided; else some numbers are zero to sixty digits only, or
            up to a tolerance.

    >>> print(Verdict(holds=True, order=3))
    holds through h^3
    """

    holds: bool
    order: int
    witness: tuple[RootedTree, ...] = ()
    reason: str = ""
    proved: bool = True

    def show(self) -> list[Block]:
        """Return the verdict, and the trees for which it fails."""
        blocks: list[Block] = [Finding(self.holds, str(self))]
        if self.witness:
            rows = tuple((tree_drawing(tree),) for tree in self.witness)
            blocks.append(Table(("trees for which it fails",), rows))
        return blocks

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        if self.holds:
            return f"holds through h^{self.order}{self.reason and ': '}{self.reason}"
        return f"fails at h^{self.order + 1}: {self.reason}"


def is_gradient(trees: Catalog, b: np.ndarray, atol: Any = 0) -> Verdict:
    """Tell whether b(u∘v) = b(v∘u) for all u and v, up to a tolerance."""
    return _first_failure(trees, b, lambda left, right, u, v: left - right, Residuals(atol))


def is_hamiltonian(trees: Catalog, b: np.ndarray, partitioned: bool, atol: Any = 0) -> Verdict:
    """Tell whether b(u∘v) = -b(v∘u) for all u and v, of different colors if ``partitioned``."""
    condition = lambda left, right, u, v: left + right  # noqa: E731
    return _first_failure(trees, b, condition, Residuals(atol), partitioned)


def is_symplectic(trees: Catalog, a: np.ndarray, partitioned: bool, atol: Any = 0) -> Verdict:
    """Tell whether a(u∘v) + a(v∘u) = a(u) a(v) for all u and v, for the series of a map."""
    condition = lambda left, right, u, v: left + right - u * v  # noqa: E731
    return _first_failure(trees, a, condition, Residuals(atol), partitioned)


def _first_failure(
    trees: Catalog,
    b: np.ndarray,
    condition: Condition,
    residuals: Residuals,
    partitioned: bool = False,
) -> Verdict:
    """Check that something vanishes, which is made of b(u∘v), b(v∘u), b(u) and b(v).

    A partitioned field has one Hamiltonian for both parts if, moreover, b does not depend on the
    color of the root.
    """
    for n in range(1, trees.vertices + 1):
        # A failing verdict is false, so it is asked for by name.
        if partitioned and (verdict := _root_matters(trees, b, n, residuals)) is not None:
            return verdict
        for size in range(1, n // 2 + 1):
            u, v = _pairs(trees, n - size, size)
            if partitioned:
                chosen = trees.color[u] != trees.color[v]
                u, v = u[chosen], v[chosen]
            left, right = trees.graft(u, v), trees.graft(v, u)
            values = condition(b[left], b[right], b[u], b[v])
            wrong = first_nonzero(values, residuals)
            if wrong is not None:
                return _failure(trees, b, left[wrong], right[wrong], values[wrong])
    return _success(trees, residuals)


def first_nonzero(values: np.ndarray, residuals: Residuals | None = None) -> int | None:
    """Return the place of the first number or expression that does not vanish, if there is one.

    >>> first_nonzero(np.array([0, 0, 2]))
    2
    """
    residuals = residuals or Residuals()
    return next(
        (int(i) for i in np.flatnonzero(values != 0) if not residuals.vanish(values[i])), None
    )


def _success(trees: Catalog, residuals: Residuals) -> Verdict:
    return Verdict(True, trees.vertices - 1, (), residuals.reason, residuals.proved)


def _failure(trees: Catalog, b: np.ndarray, first: int, second: int, residual: Any) -> Verdict:
    one, other = trees.tree(int(first)), trees.tree(int(second))
    reason = f"b({one}) = {b[first]} and b({other}) = {b[second]}{nearly(residual, one)}"
    return Verdict(False, one.order - 2, (one, other), reason)


def _root_matters(trees: Catalog, b: np.ndarray, n: int, residuals: Residuals) -> Verdict | None:
    """Return the failure if b depends on the color of the root of a tree with n vertices."""
    own = np.arange(trees.starts[n], trees.starts[n + 1])
    other = trees.recolored(own, 0)
    values = b[own] - b[other]
    wrong = first_nonzero(values, residuals)
    return None if wrong is None else _failure(trees, b, own[wrong], other[wrong], values[wrong])


def _pairs(trees: Catalog, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of trees with so many vertices."""
    left = np.arange(trees.starts[first], trees.starts[first + 1])
    right = np.arange(trees.starts[second], trees.starts[second + 1])
    return np.repeat(left, len(right)), np.tile(right, len(left))


def is_energy_preserving(trees: Catalog, b: np.ndarray, atol: Any = 0) -> Verdict:
    """Tell whether ∇H·f̃ = 0 for every f = J∇H with a constant skew-symmetric J.

    A tree τ that several leaves of its free tree leave is one term ±b(τ)/σ(τ) of the condition, for
    the number of these leaves is inversely proportional to σ(τ). It is none where the signs cancel.
    """
    residuals = Residuals(atol)
    for n in range(1, trees.vertices + 1):
        known: set[RootedTree] = set()
        for tree in map(trees.tree, range(trees.starts[n], trees.starts[n + 1])):
            if tree in known:
                continue
            signs = _seen_from_leaves(tree)
            known |= signs.keys()
            total = sum(sign * b[trees.index(t)] / t.symmetry for t, sign in signs.items())
            if not residuals.vanish(total):
                terms = " ".join(f"{'+' if s > 0 else '-'} b/sigma({t})" for t, s in signs.items())
                reason = f"{terms.removeprefix('+ ')} = {total} is not 0{nearly(total, tree)}"
                return Verdict(False, n - 2, tuple(signs), reason)
    return _success(trees, residuals)


def _seen_from_leaves(tree: RootedTree) -> dict[RootedTree, int]:
    """Return the trees that the leaves of the free tree [τ] leave, each with the sign it gets."""
    counts = Counter({tree: 1})
    for other, distance in _leaves(tree, RootedTree(), 1):
        counts[other] += (-1) ** distance
    return {other: 1 if count > 0 else -1 for other, count in counts.items() if count != 0}


def _leaves(tree: RootedTree, above: RootedTree, depth: int) -> Iterator[tuple[RootedTree, int]]:
    """Yield, for each leaf below, the rest of the free tree seen from it, and its distance."""
    children = tree.children
    if not children:
        yield above, depth
    for i, child in enumerate(children):
        rest = RootedTree((*children[:i], *children[i + 1 :], above))
        yield from _leaves(child, rest, depth + 1)


def is_symmetric(trees: Catalog, coefficients: np.ndarray, empty: Any, atol: Any = 0) -> Verdict:
    """Tell whether a method is its own adjoint, from the series of its field or of its map.

    A field must have no trees with an even number of vertices; a map a must satisfy
    a(h)·a(-h) = 1.
    """
    if empty == 0:
        residual, text = coefficients.copy(), "b({}) = {} is not 0"
        for n in range(1, trees.vertices + 1, 2):
            residual[trees.starts[n] : trees.starts[n + 1]] = 0
    else:
        reversed_ = coefficients.copy()
        for n in range(1, trees.vertices + 1, 2):
            reversed_[trees.starts[n] : trees.starts[n + 1]] *= -1
        residual = composition(trees, coefficients, reversed_, empty)
        text = "a(h) after a(-h) has at {} the coefficient {} instead of 0"
    residuals = Residuals(atol)
    wrong = first_nonzero(residual, residuals)
    if wrong is None:
        return _success(trees, residuals)
    tree, value = trees.tree(wrong), residual[wrong]
    return Verdict(False, tree.order - 2, (tree,), text.format(tree, value) + nearly(value, tree))
