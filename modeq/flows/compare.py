"""The optimizer and its flows, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from modeq.checks import check_orders, check_step, check_steps
from modeq.derivation.derive import ModifiedField, derive_field
from modeq.errors import FlowError, InvalidPoint, InvalidStep, ModeqError
from modeq.flows.fields import memory_field, with_values
from modeq.flows.integrate import solve
from modeq.flows.iterates import iterate
from modeq.losses.loss import Field, as_field
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method, method_for
from modeq.methods.optimizer import Optimizer
from modeq.shown import Shown

Name = TypeVar("Name")


@dataclass(frozen=True)
class Comparison(Shown):
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
        return error_table("order", self.errors, self.failures)


ERROR_COLUMNS = ("first error", "largest error", "final error")


def error_rows(errors: Mapping[Any, np.ndarray]) -> dict[Any, tuple[float, float, float]]:
    """Return the first error after the start, the largest and the final one of each flow.

    Errors that are nan are left out: there the flow need not be where the optimizer is.

    >>> error_rows({0: np.array([0.0, np.nan, 2.0, np.nan, 1.0])})
    {0: (2.0, 2.0, 1.0)}
    """
    rows = {}
    for name, error in errors.items():
        met = error[1:][~np.isnan(error[1:])]
        rows[name] = tuple(map(float, (met[0], met.max(), met[-1]) if len(met) else (np.nan,) * 3))
    return rows


def error_table(heading: str, errors: Mapping[Any, np.ndarray], failures: Mapping[Any, str]) -> str:
    """Return errors as lines of text, and what failed below them.

    >>> print(error_table("order", {0: np.array([0.0, 0.5, 2.0])}, {1: "the flow blows up"}))
    order   first error   largest error   final error
        0     5.000e-01       2.000e+00     2.000e+00
        1   the flow blows up
    """
    width = max(map(len, (heading, *map(str, (*errors, *failures)))))
    lines = ["   ".join((heading.ljust(width), *ERROR_COLUMNS))]
    for name, row in error_rows(errors).items():
        cells = (f"{x:{len(c)}.3e}" for x, c in zip(row, ERROR_COLUMNS, strict=True))
        lines.append("   ".join((_label(name, width), *cells)))
    lines += [f"{_label(name, width)}   {message}" for name, message in failures.items()]
    return "\n".join(lines)


def _label(name: Any, width: int) -> str:
    """Return names at the left, and numbers at the right."""
    return name.ljust(width) if isinstance(name, str) else str(name).rjust(width)


def compare(
    loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    steps: int = 20,
    orders: Sequence[int] = (0, 1, 2, 3),
    method: Any = None,
    parameters: Mapping | None = None,
) -> Comparison:
    """Run the optimizer and the flows of several orders, and measure how far apart they are.

    ``compare_flows`` does so with the principal, composed and central flows as well.

    For the losses of ``modeq.problems`` the start and the learning rate may be left out. Distances
    are Euclidean. A flow that blows up is named in ``failures``; the others are still compared.

    A method with memory starts on the flow of the highest order that can be followed: its first k
    points are those at t = 0, h, …, (k-1)h; an optimizer given as a rule has the memory that it has
    on its slow manifold. Started elsewhere, such as at rest, it follows another
    solution of that flow.

    Raises:
        InvalidStep: A multistep method starts from as many points as there would be, or more.
        InvalidPoint, InvalidOrder, InvalidMethod, MissingParameter: The arguments cannot be right.

    >>> print(compare("x**2/2", [1.0], h=0.1, steps=10))
    order   first error   largest error   final error
        0     4.837e-03       1.920e-02     1.920e-02
        1     3.245e-04       1.259e-03     1.259e-03
        2     2.446e-05       9.479e-05     9.479e-05
        3     1.964e-06       7.609e-06     7.609e-06
    """
    loss = as_field(loss)
    method = method_for(loss, method)
    theta0, h = start_and_step(loss, theta0, h)
    h, steps = check_step(h), check_steps(steps)
    orders = check_orders(orders)
    modified = derive_field(loss, max(orders, default=0), method)
    flows, failures = followed(
        {n: partial(_solved, modified.truncated(n), theta0, h, steps, parameters) for n in orders}
    )
    highest = flows[max(flows)] if flows else None
    start = start_on_flow(loss, method, theta0, h, modified.order, parameters, highest)
    iterates = iterate(
        loss, theta0, h=h, steps=steps, method=method, parameters=parameters, start=start
    )
    errors = {order: np.linalg.norm(theta - iterates, axis=1) for order, theta in flows.items()}
    return Comparison(h * np.arange(steps + 1), iterates, flows, errors, failures)


def _solved(modified: ModifiedField, *arguments: Any) -> np.ndarray:
    return solve(modified, *arguments).theta


def followed(
    ways: Mapping[Name, Callable[[], np.ndarray]],
    failing: tuple[type[ModeqError], ...] = (FlowError,),
) -> tuple[dict[Name, np.ndarray], dict[Name, str]]:
    """Return the points of the flows that can be followed, and why the others cannot.

    Args:
        ways: Functions that follow a flow, by its name.
        failing: The errors that say that it cannot be followed.

    >>> followed({"still": lambda: np.zeros(1)})
    ({'still': array([0.])}, {})
    """
    points, failures = {}, {}
    for name, way in ways.items():
        try:
            points[name] = way()
        except failing as error:
            failures[name] = str(error)
    return points, failures


def start_on_flow(
    loss: Field,
    method: Method,
    theta0: Any,
    h: float,
    order: int,
    parameters: Mapping | None,
    flow: np.ndarray | None,
) -> Any:
    """Return the ``start`` for ``iterate`` with which a method with memory is on its flow.

    Args:
        loss: The loss or vector field.
        method: The method.
        theta0: The start of the flow.
        h: The learning rate.
        order: The order of the flow: an optimizer given as a rule has the memory of its slow
            manifold through one power of h more.
        parameters: Values of the parameters of the loss and of the method.
        flow: The points at t = 0, h, …, of shape (steps + 1, d), of which a multistep method takes
            the first; None if there is no flow.

    Returns:
        The memory, the first points, or None for methods that start from one point.

    Raises:
        InvalidStep: A multistep method needs as many points as there are, or more.
    """
    if isinstance(method, Optimizer):
        own, method = with_values(loss, method, parameters)
        field = memory_field(loss, method, order + 1, own)
        values = field(np.asarray(theta0, float), h).reshape(len(method.memory), -1)
        return dict(zip(method.memory, values, strict=True))
    if not isinstance(method, LinearMultistep) or flow is None:
        return None
    if method.steps >= len(flow):
        raise InvalidStep(
            f"steps is {len(flow) - 1}; {method} starts from {method.steps} points of its flow, so "
            f"there must be at least {method.steps} steps to compare them"
        )
    return flow[: method.steps]


def start_and_step(loss: Field, theta0: Any, h: Any) -> tuple[Any, Any]:
    """Return the start and the learning rate, taken from a problem where they are left out."""
    theta0, h = start_of(loss, theta0), getattr(loss, "h", None) if h is None else h
    if h is None:
        raise InvalidStep("the learning rate h is missing: give a positive number")
    return theta0, h


def start_of(loss: Field, theta0: Any) -> Any:
    """Return the start, taken from a problem where it is left out."""
    theta0 = getattr(loss, "start", None) if theta0 is None else theta0
    if theta0 is None:
        raise InvalidPoint(f"a start is missing: give one number for each of {loss.variables}")
    return theta0
