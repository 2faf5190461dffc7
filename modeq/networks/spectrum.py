"""The sharpest directions of a network's loss, and what gradient descent does in each of them.

The Hessian is never built: the Lanczos method needs its products with vectors only, each of which
costs about two gradients. With Huᵢ = λᵢuᵢ, aᵢ = g·uᵢ and z = hλ, the i-th direction changes the
loss at the rate

    scᵢ = α(hλᵢ) aᵢ²,    α(z) = Re log(1 - z)/z,

along the principal flow: the stability coefficients of Rosca, Wu, Qin, Dherin 2023. Positive ones
make the loss grow. They need as many eigenpairs as one asks for; the rest of the gradient is
reported by its size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import check_step
from modeq.networks.flat_loss import FlatLoss, flattened
from modeq.principal.branches import logarithm
from modeq.principal.large import SMALL, top_eigenpairs
from modeq.principal.stability import regime
from modeq.show.shown import Shown

TOLERANCES = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-4}
"""Of the eigenvalues, by the precision of the weights."""


@dataclass(frozen=True)
class NetworkStability(Shown):
    """What gradient descent does in the sharpest directions of a loss at a point.

    Attributes:
        h: The learning rate.
        eigenvalues: The largest λᵢ of the Hessian, descending, of shape (k,).
        vectors: Their eigenvectors, in the columns of an array of shape (d, k).
        components: aᵢ = g·uᵢ, of shape (k,).
        coefficients: The stability coefficients scᵢ, of shape (k,); -inf where hλᵢ = 1.
        gradient_norm: |g|.
        curved_norm: |Hg|.
    """

    h: float
    eigenvalues: np.ndarray
    vectors: np.ndarray
    components: np.ndarray
    coefficients: np.ndarray
    gradient_norm: float
    curved_norm: float

    @property
    def sharpness(self) -> float:
        """λ₀, the largest eigenvalue of the Hessian."""
        return float(self.eigenvalues[0])

    @property
    def regimes(self) -> tuple[str, ...]:
        """What gradient descent does in each direction."""
        return tuple(regime(z) for z in self.h * self.eigenvalues)

    @property
    def predicted_drift(self) -> float:
        """How far one step leaves gradient flow to leading order, h²/2 |Hg|."""
        return self.h**2 / 2 * self.curved_norm

    @property
    def rest(self) -> float:
        """|g - Σ aᵢuᵢ|, the gradient outside these directions."""
        inside = float(np.sum(self.components**2))
        return float(np.sqrt(max(self.gradient_norm**2 - inside, 0.0)))

    def __str__(self) -> str:
        rows = zip(self.eigenvalues, self.regimes, self.components, self.coefficients, strict=True)
        lines = [
            f"h = {self.h:.6g}, |g| = {self.gradient_norm:.3e}, outside {self.rest:.3e}",
            "      lambda    h lambda   regime             g.u   coefficient",
        ]
        lines += [
            f"{lam:12.4e}{self.h * lam:12.4f}   {name:11}{a:12.4e}{sc:14.4e}"
            for lam, name, a, sc in rows
        ]
        return "\n".join(lines)


def network_stability(
    loss_fn: Callable[..., Any],
    params: Any,
    *,
    h: float,
    count: int = 5,
    start: np.ndarray | None = None,
    tolerance: float | None = None,
    precision: str | None = None,
    args: tuple = (),
) -> NetworkStability:
    """Return what gradient descent does in the sharpest directions.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: The pytree of weights.
        h: The learning rate.
        count: How many directions k, at most as many as there are weights.
        start: A vector of shape (d,) to begin the Lanczos method with: an eigenvector of before.
        tolerance: The accuracy of the eigenvalues, in parts of each.
        precision: "float64" or "float32"; that of the weights unless given.
        args: More arguments of the loss, such as a batch.

    Raises:
        DidNotConverge: The eigenvalues were not found.
        InvalidLoss, InvalidPoint, InvalidStep, InvalidValue: The arguments cannot be right.

    >>> found = network_stability(lambda p: (p["w"] ** 2 * np.arange(3)).sum(), {"w": np.ones(3)},
    ...     h=0.3, count=2)
    >>> found.eigenvalues.round(4).tolist(), found.regimes
    ([4.0, 2.0], ('oscillating', 'attracted'))

    References:
        Rosca, Wu, Qin, Dherin 2023.
    """
    h, (loss, theta) = check_step(h), flattened(loss_fn, params, precision, args)
    values, vectors = sharpest(loss, theta, count, start, tolerance)
    return stability_from(loss, theta, h, values, vectors)


def hessian_eigenpairs(
    loss_fn: Callable[..., Any],
    params: Any,
    count: int = 1,
    *,
    start: np.ndarray | None = None,
    tolerance: float | None = None,
    precision: str | None = None,
    args: tuple = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues of a loss's Hessian, descending, and their eigenvectors.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: The pytree of weights; eigenvectors have their entries in the order of its leaves.
        count: How many, k.
        start: A vector of shape (d,) to begin with.
        tolerance: The accuracy of the eigenvalues, in parts of each.
        precision: "float64" or "float32"; that of the weights unless given.
        args: More arguments of the loss, such as a batch.

    Returns:
        Arrays of shapes (k,) and (d, k).

    >>> values, vectors = hessian_eigenpairs(lambda p: p[0] ** 2 - p[1] ** 2, [1.0, 1.0], 2)
    >>> values.tolist(), np.abs(vectors).tolist()
    ([2.0, -2.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    loss, theta = flattened(loss_fn, params, precision, args)
    return sharpest(loss, theta, count, start, tolerance)


def sharpest(
    loss: FlatLoss,
    theta: np.ndarray,
    count: int,
    start: np.ndarray | None = None,
    tolerance: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues of the Hessian at a real vector, and the eigenvectors.

    Small Hessians are built, as that is faster.
    """
    loss.check_symmetric(theta)
    matrix = loss.hessian(theta) if loss.dimension <= SMALL else None
    return top_eigenpairs(
        (lambda vector: loss.product(theta, vector)) if matrix is None else matrix.__matmul__,
        loss.dimension,
        count,
        start=start,
        tolerance=TOLERANCES.get(loss.dtype, 1e-2) if tolerance is None else tolerance,
        which="largest",
    )


def stability_from(
    loss: FlatLoss, theta: np.ndarray, h: float, values: np.ndarray, vectors: np.ndarray
) -> NetworkStability:
    """Return what gradient descent does in directions that are known already."""
    gradient = loss.gradient(theta)
    curved = loss.product(theta, gradient)
    components = vectors.T @ gradient.astype(float)
    return NetworkStability(
        h=h,
        eigenvalues=values,
        vectors=vectors,
        components=components,
        coefficients=stability_coefficients(values, components, h),
        gradient_norm=float(np.linalg.norm(gradient)),
        curved_norm=float(np.linalg.norm(curved)),
    )


def stability_coefficients(eigenvalues: Any, components: Any, h: float) -> np.ndarray:
    """Return scᵢ = α(hλᵢ) aᵢ², α(z) = Re log(1 - z)/z, with α(0) = -1 and 0 where aᵢ = 0.

    >>> stability_coefficients([0.0, 1.0, 3.0], [1.0, 1.0, 1.0], 1.0).round(4).tolist()
    [-1.0, -inf, 0.231]
    """
    z, a = h * np.asarray(eigenvalues, float), np.asarray(components, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(z == 0, -1.0, logarithm(-z).real / np.where(z == 0, 1, z))
        return np.where(a == 0, 0.0, slope * a**2)
