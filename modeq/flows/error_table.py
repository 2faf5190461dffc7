"""Errors of a flow against its method, beside their leading orders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modeq.flows.order_report import slopes_of
from modeq.shown import Shown


@dataclass(frozen=True)
class DiscretizationError(Shown):
    """Errors of a flow against its method, measured and predicted to leading order.

    With f_j the first counter term after hⁿ that does not vanish, for gradient descent f_{n+1}:

    Attributes:
        order: The order n of the flow.
        h: The learning rate.
        measured: θ(kh) - θ_k, of shape (steps + 1, d).
        predicted: -h^{j+1} Σ_{s<k} f_j(θ_s), of the same shape; nan for a method that starts at
            rest, whose memory still settles then.
        predicted_at_time: -hʲ ∫₀ᵗ Φ(t, s) f_j(θ(s)) ds at t = kh, of the same shape.
        rates: h, h/2, h/4, …
        step_errors: Measured errors after ``steps`` steps at these rates, of shape (rates, d).
        step_predictions: The same as predicted.
        time_errors: Measured errors at the fixed time steps·h, of shape (rates, d).
        time_predictions: The same as predicted with the propagator Φ.
        power: The number j.
        method: The name of the method.
    """

    order: int
    h: float
    measured: np.ndarray
    predicted: np.ndarray
    predicted_at_time: np.ndarray
    rates: tuple[float, ...]
    step_errors: np.ndarray
    step_predictions: np.ndarray
    time_errors: np.ndarray
    time_predictions: np.ndarray
    power: int
    method: str

    @property
    def slopes(self) -> tuple[float, ...]:
        """log₂ of the ratios of successive errors after a fixed number of steps: about j + 1."""
        return slopes_of(map(length, self.step_errors))

    @property
    def time_slopes(self) -> tuple[float, ...]:
        """log₂ of the ratios of successive errors at a fixed time: about j."""
        return slopes_of(map(length, self.time_errors))

    @property
    def ratio(self) -> float:
        """The length of predicted over measured error at the smallest rate, after all steps."""
        return ratio(self.step_predictions[-1], self.step_errors[-1])

    @property
    def time_ratio(self) -> float:
        """The length of predicted over measured error at the smallest rate, at the fixed time."""
        return ratio(self.time_predictions[-1], self.time_errors[-1])

    def __str__(self) -> str:
        steps = len(self.measured) - 1
        head = (
            f"flow of order {self.order} minus {self.method}, to leading order (no bound)\n"
            f"         h   after {steps} steps   predicted/measured"
            f"   at t = {steps * self.h:<8.4g} predicted/measured"
        )
        columns = (self.step_errors, self.step_predictions, self.time_errors, self.time_predictions)
        rows = [
            f"{h:10.3e}   {length(a):13.3e}   {ratio(b, a):18.4f}   {length(c):12.3e}"
            f"   {ratio(d, c):18.4f}"
            for h, a, b, c, d in zip(self.rates, *columns, strict=True)
        ]
        return "\n".join([head, *rows])


def length(vector: np.ndarray) -> float:
    """Return the Euclidean length of a vector."""
    return float(np.linalg.norm(vector))


def ratio(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Return the length of one vector over that of another, or nan where that is 0.

    >>> ratio(np.array([3.0, 4.0]), np.array([10.0, 0.0]))
    0.5
    """
    size = length(measured)
    return length(predicted) / size if size else math.nan
