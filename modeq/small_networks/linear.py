"""Deep linear networks: their losses, balanced starts and curvature.

A deep linear network maps x to W_N ⋯ W₁ x. Its loss φ(W_N ⋯ W₁) is convex in the product only, but

    λ_min(∇²L) ≥ -(N-1) ‖∇φ(W_N ⋯ W₁)‖_F max_{|J| = N-2} Π_{j∈J} ‖W_j‖

(Elkabetz and Cohen 2021). *Proof* (derived here). In a direction Δ = (Δ₁, …, Δ_N) the second
derivative of L is that of φ, which is not negative, plus the product of ∇φ with the second
derivative of W_N ⋯ W₁,

    2 Σ_{j<k} W_N ⋯ Δ_k ⋯ Δ_j ⋯ W₁.

Its Frobenius norm is at most 2 Σ_{j<k} ‖Δ_j‖ ‖Δ_k‖ Π ‖W_l‖, the product over l ≠ j, k, and
2 Σ_{j<k} a_j a_k ≤ (N-1) Σ a_j².

What the product of a balanced deep linear network does along gradient flow, in two numbers.

Losses of deep networks without biases, by the name of their activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import sympy

from modeq.checks import (
    as_points,
    check_positive,
    check_step,
    check_steps,
    shortened,
    whole,
)
from modeq.errors import InvalidValue
from modeq.flows.fields import gradient_field, recorded
from modeq.flows.integrate import Trajectory, integrate
from modeq.losses.loss import Loss
from modeq.small_networks.layers import Layers
from modeq.small_networks.relu import SLOPES, HomogeneousNetwork


class LinearNetwork(Layers, Loss):
    """The mean loss of a deep linear network over data, as a polynomial or smooth loss.

    Args:
        widths: d₀, d₁, …, d_N: inputs, hidden units, outputs; N is the depth.
        inputs: Data points of d₀ exact numbers each.
        targets: As many points of d_N numbers, or plain numbers where d_N = 1.
        loss: "square", ½|z - y|², or "logistic", log(1 + exp(-y z)), for one output and y = ±1.

    The variables are the entries of W₁, …, W_N, row by row; w2_1_3 is row 1, column 3 of W₂.

    Raises:
        InvalidValue: The widths, the data or the loss are not as above.

    >>> LinearNetwork([1, 1, 1], [[1]], [2]).expression
    (w1_1_1*w2_1_1 - 2)**2/2
    """

    def __init__(
        self, widths: Sequence[int], inputs: Sequence, targets: Sequence, loss: str = "square"
    ):
        Layers.__init__(self, widths, inputs, targets, loss)
        Loss.__init__(self, self._value(self.product), self.symbols)

    @cached_property
    def product(self) -> sympy.ImmutableMatrix:
        """The end-to-end matrix W_N ⋯ W₁."""
        product = self.matrices[0]
        for matrix in self.matrices[1:]:
            product = matrix * product
        return product

    def _value(self, product: sympy.Matrix) -> sympy.Expr:
        """Return φ of an end-to-end matrix."""
        return self.mean_loss([product * sympy.Matrix(x) for x in self.inputs])

    @cached_property
    def end_to_end(self) -> Loss:
        """The loss φ as a function of the end-to-end matrix, whose entries are p1_1, p1_2, …"""
        m, n = self.product.shape
        entries = sympy.Matrix(m, n, lambda i, j: sympy.Symbol(f"p{i + 1}_{j + 1}"))
        return Loss(self._value(entries), list(entries))

    def end_to_end_matrix(self, theta: Any) -> np.ndarray:
        """Return W_N ⋯ W₁ at points of the variables, of shape (..., d_N, d₀)."""
        first, *rest = self.weights(theta)
        for matrix in rest:
            first = matrix @ first
        return first

    def smallest_eigenvalue(self, theta: Any) -> float:
        """Return λ_min(∇²L) at a point."""
        d = self.dimension
        hessian = self._hessian_field(as_points(theta, d), 0.0).reshape(d, d)
        return float(np.linalg.eigvalsh(hessian)[0])

    @cached_property
    def _hessian_field(self):
        return recorded(self, list(self.hessian), None)

    def eigenvalue_bound(self, theta: Any) -> float:
        """Return the bound -(N-1) ‖∇φ‖_F max_{|J| = N-2} Π ‖W_j‖ of λ_min(∇²L) at a point.

        >>> network = LinearNetwork([1, 1, 1], [[1]], [2])
        >>> theta = [1.0, 0.5]
        >>> network.eigenvalue_bound(theta) <= network.smallest_eigenvalue(theta)
        True
        """
        if self.depth == 1:
            return 0.0
        slope = gradient_field(self.end_to_end)(self.end_to_end_matrix(theta).ravel(), 0.0)
        return -(self.depth - 1) * float(np.linalg.norm(slope)) * self.largest_product(theta)


def end_to_end_flow(
    depth: int, length: float, cosine: float, *, h: float, steps: int
) -> Trajectory:
    """Return r and ν along gradient flow of a balanced network, at t = 0, h, 2h, …

    r' = N r^{2-2/N} (ν - r), ν' = r^{1-2/N} (1 - ν²), for ½‖w - Λ‖² with ‖Λ‖ = 1, w = r ŵ and
    ν = ⟨ŵ, Λ⟩; ``theta`` holds r and ν (Elkabetz and Cohen 2021). The network is balanced, with
    whitened data and one output.

    Args:
        depth: The number N of matrices.
        length: r at the start, > 0.
        cosine: ν at the start.
        h: The time between two points.
        steps: How many points beyond the start.

    Raises:
        InvalidValue: The depth, the length or the cosine cannot be right.

    >>> end_to_end_flow(2, 0.5, 1.0, h=10.0, steps=1).theta[-1].round(6).tolist()
    [1.0, 1.0]
    """
    depth, length = (
        whole(depth, "depth", 1, InvalidValue, most=10**6),
        check_positive("length", length),
    )
    if not isinstance(cosine, Real) or not -1 <= cosine <= 1:
        raise InvalidValue(f"cosine is {shortened(cosine)}; it must be a number between -1 and 1")

    def rhs(state: np.ndarray) -> np.ndarray:
        r, nu = state
        r = max(r, 0.0)
        return np.array(
            [depth * r ** (2 - 2 / depth) * (nu - r), r ** (1 - 2 / depth) * (1 - nu**2)]
        )

    return integrate(rhs, np.array([length, float(cosine)]), check_step(h), check_steps(steps))


def deep_network(
    widths: Sequence[int],
    inputs: Sequence,
    targets: Sequence,
    *,
    activation: str = "linear",
    loss: str = "square",
    slope: Any = None,
) -> LinearNetwork | HomogeneousNetwork:
    """Return the mean loss of a deep network over data.

    A linear network is a loss. One with ReLU or leaky ReLU units is a loss piece by piece:
    ``network.piece(theta)`` is that around a point.

    Args:
        widths: d₀, d₁, …, d_N: inputs, hidden units, outputs; N is the depth.
        inputs: Data points of d₀ exact numbers each.
        targets: As many points of d_N numbers, or plain numbers where d_N = 1.
        activation: "linear", "relu" or "leaky-relu".
        loss: "square" or "logistic".
        slope: The slope of a leaky ReLU for negative inputs; 1/10 without it.

    Raises:
        InvalidValue: One of them is not as above.

    >>> deep_network([1, 1, 1], [[1]], [2]).expression
    (w1_1_1*w2_1_1 - 2)**2/2
    >>> deep_network([1, 1, 1], [[1]], [2], activation="relu").piece([-1.0, 1.0]).expression
    2
    """
    if activation == "linear" and slope is None:
        return LinearNetwork(widths, inputs, targets, loss)
    if not isinstance(activation, str) or activation not in SLOPES:
        names = ", ".join(map(repr, ("linear", *SLOPES)))
        raise InvalidValue(
            f"activation is {shortened(activation)} (slope {shortened(slope)}); known are {names}"
        )
    return HomogeneousNetwork(widths, inputs, targets, activation, loss, slope)
