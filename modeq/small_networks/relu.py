"""Deep networks with ReLU or leaky ReLU units: smooth pieces, kinks between them, and curvature.

A unit passes z > 0 as it is and multiplies z < 0 by a slope α, so with D_j the diagonal of ones and
α's that unit j chooses, a network is W_N D_{N-1} W_{N-1} ⋯ D₁ W₁ x. *The policy of smooth regions*:
as long as no unit changes sides at any data point, the D_j are constant and the loss is a smooth
*piece*, whose counter terms are derived like those of any loss. They belong to gradient descent
while its iterates stay in the piece, the n + 1 that follow a point included; where they leave it
is reported. On a kink, where a unit that is not identically zero has z = 0, there are none, and
that is an error.

On every piece

    λ_min(∇²L) ≥ -(N-1) max(1, α)^{N-1} mean_i(‖∇ℓ_i‖ ‖x_i‖) max_{|J| = N-2} Π_{j∈J} ‖W_j‖,

with ∇ℓ_i the gradient of the loss of point i by its outputs (Elkabetz and Cohen 2021). *Proof*
(derived here): as for linear networks, ∇²L is the mean of J_iᵀ ∇²ℓ_i J_i, which is not negative,
and of ∇ℓ_i times the second derivative of the outputs, in a direction Δ

    2 Σ_{j<k} W_N D_{N-1} ⋯ Δ_k ⋯ Δ_j ⋯ D₁ W₁ x_i.

With ‖D_j‖ ≤ max(1, α) its norm is at most 2 max(1, α)^{N-1} ‖x_i‖ Σ_{j<k} ‖Δ_j‖ ‖Δ_k‖ Π ‖W_l‖, the
product over l ≠ j, k, and 2 Σ_{j<k} a_j a_k ≤ (N-1) Σ a_j².

Where networks with ReLU units are not smooth: units at zero, and paths that change pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy
from scipy.special import expit

from modeq.checks import as_points, shortened
from modeq.errors import InvalidPoint, InvalidValue, NotSmooth
from modeq.flows.fields import recorded
from modeq.losses.expressions import read_expression
from modeq.losses.loss import Loss
from modeq.show.shown import Shown
from modeq.small_networks.layers import Layers

Pattern = tuple[tuple[tuple[bool, ...], ...], ...]
"""For each hidden layer and data point, whether each unit is on."""


@dataclass(frozen=True)
class Kink:
    """A unit whose input is zero.

    Attributes:
        layer: The layer, 1 for the first hidden one.
        unit: The unit in it, from 1.
        point: The data point, from 1.
        value: Its input.
    """

    layer: int
    unit: int
    point: int
    value: float

    def __str__(self) -> str:
        unit = f"unit {self.unit} of layer {self.layer}"
        return f"{unit} has the input {self.value:.3g} at point {self.point}"


@dataclass(frozen=True)
class Crossing:
    """Where a path leaves the piece of its point before.

    Attributes:
        step: The index of the first point on the other side.
        units: Triples (layer, unit, data point), from 1, of the units that changed sides.
    """

    step: int
    units: tuple[tuple[int, int, int], ...]

    def __str__(self) -> str:
        shown = ", ".join(f"unit {u} of layer {j} at point {i}" for j, u, i in self.units[:4])
        more = f" and {len(self.units) - 4} more" if len(self.units) > 4 else ""
        return f"at step {self.step}: {shown}{more} changed sides"


SLOPES = {"relu": sympy.Integer(0), "leaky-relu": sympy.Rational(1, 10)}
"""The slope for negative inputs that each activation has unless another is given."""

KINK = 1e-12
"""How near to 0, against its largest value nearby, the input of a unit is taken to be a kink."""


class Piece(Loss):
    """The smooth loss that a network is on one of its linear regions.

    Attributes:
        network: The network.
        pattern: Which units are on.
    """

    def __init__(self, network: HomogeneousNetwork, pattern: Pattern):
        self.network, self.pattern = network, pattern
        super().__init__(network.expression_on(pattern), network.symbols)

    def contains(self, theta: Any) -> bool:
        """Tell whether a point is inside the region."""
        return not self.network.kinks(theta) and self.network.pattern(theta) == self.pattern

    @cached_property
    def hessian_field(self) -> Any:
        """The Hessian as a numeric function."""
        return recorded(self, list(self.hessian), None)


class HomogeneousNetwork(Layers, Shown):
    """The mean loss of a deep network with ReLU or leaky ReLU units over data, piece by piece.

    Args:
        widths: d₀, d₁, …, d_N: inputs, hidden units, outputs; N is the depth.
        inputs: Data points of d₀ exact numbers each.
        targets: As many points of d_N numbers, or plain numbers where d_N = 1.
        activation: "relu" or "leaky-relu".
        loss: "square", ½|z - y|², or "logistic", log(1 + exp(-y z)), for one output and y = ±1.
        slope: The slope α of a leaky ReLU for negative inputs, from 0 to 1; 1/10 without it.

    Raises:
        InvalidValue: The widths, the data, the loss, the activation or the slope are not as above.

    >>> network = HomogeneousNetwork([1, 1, 1], [[1], [-1]], [2, 1], activation="leaky-relu")
    >>> network.piece([1.0, 0.5]).expression
    (-w1_1_1*w2_1_1/10 - 1)**2/4 + (w1_1_1*w2_1_1 - 2)**2/4
    >>> network.piece([0.0, 0.5])
    Traceback (most recent call last):
    modeq.errors.NotSmooth: the point is on a kink, where the loss has no counter terms: unit 1 of
    layer 1 has the input 0 at point 1, and 1 more; move the point
    """

    def __init__(
        self,
        widths: Sequence[int],
        inputs: Sequence,
        targets: Sequence,
        activation: str = "relu",
        loss: str = "square",
        slope: Any = None,
    ):
        super().__init__(widths, inputs, targets, loss)
        self.activation, self.slope = activation, _checked_slope(activation, slope)
        self._x = np.array(self.inputs, dtype=float)
        self._y = np.array(self.targets, dtype=float)
        self._pieces: dict[Pattern, Piece] = {}

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"<{self.activation} network {widths}, {self.kind} loss, {len(self.inputs)} points>"

    def preactivations(self, theta: Any, pattern: Pattern | None = None) -> list[np.ndarray]:
        """Return the inputs of the units of each hidden layer, of shape (points, units), at a point
        or, beyond its own kinks, on the piece of a pattern.
        """
        return [z for z, *_ in self._forward(theta, pattern)[:-1]]

    def _forward(self, theta: Any, pattern: Pattern | None = None) -> list[tuple]:
        """Return for each layer what its units get, what from, and by what they multiply it."""
        rows, a = [], self._x
        for j, w in enumerate(self.weights(_one_point(theta, self.size))):
            z = a @ w.T
            on = z > 0 if pattern is None or j == self.depth - 1 else np.array(pattern[j])
            mask = np.where(on, 1.0, float(self.slope))
            rows.append((z, a, mask))
            a = mask * z
        return rows

    def value(self, theta: Any) -> float:
        """Return the loss at a point; it is continuous, kinks included."""
        z = self._forward(theta)[-1][0]
        if self.kind == "square":
            return float(np.mean(np.sum((z - self._y) ** 2, axis=1)) / 2)
        return float(np.mean(np.logaddexp(0, -self._y * z)))

    def output_slopes(self, theta: Any, pattern: Pattern | None = None) -> np.ndarray:
        """Return ∇ℓ_i by the outputs at each data point, of shape (points, outputs)."""
        return self._slopes_of(self._forward(theta, pattern)[-1][0])

    def _slopes_of(self, z: np.ndarray) -> np.ndarray:
        return z - self._y if self.kind == "square" else -self._y * expit(-self._y * z)

    def gradient(self, theta: Any, pattern: Pattern | None = None) -> np.ndarray:
        """Return ∇L at a point, on the piece of a pattern, or else with slope α for z = 0."""
        weights, rows = self.weights(theta), self._forward(theta, pattern)
        delta = self._slopes_of(rows[-1][0]) / len(self._x)
        slopes = []
        for j in reversed(range(self.depth)):
            slopes.append((delta.T @ rows[j][1]).ravel())
            if j:
                delta = (delta @ weights[j]) * rows[j - 1][2]
        return np.concatenate(slopes[::-1])

    def step(self, theta: Any, h: float) -> np.ndarray:
        """Return the weights after one step of gradient descent."""
        return as_points(theta, self.size) - h * self.gradient(theta)

    def kinks(self, theta: Any) -> list[Kink]:
        """Return the units whose input is zero, but for those that are zero all around the point.

        A unit is so where the point of data is zero, or all units of a ReLU layer below are off.

        >>> network = HomogeneousNetwork([1, 1, 1, 1], [[1]], [2])
        >>> network.kinks([-1.0, 1.0, 1.0]), str(network.kinks([1.0, 0.0, 1.0])[0])
        ([], 'unit 1 of layer 2 has the input 0 at point 1')
        """
        weights, rows = self.weights(theta), self._forward(theta)[:-1]
        pattern = [z > 0 for z, *_ in rows]
        found = []
        for j, ((z, a, _), dead) in enumerate(zip(rows, self.dead_units(pattern), strict=True)):
            size = np.abs(a) @ np.abs(weights[j]).T
            at_zero = np.abs(z) <= KINK * np.maximum(size, np.finfo(float).tiny)
            found += [
                Kink(j + 1, int(u) + 1, int(i) + 1, float(z[i, u]))
                for i, u in np.argwhere(at_zero & ~dead)
            ]
        return found

    def dead_units(self, pattern: Sequence) -> list[np.ndarray]:
        """Return for each hidden layer which units get zero all over the piece of a pattern."""
        rows, silent = [], self._x == 0
        for layer in pattern:
            on = np.array(layer)
            rows.append(np.broadcast_to(silent.all(axis=1, keepdims=True), on.shape))
            silent = rows[-1] | (~on if self.slope == 0 else False)
        return rows

    def pattern(self, theta: Any) -> Pattern:
        """Return which units are on at each data point.

        Raises:
            NotSmooth: The point is on a kink.
        """
        kinks = self.kinks(theta)
        if kinks:
            more = f", and {len(kinks) - 1} more" if len(kinks) > 1 else ""
            raise NotSmooth(
                f"the point is on a kink, where the loss has no counter terms: {kinks[0]}{more}; "
                f"move the point"
            )
        return tuple(tuple(map(tuple, (z > 0).tolist())) for z in self.preactivations(theta))

    def piece(self, theta: Any) -> Piece:
        """Return the smooth loss around a point; raise NotSmooth on a kink."""
        pattern = self.pattern(theta)
        if pattern not in self._pieces:
            self._pieces[pattern] = Piece(self, pattern)
        return self._pieces[pattern]

    def expression_on(self, pattern: Pattern) -> sympy.Expr:
        """Return the loss with the units of a pattern on, and the others off."""
        outputs = []
        for i, x in enumerate(self.inputs):
            column = sympy.Matrix(x)
            for j, matrix in enumerate(self.matrices):
                column = matrix * column
                if j < self.depth - 1:
                    masks = (1 if on else self.slope for on in pattern[j][i])
                    column = sympy.Matrix([m * z for m, z in zip(masks, column, strict=True)])
            outputs.append(column)
        return self.mean_loss(outputs)

    def crossings(self, path: Any) -> list[Crossing]:
        """Return where a path of points passes from one piece to another.

        >>> network = HomogeneousNetwork([1, 1, 1], [[1]], [2])
        >>> print(*network.crossings([[1.0, 1.0], [0.5, 1.0], [-0.5, 1.0]]))
        at step 2: unit 1 of layer 1 at point 1 changed sides
        """
        found, before = [], None
        for step, theta in enumerate(np.asarray(path, float)):
            now = [z > 0 for z in self.preactivations(theta)]
            if before is not None:
                units = [
                    (j + 1, int(u) + 1, int(i) + 1)
                    for j, (a, b) in enumerate(zip(before, now, strict=True))
                    for i, u in np.argwhere(a != b)
                ]
                found += [Crossing(step, tuple(units))] if units else []
            before = now
        return found

    def smallest_eigenvalue(self, theta: Any) -> float:
        """Return λ_min(∇²L) at a point; raise NotSmooth on a kink."""
        theta = as_points(theta, self.size)
        hessian = self.piece(theta).hessian_field(theta, 0.0).reshape(self.size, self.size)
        return float(np.linalg.eigvalsh(hessian)[0])

    def eigenvalue_bound(self, theta: Any) -> float:
        """Return a lower bound of λ_min(∇²L) at a point; see the module for it and its proof.

        >>> network = HomogeneousNetwork([1, 1, 1], [[1], [-2]], [2, 1])
        >>> theta = [1.0, 0.5]
        >>> network.eigenvalue_bound(theta) <= network.smallest_eigenvalue(theta)
        True
        """
        if self.depth == 1:
            return 0.0
        steepest = max(1.0, float(self.slope)) ** (self.depth - 1)
        sizes = np.linalg.norm(self.output_slopes(theta), axis=1) * np.linalg.norm(self._x, axis=1)
        return -(self.depth - 1) * steepest * float(np.mean(sizes)) * self.largest_product(theta)


def _checked_slope(activation: Any, slope: Any) -> sympy.Expr:
    if not isinstance(activation, str) or activation not in SLOPES:
        raise InvalidValue(
            f"activation is {shortened(activation)}; it must be 'relu' or 'leaky-relu'"
        )
    if slope is None:
        return SLOPES[activation]
    number = read_expression(slope)
    if activation == "relu" or not (number.is_number and 0 <= number <= 1):
        raise InvalidValue(
            f"slope is {shortened(slope)}; a leaky ReLU has one from 0 to 1, a ReLU has none"
        )
    return number


def check_network_start(theta: Any, size: int) -> np.ndarray:
    """Return a point where a flow can start, of shape (d,): all its entries are finite."""
    point = _one_point(theta, size)
    if not np.all(np.isfinite(point)):
        raise InvalidPoint(f"the start is {point.tolist()}; its entries must be finite and real")
    return point


def _one_point(theta: Any, size: int) -> np.ndarray:
    point = as_points(theta, size)
    if point.ndim != 1 or np.iscomplexobj(point):
        raise InvalidPoint(
            f"the point has the shape {point.shape} and the type {point.dtype}; it must be of "
            f"shape ({size},) and real"
        )
    return point
