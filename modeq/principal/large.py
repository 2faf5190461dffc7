"""The principal flow from Hessian-vector products, for losses with many parameters.

The Hessian is split at its k eigenvalues of the largest size, found by the Lanczos method:

    θ' = -Σ_{i≤k} α(hλᵢ) (g·uᵢ) uᵢ - p(hH) g⊥,      α(z) = -log(1 - z)/z,   g⊥ = g - Σ (g·uᵢ) uᵢ,

where p is the Chebyshev series of α on [-ρ, ρ], ρ = h|λ_k|: no other eigenvalue is larger. The
series converges for ρ < 1, and like ((1 + √(1 - ρ²))/ρ)⁻ⁿ. What it leaves out is at most |g⊥|
times the sum of the coefficients that are not used, and that is the estimate of the error; it takes
the eigenpairs for exact. Directions with hλ > 1 must be among the first k; they make θ' complex,
unless an even number of steps is composed.

Eigenpairs of large symmetric matrices that are known by their products with vectors only.

The matrix is a Hessian, as a rule, and v ↦ Hv costs about two gradients. The Lanczos method needs
some tens of products for a few of the outermost eigenvalues, and keeps as many vectors; the matrix
itself is never built, unless it is small.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.algebra.counts import physical_memory
from modeq.checks import as_numbers, check_count, check_step, check_tolerance, shortened
from modeq.errors import DidNotConverge, ExceedsLimit, InvalidPoint, InvalidStep, InvalidValue
from modeq.principal.branches import NEGLIGIBLE, chain_factor, composed_phases, logarithm
from modeq.show.shown import Shown

SMALL = 64
"""Matrices of up to so many rows are built column by column and diagonalized."""

_ORDERS = {"magnitude": "LM", "largest": "LA", "smallest": "SA"}
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
    if not isinstance(which, str) or which not in _ORDERS:
        raise InvalidValue(
            f"which is {shortened(which)}; it must be one of {', '.join(map(repr, _ORDERS))}"
        )
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
        raise InvalidValue(f"product is {shortened(product)}; it must be a function of a vector")


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
            f"the start is {shortened(start)}; it must be a finite real vector of shape "
            f"({dimension},) that "
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
            which=_ORDERS[which],
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


_MAX_PRODUCTS = 400
"""No more products are spent on the series."""

SLACK = 1.01
"""No Chebyshev polynomial makes a vector longer; if one does, by more, the split is wrong."""


@dataclass(frozen=True)
class PrincipalValue(Shown):
    """The principal flow at a point of many dimensions.

    Attributes:
        field: θ', of shape (d,), complex where a direction with hλ > 1 makes it so.
        eigenvalues: The k eigenvalues λ of the Hessian that were found, the largest |λ| first.
        vectors: Their eigenvectors, in the columns of an array of shape (d, k).
        rest: A bound of the length of what the series leaves out, the eigenpairs taken for exact.
        products: How many Hessian-vector products it took, those of the Lanczos method included.
    """

    field: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    rest: float
    products: int


def principal_value(
    gradient: Any,
    product: Product,
    *,
    h: float,
    count: int,
    tolerance: float = 1e-8,
    composed: int = 1,
    start: Any = None,
    accuracy: float = 1e-10,
) -> PrincipalValue:
    """Return the principal flow from the gradient and Hessian-vector products at a point.

    Args:
        gradient: g, of shape (d,).
        product: The function v ↦ Hv of arrays of shape (d,).
        h: The learning rate.
        count: k, how many eigenpairs are found; the others are left to the series.
        tolerance: What the series may leave out, in parts of |g|.
        composed: How many steps are taken for one.
        start: The first vector of the Lanczos method, such as an eigenvector of a point nearby.
        accuracy: The accuracy of the eigenvalues, in parts of each.

    Raises:
        DidNotConverge: The Lanczos method did not find the eigenvalues.
        InvalidPoint: An entry of the gradient or of a product is not finite, or hλ = 1.
        InvalidStep: h|λ| is 1 or more for the last of the eigenvalues, so that the series for the
            others cannot be trusted, or it would take too many products.
        InvalidValue: k is no integer from 1 to d, or the Hessian is not symmetric.

    >>> diagonal = np.linspace(0.0, 1.0, 500)
    >>> value = principal_value(diagonal, lambda v: diagonal * v, h=0.9, count=4)
    >>> exact = np.log1p(-0.9 * diagonal) / 0.9
    >>> float(np.linalg.norm(value.field - exact)) <= value.rest + 1e-9 < 1e-7
    True

    References:
        Rosca, Wu, Qin, Dherin 2023; the split is derived here.
    """
    g, h, composed = _checked_gradient(gradient), check_step(h), check_count("composed", composed)
    tolerance = check_tolerance(tolerance)
    counted = _Counted(product)
    eigenvalues, vectors = top_eigenpairs(counted, len(g), count, start=start, tolerance=accuracy)
    components = vectors.T @ g
    along = -vectors @ (_factors(h * eigenvalues, components, composed) * components)
    left = g - vectors @ components
    left = left - vectors @ (vectors.T @ left)
    across, rest = _series(left, counted, vectors, h, eigenvalues, tolerance * np.linalg.norm(g))
    return PrincipalValue(along - across, eigenvalues, vectors, rest, counted.calls)


class _Counted:
    """A product that counts how often it is asked for."""

    def __init__(self, product: Product):
        check_callable(product)
        self.product = product
        self.calls = 0

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.product(vector)


def _checked_gradient(gradient: Any) -> np.ndarray:
    g = as_numbers(gradient)
    if g is None or g.ndim != 1 or not g.size:
        raise InvalidPoint(
            f"the gradient is {shortened(gradient)}; it must be one vector of numbers"
        )
    if np.iscomplexobj(g) or not np.all(np.isfinite(g)):
        raise InvalidPoint("the gradient is not finite and real at this point")
    return g


def _factors(z: np.ndarray, components: np.ndarray, composed: int) -> np.ndarray:
    """Return α(z) where there is a component, and refuse z = 1 there."""
    bottom = np.abs(1 - z) <= 8 * np.finfo(float).eps
    if np.any(bottom & (components != 0)):
        raise InvalidPoint(
            "h*lambda = 1 for an eigenvalue of the Hessian: one step goes to the bottom in that "
            "direction, and no flow does; take another h"
        )
    logs = logarithm(np.where(bottom, 0, -z))
    logs = logs - composed_phases(logs, composed)
    return chain_factor(logs if np.any(np.abs(logs.imag) > NEGLIGIBLE) else logs.real, -z)


def _series(
    left: np.ndarray,
    product: Product,
    vectors: np.ndarray,
    h: float,
    eigenvalues: np.ndarray,
    allowed: float,
) -> tuple[np.ndarray, float]:
    """Return p(hH) g⊥ and the bound of what it leaves out."""
    size = float(np.linalg.norm(left))
    reach = h * float(np.min(np.abs(eigenvalues)))
    if size <= allowed * NEGLIGIBLE or len(eigenvalues) == len(left):
        return np.zeros_like(left), 0.0
    if reach == 0:
        return left, 0.0
    coefficients, tails = _needed_terms(reach, allowed / size, len(eigenvalues), h)

    def scaled(v: np.ndarray) -> np.ndarray:
        moved = h / reach * np.asarray(product(v), dtype=float)
        return moved - vectors @ (vectors.T @ moved)

    return _chebyshev_sum(coefficients, scaled, left), size * tails


def _needed_terms(reach: float, allowed: float, found: int, h: float) -> tuple[np.ndarray, float]:
    """Return as many coefficients of the series as are needed, and the sum of the others."""
    if reach >= 1:
        raise InvalidStep(
            f"h*|lambda| = {reach:.6g} for the last of {found} eigenvalues at h = {h:.6g}; ask for "
            f"more eigenpairs, until it is below 1"
        )
    coefficients, tails = _chebyshev(reach)
    enough = np.flatnonzero(tails <= allowed)
    if not len(enough):
        raise InvalidStep(
            f"h*|lambda| = {reach:.6g} for the last of {found} eigenvalues, too near to 1 for a "
            f"series of {_MAX_PRODUCTS} products; ask for more eigenpairs or a larger tolerance"
        )
    return coefficients[: enough[0] + 1], float(tails[enough[0]])


def _chebyshev_sum(coefficients: np.ndarray, scaled: Product, left: np.ndarray) -> np.ndarray:
    """Return Σ c_n T_n(A) v for a product v ↦ Av, whose eigenvalues should be in [-1, 1]."""
    total, before, here = coefficients[0] * left, left, left
    for n, coefficient in enumerate(coefficients[1:], 1):
        before, here = here, scaled(here) if n == 1 else 2 * scaled(here) - before
        if not np.linalg.norm(here) <= SLACK * np.linalg.norm(left):
            raise DidNotConverge(
                "a Hessian-vector product is not finite, or an eigenvalue was missed that is "
                "larger than those found; ask for more eigenpairs"
            )
        total = total + coefficient * here
    return total


def _chebyshev(reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients c_n of α(ρx) on [-1, 1], and Σ_{m>n} |c_m| with what is beyond.

    With q = ρ/(1 + √(1 - ρ²)), log(1 - ρx) = -log(1 + q²) - 2 Σ qⁿ T_n(x)/n, and division by x is
    the recurrence 2 a_n = c_{n-1} + c_{n+1} (a_0 = c_1/2, a_1 = c_0 + c_2/2), run downwards from
    where the coefficients are below rounding.

    >>> c, tails = _chebyshev(0.5)
    >>> bool(abs(np.polynomial.chebyshev.chebval(1.0, c) - 2 * np.log(2)) < 1e-14)
    True
    """
    q = reach / (1 + math.sqrt((1 - reach) * (1 + reach)))
    count = _MAX_PRODUCTS + 2
    beyond = 2 * count
    needed = math.ceil(math.log(1e-17 * (1 - q)) / math.log(q))
    length = max(beyond, needed)
    a = np.zeros(length + 2)
    n = np.arange(1, length + 1)
    a[1 : length + 1] = 2 * q**n / n
    c = np.zeros(length + 2)
    for m in range(length, 1, -1):
        c[m - 1] = 2 * a[m] - c[m + 1]
    c[0] = a[1] - c[2] / 2
    c = c / reach
    tails = np.concatenate([np.cumsum(np.abs(c[::-1]))[::-1][1:], [0.0]])
    return c[:count], tails[:count]
