"""The central flow: where gradient descent is on average while it oscillates at hλ = 2.

With λ the largest eigenvalue of the Hessian and u its eigenvector, gradient descent that oscillates
like ±σu sees on average the gradient ∇L + ½σ²∇λ, because ∇λ = T[u,u]. The oscillation grows while
hλ > 2 and shrinks while hλ < 2; so where gradient flow would raise λ beyond 2/h, it settles at the
variance that keeps λ there (Cohen, Damian, Talwalkar, Kolter, Lee, *Understanding optimization in
deep learning with central flows*, 2024):

    θ' = -(∇L + ½σ²∇λ),        σ² = max(0, -2 ∇λ·∇L/|∇λ|²) where hλ = 2,    σ² = 0 where hλ < 2.

Elsewhere it is gradient flow. What it does not know: how long an oscillation takes to grow from
nothing, so that gradient descent is past the edge for a while; cycles of λ around 2/h; the quartic
part of the loss, which moves the edge by O(σ²); and anything but one eigenvalue at the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import check_step, check_steps
from modeq.errors import FlowError, InvalidPoint
from modeq.flows.forms import DerivativeTensors
from modeq.flows.integrate import Trajectory, check_start, small
from modeq.losses.loss import Loss, as_loss
from modeq.methods.tableaux_by_name import GradientDescent

TOLERANCE = 1e-8
_CLOSE = 1e-7
"""How near to the edge, in parts of 2/h, a point counts as being at it."""

VANISHED = 1e-60
"""Coordinates below this are zero: the step size control of the solver squares them."""

CORRECTIONS = 4
_REASON = "the central flow needs a loss"
MAX_SWITCHES = 20
"""How often the flow may reach the edge or leave it within one step."""


@dataclass(frozen=True)
class CentralTrajectory(Trajectory):
    """A central flow at t = 0, h, 2h, …

    Attributes:
        t: Times, of shape (steps + 1,).
        theta: Where gradient descent is on average, of shape (steps + 1, d).
        sharpness: The largest eigenvalue of the Hessian there, of shape (steps + 1,).
        variance: σ², the mean square of the oscillation along its eigenvector; zero before the
            edge. Of shape (steps + 1,).
    """

    sharpness: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class _Point:
    """The gradient and the two largest eigenvalues at a point."""

    gradient: np.ndarray
    sharpness: float
    second: float
    slope: np.ndarray

    @property
    def variance(self) -> float:
        """The σ² that keeps the sharpness as it is, negative where gradient flow lowers it."""
        return float(-2 * self.slope @ self.gradient / self.squared_slope)

    @property
    def squared_slope(self) -> float:
        """|∇λ|², where it is not zero."""
        if not np.any(self.slope):
            raise FlowError(
                f"the sharpness of {self.sharpness:.6g} has no slope, so that no oscillation can "
                f"keep it at the edge 2/h"
            )
        return float(self.slope @ self.slope)


class _Landscape:
    """A loss with the edge 2/h."""

    def __init__(self, loss: Loss, h: float, parameters: Mapping | None):
        self.edge = 2 / h
        self._tensors = DerivativeTensors(loss, 2, parameters)

    def at(self, theta: np.ndarray) -> _Point:
        f, jacobian, second = self._tensors(theta)
        if not all(np.all(np.isfinite(array)) for array in (f, jacobian, second)):
            raise FlowError(f"a derivative of the loss is not finite at {theta.tolist()}")
        values, vectors = np.linalg.eigh(-jacobian)
        slope = -np.einsum("ijk,i,j->k", second, vectors[:, -1], vectors[:, -1])
        below = values[-2] if len(values) > 1 else -np.inf
        return _Point(-f, float(values[-1]), float(below), slope)

    def excess(self, theta: np.ndarray) -> float:
        """Return the sharpness over the edge."""
        return self.at(theta).sharpness - self.edge

    def free(self, theta: np.ndarray) -> np.ndarray:
        return -self.at(theta).gradient

    def bound(self, theta: np.ndarray) -> np.ndarray:
        point = self._at_edge(theta)
        return -(point.gradient + point.variance / 2 * point.slope)

    def _at_edge(self, theta: np.ndarray) -> _Point:
        point = self.at(theta)
        if point.second >= self.edge * (1 - _CLOSE):
            raise FlowError(
                f"a second eigenvalue reaches 2/h = {self.edge:.6g} at {theta.tolist()}; the "
                f"central flow of rank one ends there"
            )
        return point

    def projected(self, theta: np.ndarray) -> np.ndarray:
        """Return the point moved along the slope of the sharpness, onto the edge."""
        for _ in range(CORRECTIONS):
            point = self._at_edge(theta)
            move = (point.sharpness - self.edge) / point.squared_slope
            theta = theta - move * point.slope
        return theta


def central_flow(
    loss: Any, theta0: Any, *, h: float, steps: int, parameters: Mapping | None = None
) -> CentralTrajectory:
    """Return the central flow of rank one for gradient descent, at t = 0, h, …, steps·h.

    Raises:
        FlowError: A second eigenvalue reaches the edge, or the flow leaves the domain.
        InvalidLoss: A vector field, which has no Hessian.
        InvalidPoint: The start is past the edge, hλ > 2, or not a point of the domain.
        InvalidStep, MissingParameter: The arguments cannot be right.

    >>> flow = central_flow("y*log(cosh(x)) + (y - 4)**2/200", [0.1, 2.4], h=0.8, steps=40)
    >>> flow.sharpness[-1].round(6), flow.variance[-1].round(6)  # 2/h, and (4 - y)/50
    (np.float64(2.5), np.float64(0.03))

    References:
        Cohen, Damian, Talwalkar, Kolter, Lee 2024.
    """
    loss = as_loss(loss, _REASON)
    h, steps = check_step(h), check_steps(steps)
    landscape = _Landscape(loss, h, parameters)
    theta = check_start(theta0, loss, parameters)
    if landscape.excess(theta) > _CLOSE * landscape.edge:
        raise InvalidPoint(
            f"the start {theta.tolist()} is past the edge of stability: the largest eigenvalue is "
            f"{landscape.at(theta).sharpness:.6g}, and it must be at most 2/h = {2 / h:.6g}"
        )
    path = [theta]
    for _ in range(steps):
        after = _after(landscape, path[-1], h)
        path.append(np.where(np.abs(after) < VANISHED, 0.0, after))
    points = [landscape.at(theta) for theta in path]
    sharpness = np.array([point.sharpness for point in points])
    at_edge = _is_at_edge(sharpness, landscape.edge)
    slack = np.array([p.variance if is_at else 0 for p, is_at in zip(points, at_edge, strict=True)])
    t = h * np.arange(steps + 1)
    return CentralTrajectory(t, np.array(path), sharpness, np.maximum(slack, 0.0))


def _is_at_edge(sharpness: Any, edge: float) -> Any:
    return sharpness > edge * (1 - _CLOSE)


def _after(landscape: _Landscape, theta: np.ndarray, time: float) -> np.ndarray:
    """Return the flow after some time, in which it may reach the edge and leave it."""
    for _ in range(MAX_SWITCHES):
        point = landscape.at(theta)
        is_bound = _is_at_edge(point.sharpness, landscape.edge) and point.variance > 0
        if is_bound:
            theta, left = _until(landscape.bound, theta, time, lambda q: landscape.at(q).variance)
            theta = landscape.projected(theta)
        else:
            theta, left = _until(landscape.free, theta, time, lambda q: -landscape.excess(q))
        if left <= 0:
            return theta
        time = left
    raise FlowError(f"the flow reaches the edge and leaves it again and again at {theta.tolist()}")


def _until(
    rhs: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    time: float,
    margin: Callable[[np.ndarray], float],
) -> tuple[np.ndarray, float]:
    """Return the solution when ``margin`` falls to zero or the time is over, and what is left."""
    from scipy.integrate import solve_ivp

    def event(_: float, theta: np.ndarray) -> float:
        return margin(theta)

    event.terminal, event.direction = True, -1
    solution = solve_ivp(
        lambda _, theta: rhs(theta),
        (0.0, time),
        start,
        method="DOP853",
        rtol=TOLERANCE,
        atol=TOLERANCE * 1e-2 * small(start, rhs(start), time),
        events=event,
    )
    if not (solution.success and np.all(np.isfinite(solution.y))):
        raise FlowError(f"the central flow blows up soon after {start.tolist()}")
    left = time - solution.t[-1]
    return solution.y[:, -1], left if solution.status == 1 and left > 1e-14 * time else 0.0


class CentralFlow:
    """The central flow of a loss, to be compared with the averages of gradient descent.

    Attributes:
        loss: The loss.
        method: Gradient descent.
    """

    name = "central"
    is_average = True

    def __init__(self, loss: Any):
        self.loss = as_loss(loss, _REASON)
        self.method = GradientDescent()

    def solve(
        self, theta0: Any, *, h: float, steps: int, parameters: Mapping | None = None
    ) -> CentralTrajectory:
        """Return the central flow; see ``central_flow``."""
        return central_flow(self.loss, theta0, h=h, steps=steps, parameters=parameters)
