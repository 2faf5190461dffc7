"""Discretization error: how far the flow, cut at hⁿ, is from the method itself.

With e_k = θ(kh) - θ_k, the flow with counter terms up to hⁿ has, at a fixed number of steps and at
a fixed time t = kh,

    e_k = -h^{n+2} Σ_{s<k} f_{n+1}(θ_s) + O(h^{n+3}),
    e(t) = -h^{n+1} ∫₀ᵗ Φ(t, s) f_{n+1}(θ(s)) ds + O(h^{n+2}),        ∂ₜΦ = f₀'(θ(t)) Φ

(theory.md, section 3; Miyagawa 2022 for gradient descent and n = 0, 1). Where f_{n+1} vanishes, as
it does for methods of high order, the first f_j that does not takes its place. A method with memory
is a one-step map on its slow manifold, so the same holds there; from rest it approaches the flow
that starts at θ₀ + h s₁ + h² s₂ + …, and if only h s₁ + … + hⁿ sₙ is taken into account,

    e(t) = -h^{n+1} [Φ(t, 0) s_{n+1}(θ₀) + ∫₀ᵗ Φ(t, s) f_{n+1}(θ(s)) ds] + O(h^{n+2})

once its memory has settled (derived here). All of these are leading orders, and no bounds: for
bounds that hold see ``modeq.bounds.bounds``.

Errors of a flow against its method, beside their leading orders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from modeq.algebra.power_series import Vector
from modeq.checks import check_duration, check_order, check_step
from modeq.flows.check import SLOPE_TOLERANCE, slopes_of
from modeq.flows.compare import start_and_step
from modeq.flows.experiment import followed
from modeq.flows.fields import recorded, with_values
from modeq.flows.integrate import check_start
from modeq.flows.next_terms import field_and_next_term, next_term, propagated
from modeq.flows.precise import Precision, digits_to_see, flow
from modeq.losses.loss import Field, as_field
from modeq.methods.named import Method, method_for
from modeq.show.document import Block, Text, code_lines
from modeq.show.shown import Shown


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

    def show(self) -> list[Block]:
        """Return the errors, and the slopes that they follow."""
        first, *lines = str(self).splitlines()
        slopes = ", ".join(f"{s:.2f}" for s in self.slopes)
        time_slopes = ", ".join(f"{s:.2f}" for s in self.time_slopes)
        words = f"Slopes after {len(self.measured) - 1} steps: {slopes}; at a fixed time: "
        return [Text(first), *code_lines(lines), Text(f"{words}{time_slopes}")]

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


_SETTLED = 0.05
"""How far predicted over measured error may be from one at the smallest learning rate."""

MIN_HALVINGS, MAX_HALVINGS = 3, 12
_EXTRA_DIGITS = 12
_STEPS = 10


def discretization_error(
    loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    steps: int | None = None,
    time: float | None = None,
    order: int = 0,
    method: Any = None,
    at_rest: bool = False,
    parameters: Mapping | None = None,
) -> DiscretizationError:
    """Measure θ(kh) - θ_k for the flow of order n, and compare it with its leading order.

    The learning rate is halved at least three times, and then until both predictions are within
    5 % of what is measured and the last three slopes within 0.1, at most twelve times. As many
    digits are used as the errors need.

    Args:
        loss: A loss or vector field.
        theta0: The start, of shape (d,); for the losses of ``modeq.problems`` it may be left out.
        h: The learning rate; it may be left out for these as well.
        steps: How many steps; ten without it and without a time.
        time: A whole multiple of h, in place of the number of steps.
        order: The order n of the flow; 0 is gradient flow.
        method: A method, the name of one, or an update rule; gradient descent, or Euler's method,
            without it. One with memory starts on its slow manifold.
        at_rest: Whether momentum starts at rest, as it does in training, and the flow where the
            series of its start says. Errors are predicted at a fixed time then.
        parameters: Values of the parameters of the loss and of the method, by symbol or name.

    Raises:
        FlowError: The flow or the method leaves the domain, or blows up.
        InvalidMethod: ``at_rest`` is asked for a method that does not start at rest.
        InvalidPoint, InvalidStep, InvalidOrder, MissingParameter: The arguments cannot be right.

    >>> error = discretization_error("x**2/2", [1.0], h=0.1, steps=2)
    >>> error.measured[-1] - (np.exp(-0.2) - 0.9**2) < 1e-15  # the flow is exp(-t)
    array([ True])
    >>> error.predicted[1:].ravel().round(4).tolist()
    [0.005, 0.0095]
    >>> round(error.slopes[-1]), round(error.time_slopes[-1])
    (2, 1)
    """
    loss = as_field(loss)
    theta0, h = start_and_step(loss, theta0, h)
    h = check_step(h)
    steps = check_duration(_STEPS if steps is None and time is None else steps, time, h)
    values, method = with_values(loss, method_for(loss, method), parameters)
    start = check_start(theta0, loss, values)
    study = _Study(loss, start, check_order(order), steps, method, values, at_rest)
    return study.report(h)


class _Study:
    """What stays the same while the learning rate is halved."""

    def __init__(
        self,
        loss: Field,
        start: np.ndarray,
        order: int,
        steps: int,
        method: Method,
        values: Mapping,
        at_rest: bool,
    ):
        self.loss, self.start, self.order, self.steps = loss, start, order, steps
        self.method, self.values = method, values
        found = next_term(loss, start, order, values, method)
        self.power, self.size = found or (order + 1, 0)
        self.field, self.next_term = field_and_next_term(loss, order, values, method, self.power)
        self.source = followed(loss, method, start, values, order, self.power, at_rest)

    def report(self, h: float) -> DiscretizationError:
        """Return measured and predicted errors at h and its halves."""
        time = h * self.steps
        power, along = self._along_time(h)
        measured, predicted = self._trajectory(h)
        rates, rows = [], []
        for k in range(MAX_HALVINGS + 1):
            rate = Fraction(h) / 2**k
            far = float(rate) ** power * along[-1]
            short = (measured, predicted) if k == 0 else self._trajectory(float(rate))
            rows.append((short[0][-1], short[1][-1], self._far_error(rate, time, 2**k), far))
            rates.append(float(rate))
            if k >= MIN_HALVINGS and self._is_settled(rows, power):
                break
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        return DiscretizationError(
            self.order,
            h,
            measured,
            predicted,
            h**power * along,
            tuple(rates),
            *columns,
            power=power,
            method=str(self.method),
        )

    def _is_settled(self, rows: Sequence, power: int) -> bool:
        """Tell whether the predictions are near what is measured, and the last slopes right."""
        step, step_predicted, far, far_predicted = zip(*rows[-MIN_HALVINGS - 1 :], strict=True)
        wrong = [s - power for s in slopes_of(map(length, far))]
        pairs = [(far[-1], far_predicted[-1])]
        if not self.source.at_rest:
            wrong += [s - power - 1 for s in slopes_of(map(length, step))]
            pairs.append((step[-1], step_predicted[-1]))
        near = all(length(a - b) <= _SETTLED * length(a) for a, b in pairs)
        return near and all(abs(s) <= SLOPE_TOLERANCE for s in wrong)

    def _along_time(self, h: float) -> tuple[int, np.ndarray]:
        """Return p, and the error at t = 0, h, 2h, … over hᵖ, to leading order."""
        power, offset, term = self.power, None, self.next_term
        if self.source.at_rest:
            power = min(power, self.source.power)
            offset = self.source.missing_shift() if power == self.source.power else None
            if power < self.power:
                term = recorded(self.loss, [sympy.Integer(0)] * self.loss.dimension, None)
        return power, propagated(
            self.loss, term, self.start, h, self.steps, self.values, self.method, offset
        )

    def _digits(self, h: float) -> int:
        size = self.size * self.size.context.mpf(h) ** (self.power + 1) if self.size else 0
        return _EXTRA_DIGITS + digits_to_see(size, self.start)

    def _precision(self, h: float) -> Precision:
        return Precision(self._digits(h), self.field, *self.source.fields)

    def _trajectory(self, h: float) -> tuple[np.ndarray, np.ndarray]:
        """Return measured and predicted errors after 0, 1, …, steps steps."""
        with self._precision(h) as precision:
            rate, tolerance = precision.number(Fraction(h)), _tolerance(precision)
            rhs = precision.field(self.field, rate)
            theta, follow = self.source.iterates(precision, Fraction(h), self.steps)
            errors = []
            for k in range(self.steps + 1):
                follow = flow(rhs, follow, rate, tolerance) if k else follow
                errors.append(_floats(follow - theta[k]))
            points = np.array([_floats(point) for point in theta[:-1]])
        return np.array(errors), self._predicted(points, h)

    def _predicted(self, points: np.ndarray, h: float) -> np.ndarray:
        sums = np.cumsum(self.next_term(points, h), axis=0)
        predicted = -(h ** (self.power + 1)) * np.vstack([np.zeros_like(self.start), sums])
        return predicted * (math.nan if self.source.at_rest else 1.0)

    def _far_error(self, rate: Fraction, time: float, factor: int) -> np.ndarray:
        """Return the error at a fixed time, of ``factor`` times as many steps."""
        with self._precision(float(rate)) as precision:
            h, count = precision.number(rate), self.steps * factor
            theta, start = self.source.iterates(precision, rate, count)
            far = flow(precision.field(self.field, h), start, h * count, _tolerance(precision))
            return np.array(_floats(far - theta[count]))


def _floats(vector: Vector) -> list[float]:
    return [float(entry) for entry in vector]


def _tolerance(precision: Precision) -> Any:
    return precision.number(Fraction(1, 10 ** (precision.digits - 4)))
