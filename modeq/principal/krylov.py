"""Eigenpairs of large symmetric matrices that are known by their products with vectors only.

The matrix is a Hessian, as a rule, and v ↦ Hv costs about two gradients. The Lanczos method needs
some tens of products for a few of the outermost eigenvalues, and keeps as many vectors; the matrix
itself is never built, unless it is small.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from modeq.algebra.counts import physical_memory
from modeq.errors import DidNotConverge, ExceedsLimit, InvalidPoint, InvalidValue
from modeq.flows.numeric import as_numbers
from modeq.flows.tolerances import check_count, check_tolerance

SMALL = 64
"""Matrices of up to so many rows are built column by column and diagonalized."""

ORDERS = {"magnitude": "LM", "largest": "LA", "smallest": "SA"}
SYMMETRIC = 1e-4
"""How far, in parts of their size, u·Hv and v·Hu may differ: products in single precision pass."""

Product = Callable[[np.ndarray], Any]


def top_eigenpairs(
    product: Product,
    dimension: int,
    count: int,
    *,
    start: Any = None,
    tolerance: float = 1e-10,
    which: str = "magnitude",
    restarts: int = 300,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outermost eigenvalues of a symmetric matrix and their eigenvectors.

        H u_i = λ_i u_i,    u_i·u_j = δ_ij

    The same arguments give the same answer: the start is fixed.

    Args:
        product: The function v ↦ Hv of arrays of shape (d,).
        dimension: d.
        count: How many eigenpairs, 1 to d.
        start: The first vector of the Lanczos method, of shape (d,); one with all directions in it
            unless given.
        tolerance: The accuracy of the eigenvalues, in parts of each.
        which: ``"magnitude"`` for the largest |λ|, ``"largest"`` or ``"smallest"`` for those of the
            largest or smallest λ.
        restarts: How often the Lanczos method may start again with what it has.

    Returns:
        The eigenvalues, of shape (count,), that asked for first of all, and the eigenvectors in the
        columns of an array of shape (d, count).

    Raises:
        DidNotConverge: The eigenvalues were not found within the restarts.
        InvalidPoint: A product is not finite.
        InvalidValue: ``count`` exceeds d, another argument cannot be right, or the products are not
            those of a symmetric matrix.

    >>> diagonal = np.array([*range(100), -200.0])
    >>> values, vectors = top_eigenpairs(lambda v: diagonal * v, 101, 2)
    >>> values.round(9).tolist(), np.abs(vectors[100]).round(9).tolist()
    ([-200.0, 99.0], [1.0, 0.0])

    References:
        Lehoucq, Sorensen, Yang, *ARPACK Users' Guide*, 1998.
    """
    dimension, count = check_count("dimension", dimension), check_count("count", count)
    if count > dimension:
        raise InvalidValue(
            f"{count} eigenpairs were asked for; a matrix of {dimension} rows has {dimension}"
        )
    tolerance, restarts = check_tolerance(tolerance), check_count("restarts", restarts)
    if not isinstance(which, str) or which not in ORDERS:
        raise InvalidValue(f"which is {which!r}; it must be one of {', '.join(map(repr, ORDERS))}")
    if 8 * dimension > physical_memory():
        raise ExceedsLimit("one vector takes", 8 * dimension, "bytes", physical_memory())
    multiply = _checked_product(product, dimension)
    if dimension <= SMALL or count >= dimension - 1:
        values, vectors = _dense(multiply, dimension)
    else:
        first = _checked_start(start, dimension)
        values, vectors = _lanczos(multiply, first, count, tolerance, which, restarts)
    chosen = _ranked(values, which)[:count]
    return values[chosen], vectors[:, chosen]


def check_callable(product: Any) -> None:
    """Raise InvalidValue unless a product is a function of a vector."""
    if not callable(product):
        raise InvalidValue(f"product is {product!r}; it must be a function of a vector")


def _checked_product(product: Product, dimension: int) -> Product:
    """Return the product with a check of every result."""
    check_callable(product)

    def multiply(vector: np.ndarray) -> np.ndarray:
        result = np.asarray(product(vector))
        if result.dtype.kind not in "biuf":
            raise InvalidPoint(f"a product is of the type {result.dtype}; it must be real")
        result = result.astype(np.float64, copy=False)
        if result.shape != (dimension,):
            raise InvalidValue(
                f"a product has the shape {result.shape}; it must be that of the vector, "
                f"({dimension},)"
            )
        if not np.all(np.isfinite(result)):
            raise InvalidPoint("a product of the matrix with a vector is not finite")
        return result

    return multiply


def _checked_start(start: Any, dimension: int) -> np.ndarray:
    if start is None:
        return np.random.default_rng(0).normal(size=dimension)
    first = as_numbers(start)
    is_vector = first is not None and first.shape == (dimension,) and not np.iscomplexobj(first)
    if not is_vector or not np.all(np.isfinite(first)) or not np.any(first):
        raise InvalidValue(
            f"the start is {start!r}; it must be a finite real vector of shape ({dimension},) that "
            f"is not zero"
        )
    return first


def _dense(multiply: Product, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.array([multiply(column) for column in np.eye(dimension)])
    defect = np.abs(matrix - matrix.T).max()
    if defect > SYMMETRIC * np.abs(matrix).max():
        raise InvalidValue(f"the matrix is not symmetric: entries differ by up to {defect:.3g}")
    return np.linalg.eigh((matrix + matrix.T) / 2)


def _lanczos(
    multiply: Product, first: np.ndarray, count: int, tolerance: float, which: str, restarts: int
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

    dimension = len(first)
    if _is_zero(multiply, first):
        return np.zeros(count), np.eye(dimension, count)
    operator = LinearOperator((dimension, dimension), matvec=multiply, dtype=float)
    # Newer releases draw further vectors at random unless they are told how.
    seed = {"rng": 0} if "rng" in inspect.signature(eigsh).parameters else {}
    try:
        return eigsh(
            operator,
            k=count,
            which=ORDERS[which],
            v0=first,
            tol=tolerance,
            maxiter=restarts,
            **seed,
        )
    except ArpackNoConvergence as error:
        raise DidNotConverge(
            f"{len(error.eigenvalues)} of {count} eigenvalues were found in {restarts} restarts of "
            f"the Lanczos method; ask for fewer, or allow more restarts or a larger tolerance"
        ) from None
    except ArpackError as error:
        raise DidNotConverge(f"the Lanczos method failed: {error}") from None


def _is_zero(multiply: Product, first: np.ndarray) -> bool:
    """Tell whether the matrix is zero, and refuse one that is not symmetric."""
    other = np.random.default_rng(1).normal(size=len(first))
    left, right = multiply(first), multiply(other)
    scale = np.linalg.norm(first) * np.linalg.norm(right)
    scale = max(scale, np.linalg.norm(other) * np.linalg.norm(left))
    defect = abs(other @ left - first @ right)
    if defect > SYMMETRIC * scale:
        raise InvalidValue(
            f"the matrix is not symmetric: u.Hv and v.Hu differ by {defect / scale:.3g} of their "
            f"largest possible size"
        )
    return scale == 0


def _ranked(values: np.ndarray, which: str) -> np.ndarray:
    """Return the places of the eigenvalues, that asked for first of all; |λ| before λ in ties."""
    if which == "magnitude":
        return np.lexsort((-values, -np.abs(values)))
    return np.argsort(-values if which == "largest" else values, kind="stable")
