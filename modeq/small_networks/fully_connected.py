"""Fully connected networks in plain NumPy, as gradients of a flat array of weights.

They serve experiments with step refinement on real data; ReLU networks have no counter terms, but
gradient descent on them can be compared with itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from modeq.checks import as_integer
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
        self.widths = check_widths(widths)
        self.inputs, self.labels = np.asarray(inputs, float), np.asarray(labels)
        if not isinstance(activation, str) or activation not in SLOPES:
            raise InvalidValue(f"activation is {activation!r}; it must be one of {list(SLOPES)}")
        self.slope = SLOPES[activation]
        points = len(self.labels) if self.labels.ndim == 1 else 0
        fit = self.inputs.shape == (points, self.widths[0]) and self.labels.dtype.kind in "iu"
        if not (points and fit):
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


def check_widths(widths: Any) -> tuple[int, ...]:
    """Return the widths of a network as ints, if there are two or more, and all are positive.

    >>> check_widths([64, 10])
    (64, 10)
    """
    found = [as_integer(n) or 0 for n in widths] if isinstance(widths, Iterable) else []
    if len(found) < 2 or min(found) < 1:
        raise InvalidValue(f"widths is {widths!r}; give whole numbers > 0, such as (64, 50, 10)")
    return tuple(found)
