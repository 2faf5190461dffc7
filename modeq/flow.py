"""Trajectories: the optimizer itself, the flows, and both side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from modeq.derive import ModifiedField, derive_field
from modeq.errors import DidNotConverge, FlowError, InvalidPoint, InvalidStep
from modeq.loss import Field, as_field
from modeq.methods import as_method
from modeq.numeric import (
    NumericField,
    as_points,
    check_step,
    domain_field,
    gradient_field,
    numeric_field,
)
from modeq.trees import check_order

RELATIVE_TOLERANCE = 1e-12
ABSOLUTE_TOLERANCE = 1e-14
MAX_EVALUATIONS = 200_000


@dataclass(frozen=True)
class Trajectory:
    """A solution at t = 0, h, 2h, …

    Attributes:
        t: Times, of shape (steps + 1,), in units of the learning rate times steps.
        theta: Points, of shape (steps + 1, d).
    """

    t: np.ndarray
    theta: np.ndarray


def check_steps(steps: Any) -> int:
    """Return a number of steps, if it is an integer at least one.

    >>> check_steps(10)
    10
    """
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 1:
        raise InvalidStep(f"steps is {steps!r}; it must be an integer >= 1")
    return steps.__index__()


def check_start(theta0: Any, loss: Field, parameters: Mapping | None = None) -> np.ndarray:
    """Return a start as an array of shape (d,), if the loss and its gradient are finite there.

    Raises:
        InvalidPoint: The shape is wrong, an entry is not a finite real number, or the point is
            outside the domain.

    >>> check_start([1], as_field("log(x)"))
    array([1.])
    """
    start = as_points(theta0, loss.dimension)
    if start.ndim != 1:
        raise InvalidPoint(
            f"the start has the shape {start.shape}; it must be one point of shape "
            f"({loss.dimension},)"
        )
    if np.iscomplexobj(start) or not np.all(np.isfinite(start)):
        raise InvalidPoint(f"the start is {start.tolist()}; its entries must be finite and real")
    if not np.all(np.isfinite(domain_field(loss, parameters)(start, 0.0))):
        raise InvalidPoint(
            f"the loss or its gradient is not a finite real number at the start {start.tolist()}: "
            f"the point is outside the domain"
        )
    return start


def solve(
    modified: ModifiedField,
    theta0: Any,
    h: float,
    steps: int,
    parameters: Mapping | None = None,
) -> Trajectory:
    """Return the solution of θ' = f̃(θ) at t = 0, h, …, steps·h, to about twelve digits.

    Raises:
        FlowError: The flow leaves the domain of the field, or blows up.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> from modeq.methods import GradientDescent
    >>> modified = derive_field(as_field("x**2/2"), 1, GradientDescent())
    >>> solve(modified, [1.0], h=0.1, steps=2).theta.round(6).tolist()
    [[1.0], [0.900325], [0.810584]]
    """
    h, steps = check_step(h), check_steps(steps)
    rhs = numeric_field(modified, parameters)
    start = check_start(theta0, modified.loss, parameters)
    return integrate(lambda theta: rhs(theta, h), start, h, steps)


def integrate(
    rhs: Callable[[np.ndarray], np.ndarray], start: np.ndarray, h: float, steps: int
) -> Trajectory:
    """Return the solution of θ' = rhs(θ) at t = 0, h, …, steps·h."""
    from scipy.integrate import solve_ivp

    t = h * np.arange(steps + 1)
    evaluations = count(1)

    def counted(time: float, theta: np.ndarray) -> np.ndarray:
        if next(evaluations) > MAX_EVALUATIONS:
            raise FlowError(
                f"the flow was at {theta.tolist()} at t = {time:.6g} after {MAX_EVALUATIONS} "
                f"evaluations of its field: it is too stiff; take a smaller h or a lower order"
            )
        return rhs(theta)

    # A first step is given because finding one evaluates the field outside its domain.
    solution = solve_ivp(
        counted,
        (0.0, t[-1]),
        start,
        method="DOP853",
        t_eval=t,
        rtol=RELATIVE_TOLERANCE,
        atol=ABSOLUTE_TOLERANCE,
        first_step=h / 16,
    )
    if not (solution.success and np.all(np.isfinite(solution.y))):
        reached, last = (solution.t[-1], solution.y[:, -1]) if len(solution.t) else (0.0, start)
        raise FlowError(
            f"the flow blows up or leaves the domain of the field soon after t = {reached:.6g}; "
            f"the last point was {last.tolist()}"
        )
    return Trajectory(t, solution.y.T)


class _ArrayField:
    """The field of a loss over arrays: the ``f`` that an update rule is run with."""

    def __init__(self, f: NumericField):
        self._f = f

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        return self._f(theta, 0.0)

    def fixed_point(self, sweep: Callable, start: tuple[np.ndarray, ...]) -> tuple:
        """Return the stages k = ``sweep``(k), by SciPy's root finder."""
        from scipy.optimize import root

        shape = (len(start), *start[0].shape)

        def defect(flat: np.ndarray) -> np.ndarray:
            return np.ravel(sweep(tuple(flat.reshape(shape)))) - flat

        found = root(defect, np.ravel(start), tol=1e-14)
        size = 1 + np.max(np.abs(found.x))
        if not np.max(np.abs(found.fun)) <= 1e-9 * size:
            raise DidNotConverge(
                f"the implicit stages were not found from the start {np.ravel(start).tolist()}: "
                f"{found.message}"
            )
        return tuple(found.x.reshape(shape))


def iterate(
    loss: Any,
    theta0: Any,
    *,
    h: float,
    steps: int,
    method: Any = "gradient-descent",
    parameters: Mapping | None = None,
) -> np.ndarray:
    """Return the iterates θ₀, …, θ_steps of the method itself, of shape (steps + 1, d).

    Raises:
        FlowError: An iterate is not finite.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> iterate("x**2/2", [1.0], h=0.1, steps=2).ravel().tolist()
    [1.0, 0.9, 0.81]
    """
    h, steps = check_step(h), check_steps(steps)
    loss = as_field(loss)
    rule = as_method(method).rule_over(float)
    f = _ArrayField(gradient_field(loss, parameters))
    theta = [check_start(theta0, loss, parameters)]
    for step in range(1, steps + 1):
        theta.append(rule(theta[-1], f, h))
        if not np.all(np.isfinite(theta[-1])):
            raise FlowError(
                f"iterate {step} is {theta[-1].tolist()}, after {theta[-2].tolist()}: the method "
                f"diverges or leaves the domain"
            )
    return np.array(theta)


@dataclass(frozen=True)
class Comparison:
    """The optimizer and its flows, side by side.

    Attributes:
        t: Times 0, h, 2h, … of shape (steps + 1,).
        iterates: The optimizer, of shape (steps + 1, d).
        flows: {order: points of shape (steps + 1, d)}.
        errors: {order: distances from the iterates, of shape (steps + 1,)}.
        failures: {order: why that flow could not be followed}.
    """

    t: np.ndarray
    iterates: np.ndarray
    flows: dict[int, np.ndarray]
    errors: dict[int, np.ndarray]
    failures: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = ["order   error after 1 step   largest error   final error"]
        for order, error in self.errors.items():
            lines.append(f"{order:5d}   {error[1]:18.3e}   {error.max():13.3e}   {error[-1]:11.3e}")
        lines += [f"{order:5d}   {message}" for order, message in self.failures.items()]
        return "\n".join(lines)


def compare(
    loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    steps: int = 20,
    orders: Sequence[int] = (0, 1, 2, 3),
    method: Any = "gradient-descent",
    parameters: Mapping | None = None,
) -> Comparison:
    """Run the optimizer and the flows of several orders, and measure how far apart they are.

    For the losses of ``modeq.problems`` the start and the learning rate may be left out. Distances
    are Euclidean. A flow that blows up is named in ``failures``; the others are still compared.

    >>> print(compare("x**2/2", [1.0], h=0.1, steps=10))
    order   error after 1 step   largest error   final error
        0            4.837e-03       1.920e-02     1.920e-02
        1            3.245e-04       1.259e-03     1.259e-03
        2            2.446e-05       9.479e-05     9.479e-05
        3            1.964e-06       7.609e-06     7.609e-06
    """
    loss, method = as_field(loss), as_method(method)
    theta0, h = start_and_step(loss, theta0, h)
    h = check_step(h)
    iterates = iterate(loss, theta0, h=h, steps=steps, method=method, parameters=parameters)
    orders = tuple(map(check_order, orders))
    modified = derive_field(loss, max(orders, default=0), method)
    flows, failures = {}, {}
    for order in orders:
        try:
            flows[order] = solve(modified.truncated(order), theta0, h, steps, parameters).theta
        except FlowError as error:
            failures[order] = str(error)
    errors = {order: np.linalg.norm(theta - iterates, axis=1) for order, theta in flows.items()}
    return Comparison(h * np.arange(steps + 1), iterates, flows, errors, failures)


def start_and_step(loss: Field, theta0: Any, h: Any) -> tuple[Any, Any]:
    """Return the start and the learning rate, taken from a problem where they are left out."""
    theta0 = getattr(loss, "start", None) if theta0 is None else theta0
    h = getattr(loss, "h", None) if h is None else h
    if theta0 is None:
        raise InvalidPoint(f"a start is missing: give one number for each of {loss.variables}")
    if h is None:
        raise InvalidStep("the learning rate h is missing: give a positive number")
    return theta0, h
