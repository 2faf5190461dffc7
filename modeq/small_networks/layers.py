"""The matrices W₁, …, W_N of a network without biases, its data, and the loss of its outputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sympy

from modeq.checks import as_integer, as_numbers, as_points, several, shortened
from modeq.errors import InvalidPoint, InvalidValue
from modeq.losses.expressions import read_expression

LOSSES = ("square", "logistic")


class Layers:
    """Matrices of symbols, data points, and the mean loss over them.

    Args:
        widths: d₀, d₁, …, d_N: inputs, hidden units, outputs; N is the depth.
        inputs: Data points of d₀ exact numbers each.
        targets: As many points of d_N numbers, or plain numbers where d_N = 1.
        loss: "square", ½|z - y|², or "logistic", log(1 + exp(-y z)), for one output and y = ±1.

    The entries of W₁, …, W_N are the variables, row by row; w2_1_3 is row 1, column 3 of W₂.

    Attributes:
        matrices: W₁, …, W_N, as matrices of symbols.
        kind: The name of the loss.

    Raises:
        InvalidValue: The widths, the data or the loss are not as above.
    """

    def __init__(
        self, widths: Sequence[int], inputs: Sequence, targets: Sequence, loss: str = "square"
    ):
        self.widths = _checked_widths(widths)
        self.matrices = tuple(
            sympy.ImmutableMatrix(m, n, lambda i, j, k=k: sympy.Symbol(f"w{k}_{i + 1}_{j + 1}"))
            for k, (n, m) in enumerate(itertools.pairwise(self.widths), 1)
        )
        self.inputs = _points("inputs", inputs, self.widths[0])
        self.targets = _points("targets", targets, self.widths[-1])
        if len(self.inputs) != len(self.targets):
            raise InvalidValue(
                f"there are {len(self.inputs)} inputs and {len(self.targets)} targets; give one "
                f"target for each input"
            )
        self.kind = _checked_kind(loss, self.widths[-1], self.targets)

    @property
    def depth(self) -> int:
        """The number N of matrices."""
        return len(self.matrices)

    @property
    def size(self) -> int:
        """The number of weights."""
        return sum(m.rows * m.cols for m in self.matrices)

    @property
    def symbols(self) -> list[sympy.Symbol]:
        """The entries of all matrices."""
        return [w for matrix in self.matrices for w in matrix]

    def mean_loss(self, outputs: Sequence[sympy.Matrix]) -> sympy.Expr:
        """Return the mean loss, for the column of outputs at each data point.

        >>> Layers([1, 1], [[1]], [2]).mean_loss([sympy.Matrix([sympy.Symbol("z")])])
        (z - 2)**2/2
        """
        total = sympy.Integer(0)
        for column, y in zip(outputs, self.targets, strict=True):
            if self.kind == "square":
                total += sum((z - t) ** 2 for z, t in zip(column, y, strict=True)) / 2
            else:
                total += sympy.log(1 + sympy.exp(-y[0] * column[0]))
        return total / len(self.inputs)

    def weights(self, theta: Any) -> list[np.ndarray]:
        """Return the matrices W₁, …, W_N at points of the variables.

        >>> layers = Layers([2, 1, 1], [[1, 0]], [1])
        >>> [w.tolist() for w in layers.weights([1, 2, 3])]
        [[[1.0, 2.0]], [[3.0]]]
        """
        theta = as_points(theta, self.size)
        sizes = np.cumsum([m.rows * m.cols for m in self.matrices])[:-1]
        parts = np.split(theta, sizes, axis=-1)
        return [
            part.reshape(*part.shape[:-1], *m.shape)
            for part, m in zip(parts, self.matrices, strict=True)
        ]

    def balanced_start(self, product: Any, rotation: int | None = None) -> np.ndarray:
        """Return the variables of balanced matrices with a given product W_N ⋯ W₁.

        With A = UΣVᵀ they are W_N ≃ UΣ^{1/N}, …, W₁ ≃ Σ^{1/N}Vᵀ, filled with zeros. Hidden units
        that have only zeros are at a kink of a ReLU; a rotation Q_j W_j Q_{j-1}ᵀ of the hidden
        layers keeps product and balance, and fills them.

        Args:
            product: The product, of shape (d_N, d₀).
            rotation: The seed of random rotations; none without it.

        Raises:
            InvalidPoint: The product has the wrong shape, or a rank that a hidden layer has not.

        >>> layers = Layers([1, 2, 1], [[1]], [1])
        >>> first, second = layers.weights(layers.balanced_start([[4.0]], rotation=0))
        >>> (second @ first).round(12), layers.imbalance([*first.ravel(), *second.ravel()]) < 1e-12
        (array([[4.]]), True)
        """
        shape = (self.widths[-1], self.widths[0])
        matrix = as_numbers(product)
        is_real = matrix is not None and not np.iscomplexobj(matrix)
        if not is_real or matrix.shape != shape or not np.all(np.isfinite(matrix)):
            raise InvalidPoint(
                f"the product is {shortened(product)}; it must be a finite real matrix of shape "
                f"{shape}"
            )
        matrices = self._padded(_balanced_factors(matrix, self.depth, min(self.widths)))
        if rotation is not None:
            matrices = _rotated(matrices, np.random.default_rng(rotation))
        return np.concatenate([matrix.ravel() for matrix in matrices])

    def _padded(self, factors: Sequence[np.ndarray]) -> list[np.ndarray]:
        padded = []
        for factor, matrix in zip(factors, self.matrices, strict=True):
            full = np.zeros(matrix.shape)
            full[: factor.shape[0], : factor.shape[1]] = factor
            padded.append(full)
        return padded

    def imbalance(self, theta: Any) -> float:
        """Return the largest ‖W_{j+1}ᵀW_{j+1} - W_jW_jᵀ‖ at a point."""
        differences = (b.T @ b - a @ a.T for a, b in itertools.pairwise(self.weights(theta)))
        return max((float(np.linalg.norm(d)) for d in differences), default=0.0)

    def largest_product(self, theta: Any) -> float:
        """Return max_{|J| = N-2} Π_{j∈J} ‖W_j‖ at a point; 1 for two layers.

        >>> Layers([1, 1, 1, 1], [[1]], [1]).largest_product([2.0, -3.0, 1.0])
        3.0
        """
        norms = sorted((float(np.linalg.norm(w, 2)) for w in self.weights(theta)), reverse=True)
        return float(np.prod(norms[: max(self.depth - 2, 0)]))


def _balanced_factors(product: np.ndarray, depth: int, narrowest: int) -> list[np.ndarray]:
    """Return UΣ^{1/N}, …, Σ^{1/N}Vᵀ, the last factor first."""
    u, s, vt = np.linalg.svd(product, full_matrices=False)
    rank = int(np.sum(s > 1e-12 * max(1.0, s[0])))
    if rank > narrowest:
        raise InvalidPoint(f"the product has rank {rank}, but a layer has {narrowest}")
    if depth == 1:
        return [product]
    root = np.diag(s[:rank] ** (1 / depth))
    return [root @ vt[:rank], *[root] * (depth - 2), u[:, :rank] @ root]


def _rotated(matrices: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Return the matrices with the hidden layers in between rotated at random."""
    rotated = list(matrices)
    for j in range(len(matrices) - 1):
        size = matrices[j].shape[0]
        q = np.linalg.qr(rng.normal(size=(size, size)))[0]
        rotated[j], rotated[j + 1] = q @ rotated[j], rotated[j + 1] @ q.T
    return rotated


def _checked_widths(widths: Any) -> tuple[int, ...]:
    found = tuple(map(as_integer, widths)) if isinstance(widths, Iterable) else ()
    if len(found) < 2 or any(w is None or w < 1 for w in found):
        raise InvalidValue(f"widths is {shortened(widths)}; give two or more whole numbers >= 1")
    return found


def _checked_kind(loss: Any, outputs: int, targets: Sequence) -> str:
    if not isinstance(loss, str) or loss not in LOSSES:
        raise InvalidValue(f"loss is {shortened(loss)}; it must be 'square' or 'logistic'")
    if loss == "logistic" and outputs != 1:
        raise InvalidValue(f"the logistic loss is for one output, not for {outputs}")
    wrong = [y[0] for y in targets if abs(y[0]) != 1]
    if loss == "logistic" and wrong:
        raise InvalidValue(f"a target is {wrong[0]}; for the logistic loss all must be 1 or -1")
    return loss


def _points(name: str, rows: Sequence, length: int) -> tuple[tuple[sympy.Expr, ...], ...]:
    points = []
    for row in several(rows, name):
        is_row = isinstance(row, Sequence | np.ndarray) and not isinstance(row, str)
        entries = tuple(row) if is_row else (row,)
        if len(entries) != length:
            raise InvalidValue(
                f"{name} has the row {shortened(row)}; each must have {length} numbers"
            )
        points.append(tuple(map(_number, entries)))
    if not points:
        raise InvalidValue(f"{name} is empty; give at least one point")
    return tuple(points)


def _number(entry: Any) -> sympy.Expr:
    """Return an exact number; those of NumPy become Python's."""
    number = read_expression(entry.item() if isinstance(entry, np.generic) else entry)
    if not number.is_number:
        raise InvalidValue(f"the data contain {shortened(entry)}; all of them must be numbers")
    return number
