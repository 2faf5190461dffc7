"""Losses of deep networks without biases, by the name of their activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modeq.errors import InvalidValue
from modeq.small_networks.linear import LinearNetwork
from modeq.small_networks.relu import SLOPES, HomogeneousNetwork


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
        raise InvalidValue(f"activation is {activation!r} (slope {slope!r}); known are {names}")
    return HomogeneousNetwork(widths, inputs, targets, activation, loss, slope)
