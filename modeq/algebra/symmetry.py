"""Symmetry and density of all trees at once."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np

from modeq.algebra.table import Catalog, Range, frozen

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
