"""Flows of a network, solved from one iterate's time to the next.

*The solver* is SciPy's DOP853, chosen by measurement against diffrax's Dopri8 at the same
tolerances (tests/benchmarks/bench_network_flows.py). From some 2,000 weights on both take about the
same time, which is that of the gradients: diffrax 0.8 to 1.1 times that of SciPy. At 100 weights
diffrax is up to fifty times faster once it is compiled, but compiling takes 3 to 7 seconds for each
flow, the time of more than a hundred of SciPy's steps; and it cannot call the eigensolver that the
principal flows need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from modeq.checks import check_step, check_steps, shortened
from modeq.errors import FlowError, InvalidPoint, InvalidValue
from modeq.networks.flat_loss import FlatLoss, flattened
from modeq.networks.flows import Field, SeriesFlow, as_flow
from modeq.principal.adjusted_rates import Drift

_TOLERANCES = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}
"""Of one step of the solver, relative, by the precision of the weights."""

_MAX_EVALUATIONS = 4_000
"""Of a field, over the time of one step."""


@dataclass(frozen=True)
class NetworkTrajectory:
    """A flow of a network at t = 0, h, 2h, …

    Attributes:
        t: Times, of shape (steps + 1,).
        theta: The weights as vectors, of shape (steps + 1, d); of complex flows the real part.
        path: The same, complex where the flow is.
        complex_from: The first step at whose end the flow is no longer real, or None.
        loss: The loss as a function of vectors.
    """

    t: np.ndarray
    theta: np.ndarray
    path: np.ndarray
    complex_from: int | None
    loss: FlatLoss

    def params(self, step: int) -> Any:
        """Return the weights after a step as a pytree; of complex flows the real part."""
        return self.loss.unravel(self.theta[step])


def solve_flow(
    loss_fn: Callable[..., Any],
    params: Any,
    flow: Any,
    *,
    h: float,
    steps: int,
    args: tuple = (),
    tolerance: float | None = None,
    precision: str | None = None,
) -> NetworkTrajectory:
    """Return a flow of a network at t = 0, h, …, steps·h.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: Where the flow starts.
        flow: An order n, a ``TopPrincipalFlow`` or a ``FieldFlow``.
        h: The learning rate.
        steps: How many steps of h.
        args: More arguments of the loss, such as its data.
        tolerance: Relative, of each step of the solver; 1e-9 in double precision, else 1e-5.
        precision: "float64" or "float32"; that of the weights unless given.

    Raises:
        FlowError: The flow blows up, or leaves the domain of the loss; the step is named.
        InvalidLoss, InvalidPoint, InvalidStep, InvalidValue: The arguments cannot be right.

    >>> path = solve_flow(lambda p: (p["x"] ** 2).sum() / 2, {"x": np.array([1.0])}, 1,
    ...     h=0.1, steps=2, precision="float64")
    >>> path.theta.ravel().round(6).tolist()
    [1.0, 0.900325, 0.810584]
    """
    h, steps, chosen = check_step(h), check_steps(steps), as_flow(flow)
    loss, theta = flattened(loss_fn, params, precision, args)
    tolerance = check_tolerance(tolerance, loss)
    field, path, ended = chosen.bind(loss), [theta.astype(float)], None
    for step in range(1, steps + 1):
        path.append(advance(field, path[-1], h, tolerance, name=chosen.name, step=step))
        if ended is None and np.iscomplexobj(path[-1]):
            ended = step
    points = np.array(path)
    return NetworkTrajectory(h * np.arange(steps + 1), points.real.copy(), points, ended, loss)


def step_drift(
    loss_fn: Callable[..., Any],
    params: Any,
    *,
    h: float,
    args: tuple = (),
    tolerance: float | None = None,
    precision: str | None = None,
) -> Drift:
    """Return how far one step of gradient descent is from gradient flow, and h²/2 |Hg|.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: The weights.
        h: The learning rate.
        args: More arguments of the loss, such as its data.
        tolerance: Of the solver, relative to the drift.
        precision: "float64" or "float32"; that of the weights unless given.

    >>> found = step_drift(lambda x: (x**2).sum() / 2, np.array([1.0]), h=0.01, precision="float64")
    >>> round(found.measured / found.predicted, 2)
    1.0
    """
    h, (loss, theta) = check_step(h), flattened(loss_fn, params, precision, args)
    field = SeriesFlow(0).bind(loss)
    return drift_at(loss, field, theta, h, check_tolerance(tolerance, loss))


def drift_at(
    loss: FlatLoss, gradient_flow: Field, theta: np.ndarray, h: float, tolerance: float
) -> Drift:
    """Return the drift of a step from a vector; the tolerance is relative to the drift itself."""
    gradient = loss.gradient(theta).astype(float)
    predicted = h**2 / 2 * float(np.linalg.norm(loss.product(theta, gradient)))
    size = float(np.linalg.norm(theta))
    finer = max(1e-13, min(tolerance, 1e-3 * predicted / size)) if size else tolerance
    end = advance(gradient_flow, theta.astype(float), h, finer, name="gradient flow")
    return Drift(float(np.linalg.norm(theta - h * gradient - end)), predicted)


def check_tolerance(tolerance: Any, loss: FlatLoss) -> float:
    """Return a tolerance, or that which belongs to the precision of a loss."""
    if tolerance is None:
        return _TOLERANCES.get(loss.dtype, 1e-3)
    if isinstance(tolerance, bool | str) or not np.isscalar(tolerance) or not 0 < tolerance < 1:
        raise InvalidValue(
            f"tolerance is {shortened(tolerance)}; it must be a number between 0 and 1"
        )
    return float(tolerance)


class _BecomesComplex(Exception):
    """A real flow has a field that is complex here: it is solved as a complex one from there."""


def advance(
    field: Field,
    theta: np.ndarray,
    h: float,
    tolerance: float,
    *,
    time: float | None = None,
    name: str = "the flow",
    step: int = 1,
) -> np.ndarray:
    """Return the solution of θ' = f̃(θ, h) after a time, real if it is.

    Args:
        field: The field f̃.
        theta: Where it starts, of shape (d,).
        h: The learning rate.
        tolerance: Relative, of each step of the solver.
        time: For how long; h unless given.
        name: What errors call it.
        step: The number of the step that errors name.

    Raises:
        FlowError: It is not finite, or the field was evaluated too often; the step is named.
    """
    try:
        field.begin(theta, h)
        if not np.any(np.imag(theta)):
            try:
                return _solved(field, theta.real, h, tolerance, h if time is None else time)
            except _BecomesComplex:
                pass
        return _solved(field, theta.astype(complex), h, tolerance, h if time is None else time)
    except (FlowError, InvalidPoint) as error:
        raise FlowError(f"{name} ends in step {step} at h = {h:.6g}: {error}") from None


def _solved(field: Field, start: np.ndarray, h: float, tolerance: float, time: float) -> np.ndarray:
    from scipy.integrate import solve_ivp

    evaluations, is_real = count(1), not np.iscomplexobj(start)

    def rhs(_: float, theta: np.ndarray) -> np.ndarray:
        if next(evaluations) > _MAX_EVALUATIONS:
            raise FlowError(
                f"it is too stiff: {_MAX_EVALUATIONS} evaluations of its field were not enough for "
                f"one step; take a smaller h"
            )
        slope = field.rhs(theta if is_real or np.any(theta.imag) else theta.real, h)
        if is_real and np.iscomplexobj(slope):
            raise _BecomesComplex
        return slope

    with np.errstate(all="ignore"):
        solution = solve_ivp(
            rhs,
            (0.0, time),
            start,
            method="DOP853",
            rtol=max(tolerance, 1e-13),
            atol=tolerance / 100,
            first_step=time / 2,
        )
    if not (solution.success and np.all(np.isfinite(solution.y))):
        raise FlowError("it blows up, or leaves the domain of the loss")
    return solution.y[:, -1]
