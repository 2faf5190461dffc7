"""Linear maps that contract, known by their products with vectors only, and fixed points.

The memory of an optimizer is an average, or several: J has few eigenvalues, such as β₁ and β₂, each
for very many vectors. A Krylov space of as many dimensions contains (I - J)⁻¹ y exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modeq.errors import DidNotConverge, InvalidMethod

MAX_DIMENSION = 40
_MAX_CORRECTIONS = 8
ALMOST_ONE = 1e-7
"""How far below 1 the largest eigenvalue must be."""

Map = Callable[[np.ndarray], np.ndarray]


class Contraction:
    """A linear map J of vectors of shape (d,).

    Args:
        product: The function v ↦ Jv.
        dimension: d.
        precision: The relative size of the rounding errors in products.
        diagonal: What is, as a rule, the diagonal of J, of shape (d,), and all of J but for a
            nilpotent part. Then solutions are found entry by entry, small ones as exactly as large
            ones.
        name_of: The function that tells where a vector is largest, for errors.

    Example:
        >>> average = Contraction(lambda v: np.array([0.9, 0.9, 0.5]) * v, 3)
        >>> average.solved(np.array([1.0, 2.0, 1.0])).round(9)
        array([10., 20.,  2.])
        >>> round(average.radius(), 9)
        0.9
    """

    def __init__(
        self,
        product: Map,
        dimension: int,
        precision: float = 2.0**-52,
        diagonal: np.ndarray | None = None,
        name_of: Callable[[np.ndarray], str] | None = None,
    ):
        self._product = product
        self._diagonal = diagonal
        self._name_of = name_of
        self._dimension = dimension
        self._precision = precision

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return Jv.

        Raises:
            InvalidMethod: It is not finite.
        """
        found = self._product(vector)
        if not np.all(np.isfinite(found)):
            raise InvalidMethod(
                f"the memory of the optimizer has a derivative that is not finite"
                f"{self._where(found)}"
            )
        return found

    def _where(self, vector: np.ndarray) -> str:
        return f", in the leaf {self._name_of(vector)} of its state" if self._name_of else ""

    def solved(self, right: np.ndarray) -> np.ndarray:
        """Return (I - J)⁻¹ y, by the diagonal, or from the smallest Krylov space that contains it.

        Raises:
            DidNotConverge: The space is too large.
        """
        found = None if self._diagonal is None else self._by_entries(right)
        return self._by_krylov(right) if found is None else found

    def _by_entries(self, right: np.ndarray) -> np.ndarray | None:
        """Return the solution that the diagonal tells, once it is corrected, or None."""
        scale = 1 / (1 - np.minimum(self._diagonal, 1 - ALMOST_ONE))
        found = scale * right
        for _ in range(_MAX_CORRECTIONS):
            missing = right - found + self.product(found)
            if np.all(np.abs(missing) <= 8 * self._precision * (np.abs(right) + np.abs(found))):
                return found
            found = found + scale * missing
        return None

    def _by_krylov(self, right: np.ndarray) -> np.ndarray:
        size = np.linalg.norm(right)
        if size == 0:
            return np.zeros_like(right)
        basis, hessenberg = self._arnoldi(right / size)
        count = hessenberg.shape[1]
        system = np.eye(count + 1, count) - hessenberg
        weights, *_ = np.linalg.lstsq(system, size * np.eye(count + 1)[0], rcond=None)
        missing = np.linalg.norm(system @ weights - size * np.eye(count + 1)[0])
        if missing > np.sqrt(self._precision) * size:
            raise DidNotConverge(
                f"the slow manifold of the optimizer was not found: its memory does not forget in "
                f"few ways ({missing / size:.1e} is missing after {count} products)"
            )
        return basis[:, :count] @ weights

    def radius(self) -> float | None:
        """Return the largest |eigenvalue| that a vector of all directions shows; None if d is 0.

        Raises:
            InvalidMethod: It is not below 1.
        """
        if self._dimension == 0:
            return None
        start = np.random.default_rng(0).normal(size=self._dimension)
        basis, hessenberg = self._arnoldi(start / np.linalg.norm(start))
        values, vectors = np.linalg.eig(hessenberg[:-1])
        which = int(np.argmax(np.abs(values)))
        largest = float(np.abs(values[which]))
        if not largest < 1 - max(ALMOST_ONE, 10 * self._precision):
            kept = basis[:, : len(values)] @ vectors[:, which]
            raise InvalidMethod(
                f"the memory of the optimizer does not contract: it keeps what it was, with the "
                f"eigenvalue {largest:.6g}, which is not inside the unit circle{self._where(kept)}"
            )
        return largest

    def _arnoldi(self, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a basis of the Krylov space, and J in it as a matrix of one more row."""
        basis = [start]
        columns: list[np.ndarray] = []
        for _ in range(min(MAX_DIMENSION, len(start))):
            vector = self.product(basis[-1])
            column = np.zeros(len(basis) + 1)
            for _ in range(2):  # twice, because once loses orthogonality to rounding
                for i, direction in enumerate(basis):
                    part = float(direction @ vector)
                    column[i] += part
                    vector = vector - part * direction
            column[-1] = np.linalg.norm(vector)
            columns.append(column)
            if column[-1] <= 30 * self._precision:
                break
            basis.append(vector / column[-1])
        hessenberg = np.zeros((len(columns) + 1, len(columns)))
        for i, column in enumerate(columns):
            hessenberg[: len(column), i] = column
        return np.stack(basis, axis=1), hessenberg


def settled_point(
    defect: Map, start: np.ndarray, tolerance: float, depth: int = 6, limit: int = 60
) -> np.ndarray:
    """Return x with defect(x) = 0, by steps x + defect(x) that learn from those before.

    Args:
        defect: A function of arrays of shape (d,), whose derivative has eigenvalues in [-1, 0).
        start: The first x.
        tolerance: The norm of the defect that is small enough.
        depth: From how many steps a next one learns.
        limit: How many steps are tried.

    Raises:
        DidNotConverge: The defect stays larger.

    >>> settled_point(lambda x: np.array([0.5, 1e-2]) * (1 - x), np.zeros(2), 1e-12)
    array([1., 1.])

    References:
        Anderson, Iterative procedures for nonlinear integral equations (1965).
    """
    points, defects = [start], [defect(start)]
    for _ in range(limit):
        if np.linalg.norm(defects[-1]) <= tolerance:
            return points[-1]
        step = defects[-1]
        if len(points) > 1:
            moved = np.diff(np.stack(points[-depth:], axis=1))
            changed = np.diff(np.stack(defects[-depth:], axis=1))
            weights, *_ = np.linalg.lstsq(changed, step, rcond=1e-12)
            step = step - (moved + changed) @ weights
        points.append(points[-1] + step)
        defects.append(defect(points[-1]))
        points, defects = points[-depth:], defects[-depth:]
    raise DidNotConverge(
        f"where the slow flow starts was not found: after {limit} corrections the runs still end "
        f"{np.linalg.norm(defects[-1]):.1e} apart, and {tolerance:.1e} was wanted"
    )
