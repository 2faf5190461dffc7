"""The optimizer and its flows, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.checks import check_orders, check_step, check_steps, several, shortened
from modeq.derivation.derive import derive_field
from modeq.errors import FlowError, InvalidPoint, InvalidStep, InvalidValue, ModeqError
from modeq.flows.fields import memory_field, recorded, with_values
from modeq.flows.flow import Flow, OrderFlow
from modeq.flows.integrate import check_start
from modeq.flows.iterates import iterate
from modeq.losses.loss import Field, Loss, as_field
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method, method_for
from modeq.methods.optimizer import Optimizer
from modeq.show.document import Block, Picture, Pictures, Table, Words, missing, number
from modeq.show.figures import abridged
from modeq.show.plots import Paths, draw_distances, draw_paths, panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Name = int | str
"""A flow of an order is called by it; the others have names."""


@dataclass(frozen=True)
class Comparison(Plotted):
    """The optimizer and its flows, side by side.

    Attributes:
        t: Times 0, h, 2h, … of shape (steps + 1,).
        iterates: The optimizer, of shape (steps + 1, d).
        flows: {order or name: points of shape (steps + 1, d)}; of complex flows the real part.
        errors: {order or name: distances from the iterates, of shape (steps + 1,)}. Those of a flow
            of s steps are nan but at t = 0, sh, 2sh, …; those of the central flow are distances
            from ``averages``.
        failures: {order or name: why that flow could not be followed}.
        averages: (θ_{m-1} + 2θ_m + θ_{m+1})/4, the optimizer without its oscillation, of the same
            shape as the iterates, if a flow of averages was asked for; else None.
        loss: The loss or vector field.
        h: The learning rate.
        parameters: The values of the parameters of the loss.
    """

    t: np.ndarray
    iterates: np.ndarray
    flows: dict[Name, np.ndarray]
    errors: dict[Name, np.ndarray]
    failures: dict[Name, str]
    averages: np.ndarray | None
    loss: Field = field(repr=False)
    h: float
    parameters: Mapping = field(default_factory=dict, repr=False)

    @property
    def best(self) -> Name:
        """The order or the name of the flow whose largest error is smallest.

        Raises:
            FlowError: None could be followed.
        """
        rows = error_rows(self.errors)
        if not rows:
            raise FlowError("no flow could be followed, so that none is best")
        return min(rows, key=lambda name: (np.isnan(rows[name][1]), rows[name][1]))

    @property
    def table(self) -> list[dict[str, Any]]:
        """One row for each flow that could be followed."""
        return [
            {"flow": name, **dict(zip(("first", "largest", "final"), row, strict=True))}
            for name, row in error_rows(self.errors).items()
        ]

    def __str__(self) -> str:
        if all(isinstance(name, int) for name in (*self.errors, *self.failures)):
            return error_table("order", self.errors, self.failures)
        return error_table("flow", _labelled(self.errors), _labelled(self.failures))

    def draw(self, axes: Axes) -> None:
        """Draw the optimizer as dots and its flows as lines, in the plane or against time."""
        if self.averages is not None:
            path = self.averages[:, :2].T if self._is_plane else (self.t, self.averages[:, 0])
            axes.plot(*path, ".", color="0.5", ms=3, label="its average", zorder=3)
        names = [abridged(x.name, 12) for x in self.loss.variables]
        lines = {_drawn_name(name): theta for name, theta in self.flows.items()}
        failures = [f"flow of {name}" for name in map(label, self.failures)]
        draw_paths(axes, Paths(self.t, self.iterates, lines, names, failures, self._values()))

    def _values(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return the loss as a function of points in the plane, for contour lines."""
        if not isinstance(self.loss, Loss) or self.loss.dimension != 2:
            return None
        function = recorded(self.loss, [self.loss.expression], self.parameters)
        return lambda points: function(points, 0.0)[..., 0]

    @property
    def _is_plane(self) -> bool:
        return self.iterates.shape[1] == 2

    def draw_errors(self, axes: Axes) -> None:
        """Draw the distances of the flows from the optimizer against time."""
        draw_distances(axes, self.t, _labelled(self.errors))

    def show(self) -> list[Block]:
        """Return the paths and the distances, as pictures and as a table."""
        pictures = (
            Picture(
                "trajectories",
                "The optimizer (dots) and its flows",
                partial(panel, self.draw),
            ),
            Picture(
                "distances",
                "Distance of each flow from the optimizer",
                partial(panel, self.draw_errors),
            ),
        )
        table = [self.distances(f"h = {self.h:g}")] if self.errors else []
        return [Pictures(pictures), *table, *missing(_labelled(self.failures))]

    def distances(self, caption: Words = "") -> Table:
        """Return the distances of the flows from the optimizer as a table."""
        rows = tuple(
            (label(name), *map(number, row)) for name, row in error_rows(self.errors).items()
        )
        head = ("flow", "after one step", "largest", "at the end")
        return Table(head, rows, caption, numeric=True)


def label(name: Name) -> str:
    """Return what a flow is called where flows of all kinds stand together.

    >>> label(1), label("principal")
    ('order 1', 'principal')
    """
    return f"order {name}" if isinstance(name, int) else name


def _drawn_name(name: Name) -> str:
    """Return what a line is called."""
    if name == 0:
        return "gradient flow (order 0)"
    return f"flow of order {name}" if isinstance(name, int) else name


def _labelled(things: Mapping[Name, Any]) -> dict[str, Any]:
    return {label(name): thing for name, thing in things.items()}


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
        lines.append("   ".join((_justified(name, width), *cells)))
    lines += [f"{_justified(name, width)}   {message}" for name, message in failures.items()]
    return "\n".join(lines)


def _justified(name: Any, width: int) -> str:
    """Return names at the left, and numbers at the right."""
    return name.ljust(width) if isinstance(name, str) else str(name).rjust(width)


def compare(
    loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    steps: int = 20,
    flows: Sequence[int | Flow] = (0, 1, 2, 3),
    orders: Sequence[int] | None = None,
    method: Any = None,
    parameters: Mapping | None = None,
) -> Comparison:
    """Run the optimizer and its flows, and measure how far apart they are.

    Args:
        loss: A loss or vector field, or a text.
        theta0: The start; that of the problem if the loss is one of ``modeq.problems``.
        h: The learning rate; the same.
        steps: The number of steps.
        flows: n for the flow with counter terms up to hⁿ, and flows of other kinds, such as
            ``modeq.principal_flow(loss, 1)``, or one's own: see ``modeq.flows.flow``.
        orders: The same for orders alone.
        method: Gradient descent unless given.
        parameters: Values of symbols.

    Distances are Euclidean. A flow that blows up, or that does not exist at this h, is named in
    ``failures``; the others are still compared.

    A method with memory starts on the last flow of single steps that can be followed: its first k
    points are those at t = 0, h, …, (k-1)h; an optimizer given as a rule has the memory that it has
    on its slow manifold. Started elsewhere, such as at rest, it follows another solution of that
    flow.

    Raises:
        InvalidStep: A multistep method starts from as many points as there would be, or more.
        InvalidValue: A flow is none, is of another loss or method, or has the name of another.
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
    own, _ = with_values(loss, method, parameters)
    check_start(theta0, loss, own)
    solved = {"theta0": theta0, "h": h, "steps": steps, "parameters": parameters}
    named = _named(flows if orders is None else check_orders(orders), loss, method)
    # The arguments are right, so what is refused now is a point on the way, or what is too large.
    paths, failures = followed(
        {name: lambda flow=flow: flow.solve(**solved).theta for name, flow in named.items()},
        (FlowError, InvalidValue),
    )
    single = [theta for name, theta in paths.items() if _is_single(named[name])]
    order = max((name for name in named if isinstance(name, int)), default=0)
    start = start_on_flow(
        loss, method, theta0, h, order, parameters, single[-1] if single else None
    )
    is_averaged = any(getattr(flow, "is_average", False) for flow in named.values())
    # The last average needs one step more than the flows.
    points = iterate(loss, method=method, start=start, **{**solved, "steps": steps + is_averaged})
    averages, points = averaged(points)[: steps + 1] if is_averaged else None, points[: steps + 1]
    errors = {name: _errors(named[name], path, points, averages) for name, path in paths.items()}
    t = h * np.arange(steps + 1)
    return Comparison(t, points, paths, errors, failures, averages, loss, h, own)


def _named(flows: Any, loss: Field, method: Method) -> dict[Name, Flow]:
    """Return the flows by their orders and names."""
    flows = several(flows, "flows")
    orders = check_orders([flow for flow in flows if not isinstance(flow, Flow)])
    modified = derive_field(loss, max(orders), method) if orders else None
    ready = iter(orders)
    found: dict[Name, Flow] = {}
    for flow in flows:
        is_flow = isinstance(flow, Flow)
        name = flow.name if is_flow else next(ready)
        if name in found:
            raise InvalidValue(
                f"two flows are called {shortened(name)}; each needs a name of its own"
            )
        found[name] = (
            _checked(flow, loss, method) if is_flow else OrderFlow(modified.truncated(name))
        )
    return found


def _checked(flow: Flow, loss: Field, method: Method) -> Flow:
    for word, own in (("loss", loss), ("method", method)):
        theirs = getattr(flow, word, own)
        if theirs != own:
            raise InvalidValue(
                f"the flow {shortened(flow.name)} is of the {word} {shortened(theirs)}, and "
                f"would be "
                f"compared with {shortened(own)}; make it of that one"
            )
    return flow


def _every(flow: Flow) -> int:
    """Return how many steps lie between the times at which a flow meets the optimizer."""
    return getattr(flow, "every", 1)


def _is_single(flow: Flow) -> bool:
    return _every(flow) == 1


def _errors(
    flow: Flow, theta: np.ndarray, points: np.ndarray, averages: np.ndarray | None
) -> np.ndarray:
    """Return the distances from where the flow should be, nan where it need not be anywhere."""
    target = averages if getattr(flow, "is_average", False) else points
    distances = np.linalg.norm(theta - target, axis=1)
    return np.where(np.arange(len(distances)) % _every(flow) == 0, distances, np.nan)


def averaged(points: np.ndarray) -> np.ndarray:
    """Return (θ_{m-1} + 2θ_m + θ_{m+1})/4 for each point but the ends, which stay: without the
    oscillation from step to step.

    >>> averaged(np.array([[1.0], [-1.0], [1.0], [-1.0]])).ravel().tolist()
    [1.0, 0.0, 0.0, -1.0]
    """
    points = np.asarray(points, dtype=float)
    inner = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return np.concatenate([points[:1], inner, points[-1:]])


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
