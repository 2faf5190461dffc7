"""The drift of gradient descent from gradient flow, and the learning rate that is adjusted to it.

One step leaves gradient flow by h²/2 ‖Hg‖ + O(h³). Drift-adjusted learning (Rosca, Wu, Qin, Dherin
2023) takes the learning rate DAL-p

    h(θ) = min(2/‖H ĝ‖^p, cap),        ĝ = g/‖g‖,

of which p = 1 is the edge of stability in the direction of the gradient, and p = 1/2 is larger
where ‖Hĝ‖ > 1. On networks the paper finds p = 1 stable and p = 1/2 faster. On
the toy losses of the tests p = 1 stays bounded where fixed rates diverge, but it stays at the edge,
and well chosen fixed rates end lower; p = 1/2 can diverge wherever ‖Hĝ‖ > 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import check_positive, check_step, check_steps
from modeq.errors import FlowError, InvalidValue
from modeq.flows.fields import gradient_field
from modeq.flows.forms import DerivativeTensors
from modeq.flows.integrate import Trajectory, check_start, integrate
from modeq.flows.iterates import iterate
from modeq.losses.loss import as_loss
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.show.shown import Shown

_REASON = "drift is that of a loss"


@dataclass(frozen=True)
class Drift(Shown):
    """How far one step of gradient descent is from gradient flow.

    Attributes:
        measured: ‖θ - h g - θ(h)‖.
        predicted: h²/2 ‖Hg‖.
    """

    measured: float
    predicted: float


def drift(loss: Any, theta: Any, *, h: float, parameters: Mapping | None = None) -> Drift:
    """Return the drift of one step, measured and predicted.

    >>> found = drift("x**2/2 + x**4/4", [0.5], h=0.01)
    >>> abs(found.measured / found.predicted - 1) < 0.02
    True
    """
    found = run_drift(loss, theta, h=h, steps=1, parameters=parameters)
    return Drift(float(found.measured[0]), float(found.predicted[0]))


@dataclass(frozen=True)
class DriftRun(Trajectory):
    """Gradient descent, and how far each of its steps is from gradient flow.

    Attributes:
        t: Times 0, h, 2h, … of shape (steps + 1,).
        theta: The iterates, of shape (steps + 1, d).
        measured: ‖θ_{m+1} - θ_m(h)‖ with the flow that starts at θ_m, of shape (steps,).
        predicted: h²/2 ‖Hg‖ at θ_m, of shape (steps,).
    """

    measured: np.ndarray
    predicted: np.ndarray

    def __str__(self) -> str:
        lines = ["step      measured     predicted"]
        for step, row in enumerate(zip(self.measured, self.predicted, strict=True)):
            lines.append(f"{step:4d}{row[0]:14.4e}{row[1]:14.4e}")
        return "\n".join(lines)


def run_drift(
    loss: Any, theta0: Any, *, h: float, steps: int, parameters: Mapping | None = None
) -> DriftRun:
    """Return the drift of every step along a run of gradient descent, measured and predicted.

    >>> print(run_drift("x**2/2", [1.0], h=0.1, steps=2))
    step      measured     predicted
       0    4.8374e-03    5.0000e-03
       1    4.3537e-03    4.5000e-03
    """
    loss, h, steps = as_loss(loss, _REASON), check_step(h), check_steps(steps)
    start, tensors = check_start(theta0, loss, parameters), DerivativeTensors(loss, 1, parameters)
    descent, f = GradientDescent(), gradient_field(loss, parameters)
    points = iterate(loss, start, h=h, steps=steps, method=descent, parameters=parameters)
    flows = [integrate(lambda x: f(x, 0.0), point, h, 1).theta[-1] for point in points[:-1]]
    curved = [jacobian @ slope for slope, jacobian in map(tensors, points[:-1])]
    return DriftRun(
        t=h * np.arange(steps + 1),
        theta=points,
        measured=np.linalg.norm(points[1:] - flows, axis=1),
        predicted=h**2 / 2 * np.linalg.norm(curved, axis=1),
    )


def dal(
    loss: Any, theta: Any, p: float = 1, cap: float = 5, *, parameters: Mapping | None = None
) -> float:
    """Return the drift-adjusted learning rate at a point; where the gradient vanishes, the cap.

    Raises:
        InvalidValue: p or the cap is not a positive number.

    >>> dal("2*x**2", [1.0]), dal("2*x**2", [1.0], p=0.5), dal("2*x**2", [1.0], cap=0.1)
    (0.5, 1.0, 0.1)

    References:
        Rosca, Wu, Qin, Dherin 2023; the cap of 5 is that of their code.
    """
    loss, (p, cap) = as_loss(loss, _REASON), checked_powers(p, cap)
    f, jacobian = DerivativeTensors(loss, 1, parameters)(check_start(theta, loss, parameters))
    return adjusted_rate(f, jacobian @ f, p, cap)


def adjusted_rate(gradient: Any, hessian_gradient: Any, p: float = 1, cap: float = 5) -> float:
    """Return the same from g and Hg alone, as arrays: for models of any size.

    >>> adjusted_rate([3.0, 4.0], [0.0, 20.0])
    0.5
    """
    size, curved = np.linalg.norm(gradient), np.linalg.norm(hessian_gradient)
    if not (np.isfinite(size) and np.isfinite(curved)):
        raise InvalidValue("the gradient or the Hessian times it is not finite")
    if size == 0 or curved == 0:
        return float(cap)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        return float(min(2 / (curved / size) ** p, cap))


@dataclass(frozen=True)
class DalRun(Trajectory):
    """Gradient descent with drift-adjusted learning rates.

    Attributes:
        t: The sums of the learning rates, of shape (steps + 1,).
        theta: The iterates, of shape (steps + 1, d).
        rates: The learning rates, of shape (steps,).
    """

    rates: np.ndarray


def run_dal(
    loss: Any,
    theta0: Any,
    *,
    steps: int,
    p: float = 1,
    cap: float = 5,
    parameters: Mapping | None = None,
) -> DalRun:
    """Return the iterates of gradient descent with the drift-adjusted learning rate.

    >>> run = run_dal("x**2 + y**2/100", [1.0, 1.0], steps=50)
    >>> bool(np.linalg.norm(run.theta[-1]) < np.linalg.norm(run.theta[0]))
    True
    """
    loss, (p, cap), steps = as_loss(loss, _REASON), checked_powers(p, cap), check_steps(steps)
    theta, rates = [check_start(theta0, loss, parameters)], []
    tensors = DerivativeTensors(loss, 1, parameters)
    for step in range(steps):
        f, jacobian = tensors(theta[-1])
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                rates.append(adjusted_rate(f, jacobian @ f, p, cap))
        except InvalidValue as error:
            raise FlowError(f"the method diverges at iterate {step}: {error}") from None
        theta.append(theta[-1] + rates[-1] * f)
    return DalRun(np.concatenate([[0.0], np.cumsum(rates)]), np.array(theta), np.array(rates))


def checked_powers(p: Any, cap: Any) -> tuple[float, float]:
    """Return a power and a cap as floats, if they are positive and finite.

    >>> checked_powers(1, 5)
    (1.0, 5.0)
    """
    return check_positive("p", p), check_positive("cap", cap)
