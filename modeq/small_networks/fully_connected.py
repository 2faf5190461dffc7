"""Fully connected networks in plain NumPy, as gradients of a flat array of weights.

They serve experiments with step refinement on real data; ReLU networks have no counter terms, but
gradient descent on them can be compared with itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from modeq.errors import InvalidValue

SLOPES = {"linear": 1.0, "relu": 0.0, "leaky-relu": 0.1}
"""The slope of each activation for negative inputs."""


class FullyConnected:
    """The mean cross-entropy of a fully connected network without biases, over labelled data.

    Args:
        widths: Inputs, hidden units, classes, such as (64, 50, 50, 10).
        inputs: An array of shape (points, inputs).
        labels: Whole numbers 0, …, classes - 1, of shape (points,).
        activation: "linear", "relu" or "leaky-relu".

    Raises:
        InvalidValue: The shapes do not fit, or the activation is unknown.

    >>> net = FullyConnected((2, 3, 2), [[1, 0], [0, 1]], [0, 1], "linear")
    >>> theta = net.start(seed=1)
    >>> net.value(net.step(theta, 0.1)) < net.value(theta)
    True
    """

    def __init__(self, widths: Sequence[int], inputs, labels, activation: str = "relu"):
        self.widths = tuple(widths)
        self.inputs, self.labels = np.asarray(inputs, float), np.asarray(labels)
        if activation not in SLOPES:
            raise InvalidValue(f"activation is {activation!r}; it must be one of {list(SLOPES)}")
        self.slope = SLOPES[activation]
        shape = (len(self.labels), self.widths[0])
        if (
            self.inputs.shape != shape
            or self.labels.ndim != 1
            or self.labels.dtype.kind not in "iu"
        ):
            raise InvalidValue(
                f"inputs have the shape {self.inputs.shape} and labels {self.labels.shape}; for "
                f"the widths {self.widths} they must be (points, {self.widths[0]}) and (points,)"
            )
        if not (self.labels.min() >= 0 and self.labels.max() < self.widths[-1]):
            raise InvalidValue(f"labels must be whole numbers from 0 to {self.widths[-1] - 1}")

    @property
    def dimension(self) -> int:
        """The number of weights."""
        return sum(m * n for n, m in itertools.pairwise(self.widths))

    def start(self, seed: int = 0) -> np.ndarray:
        """Return random weights, uniform in ±1/√inputs for each layer."""
        rng = np.random.default_rng(seed)
        shapes = [(m, n) for n, m in itertools.pairwise(self.widths)]
        layers = [rng.uniform(-1, 1, shape) / np.sqrt(shape[1]) for shape in shapes]
        return np.concatenate([layer.ravel() for layer in layers])

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return the weights as one matrix for each layer."""
        shapes = [(m, n) for n, m in itertools.pairwise(self.widths)]
        ends = np.cumsum([m * n for m, n in shapes])[:-1]
        return [w.reshape(s) for w, s in zip(np.split(theta, ends), shapes, strict=True)]

    def value(self, theta: np.ndarray) -> float:
        """Return the mean cross-entropy."""
        z = self._forward(self.split(theta))[-1]
        z = z - z.max(axis=1, keepdims=True)
        chosen = z[np.arange(len(z)), self.labels]
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - chosen))

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient, by backpropagation."""
        weights = self.split(theta)
        *layers, z = self._forward(weights)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        delta = p / p.sum(axis=1, keepdims=True)
        delta[np.arange(len(z)), self.labels] -= 1
        delta /= len(z)
        slopes = []
        for i in reversed(range(len(weights))):
            slopes.append((delta.T @ layers[i]).ravel())
            if i:
                delta = (delta @ weights[i]) * np.where(layers[i] > 0, 1.0, self.slope)
        return np.concatenate(slopes[::-1])

    def step(self, theta: np.ndarray, h: float) -> np.ndarray:
        """Return the weights after one step of gradient descent."""
        return theta - h * self.gradient(theta)

    def _forward(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return the inputs of each layer, and the outputs."""
        layers = [self.inputs]
        for i, w in enumerate(weights):
            z = layers[-1] @ w.T
            hidden = i < len(weights) - 1
            layers.append(np.where(z > 0, z, self.slope * z) if hidden else z)
        return layers


def digits(activation: str = "relu", count: int = 1_000) -> FullyConnected:
    """Return a network of widths 64, 50, 50, 10 on the digits that come with scikit-learn.

    Args:
        activation: "linear", "relu" or "leaky-relu".
        count: How many images; there are 1,797.

    Raises:
        ImportError: scikit-learn is not installed.
        InvalidValue: There are not so many images, or the activation is unknown.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("the digits need scikit-learn: pip install modeq[data]") from error

    data = load_digits()
    if not 1 <= count <= len(data.target):
        raise InvalidValue(f"count is {count}; there are {len(data.target)} images")
    return FullyConnected((64, 50, 50, 10), data.data[:count] / 16, data.target[:count], activation)
