"""When gradient flow and gradient descent bring a loss down to a target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.errors import FlowError, InvalidLoss
from modeq.flows.flow import check_start
from modeq.flows.numeric import check_step, gradient_field, recorded
from modeq.flows.tolerances import check_tolerance
from modeq.losses.loss import Loss, as_field
from modeq.small_networks.homogeneous_networks import HomogeneousNetwork, check_network_start
from modeq.small_networks.piecewise_flows import arrival

MAX_STEPS = 1_000_000
PATIENCE = 100
"""How many times longer than gradient descent gradient flow may take."""


@dataclass(frozen=True)
class ConvergenceTimes:
    """The times at which a loss reaches a target.

    Attributes:
        flow: That of gradient flow.
        descent: That of gradient descent, steps·h.
        steps: The number of steps.
    """

    flow: float
    descent: float
    steps: int

    @property
    def ratio(self) -> float:
        """The time of gradient descent over that of gradient flow."""
        return self.descent / self.flow if self.flow else math.nan

    def __str__(self) -> str:
        return f"gradient flow {self.flow:.4g}, gradient descent {self.descent:.4g}"


def convergence_times(loss: Any, theta0: Any, *, h: float, target: float) -> ConvergenceTimes:
    """Return the times at which gradient flow and gradient descent bring the loss to a target.

    Args:
        loss: A loss, or a network with ReLU units, whose flow is followed across kinks.
        theta0: The start, of shape (d,).
        h: The learning rate.
        target: The value of the loss to be reached, > 0.

    Raises:
        FlowError: One of them does not get there: gradient descent in a million steps, the flow in
            a hundred times the time that gradient descent takes.
        InvalidLoss: A vector field, which has no value.
        InvalidPoint, InvalidStep, InvalidValue: The other arguments cannot be right.

    >>> times = convergence_times("x**2/2", [1.0], h=0.1, target=0.5e-4)
    >>> print(times)  # log(100), and log(100)/log(1/0.9) steps
    gradient flow 4.605, gradient descent 4.4
    """
    h, target = check_step(h), check_tolerance(target)
    if isinstance(loss, HomogeneousNetwork):
        start = check_network_start(theta0, loss.size)
        steps = _steps(loss.value, loss.gradient, start, h, target)
        flow = arrival(loss, start, target, PATIENCE * (steps + 1) * h)
    else:
        loss = as_field(loss)
        if not isinstance(loss, Loss):
            raise InvalidLoss(f"{loss!r} is a vector field; convergence to a target needs a loss")
        start = check_start(theta0, loss)
        value, f = recorded(loss, [loss.expression], None), gradient_field(loss)
        steps = _steps(lambda x: value(x, 0.0)[0], lambda x: -f(x, 0.0), start, h, target)
        flow = _arrival(value, f, start, target, PATIENCE * (steps + 1) * h)
    if flow is None:
        raise FlowError(f"gradient flow does not reach the loss {target:.6g}")
    return ConvergenceTimes(flow, steps * h, steps)


def _steps(value: Callable, gradient: Callable, theta: np.ndarray, h: float, target: float) -> int:
    """Return how many steps gradient descent takes."""
    steps = 0
    while not value(theta) <= target:
        before, theta, steps = theta, theta - h * gradient(theta), steps + 1
        is_stuck = np.array_equal(before, theta) or not np.all(np.isfinite(theta))
        if is_stuck or steps > MAX_STEPS:
            raise FlowError(
                f"gradient descent does not reach the loss {target:.6g}: it is at "
                f"{float(value(theta)):.6g} after {steps} steps"
            )
    return steps


def _arrival(
    value: Callable, f: Callable, start: np.ndarray, target: float, latest: float
) -> float | None:
    """Return when gradient flow of a smooth loss reaches the target."""
    from scipy.integrate import solve_ivp

    def excess(_: float, point: np.ndarray) -> float:
        return value(point, 0.0)[0] - target

    excess.terminal = True
    if excess(0.0, start) <= 0:
        return 0.0
    solution = solve_ivp(
        lambda _, point: f(point, 0.0),
        (0.0, latest),
        start,
        method="LSODA",
        rtol=1e-9,
        atol=1e-12,
        events=excess,
    )
    times = solution.t_events[0]
    return float(times[0]) if len(times) else None
