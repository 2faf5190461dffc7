"""Gradient flow of a network with ReLU units: smooth on each piece, and followed across kinks.

On a piece the flow is that of its smooth loss. Where the input of a unit comes to zero, the flow
goes on with that unit on the other side if it leads away from the kink there as well. If it leads
back, the flow would slide along the kink, which no piece describes: that is an error.

When gradient flow and gradient descent bring a loss down to a target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import check_step, check_steps, check_tolerance, shortened
from modeq.errors import FlowError, InvalidLoss
from modeq.flows.fields import gradient_field, recorded
from modeq.flows.integrate import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, check_start
from modeq.losses.loss import Loss, as_field
from modeq.small_networks.relu import HomogeneousNetwork, Pattern, check_network_start

MAX_PIECES = 1_000
PROBE = 1e-7
"""How far beyond a kink, in units of time, the direction of the flow is looked at."""

AT_ZERO = 1e-9
"""Inputs of units up to this come to zero at the same time."""


@dataclass(frozen=True)
class PiecewiseFlow:
    """Gradient flow of a network, across its pieces.

    Attributes:
        t: Times, of shape (steps + 1,).
        theta: Points, of shape (steps + 1, d).
        crossings: Pairs of a time and the unit (layer, unit, data point) that changed sides.
    """

    t: np.ndarray
    theta: np.ndarray
    crossings: tuple[tuple[float, tuple[int, int, int]], ...]


def piecewise_flow(
    network: HomogeneousNetwork, theta0: Any, *, h: float, steps: int
) -> PiecewiseFlow:
    """Return gradient flow at t = 0, h, …, steps·h.

    Raises:
        NotSmooth: The start is on a kink.
        FlowError: The flow slides along a kink, or blows up.
        InvalidPoint, InvalidStep: The arguments cannot be right.

    >>> network = HomogeneousNetwork([1, 1, 1], [[1]], [2])
    >>> flow = piecewise_flow(network, [1.0, 1.0], h=5.0, steps=2)
    >>> flow.theta[-1].round(4).tolist(), flow.crossings
    ([1.4142, 1.4142], ())
    """
    h, steps = check_step(h), check_steps(steps)
    t = h * np.arange(steps + 1)
    walk = _Walk(network, check_network_start(theta0, network.size), t)
    walk.run()
    return PiecewiseFlow(t, np.array(walk.points), tuple(walk.crossings))


def arrival(network: HomogeneousNetwork, theta0: Any, target: float, latest: float) -> float | None:
    """Return when gradient flow brings the loss down to a target, or None if it is not by a time.

    >>> network = HomogeneousNetwork([1, 1], [[1]], [1])  # one layer: w' = 1 - w
    >>> round(arrival(network, [0.0], 0.005, 10.0), 6)  # log(10)
    2.302585
    """
    start = check_network_start(theta0, network.size)
    if network.value(start) <= target:
        return 0.0
    walk = _Walk(network, start, np.array([0.0, latest]), target)
    walk.run()
    return walk.arrived


class _Walk:
    """The pieces that a flow goes through, one after another."""

    def __init__(
        self,
        network: HomogeneousNetwork,
        start: np.ndarray,
        t: np.ndarray,
        target: float | None = None,
    ):
        self.network, self.theta, self.t, self.target = network, start, t, target
        self.pattern = network.pattern(start)
        self.time, self.points = 0.0, [start]
        self.crossings: list[tuple[float, tuple[int, int, int]]] = []
        self.arrived: float | None = None

    def run(self) -> None:
        """Follow the flow to the last time, or to the target."""
        for _ in range(MAX_PIECES):
            if self._piece():
                return
        raise FlowError(f"the flow went through {MAX_PIECES} pieces until t = {self.time:.6g}")

    def _piece(self) -> bool:
        """Follow the flow on one piece; return whether that was the last one."""
        from scipy.integrate import solve_ivp

        later = self.t[self.t > self.time]
        solution = solve_ivp(
            lambda _, theta: -self.network.gradient(theta, self.pattern),
            (self.time, self.t[-1]),
            self.theta,
            method="DOP853",
            t_eval=later,
            rtol=RELATIVE_TOLERANCE,
            atol=ABSOLUTE_TOLERANCE,
            events=self._events(),
        )
        if not solution.success:
            raise FlowError(f"the flow blows up soon after t = {self.time:.6g}")
        # Without a point in the piece SciPy returns an empty list.
        self.points += list(np.reshape(solution.y, (len(self.theta), -1)).T)
        if self.target is not None and len(solution.t_events[1]):
            self.arrived = float(solution.t_events[1][0])
            return True
        if not len(solution.t_events[0]):
            return True
        self.time, self.theta = float(solution.t_events[0][0]), solution.y_events[0][0]
        self._cross()
        return False

    def _events(self) -> Sequence:
        def margin(_: float, theta: np.ndarray) -> float:
            return self._margins(theta).min(initial=np.inf)

        def excess(_: float, theta: np.ndarray) -> float:
            return self.network.value(theta) - self.target

        events = [margin] if self.target is None else [margin, excess]
        for event in events:
            event.terminal, event.direction = True, -1
        return events

    def _margins(self, theta: np.ndarray) -> np.ndarray:
        """Return the inputs of all units with the sign that makes them positive on the piece."""
        rows = zip(
            self.pattern,
            self.network.preactivations(theta, self.pattern),
            self.network.dead_units(self.pattern),
            strict=True,
        )
        margins = [
            np.where(dead, np.inf, np.where(np.array(layer), z, -z)).ravel()
            for layer, z, dead in rows
        ]
        return np.concatenate(margins) if margins else np.empty(0)

    def _cross(self) -> None:
        """Put the units whose input came to zero on the other side, if the flow goes on there."""
        here = self._margins(self.theta)
        gone = self._margins(self.theta - PROBE * self.network.gradient(self.theta, self.pattern))
        crossed = np.flatnonzero((np.abs(here) <= AT_ZERO) & (gone < here))
        pattern, units = _flipped(self.pattern, crossed)
        speed = -self.network.gradient(self.theta, pattern)
        self.pattern = pattern
        if np.any(self._margins(self.theta + PROBE * speed)[crossed] <= 0):
            j, u, i = units[0]
            raise FlowError(
                f"at t = {self.time:.6g} the flow slides along the kink of unit {u} of layer {j} "
                f"at point {i}: it leads back from both sides, and no piece describes it"
            )
        self.crossings += [(self.time, unit) for unit in units]


def _flipped(
    pattern: Pattern, indices: Sequence[int]
) -> tuple[Pattern, list[tuple[int, int, int]]]:
    """Return a pattern with some units on the other side, and those as (layer, unit, point)."""
    layers, units = [np.array(layer) for layer in pattern], []
    for index in indices:
        for j, layer in enumerate(layers):
            if index < layer.size:
                i, u = divmod(int(index), layer.shape[1])
                layer[i, u] = not layer[i, u]
                units.append((j + 1, u + 1, i + 1))
                break
            index -= layer.size
    return tuple(tuple(map(tuple, layer.tolist())) for layer in layers), units


_MAX_STEPS = 1_000_000
_PATIENCE = 100
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
        flow = arrival(loss, start, target, _PATIENCE * (steps + 1) * h)
    else:
        loss = as_field(loss)
        if not isinstance(loss, Loss):
            raise InvalidLoss(
                f"{shortened(loss)} is a vector field; convergence to a target needs a loss"
            )
        start = check_start(theta0, loss)
        value, f = recorded(loss, [loss.expression], None), gradient_field(loss)
        steps = _steps(lambda x: value(x, 0.0)[0], lambda x: -f(x, 0.0), start, h, target)
        flow = _arrival(value, f, start, target, _PATIENCE * (steps + 1) * h)
    if flow is None:
        raise FlowError(f"gradient flow does not reach the loss {target:.6g}")
    return ConvergenceTimes(flow, steps * h, steps)


def _steps(value: Callable, gradient: Callable, theta: np.ndarray, h: float, target: float) -> int:
    """Return how many steps gradient descent takes."""
    steps = 0
    while not value(theta) <= target:
        before, theta, steps = theta, theta - h * gradient(theta), steps + 1
        is_stuck = np.array_equal(before, theta) or not np.all(np.isfinite(theta))
        if is_stuck or steps > _MAX_STEPS:
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
