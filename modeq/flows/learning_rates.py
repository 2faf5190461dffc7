"""The largest learning rate at which a flow stays near its method, to leading order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modeq.checks import check_order, check_steps, check_tolerance
from modeq.errors import FlowError
from modeq.flows.compare import start_of
from modeq.flows.fields import NumericField, with_values
from modeq.flows.integrate import check_start, integrate
from modeq.flows.iterates import iterate
from modeq.flows.next_terms import field_and_next_term, next_term
from modeq.losses.loss import Field, as_field
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method, method_for
from modeq.methods.optimizer import Optimizer

MOST = 2.0**40
"""How many times larger than the first guess learning rates are looked at."""


class LeadingOrderRate(float):
    """A learning rate from the leading order of the error: a guide, no bound.

    It is a float. Its text says what it is for: ``tolerance``, ``steps``, ``order`` and ``method``.
    """

    def __new__(
        cls,
        value: float,
        tolerance: float,
        steps: int,
        order: int,
        method: str = "gradient descent",
    ):
        """Return the rate with what it is for."""
        self = super().__new__(cls, value)
        self.tolerance, self.steps, self.order, self.method = tolerance, steps, order, method
        return self

    def __getnewargs__(self) -> tuple:
        return float(self), self.tolerance, self.steps, self.order, self.method

    def __str__(self) -> str:
        return (
            f"h = {float(self):.6g}: to leading order (this is no bound) the flow of order "
            f"{self.order} stays within {self.tolerance:.6g} of {self.method} for "
            f"{self.steps} steps"
        )

    __repr__ = __str__


def max_learning_rate(
    loss: Any,
    theta0: Any = None,
    *,
    steps: int,
    order: int = 0,
    tolerance: float,
    method: Any = None,
    parameters: Mapping | None = None,
) -> LeadingOrderRate:
    """Return the largest h whose predicted error stays within ``tolerance`` for all steps.

    It solves h = (ε / ‖Σ_{s<k} f_{n+1}(θ_s)‖)^{1/(n+2)} for the k ≤ steps that asks for the
    smallest h, with the iterates θ_s at that same h. Where f_{n+1} vanishes, the next term that
    does not takes its place; where all vanish, it is inf. It is to leading order, and no bound: see
    ``gradient_flow_bound`` for one.

    Args:
        loss: A loss or vector field.
        theta0: The start, of shape (d,); for the losses of ``modeq.problems`` it may be left out.
        steps: How many steps.
        order: The order n of the flow.
        tolerance: The error ε that is allowed.
        method: A method, the name of one, or an update rule; gradient descent without it. One with
            memory starts on its slow manifold.
        parameters: Values of the parameters of the loss and of the method, by symbol or name.

    Raises:
        InvalidValue: The tolerance is not a positive finite number.
        InvalidPoint, InvalidStep, InvalidOrder, MissingParameter: The arguments cannot be right.

    >>> max_learning_rate("x**2/2", [1.0], steps=1, tolerance=0.005)
    h = 0.1: to leading order (this is no bound) the flow of order 0 stays within 0.005 of gradient
    descent for 1 steps
    """
    loss, tolerance = as_field(loss), check_tolerance(tolerance)
    steps, order = check_steps(steps), check_order(order)
    values, method = with_values(loss, method_for(loss, method), parameters)
    start = check_start(start_of(loss, theta0), loss, values)
    found = next_term(loss, start, order, values, method)
    if found is None:
        return LeadingOrderRate(math.inf, tolerance, steps, order, str(method))
    power, _ = found
    field, term = field_and_next_term(loss, order, values, method, power)
    points = _points(loss, method, values, field, start, steps)

    def is_within(h: float) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                sums = np.linalg.norm(np.cumsum(term(points(h), h), axis=0), axis=1)
            except FlowError:
                return False
            return bool(np.float64(h) ** (power + 1) * np.max(sums) <= tolerance)

    # It may vanish at the start, and not beside it.
    size = steps * float(np.linalg.norm(term(start, 0.0))) or 1.0
    first = (tolerance / size) ** (1 / (power + 1)) / 16
    return LeadingOrderRate(_largest(is_within, first), tolerance, steps, order, str(method))


def _points(
    loss: Field,
    method: Method,
    values: Mapping,
    field: NumericField,
    start: np.ndarray,
    steps: int,
) -> Callable[[float], np.ndarray]:
    """Return the points θ₀, …, θ_{steps - 1} as a function of h: those of the flow for a method
    with memory, which are on its slow manifold.
    """

    def along_flow(h: float) -> np.ndarray:
        return integrate(lambda theta: field(theta, h), start, h, steps).theta[:-1]

    def iterates(h: float) -> np.ndarray:
        return iterate(loss, start, h=h, steps=steps, method=method, parameters=values)[:-1]

    return along_flow if isinstance(method, LinearMultistep | Optimizer) else iterates


def _largest(is_within: Callable[[float], bool], first: float) -> float:
    """Return the first h at which ``is_within`` ends, from below; inf if there is none."""
    h = first
    while not is_within(h):
        h /= 2
    while is_within(1.1 * h):
        h *= 1.1
        if h > MOST * first:
            return math.inf
    low, high = h, 1.1 * h
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_within(middle) else (low, middle)
    return low
