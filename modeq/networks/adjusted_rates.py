"""Drift-adjusted learning rates of networks: at one point, and as a rule for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modeq.networks.flat_loss import flattened
from modeq.principal.adjusted_rates import adjusted_rate, checked_powers


@dataclass(frozen=True)
class DriftAdjusted:
    """The drift-adjusted learning rate DAL-p, min(2/|Hĝ|^p, cap), ĝ = g/|g|.

    Attributes:
        p: The power; 1 is the edge of stability along the gradient.
        cap: The largest learning rate.

    Raises:
        InvalidValue: One of them is not a positive number.

    >>> DriftAdjusted(0.5)
    DriftAdjusted(p=0.5, cap=5.0)

    References:
        Rosca, Wu, Qin, Dherin 2023; the cap of 5 is that of their code.
    """

    p: float = 1
    cap: float = 5

    def __post_init__(self):
        for name, value in zip(("p", "cap"), checked_powers(self.p, self.cap), strict=True):
            object.__setattr__(self, name, value)


def dal(
    loss_fn: Callable[..., Any],
    params: Any,
    p: float = 1,
    cap: float = 5,
    *,
    precision: str | None = None,
    args: tuple = (),
) -> float:
    """Return the drift-adjusted learning rate min(2/|Hĝ|^p, cap), ĝ = g/|g|, of a network.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: The pytree of weights.
        p: The power; 1 is the edge of stability along the gradient.
        cap: The largest learning rate.
        precision: "float64" or "float32"; that of the weights unless given.
        args: More arguments of the loss, such as a batch.

    Raises:
        InvalidValue: p or the cap is not a positive number, or the gradient is not finite.

    >>> import numpy as np
    >>> dal(lambda w: 2 * (w**2).sum(), np.array([1.0])), dal(lambda w: 0 * w, 1.0)
    (0.5, 5.0)

    References:
        Rosca, Wu, Qin, Dherin 2023; the cap of 5 is that of their code.
    """
    p, cap = checked_powers(p, cap)
    loss, theta = flattened(loss_fn, params, precision, args)
    gradient = loss.gradient(theta)
    return adjusted_rate(gradient, loss.product(theta, gradient), p, cap)
